"""The one table of roles and permissions. Pure data, and the few questions asked of it.

A permission is `area:verb` (`agent:edit`). When a role holds it for some rows only, it is written
`area:verb:scope` (`agent:edit:own`): a name of its own, so that `actor.require("agent:edit")` never passes
on a narrow grant. Code that knows the row asks `require_for(actor, "agent:edit", own=…)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Invalid


class Scope(StrEnum):
    """How far a grant reaches."""

    NONE = "none"
    ALL = "all"
    OWN = "own"
    """What the caller created, or administers as a team agent, and what belongs to it."""
    PUBLISHED = "published"
    """Agents an organisation published to this customer."""
    LIMITS = "limits"
    """Of a tenant: its limits, but not its deletion or transfer."""


_NO, _ALL, _OWN, _PUB, _LIM = Scope.NONE, Scope.ALL, Scope.OWN, Scope.PUBLISHED, Scope.LIMITS
_ROLES = (Role.VIEWER, Role.OPERATOR, Role.DEVELOPER, Role.ADMIN, Role.OWNER, Role.END_CUSTOMER)

_TABLE: Mapping[str, tuple[Scope, ...]] = {
    #                       viewer operator developer admin owner end_customer
    "agent:view":          (_ALL, _ALL, _ALL, _ALL, _ALL, _PUB),
    "agent:execute":       (_NO,  _ALL, _ALL, _ALL, _ALL, _PUB),
    "agent:create":        (_NO,  _ALL, _ALL, _ALL, _ALL, _NO),
    "agent:edit":          (_NO,  _OWN, _ALL, _ALL, _ALL, _NO),
    "agent:delete":        (_NO,  _OWN, _ALL, _ALL, _ALL, _NO),
    "agent:share":         (_NO,  _OWN, _ALL, _ALL, _ALL, _NO),
    "skill:view":          (_ALL, _ALL, _ALL, _ALL, _ALL, _NO),
    "skill:create":        (_NO,  _OWN, _ALL, _ALL, _ALL, _NO),
    "skill:edit":          (_NO,  _OWN, _ALL, _ALL, _ALL, _NO),
    "skill:delete":        (_NO,  _NO,  _ALL, _ALL, _ALL, _NO),
    "skill:share":         (_NO,  _NO,  _ALL, _ALL, _ALL, _NO),
    "skill:curate":        (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "integration:view":    (_ALL, _ALL, _ALL, _ALL, _ALL, _OWN),
    "integration:connect": (_NO,  _ALL, _ALL, _ALL, _ALL, _OWN),
    "integration:manage":  (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "org:view":            (_NO,  _ALL, _ALL, _ALL, _ALL, _NO),
    "org:manage":          (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "org:publish":         (_NO,  _NO,  _ALL, _ALL, _ALL, _NO),
    "board:view":          (_ALL, _ALL, _ALL, _ALL, _ALL, _NO),
    "board:edit":          (_NO,  _ALL, _ALL, _ALL, _ALL, _NO),
    "board:sandbox":       (_NO,  _ALL, _ALL, _ALL, _ALL, _NO),
    "board:github":        (_NO,  _ALL, _ALL, _ALL, _ALL, _NO),
    "board:approve":       (_NO,  _NO,  _ALL, _ALL, _ALL, _NO),
    "board:force":         (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "audit:view":          (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "key:manage":          (_NO,  _OWN, _OWN, _ALL, _ALL, _NO),
    "user:manage":         (_NO,  _NO,  _NO,  _ALL, _ALL, _NO),
    "tenant:manage":       (_NO,  _NO,  _NO,  _LIM, _ALL, _NO),
}  # fmt: skip

_SCOPED = (Scope.OWN, Scope.PUBLISHED, Scope.LIMITS)


def _name(permission: str, scope: Scope) -> str:
    return permission if scope is Scope.ALL else f"{permission}:{scope.value}"


_GRANTED: Mapping[Role, frozenset[str]] = {
    role: frozenset(
        _name(permission, row[i]) for permission, row in _TABLE.items() if row[i] is not Scope.NONE
    )
    for i, role in enumerate(_ROLES)
}
_KNOWN = frozenset(_TABLE) | frozenset(name for granted in _GRANTED.values() for name in granted)


def permissions_of(role: Role) -> frozenset[str]:
    return _GRANTED[role]


def may_for(actor: Actor, permission: str, *, own: bool) -> bool:
    """Whether the actor holds it for everything, or for its own rows and this is one of them."""
    return actor.may(permission) or (own and actor.may(_name(permission, Scope.OWN)))


def require_for(actor: Actor, permission: str, *, own: bool) -> None:
    """Forbidden unless `may_for`; the error names the permission that was missing."""
    if not may_for(actor, permission, own=own):
        actor.require(permission)


def meet(wanted: Iterable[str], held: frozenset[str]) -> frozenset[str]:
    """The part of `wanted` that `held` covers: a wide grant covers its narrow forms, a narrow one narrows.

    So a key that lists `agent:edit` has `agent:edit:own` while its creator holds only that.
    """
    result: set[str] = set()
    for name in wanted:
        area, verb, *scope = name.split(":")
        wide = f"{area}:{verb}"
        if name in held or wide in held:
            result.add(name)
        elif not scope:
            result.update(narrow for each in _SCOPED if (narrow := _name(wide, each)) in held)
    return frozenset(result)


def expand(names: Iterable[str]) -> frozenset[str]:
    """Known permissions, with `area:*` written out; Invalid lists every name that is none."""
    result: set[str] = set()
    unknown: list[str] = []
    for name in names:
        area, _, verb = name.partition(":")
        members = {p for p in _TABLE if p.startswith(f"{area}:")} if verb == "*" else {name} & _KNOWN
        result |= members
        if not members:
            unknown.append(name)
    if unknown:
        rule = f"one of {', '.join(sorted(_KNOWN))}, or area:*"
        raise Invalid(
            f"There is no permission {unknown[0]!r}.",
            fields=[{"field": "permissions", "value": name, "rule": rule} for name in unknown],
        )
    return frozenset(result)
