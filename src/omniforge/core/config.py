"""All settings. The environment and `.env` are read here and nowhere else."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class NotionSettings(BaseSettings):
    """The three settings that connect real Notion, plus the address (a local server in development)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    client_id: str | None = Field(default=None, validation_alias="NOTION_CLIENT_ID")
    client_secret: SecretStr | None = Field(default=None, validation_alias="NOTION_CLIENT_SECRET")
    redirect_uri: str | None = Field(default=None, validation_alias="NOTION_REDIRECT_URI")
    base_url: str = Field(default="https://api.notion.com", validation_alias="OMNIFORGE_NOTION_BASE_URL")


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

    max_body_bytes: int = 1_048_576
    max_active_steps: int = 64
    max_unfinished_runs: int = 10_000
    """Runs of one tenant under way or queued."""
    sandbox_provider: str = "local"
    bubblewrap: Path = Path("/usr/bin/bwrap")
    """The program behind the local sandbox provider."""
    sqlite_synchronous: str = "NORMAL"
    fetch_allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list[str])

    notion: NotionSettings = Field(default_factory=NotionSettings)

    @field_validator("allowed_hosts", "fetch_allowed_hosts", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip().lower() for part in value.split(",") if part.strip()]
        return value

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
