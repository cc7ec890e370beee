"""What a step asks for, what there is of it, and what is taken (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from omniforge.core.config import Settings
from omniforge.core.errors import Invalid

MEMORY_GRAIN = 64
"""MB. Memory hints count in this grain, so that many different hints stay few different needs."""

WAITED_FOR = 1000
"""Priority of what a person sits and waits for; nothing else asks for as much."""
FOR_PEOPLE = 2
"""Slots that such steps can have at once whatever the load of the machine and whatever else is under way."""
SPARED_FROM = 4 * FOR_PEOPLE
"""With so many slots in all, those are kept free of everything else."""

SLACK = 1e-6
"""Part of a call that rounding may cost a bucket."""


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """What one step holds while it runs. Build it once per step: steps that need the same may share one."""

    tenant_id: str
    priority: int = 0
    provider: str | None = None
    model: str | None = None
    sandbox: bool = False
    slots: int = 1
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        if self.slots < 1 or (self.memory_mb is not None and self.memory_mb < 0):
            raise Invalid(
                "A step needs at least one slot, and no negative amount of memory",
                fields=[
                    {"field": "resources.slots", "value": self.slots, "rule": "1 or more"},
                    {"field": "resources.memory_mb", "value": self.memory_mb, "rule": "0 or more"},
                ],
            )

    @property
    def is_waited_for(self) -> bool:
        return self.priority >= WAITED_FOR


class NeverFits(Invalid):
    """More than this installation has: waiting would not help."""

    code = "never_fits"


@dataclass(frozen=True, slots=True)
class Rate:
    """`calls` may start at once, then as many again spread over each `seconds`."""

    calls: int
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What there is. `None` and a missing name mean: no limit of its own.

    tenants: exceptions from `per_tenant`. weights: share of a tenant in turns, 1 when not named.
    providers, rates: by `provider` or `provider/model`; a call counts for both. memory_mb: sum of all hints.
    """

    total: int
    per_tenant: int | None = None
    tenants: Mapping[str, int] = field(default_factory=dict[str, int])
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    providers: Mapping[str, int] = field(default_factory=dict[str, int])
    rates: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    sandboxes: int | None = None
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        named: dict[str, float | None] = {
            "total": self.total,
            "per_tenant": self.per_tenant,
            "sandboxes": self.sandboxes,
            "memory_mb": self.memory_mb,
            **{f"tenants.{name}": limit for name, limit in self.tenants.items()},
            **{f"weights.{name}": weight for name, weight in self.weights.items()},
            **{f"providers.{name}": limit for name, limit in self.providers.items()},
            **{f"rates.{name}.calls": rate.calls for name, rate in self.rates.items()},
            **{f"rates.{name}.seconds": rate.seconds for name, rate in self.rates.items()},
        }
        wrong = [
            {"field": name, "value": value, "rule": "a finite number above 0"}
            for name, value in named.items()
            if value is not None and not (value > 0 and math.isfinite(value))
        ]
        if wrong:
            raise Invalid("A limit has to be above 0", fields=wrong)

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        return cls(
            total=settings.max_active_steps,
            per_tenant=settings.max_tenant_steps,
            providers=settings.max_provider_calls,
            rates={name: Rate(calls) for name, calls in settings.max_provider_rate.items()},
            sandboxes=settings.max_sandboxes,
            memory_mb=settings.max_memory_mb,
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """A request without its tenant: steps with equal needs fit or do not fit alike."""

    slots: int
    shared: tuple[tuple[str, int], ...] = ()
    """(name, amount) of every limited thing beside slots."""
    waited_for: bool = False
    """By a person."""


class Bucket:
    """Tokens of one rate: as many as `calls`, refilled evenly."""

    def __init__(self, rate: Rate) -> None:
        self.capacity = float(rate.calls)
        self.per_second = rate.calls / rate.seconds
        self.tokens = self.capacity
        self.at = 0.0

    def has(self, calls: int, now: float) -> bool:
        if now > self.at:
            self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.per_second)
            self.at = now
        return self.tokens >= calls - SLACK

    def take(self) -> None:
        self.tokens = max(0.0, self.tokens - 1)

    def wait(self, now: float) -> float:
        """Seconds until a call may start; 0 when one may now."""
        return 0.0 if self.has(1, now) else max(0.001, (1 - self.tokens) / self.per_second)


