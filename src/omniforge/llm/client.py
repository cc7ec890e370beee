"""The client behind the port: which model, with which key, over one pool of connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from omniforge.core.clock import Clock, SystemClock
from omniforge.core.config import ModelSettings, Settings
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.network import refuse_when_closed
from omniforge.llm.budget import Account
from omniforge.llm.choice import Choice, ModelName
from omniforge.llm.claude.guest import INSTALL, Enclosure, bundled
from omniforge.llm.claude.seats import Seats
from omniforge.llm.counting import Correction
from omniforge.llm.prices import Prices
from omniforge.llm.protocol import Answer, Ask, ModelNotConfigured, Usage
from omniforge.llm.providers import AGENT, COMPATIBLE, PROVIDERS, SIMULATED, Seat
from omniforge.llm.scripts import Script, load_script
from omniforge.llm.succession import first_answer

if TYPE_CHECKING:
    from omniforge.llm.calling import Calling
    from omniforge.llm.claude.question import Household
    from omniforge.llm.served import ServedModel

CONNECTIONS = 1000
KEYS = {
    AGENT: ("anthropic_api_key", "ANTHROPIC_API_KEY"),
    "anthropic": ("anthropic_api_key", "ANTHROPIC_API_KEY"),
    "openai": ("openai_api_key", "OPENAI_API_KEY"),
    "openai-chat": ("openai_api_key", "OPENAI_API_KEY"),
    "openrouter": ("openrouter_api_key", "OPENROUTER_API_KEY"),
}
"""Setting and environment variable of a vendor's key."""


class Meter(Protocol):
    """Somebody who keeps books over all questions: quotas, telemetry."""

    async def admit(self, tenant_id: str, model: str) -> None:
        """Before a question; raises BudgetExceeded or RateLimited to have it not asked."""
        ...

    async def record(self, tenant_id: str, model: str, usage: Usage) -> None:
        """After it, also when it failed."""
        ...


def build_models(
    settings: Settings,
    *,
    clock: Clock | None = None,
    meter: Meter | None = None,
    enclosure: Enclosure | None = None,
) -> Models:
    """The client of an installation. `enclosure`: where agents with a program of their own run."""
    return Models(settings.llm, clock=clock, meter=meter, enclosure=enclosure)


