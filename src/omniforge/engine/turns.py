"""Who is next (pure): tenants in turn, priority and arrival within a tenant, long waits before everything.

Waiters with equal needs form a group, a group has one lane per tenant. So the best waiter is found by looking
at the few groups, not at the waiters.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from omniforge.engine.slots import Ledger, Needs, SlotRequest

RAISED_AFTER = 300.0
"""Seconds after which a waiter goes before everything that has not waited as long."""

REMEMBERED_TENANTS = 4096


class Turn(Protocol):
    """What a waiter sleeps on (a future)."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...


@dataclass(slots=True, eq=False)
class Waiter:
    request: SlotRequest
    needs: Needs
    seq: int
    since: float
    turn: Turn
    granted: bool = False
    line: Line | None = None


Entry = tuple[float, int, int, Waiter]
"""(the tenant's account, -priority, arrival, waiter): the smallest is next; arrival is unique."""


class Group:
    """Waiters with equal needs. Entries of waiters that left are dropped when they surface."""

    def __init__(self, needs: Needs, line: Line) -> None:
        self.needs = needs
        self.line = line
        self.lanes: dict[str, list[tuple[int, int, Waiter]]] = {}
        self.heads: list[Entry] = []
        self.parked: set[str] = set()
        """Tenants without room of their own: not looked at before they get some."""

    def push(self, waiter: Waiter, rank: int) -> None:
        tenant_id = waiter.request.tenant_id
        lane = self.lanes.setdefault(tenant_id, [])
        heapq.heappush(lane, (rank, waiter.seq, waiter))
        if lane[0][2] is waiter and tenant_id not in self.parked:
            self._push_head(tenant_id)

    def unpark(self, tenant_id: str) -> None:
        if tenant_id in self.parked:
            self.parked.discard(tenant_id)
            self._push_head(tenant_id)

    def first(self, has_tenant_room: Callable[[Waiter], bool]) -> Entry | None:
        """The next waiter whose tenant has room."""
        while self.heads:
            account, rank, seq, waiter = self.heads[0]
            tenant_id = waiter.request.tenant_id
            lane = self.lanes.get(tenant_id)
            owed = self.line.turns.account(tenant_id)
            if not lane or lane[0][2] is not waiter or tenant_id in self.parked:
                heapq.heappop(self.heads)
            elif waiter.line is not self.line or waiter.turn.done():
                heapq.heappop(self.heads)
                self._push_head(tenant_id)
            elif account < owed:  # it was served in another group since
                heapq.heapreplace(self.heads, (owed, rank, seq, waiter))
            elif not has_tenant_room(waiter):
                heapq.heappop(self.heads)
                self.parked.add(tenant_id)
            else:
                return self.heads[0]
        return None

    def _push_head(self, tenant_id: str) -> None:
        lane = self.lanes.get(tenant_id, [])
        while lane and (lane[0][2].line is not self.line or lane[0][2].turn.done()):
            heapq.heappop(lane)
        if lane:
            rank, seq, waiter = lane[0]
            heapq.heappush(self.heads, (self.line.turns.account(tenant_id), rank, seq, waiter))
        else:
            self.lanes.pop(tenant_id, None)
            self.parked.discard(tenant_id)


class Line:
    """One class of waiters (those raised, or all others), grouped by needs."""

    def __init__(self, turns: Turns, *, by_priority: bool) -> None:
        self.turns = turns
        self.by_priority = by_priority
        self.groups: dict[Needs, Group] = {}

    def push(self, waiter: Waiter) -> None:
        waiter.line = self
        group = self.groups.get(waiter.needs)
        if group is None:
            group = self.groups[waiter.needs] = Group(waiter.needs, self)
        group.push(waiter, -waiter.request.priority if self.by_priority else 0)

    def best(
        self, has_room: Callable[[Needs], bool], has_tenant_room: Callable[[Waiter], bool]
    ) -> Waiter | None:
        found: Entry | None = None
        for needs in list(self.groups):
            group = self.groups[needs]
            if not group.lanes:
                del self.groups[needs]
            elif has_room(needs):
                entry = group.first(has_tenant_room)
                if entry is not None and (found is None or entry < found):
                    found = entry
        return None if found is None else found[3]


