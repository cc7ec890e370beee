"""A wish of one sentence or several, read as the things to do: in order, at the same time, or only if."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from omniforge.builder.understanding.actions import read_action
from omniforge.builder.understanding.branches import Branch, exclusive, spread
from omniforge.builder.understanding.clauses import Clause, Composition
from omniforge.builder.understanding.conditions import COMPARED, field_name, read_condition
from omniforge.builder.understanding.explaining import explain
from omniforge.builder.understanding.held import Held
from omniforge.builder.understanding.pieces import SINKS, STARTERS, Action, Around
from omniforge.builder.understanding.segments import Link, Segment, cut
from omniforge.builder.understanding.text import words
from omniforge.builder.understanding.verbs import VERBS, Deed

__all__ = ["Clause", "Composition", "explain", "read_composition"]

MOST_CLAUSES = 40
_ONE_FIELD = re.compile(
    r"(?:out )?(?:the |its |their )?((?!data|detail|field|info|text|value|content|everything)[a-z]+(?: "
    r"[a-z]+)?)(?: (?:from|of|against|per|between|in|since) .*)?",
    re.IGNORECASE,
)
_ELLIPTIC = re.compile(r"(?:the|an?|one|to|in|into|both|all|zz\w+)\s", re.IGNORECASE)


def read_composition(message: str, services: Sequence[str]) -> Composition:
    """What a message asks for. `services` are the ids of those that can be connected here; a clause may name
    another one. Times and happenings are left out: schedules are read elsewhere. Total over any text."""
    here = tuple(s.lower() for s in services)
    pieces, held = cut(message, frozenset(here))
    reader = _Reader(
        here, held, triggered=any(piece.triggered for piece in pieces), whole=held.restore(message[:2000])
    )
    for piece in spread(pieces, held):
        reader.read(piece)
        if len(reader.clauses) >= MOST_CLAUSES:
            break
    return reader.composition()


@dataclass
class _Reader:
    """The clauses so far. `stage` holds those that run last, at the same time; `base` is what a choice of
    branches depends on."""

    services: tuple[str, ...]
    held: Held
    triggered: bool
    whole: str = ""
    verb: str = ""
    clauses: list[Clause] = field(default_factory=list[Clause])
    unsure: list[str] = field(default_factory=list[str])
    stage: list[int] = field(default_factory=list[int])
    together: bool = False
    base: tuple[int, ...] = ()
    branches: list[Branch] = field(default_factory=list[Branch])
    subject: str | None = None

    def read(self, piece: Segment) -> None:
        if not piece.text:
            return
        branch = self._branch(piece)
        done = tuple(clause.operation for clause in self.clauses)
        around = Around(self.services, self.held, done, branch is not None, self.triggered, self.whole)
        actions = read_action(piece.text, around)
        if actions is None and self.verb and _ELLIPTIC.match(piece.text):
            actions = read_action(f"{self.verb} {piece.text}", around)
        elif actions:
            self.verb = piece.text.split()[0]
        if actions is None:
            self._unread(piece)
            return
        if not actions:
            return
        if actions[0].operation == "compare":
            self.subject = None
        if actions[0].operation in ("extract", "transform") and (
            told := re.fullmatch(_ONE_FIELD, actions[0].object)
        ):
            self.subject = field_name(told[1])
        if actions[0].joins:
            self._join(actions[0])
            return
        if branch is None:
            self._close()
        elif branch not in self.branches:
            self._open(branch, piece, actions)
        self._add(actions, piece, branch)

    def composition(self) -> Composition:
        self._close()
        return Composition(clauses=tuple(self.clauses), unsure=tuple(dict.fromkeys(self.unsure)))

    # --- branches ------------------------------------------------------------------------------

    def _branch(self, piece: Segment) -> Branch | None:
        """The branch a piece belongs to: its own, or that of the piece before it."""
        if piece.condition or piece.otherwise:
            return self._own_branch(piece)
        if not self.branches or not self.branches[-1].leads:
            return None
        goes_on = piece.link is Link.AND or (piece.link is Link.THEN and len(self.branches) == 1)
        return self.branches[-1] if goes_on else None

    def _own_branch(self, piece: Segment) -> Branch:
        said = self.held.said(piece.condition)
        check = read_condition(said, subject=self.subject or self._compared()) if said else None
        if said and check is None:
            self.unsure.append(said)
        if check and check.subject:
            self.subject = check.subject
        return Branch(
            words=said, expression=check.expression if check else "", negated=piece.negated,
            otherwise=piece.otherwise, leads=not piece.behind, bare=check is not None and check.bare,
            number=len(self.branches),
        )  # fmt: skip

    def _compared(self) -> str | None:
        return COMPARED if any(c.operation == "compare" for c in self.clauses) else None

    def _open(self, branch: Branch, piece: Segment, actions: list[Action]) -> None:
        if not self.branches:
            implied = not self.clauses and not self.triggered and (piece.given or branch.bare)
            if implied and actions[0].operation in SINKS:
                self._put(Action("report", object=branch.words), (), piece)
                self.stage = [0]
            self.base = tuple(self.stage)
        self.branches.append(branch)

    def _close(self) -> None:
        """A choice is over: what follows waits for all of its branches."""
        if not self.branches:
            return
        members = [at for branch in self.branches for at in branch.members]
        for branch, expression in zip(self.branches, exclusive(self.branches, self.clauses), strict=True):
            for at in branch.members:
                self.clauses[at] = self.clauses[at].model_copy(
                    update={
                        "condition": expression,
                        "condition_words": branch.words,
                        "otherwise": branch.otherwise,
                    }
                )
        self.stage = sorted({*self.base, *members})
        self.branches, self.base = [], ()

    # --- clauses -------------------------------------------------------------------------------

    def _add(self, actions: list[Action], piece: Segment, branch: Branch | None) -> None:
        done = [a for a in actions if not a.inbox]
        for number, action in enumerate(done):
            again = number > 0 and done[number - 1].operation == action.operation
            if branch is not None:
                before = branch.members[:-1] if again else branch.members
                needs = self._needs_in(branch, action, before)
                branch.members.append(self._put(action, needs, piece))
            elif number == 0:
                self._place(action, piece)
            elif again:
                self._beside(action, piece)
            else:
                self._after(action, piece)

    def _needs_in(self, branch: Branch, action: Action, before: list[int]) -> tuple[int, ...]:
        chained = [at for at in before[-1:] if not self._both_sink(action, at)]
        return tuple(sorted({*self.base, *chained}))

    def _both_sink(self, action: Action, at: int) -> bool:
        return action.operation in SINKS and self.clauses[at].operation in SINKS

    def _place(self, action: Action, piece: Segment) -> None:
        """Where a clause stands among the others, by the words that join it to them."""
        if piece.link in (Link.THEN, Link.NEXT, Link.ALL):
            self.together = False
        match piece.link:
            case _ if not self.clauses:
                self._after(action, piece)
                self.together = piece.link in (Link.TOGETHER, Link.SAME_TIME)
            case Link.ALL:
                self.stage = self._awaited(piece.count)
                self._after(action, piece)
            case Link.SAME_TIME:
                self._beside(action, piece)
            case Link.TOGETHER:
                self._after(action, piece)
                self.together = True
            case Link.THEN:
                self._after(action, piece)
            case Link.AND | Link.NEXT if self.together or self._independent(action, piece):
                self._beside(action, piece)
            case _:
                self._after(action, piece)

    def _independent(self, action: Action, piece: Segment) -> bool:
        """It can start together with the clauses of the last stage."""
        ends = {self.clauses[at].operation for at in self.stage}
        first = all(not self.clauses[at].needs for at in self.stage)
        if action.operation in ("report", "fetch"):
            return first and ends <= STARTERS
        if action.operation == "extract":
            return first and ends == {"extract"}
        about_it = re.search(r"\babout (?:it|that|this)\b|\bthe link\b", piece.text, re.IGNORECASE)
        return action.operation in SINKS and piece.link is Link.AND and ends <= SINKS and not about_it

    def _awaited(self, count: int | None) -> list[int]:
        """The last stage, or as many of the clauses nobody waits for as were counted."""
        needed = {at for clause in self.clauses for at in clause.needs}
        leaves = [at for at in range(len(self.clauses)) if at not in needed]
        return leaves[-count:] if count and len(leaves) >= count else sorted({*self.stage, *leaves})

    def _after(self, action: Action, piece: Segment) -> None:
        self.stage = [self._put(action, tuple(self.stage), piece)]

    def _beside(self, action: Action, piece: Segment) -> None:
        needs = self.clauses[self.stage[0]].needs if self.stage else ()
        self.stage = [*self.stage, self._put(action, needs, piece)]

    def _put(self, action: Action, needs: tuple[int, ...], piece: Segment) -> int:
        self.clauses.append(
            Clause(
                operation=action.operation, service=action.service, object=action.object, place=action.place,
                text=action.text, urgent=action.urgent, needs=needs, words=self.held.restore(piece.text),
            )
        )  # fmt: skip
        return len(self.clauses) - 1

    def _join(self, action: Action) -> None:
        """Words that only tell more about an earlier clause of the same kind."""
        at = next(
            (i for i in reversed(range(len(self.clauses))) if self.clauses[i].operation == action.operation),
            None,
        )
        if at is None:
            return
        old = self.clauses[at]
        told = {
            "object": f"{old.object}, {action.object}" if action.object else old.object,
            "text": action.text or old.text,
        }
        self.clauses[at] = old.model_copy(update=told)

    def _unread(self, piece: Segment) -> None:
        """Words with a verb, or a place in the order, that fit no rule; greetings and lists are let go."""
        said = self.held.restore(piece.text)
        bound = (
            piece.condition
            or piece.otherwise
            or piece.link in (Link.THEN, Link.ALL, Link.SAME_TIME, Link.TOGETHER)
        )
        imperative = re.match(
            r"[a-z]{2,}\s+(?:the|an?|our|my|it|them|your|something|all|these|users?)\b", said, re.IGNORECASE
        )
        doing = VERBS.get(said.split(maxsplit=1)[0].lower())
        if len(words(said)) > 1 and (bound or imperative or (doing and doing.deed is not Deed.LIGHT)):
            self.unsure.append(said)