class Models:
    """`ModelClient` over every configured provider. Close it when the installation closes.

    `script` is what the scripted model says; it goes before the script file of the settings.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        script: Script | None = None,
        clock: Clock | None = None,
        meter: Meter | None = None,
        enclosure: Enclosure | None = None,
    ) -> None:
        self._enclosure = enclosure
        self._household: Household | None = None
        self.settings, self._meter, self._clock = settings, meter, clock or SystemClock()
        self._choice = Choice(settings)
        self._prices = Prices.load(settings.prices)
        self._script = script or _script_of(settings.script)
        self._correction = Correction()
        self._opened: dict[ModelName, Any] = {}
        self._http: Any = None

    def is_configured(self, tenant_id: str = "default", model: str | None = None) -> bool:
        try:
            self._check_seat(self._choice.meant(model, tenant_id))
        except (ModelNotConfigured, Invalid):
            return False
        return True

    def check_model(self, name: str, tenant_id: str = "default") -> None:
        self._check_seat(self._choice.meant(name, tenant_id))

    async def ask(self, ask: Ask) -> Answer:
        account = Account(ask.limits)
        names = self._names(ask)

        async def ask_them(names: Sequence[ModelName], ask: Ask) -> Answer:
            of_agent = names[0].provider == AGENT
            return await (self._ask_agent if of_agent else self._ask_models)(names, ask, account)

        if self._meter is not None:
            await self._meter.admit(ask.tenant_id, str(names[0]))
        model = str(names[0])
        try:
            got = await first_answer(ask, names, account, ask_them)
        except OmniForgeError as error:
            error.details.setdefault("usage", asdict(account.usage))
            raise
        else:
            model = got.model
            return got
        finally:
            if self._meter is not None and account.requests:
                await self._meter.record(ask.tenant_id, model, account.usage)

    async def _ask_models(self, names: Sequence[ModelName], ask: Ask, account: Account) -> Answer:
        from omniforge.llm.loop import answer  # noqa: PLC0415 - a second that only who asks a model pays

        served = [self._served(name, ask, account) for name in names]
        simulated = frozenset(str(name) for name in names if name.provider in SIMULATED)
        return await answer(ask, served, account, simulated)

    async def _ask_agent(self, names: Sequence[ModelName], ask: Ask, account: Account) -> Answer:
        from omniforge.llm.claude import question  # noqa: PLC0415 - the SDK may not be installed

        folder = bundled()
        if self._household is None and self._enclosure is not None and folder is not None:
            own = self.settings
            seats = Seats(own.claude_agents, own.claude_agents_starting)
            self._household = question.Household(self._enclosure, folder, seats, own.claude_agent_memory_mb)
        assert self._household is not None  # noqa: S101 - its parts were looked at before
        (name,) = names
        return await question.answer(
            ask, self._calling(name, ask, account), self._seat(name), self._household
        )

    async def close(self) -> None:
        """End every connection. Questions under way end with them."""
        self._opened.clear()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _names(self, ask: Ask) -> list[ModelName]:
        """The model that is meant, then the fallbacks that can be asked."""
        meant, *others = self._choice.candidates(ask.model, ask.tenant_id)
        self._check_seat(meant)
        return [meant, *(other for other in others if self._has_seat(other))]

    def _has_seat(self, name: ModelName) -> bool:
        try:
            self._check_seat(name)
        except ModelNotConfigured:
            return False
        return True

    def _check_seat(self, name: ModelName) -> None:
        """Raise ModelNotConfigured for a provider without key, address, script or program."""
        settings, provider = self.settings, name.provider
        missing = self._missing_of_agent() if provider == AGENT else None
        if missing:
            pass
        elif provider in KEYS and provider not in settings.server_keys:
            attribute, variable = KEYS[provider]
            missing = None if getattr(settings, attribute) else f"Set {variable}."
        elif provider == "scripted":
            missing = None if self._script else "Set OMNIFORGE_MODEL_SCRIPT to a file of turns."
        elif provider not in settings.servers and provider not in KEYS:
            missing = f"Set OMNIFORGE_MODEL_SERVERS, for example to {provider}=http://localhost:8000/v1."
        if missing:
            raise ModelNotConfigured(f"The model {name} cannot be asked. {missing}", model=str(name))

    def _missing_of_agent(self) -> str | None:
        if bundled() is None:
            return f"Install the Claude Agent SDK: {INSTALL}."
        return "It runs in a sandbox, and this client was given none." if self._enclosure is None else None

    def _served(self, name: ModelName, ask: Ask, account: Account) -> ServedModel:
        from omniforge.llm.served import ServedModel  # noqa: PLC0415 - as above

        return ServedModel(self._open(name), self._calling(name, ask, account))

    def _calling(self, name: ModelName, ask: Ask, account: Account) -> Calling:
        from omniforge.llm.calling import Calling, Terms  # noqa: PLC0415 - as above

        own = self.settings
        terms = Terms(
            own.attempts, own.longest_wait, own.max_output, self._correction, self._prices, self._clock.sleep
        )
        return Calling(name, terms, account, ask.on_event)

    def _open(self, name: ModelName) -> Any:
        """pydantic-ai's model of that name; one per name, as it holds the vendor's client."""
        if name not in self._opened:
            module, attribute = PROVIDERS.get(name.provider, COMPATIBLE).split(":")
            opener: Callable[[Seat, str], Any] = getattr(import_module(module), attribute)
            self._opened[name] = opener(self._seat(name), name.model)
        return self._opened[name]

    def _seat(self, name: ModelName) -> Seat:
        settings, provider = self.settings, name.provider
        own = settings.server_keys.get(provider)
        if own is None and provider in KEYS:
            own = getattr(settings, KEYS[provider][0])
        address = settings.servers.get(provider)
        if provider == AGENT:
            address = address or settings.servers.get("anthropic")
        return Seat(address, own.get_secret_value() if own else None, self._client, self._script)

    def _client(self) -> Any:
        """One pool for all. No redirects: a key goes to the configured address and nowhere else."""
        import httpx2  # noqa: PLC0415 - as above

        if self._http is None:
            self._http = httpx2.AsyncClient(
                timeout=httpx2.Timeout(self.settings.timeout, connect=10.0),
                limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=100),
                follow_redirects=False,
                trust_env=False,
                event_hooks={"request": [refuse_when_closed]},
            )
        return self._http


def _script_of(path: Path | None) -> Script | None:
    return load_script(path) if path is not None else None