class Turns:
    """All waiters. A raised waiter that is first but does not fit gets what it needs kept free.

    Each tenant has an account of what it was given (slots ÷ weight); the smallest account is served first.
    `present` is where the account of a tenant stands that always got its fair share: whoever comes starts
    there. So nobody saves up turns while it does not wait, and a stream of tenants starves none that stay.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.present = 0.0
        self._ledger = ledger
        self._accounts: dict[str, float] = {}
        self._remembered = REMEMBERED_TENANTS
        self._arrivals = 0
        self._claim: Waiter | None = None
        """The raised waiter for which shared room is kept."""
        self._claims: dict[str, Waiter] = {}
        """By tenant: the raised waiter for which the tenant's own room is kept."""
        self._crowd: Counter[str] = Counter()
        """By tenant: how many wait."""
        self._weight = 0.0
        """Of all tenants that wait."""
        self._young: OrderedDict[int, Waiter] = OrderedDict()
        self._raised: dict[int, Waiter] = {}
        self._gone = 0
        self.rebuild()

    def __len__(self) -> int:
        return len(self._young) + len(self._raised)

    def account(self, tenant_id: str) -> float:
        return self._accounts.get(tenant_id, 0.0)

    def needs(self) -> Iterator[Needs]:
        """Of those who wait, each once or twice."""
        yield from self._old_line.groups
        yield from self._young_line.groups

    def add(self, request: SlotRequest, needs: Needs, now: float, turn: Turn) -> Waiter:
        self._arrivals += 1
        tenant_id = request.tenant_id
        if not self._crowd[tenant_id]:
            self.unpark(tenant_id)  # room may have come while nobody of it waited
            self._weight += self._weight_of(tenant_id)
            self._accounts[tenant_id] = max(self.present, self.account(tenant_id))
        self._crowd[tenant_id] += 1
        waiter = Waiter(request, needs, self._arrivals, now, turn)
        self._young[waiter.seq] = waiter
        self._young_line.push(waiter)
        return waiter

    def next(self, now: float) -> Waiter | None:
        """Whoever is to be served now; nothing is changed for it."""
        self._raise_old(now)
        ledger = self._ledger

        def has_room(needs: Needs) -> bool:
            return ledger.has_room(needs, now, self._kept())

        if self._raised:
            first = self._claim
            if first is None or first.turn.done() or not self._has_tenant_room(first):
                first = self._claim = self._old_line.best(lambda _: True, self._has_tenant_room)
            if first is not None:
                if ledger.has_room(first.needs, now):
                    return first
                self._claims.setdefault(first.request.tenant_id, first)
            found = self._old_line.best(has_room, self._has_tenant_room)
            if found is not None:
                return found
        return self._young_line.best(has_room, self._has_tenant_room)

    def fits(self, request: SlotRequest, needs: Needs, now: float) -> bool:
        """Whether a newcomer may take this past those who wait, none of whom can be served now."""
        kept = self._claims.get(request.tenant_id)
        slots = needs.slots + (kept.needs.slots if kept else 0)
        return self._ledger.has_tenant_room(request.tenant_id, slots) and self._ledger.has_room(
            needs, now, self._kept()
        )

    def charge(self, tenant_id: str, slots: int) -> None:
        """Note that the tenant is given slots while others wait (or it does, until it leaves)."""
        weight = self._weight_of(tenant_id)
        crowd = self._weight if tenant_id in self._crowd else self._weight + weight
        start = max(self.present, self.account(tenant_id))
        self._accounts[tenant_id] = start + slots / weight
        self.present = start + slots / crowd
        if len(self._accounts) > self._remembered:
            self._accounts = {
                name: owed
                for name, owed in self._accounts.items()
                if owed > self.present or name in self._crowd
            }
            self._remembered = max(REMEMBERED_TENANTS, 2 * len(self._accounts))

    def leave(self, waiter: Waiter) -> None:
        """Served or cancelled."""
        tenant_id = waiter.request.tenant_id
        waiter.line = None
        self._crowd[tenant_id] -= 1
        if not self._crowd[tenant_id]:
            del self._crowd[tenant_id]
            self._weight = self._weight - self._weight_of(tenant_id) if self._crowd else 0.0
        self._young.pop(waiter.seq, None)
        self._raised.pop(waiter.seq, None)
        if self._claim is waiter:
            self._claim = None
        if self._claims.get(tenant_id) is waiter:
            del self._claims[tenant_id]
            self.unpark(tenant_id)
        self._note_gone()

    def unpark(self, tenant_id: str) -> None:
        """The tenant has room again."""
        for line in (self._old_line, self._young_line):
            for group in line.groups.values():
                group.unpark(tenant_id)

    def rebuild(self) -> None:
        """Order anew from those who wait; nothing is kept free for anybody."""
        self._claim = None
        self._claims.clear()
        self._gone = 0
        self._old_line = Line(self, by_priority=False)
        self._young_line = Line(self, by_priority=True)
        for waiter in self._raised.values():
            self._old_line.push(waiter)
        for waiter in self._young.values():
            self._young_line.push(waiter)

    def _weight_of(self, tenant_id: str) -> float:
        return self._ledger.limits.weights.get(tenant_id, 1.0)

    def _kept(self) -> Needs | None:
        return None if self._claim is None else self._claim.needs

    def _has_tenant_room(self, waiter: Waiter) -> bool:
        tenant_id, slots = waiter.request.tenant_id, waiter.needs.slots
        kept = self._claims.get(tenant_id)
        if kept is not None and kept is not waiter:
            return self._ledger.has_tenant_room(tenant_id, slots + kept.needs.slots)
        fits = self._ledger.has_tenant_room(tenant_id, slots)
        if not fits and waiter.line is self._old_line:
            self._claims[tenant_id] = waiter
        return fits

    def _raise_old(self, now: float) -> None:
        while self._young:
            seq, waiter = next(iter(self._young.items()))
            if now - waiter.since <= RAISED_AFTER:
                return
            del self._young[seq]
            self._raised[seq] = waiter
            self._old_line.push(waiter)
            self._note_gone()

    def _note_gone(self) -> None:
        """Entries of those who left stay behind; when they are the most, they are swept."""
        self._gone += 1
        if self._gone > 64 + 2 * len(self):
            claim, claims = self._claim, dict(self._claims)
            self.rebuild()
            self._claim, self._claims = claim, claims
