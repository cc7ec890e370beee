"""All settings. The environment and `.env` are read here and nowhere else."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from omniforge.core.logs import LogFormat

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

REGISTRIES = (
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "crates.io",
    "index.crates.io",
    "static.crates.io",
    "proxy.golang.org",
    "sum.golang.org",
    "rubygems.org",
    "index.rubygems.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "deb.debian.org",
    "security.debian.org",
)
"""Where packages come from."""


class ServiceSettings(BaseModel):
    """This installation's registration at one service outside, as it stands in the environment for Notion:
    `NOTION_CLIENT_ID`, `NOTION_CLIENT_SECRET`, `NOTION_REDIRECT_URI`, `NOTION_WEBHOOK_SECRET`.
    """

    client_id: str | None = None
    client_secret: SecretStr | None = None
    redirect_uri: str | None = None
    webhook_secret: SecretStr | None = None
    """What the service signs its deliveries to this installation with."""
    base_url: str | None = None
    """`OMNIFORGE_NOTION_BASE_URL`: a local server in place of the service."""
    git_url: str | None = None
    """`OMNIFORGE_GITHUB_GIT_URL`: below which git finds repositories, in place of the service's own place."""


def _read_service(integration_id: str) -> ServiceSettings:
    name = integration_id.upper()

    class Registration(BaseSettings):
        model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_prefix=f"{name}_")

        client_id: str | None = None
        client_secret: SecretStr | None = None
        redirect_uri: str | None = None
        webhook_secret: SecretStr | None = None

    class Address(BaseSettings):
        model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_prefix=f"OMNIFORGE_{name}_")

        base_url: str | None = None
        git_url: str | None = None

    return ServiceSettings(**Registration().model_dump(), **Address().model_dump())


class TenantModels(BaseModel):
    """What one tenant has in place of the installation's `default` and `allowed`."""

    default: str | None = None
    allowed: list[str] | None = None