class Ledger:
    """The count of what is taken. `limit` is how many slots may be taken now, at most `limits.total`, by
    steps that nobody waits for; those of people have some beside it.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.limit = limits.total
        self.total = 0
        self.for_people = 0
        """Of these, what steps hold that a person waits for."""
        self._most_others = limits.total - (FOR_PEOPLE if limits.total >= SPARED_FROM else 0)
        self.tenants: dict[str, int] = {}
        self.shared: dict[str, int] = {}
        self.buckets = {f"provider:{name}": Bucket(rate) for name, rate in limits.rates.items()}
        self._caps = {f"provider:{name}": limit for name, limit in limits.providers.items()}
        if limits.sandboxes is not None:
            self._caps["sandboxes"] = limits.sandboxes
        if limits.memory_mb is not None:
            self._caps["memory_mb"] = limits.memory_mb
        self._slots_only = not self._caps and not self.buckets
        self._per_tenant = limits.total if limits.per_tenant is None else limits.per_tenant
        self._exceptions = dict(limits.tenants)

    def needs_of(self, request: SlotRequest) -> Needs:
        if self.needs_slots_only(request):
            return Needs(request.slots, waited_for=request.is_waited_for)
        shared: list[tuple[str, int]] = []
        if request.provider is not None:
            names = [f"provider:{request.provider}"]
            if request.model is not None:
                names.append(f"{names[0]}/{request.model}")
            shared += [(name, 1) for name in names if name in self._caps or name in self.buckets]
        if request.sandbox and "sandboxes" in self._caps:
            shared.append(("sandboxes", 1))
        if request.memory_mb and "memory_mb" in self._caps:
            grains = math.ceil(request.memory_mb / MEMORY_GRAIN) * MEMORY_GRAIN
            most = self._caps["memory_mb"]
            shared.append(
                ("memory_mb", min(grains, most) if request.memory_mb <= most else request.memory_mb)
            )
        return Needs(request.slots, tuple(shared), request.is_waited_for)

    def check(self, request: SlotRequest) -> Needs:
        """Its needs; raises `NeverFits` when they are above the limits even with nothing else running."""
        needs = self.needs_of(request)
        asked = [
            ("slots", needs.slots, self.limits.total),
            ("slots of one tenant", needs.slots, self.tenant_limit(request.tenant_id)),
            *((name, amount, self._caps[name]) for name, amount in needs.shared if name in self._caps),
        ]
        wrong = [
            {"field": f"resources: {name}", "value": amount, "rule": f"at most {most}"}
            for name, amount, most in asked
            if amount > most
        ]
        if wrong:
            raise NeverFits(
                "The step asks for more than this installation has: ask for less, or raise the limit",
                fields=wrong,
            )
        return needs

    def tenant_limit(self, tenant_id: str) -> int:
        return self._exceptions.get(tenant_id, self._per_tenant)

    def needs_slots_only(self, request: SlotRequest) -> bool:
        return self._slots_only or (
            request.provider is None and not request.sandbox and request.memory_mb is None
        )

    # --- does it fit ---------------------------------------------------------------------------------------

    @property
    def others(self) -> int:
        """Slots of steps that nobody waits for."""
        return self.total - self.for_people

    @property
    def is_full(self) -> bool:
        """Whether no step at all could be given a slot."""
        return not (self.has_slots(1, waited_for=False) or self.has_slots(1, waited_for=True))

    def has_slots(self, slots: int, *, waited_for: bool, kept: int = 0) -> bool:
        """Whether so many slots are free for such a step; `kept`: what has to stay free beside it."""
        total = self.total + slots
        if not waited_for:
            others = total - self.for_people + kept
            return others <= min(self.limit, self._most_others) and total + kept <= self.limits.total
        if total > self.limits.total:
            return False
        return self.for_people + slots <= FOR_PEOPLE or total + kept <= self.limit

    def has_tenant_room(self, tenant_id: str, slots: int) -> bool:
        return self.tenants.get(tenant_id, 0) + slots <= self._exceptions.get(tenant_id, self._per_tenant)

    def has_room(self, needs: Needs, now: float, kept: Needs | None = None) -> bool:
        """Whether what is not the tenant's own suffices, when `kept` has to stay free beside it."""
        held_back: Mapping[str, int] = {} if kept is None else dict(kept.shared)
        # A limit that was lowered under pressure does not lock out a step that needs more: it runs alone.
        alone = kept is None and self.total == 0 and self.limit > 0
        held = kept.slots if kept else 0
        if not alone and not self.has_slots(needs.slots, waited_for=needs.waited_for, kept=held):
            return False
        for name, amount in needs.shared:
            extra = held_back.get(name, 0)
            most = self._caps.get(name)
            if most is not None and self.shared.get(name, 0) + amount + extra > most:
                return False
            bucket = self.buckets.get(name)
            if bucket is not None and not bucket.has(1 + extra, now):
                return False
        return True

    # --- take and give back --------------------------------------------------------------------------------

    def take_slots(self, request: SlotRequest) -> bool:
        """The short way of a request that needs slots only: take them if there is room."""
        if not (
            self._slots_only
            or (request.provider is None and not request.sandbox and request.memory_mb is None)
        ):
            return False
        slots = request.slots
        total = self.total + slots
        tenant_id = request.tenant_id
        tenants = self.tenants
        held = tenants.get(tenant_id, 0) + slots
        waited_for = request.priority >= WAITED_FOR
        if not self.has_slots(slots, waited_for=waited_for) or held > (
            self._exceptions.get(tenant_id, self._per_tenant) if self._exceptions else self._per_tenant
        ):
            return False
        self.total = total
        if waited_for:
            self.for_people += slots
        tenants[tenant_id] = held
        return True

    def take(self, request: SlotRequest, needs: Needs) -> None:
        """Count it, fitting or not: the caller has asked before."""
        self._count(request.tenant_id, needs)
        for name, _ in needs.shared:
            if name in self.buckets:
                self.buckets[name].take()

    def give_back(self, request: SlotRequest) -> bool:
        """False when the tenant does not hold that much: nothing is changed then."""
        tenant_id = request.tenant_id
        held = self.tenants.get(tenant_id, 0) - request.slots
        if held < 0:
            return False
        if held:
            self.tenants[tenant_id] = held
        else:
            del self.tenants[tenant_id]
        self.total -= request.slots
        if request.priority >= WAITED_FOR:
            self.for_people -= request.slots
        if not self._slots_only and not self.needs_slots_only(request):
            for name, amount in self.needs_of(request).shared:
                self.shared[name] = max(0, self.shared.get(name, 0) - amount)
        return True

    def recount(self, held: Iterable[SlotRequest]) -> int:
        """Start the count again from what is really held; how many slots that frees."""
        before = self.total
        self.total = self.for_people = 0
        self.tenants.clear()
        self.shared.clear()
        for request in held:
            self._count(request.tenant_id, self.needs_of(request))
        return before - self.total

    def _count(self, tenant_id: str, needs: Needs) -> None:
        self.total += needs.slots
        if needs.waited_for:
            self.for_people += needs.slots
        self.tenants[tenant_id] = self.tenants.get(tenant_id, 0) + needs.slots
        for name, amount in needs.shared:
            self.shared[name] = self.shared.get(name, 0) + amount
