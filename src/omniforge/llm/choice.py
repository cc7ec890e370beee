"""Which model is meant: names, aliases, what a tenant may use, and who answers when it cannot (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from omniforge.core.config import ModelSettings
from omniforge.core.errors import Invalid
from omniforge.llm.protocol import ModelNotConfigured

MOST_HOPS = 5


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model as its provider calls it. `provider` is a key of `providers.PROVIDERS` or of the `servers`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def first_named(*names: str | None) -> str | None:
    """The order of choice: call, skill, agent; None leaves it to the tenant's default."""
    return next((name for name in names if name), None)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the settings say about models."""

    settings: ModelSettings

    def candidates(self, name: str | None, tenant_id: str) -> list[ModelName]:
        """The model that is meant and then its fallbacks, as far as this tenant may use them."""
        meant = self.meant(name, tenant_id)
        others = [self._parsed(entry) for entry in self.settings.fallbacks]
        allowed = [other for other in others if self._allows(other, tenant_id)]
        return list(dict.fromkeys([meant, *allowed]))

    def meant(self, name: str | None, tenant_id: str) -> ModelName:
        """The model behind a name or behind none; ModelNotConfigured, or Invalid for one not allowed."""
        wanted = name or self._default(tenant_id)
        if wanted is None:
            raise ModelNotConfigured(
                "No language model is set up. Set OMNIFORGE_MODEL, for example to provider:model."
            )
        parsed = self._parsed(wanted)
        if not self._allows(parsed, tenant_id):
            allowed = list(self._allowed(tenant_id))
            raise Invalid(
                f"The model {wanted!r} may not be used here. Allowed: {', '.join(allowed)}.",
                code="model_not_allowed",
                model=wanted,
                allowed=allowed,
            )
        return parsed

    def _default(self, tenant_id: str) -> str | None:
        own = self.settings.tenants.get(tenant_id)
        return (own.default if own else None) or self.settings.default

    def _allowed(self, tenant_id: str) -> list[str]:
        own = self.settings.tenants.get(tenant_id)
        return own.allowed if own is not None and own.allowed is not None else self.settings.allowed

    def _allows(self, name: ModelName, tenant_id: str) -> bool:
        allowed = self._allowed(tenant_id)
        return not allowed or any(
            fnmatchcase(str(name), self.settings.aliases.get(entry, entry)) for entry in allowed
        )

    def _parsed(self, name: str) -> ModelName:
        for _ in range(MOST_HOPS):
            if name not in self.settings.aliases:
                break
            name = self.settings.aliases[name]
        provider, _, model = name.partition(":")
        if not provider or not model:
            known = sorted(self.settings.aliases)
            raise Invalid(
                f"{name[:200]!r} is no model. Write provider:model or one of the aliases: "
                f"{', '.join(known) or 'none is set up'}.",
                code="model_unknown",
                model=name[:200],
                aliases=known,
            )
        return ModelName(provider, model)