class ModelSettings(BaseSettings):
    """Language models. A model is named `provider:model`, as in `openai:…`, or by an alias."""

    model_config = SettingsConfigDict(
        env_prefix="OMNIFORGE_MODEL_", env_file=".env", extra="ignore", populate_by_name=True
    )

    default: str | None = Field(default=None, validation_alias=AliasChoices("OMNIFORGE_MODEL", "default"))
    """The model of everybody who names no other. None: what needs a model says that none is set up."""
    aliases: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict[str, str], validation_alias=AliasChoices("OMNIFORGE_MODELS", "aliases")
    )
    """Names of your own for models: `fast=provider:model, strong=provider:model`."""
    fallbacks: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    """Models that are asked, in this order, when the one that was meant cannot answer."""
    allowed: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    """Models that may be used (`provider:model`, `provider:*`); empty: every one."""
    tenants: dict[str, TenantModels] = Field(default_factory=dict[str, TenantModels])
    """By tenant id, as JSON: `{"acme": {"default": "fast", "allowed": ["anthropic:*"]}}`."""

    anthropic_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY", "anthropic_api_key")
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key")
    )
    openrouter_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENROUTER_API_KEY", "openrouter_api_key")
    )
    servers: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict[str, str])
    """Addresses by provider: `ollama=http://localhost:11434/v1`. A name of your own is a server that speaks
    as OpenAI does; `anthropic`, `openai` and `openrouter` put another address in place of the vendor's.
    """
    server_keys: Annotated[dict[str, SecretStr], NoDecode] = Field(default_factory=dict[str, SecretStr])
    """Keys of `servers`, by the same names."""
    claude_agents: int = Field(default=8, gt=0)
    """Programs of the Claude Agent SDK that live at the same time, of about 200 MB each; the rest wait."""
    claude_agents_starting: int = Field(default=2, gt=0)
    """Of these, how many start at the same time."""
    claude_agent_memory_mb: int = Field(default=1024, ge=512)
    """Memory at which such a program is ended."""
    script: Path | None = None
    """Turns that the provider `scripted` plays, for tests and demonstrations."""

    prices: Path | None = None
    """A table of prices that goes before the one of the library `genai-prices`."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds without a sign of the service after which a call is given up."""
    attempts: int = Field(default=3, gt=0)
    """Tries of one call at one model."""
    longest_wait: float = Field(default=20.0, ge=0)
    """Seconds to wait between two tries; a service that wants more time is left to the fallbacks."""
    max_output: int = Field(default=8192, gt=0)
    """Tokens one answer may have."""

    @field_validator("fallbacks", "allowed", mode="before")
    @classmethod
    def split_names(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("aliases", "servers", "server_keys", mode="before")
    @classmethod
    def split_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in _split(value)]
        return {name.strip(): meant.strip() for name, _, meant in pairs}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Settings(BaseSettings):
    """Settings of one installation. Nothing needs to be set for local single-user mode."""

    model_config = SettingsConfigDict(
        env_prefix="OMNIFORGE_", env_file=".env", extra="ignore", populate_by_name=True
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".omniforge")
    """Where data live: database, keys, skills, artifacts."""

    database_url: str | None = None
    """SQLAlchemy address; default: SQLite in `home`."""

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)
    public_url: str | None = None
    """Address people reach this server at, when it differs from host and port."""

    auth_required: bool = False
    """False: local single-user mode on loopback. True: every request needs a credential."""

    allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    jwt_secret: SecretStr | None = None
    credential_encryption_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("CREDENTIAL_ENCRYPTION_KEY", "OMNIFORGE_CREDENTIAL_ENCRYPTION_KEY"),
    )
    """Master key (Fernet format: 32 bytes, URL-safe base64); default: a key file in `home`."""

    timezone: str = "UTC"
    """Zone for schedules when neither the person nor the session names one."""

    api_key: SecretStr | None = None
    """What the command line shows to a server that requires sign-in."""

    url_map: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict[str, str])
    """For development: other servers in place of origins that a program names (`https://a.example=http://b`)."""

    max_body_bytes: int = 1_048_576
    max_active_steps: int = Field(default=64, gt=0)
    """Steps that run at the same time (slots of this process)."""
    max_tenant_steps: int | None = Field(default=None, gt=0)
    """Of these, steps of one tenant."""
    max_provider_calls: Annotated[dict[str, int], NoDecode] = Field(default_factory=dict[str, int])
    """Steps that use a model at the same time: `anthropic=8, openai/gpt=2` (provider, or provider/model)."""
    max_provider_rate: Annotated[dict[str, int], NoDecode] = Field(default_factory=dict[str, int])
    """Steps that start to use a model, per minute; written like `max_provider_calls`."""
    max_sandboxes: int | None = Field(default=None, gt=0)
    """Sandboxes that run at the same time on this machine."""
    max_memory_mb: int | None = Field(default=None, gt=0)
    """Sum of the memory hints of the steps that run, in MB."""
    max_spawn_depth: int = Field(default=2, ge=0)
    """Generations of runs below a run that may start without a person's approval."""
    max_spawned_runs: int = Field(default=20, ge=0)
    """Runs that one run may start without a person's approval."""
    pressure_cpu_high: float = Field(default=90.0, gt=0, le=100)
    """Percent; above it for 30 s nothing new starts."""
    pressure_cpu_low: float = Field(default=75.0, gt=0, le=100)
    """Percent; below it (and with memory below its own) work starts again."""
    pressure_memory_high: float = Field(default=85.0, gt=0, le=100)
    """Percent; above it nothing new starts."""
    pressure_memory_low: float = Field(default=70.0, gt=0, le=100)
    """Percent; see `pressure_cpu_low`."""
    max_unfinished_runs: int = 10_000
    """Runs of one tenant under way or queued."""
    sandbox_provider: str = "local"
    bubblewrap: Path = Path("/usr/bin/bwrap")
    """The program behind the local sandbox provider."""
    board_sandboxes: int = Field(default=10, gt=0)
    """Sandboxes of the board that live at once in this installation; of one tenant at most
    `tenant_sandboxes`, of a project as its settings say."""
    tenant_sandboxes: int = Field(default=10, gt=0)
    dispatch_capabilities: Annotated[list[str], NoDecode] = Field(default_factory=list[str])
    """What this computer's workers can do beyond the ordinary, for tasks that ask for it."""
    sandbox_unisolated: bool = False
    """True: the local provider runs work on the board WITHOUT walls. For computers that hold nothing."""
    sandbox_image: str = "python:3.12-slim"
    """Image of docker's sandboxes; it has to hold `python3` and `sh`."""
    audit_command: str | None = None
    """Audits the dependencies of a project in check sandboxes, in place of pip-audit and npm."""
    sandbox_registries: Annotated[list[str], NoDecode] = Field(default_factory=lambda: [*REGISTRIES])
    """Hosts that a project with the network `allowlist` reaches besides OmniForge (`*.example.com`)."""
    docker_host: str = Field(
        default="unix:///var/run/docker.sock",
        validation_alias=AliasChoices("OMNIFORGE_DOCKER_HOST", "DOCKER_HOST", "docker_host"),
    )
    """Docker Engine: `unix:///path`, `tcp://host:port` or `http(s)://host:port`."""
    daytona_api_url: str = Field(
        default="https://app.daytona.io/api",
        validation_alias=AliasChoices("OMNIFORGE_DAYTONA_API_URL", "DAYTONA_API_URL", "daytona_api_url"),
    )
    daytona_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("OMNIFORGE_DAYTONA_API_KEY", "DAYTONA_API_KEY", "daytona_api_key"),
    )
    daytona_snapshot: str | None = None
    """What Daytona's sandboxes are made of; default: that of the account."""
    sqlite_synchronous: str = "NORMAL"
    worker_concurrency: int = Field(default=100, gt=0)
    """On PostgreSQL: runs that one process drives at the same time."""
    up_drives_runs: bool = True
    """On PostgreSQL: whether `omniforge up` drives runs itself, or leaves that to `omniforge worker`."""
    max_tenant_runs: int = Field(default=200, gt=0)
    """On PostgreSQL: runs of one tenant that are driven at the same time, over all processes."""
    worker_heartbeat: float = Field(default=5.0, gt=0)
    """Seconds between two signs of life of a worker."""
    worker_stalled_after: float = Field(default=20.0, gt=0)
    """Seconds without a sign of life after which a worker's runs go on with others."""
    fetch_allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list[str])

    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = "WARNING"
    metrics_enabled: bool = False
    """True: `GET /metrics` answers."""
    otel_endpoint: HttpUrl | None = None
    """OTLP/HTTP collector that gets the traces, e.g. `http://localhost:4318`; needs the extra `telemetry`."""
    otel_headers: SecretStr | None = None
    """Sent with every trace, as `name=value,name=value`: what a hosted collector wants to see."""
    otel_sample: float = Field(default=1.0, ge=0, le=1)
    """Part of all runs that are traced."""
    otel_service_name: str = "omniforge"

    llm: ModelSettings = Field(default_factory=ModelSettings)
    services: dict[str, ServiceSettings] = Field(default_factory=dict[str, ServiceSettings])
    """By the integration's id; one that is not here is read from the environment when it is asked for."""

    @field_validator(
        "allowed_hosts", "fetch_allowed_hosts", "sandbox_registries", "dispatch_capabilities", mode="before"
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip().lower() for part in value.split(",") if part.strip()]
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("max_provider_calls", "max_provider_rate", mode="before")
    @classmethod
    def split_figures(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): figure.strip() for name, _, figure in pairs}

    @field_validator("url_map", mode="before")
    @classmethod
    def split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in _split(value)]
        return {origin.strip().rstrip("/"): meant.strip().rstrip("/") for origin, _, meant in pairs}

    @field_validator("max_provider_calls", "max_provider_rate")
    @classmethod
    def check_figures(cls, figures: dict[str, int]) -> dict[str, int]:
        wrong = [name or "(no name)" for name, figure in figures.items() if not name or figure < 1]
        if wrong:
            raise ValueError(
                f"every name takes a whole number above 0, as in anthropic=8: {', '.join(wrong)}"
            )
        return figures

    @model_validator(mode="after")
    def check_signs_of_life(self) -> Settings:
        if self.worker_stalled_after < 2 * self.worker_heartbeat:
            raise ValueError("worker_stalled_after has to be at least twice worker_heartbeat")
        return self

    @model_validator(mode="after")
    def check_pressure(self) -> Settings:
        if self.pressure_cpu_low >= self.pressure_cpu_high:
            raise ValueError("pressure_cpu_low has to be below pressure_cpu_high")
        if self.pressure_memory_low >= self.pressure_memory_high:
            raise ValueError("pressure_memory_low has to be below pressure_memory_high")
        return self

    def service(self, integration_id: str) -> ServiceSettings:
        """The registration at that service; everything in it is None when nothing is set."""
        found = self.services.get(integration_id)
        if found is None:
            found = _read_service(integration_id)
            self.services[integration_id] = found
        return found

    @property
    def url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def sqlite_path(self) -> Path:
        return self.home / "omniforge.db"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.sqlite_path}"


@cache
def shipped(name: str) -> Path:
    """Folder shipped beside the code (`migrations`, `skills`): in the wheel, or in a checkout."""
    packaged = Path(str(resources.files("omniforge"))) / "_shipped" / name
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[3] / name
