"""A wish of one sentence or several, read as the things to do: in order, at the same time, or only if."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from omniforge.builder.understanding.actions import read_action
from omniforge.builder.understanding.branches import Branch, exclusive, spread
from omniforge.builder.understanding.clauses import Clause, Composition
from omniforge.builder.understanding.conditions import field_name
from omniforge.builder.understanding.contexts import check_in_context
from omniforge.builder.understanding.explaining import explain
from omniforge.builder.understanding.held import Held
from omniforge.builder.understanding.leftovers import left_over
from omniforge.builder.understanding.pieces import CHATS, SINKS, STARTERS, Action, Around
from omniforge.builder.understanding.places import CHANNEL, find_services
from omniforge.builder.understanding.segment import Link, Segment
from omniforge.builder.understanding.segments import cut
from omniforge.builder.understanding.text import words
from omniforge.builder.understanding.verbs import VERBS, Deed, is_a_thing

__all__ = ["Clause", "Composition", "explain", "read_composition"]

MOST_CLAUSES = 40
_ONE_FIELD = re.compile(
    r"(?:out )?(?:the |its |their )?((?!data|detail|field|info|text|value|content|everything)[a-z]+(?: "
    r"[a-z]+)?)(?: (?:from|of|against|per|between|in|since) .*)?",
    re.IGNORECASE,
)
_ELLIPTIC = re.compile(r"(?-i:[A-Z])\w+$|(?:the|an?|one|to|in|into|both|all|zz\w+)\s", re.IGNORECASE)


_HEADINGS = frozenset({"follow", "check", "transform", "brief"})
"""What stands before a colon and is told in steps behind it."""


def read_composition(message: str, services: Sequence[str]) -> Composition:
    """What a message asks for. `services` are the ids of those that can be connected here; a clause may name
    another one. Times and happenings are left out: schedules are read elsewhere. Total over any text."""
    here = tuple(s.lower() for s in services)
    pieces, held = cut(message, frozenset(here))
    reader = _Reader(
        here, held, triggered=any(piece.triggered for piece in pieces), whole=held.restore(message[:2000]),
    )  # fmt: skip
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
    beside: tuple[int, ...] = ()
    branches: list[Branch] = field(default_factory=list[Branch])
    said: list[str] = field(default_factory=list[str])
    subject: str | None = None
    waiting: Link | None = None
    """How a heading was joined to what came before it, for the step behind it."""
    kept_in: str | None = None
    """The service where things are said to be, for those read later without naming one."""

    def read(self, piece: Segment) -> None:
        if self.waiting is not None:
            piece = replace(piece, link=self.waiting) if piece.link is Link.AND else piece
            self.waiting = None
        if piece.states:
            self._remember(piece)
            return
        if not piece.text:
            return
        if piece.heads and re.match(
            r"(?:each |every |any |an? |all )?(?:new|incoming)\b", piece.text, re.IGNORECASE
        ):
            self.triggered = True
            return
        branch = self._branch(piece)
        actions = self._actions(piece, branch is not None)
        if not actions:
            if branch is not None and branch not in self.branches and branch.expression:
                self._open(branch, piece, Action("post"))
            if actions is None:
                self._unread(piece)
            return
        if piece.heads and (actions[-1].operation in _HEADINGS or self._says_what_for(actions)):
            actions = [a for a in actions if a.operation in STARTERS]
            self.waiting = piece.link
        elif not piece.heads:
            self.said.append(piece.text)
        if actions:
            self._take(actions, piece, branch)

    def _actions(self, piece: Segment, conditional: bool) -> list[Action] | None:
        """What the piece asks for; a verb said before counts for one that has none ("… and the issues")."""
        done = tuple(clause.operation for clause in self.clauses)
        around = Around(self.services, self.held, done, conditional, self.triggered, self.kept_in, self.whole)
        actions = read_action(piece.text, around)
        if actions is None and self.verb and _ELLIPTIC.match(piece.text):
            return read_action(f"{self.verb} {piece.text}", around)
        if actions and (said := piece.text.split())[0].lower() in VERBS and not is_a_thing(said):
            self.verb = said[0]
        return actions

    def _take(self, actions: list[Action], piece: Segment, branch: Branch | None) -> None:
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
            self._open(branch, piece, actions[0])
        self._add(actions, piece, branch)

    def composition(self) -> Composition:
        self._close()
        if not self.unsure:
            self.unsure += left_over(self.said, self.clauses, self.held, self.services, self.whole)
        return Composition(clauses=tuple(self.clauses), unsure=tuple(dict.fromkeys(self.unsure)))

    def _remember(self, piece: Segment) -> None:
        found = find_services(piece.text, self.services)
        self.kept_in = found[0].service if found else "slack"
        told_after = re.match(r"(?:they|it|these|those|you|all of)\b", piece.text, re.IGNORECASE)
        if told_after and self.clauses and not self.triggered and self.clauses[0].operation in SINKS:
            self._close()
            shifted = [
                c.model_copy(update={"needs": tuple(n + 1 for n in c.needs) or (0,)}) for c in self.clauses
            ]
            self.clauses = [
                Clause(operation="report", service=self.kept_in, words=self.held.restore(piece.text)),
                *shifted,
            ]
            self.stage = [at + 1 for at in self.stage]
        for at, clause in enumerate(self.clauses):
            if clause.operation == "report" and not clause.service and not clause.needs:
                self.clauses[at] = clause.model_copy(update={"service": self.kept_in})

    def _says_what_for(self, actions: list[Action]) -> bool:
        """ "Chase overdue invoices:" names no place; how it is done follows."""
        last = actions[-1]
        return last.operation in ("post", "create") and not last.service and not last.place and not last.inbox

    # --- branches ------------------------------------------------------------------------------

    def _branch(self, piece: Segment) -> Branch | None:
        """The branch a piece belongs to: its own, or that of the piece before it."""
        if piece.rest and self.branches:
            piece = replace(piece, otherwise=True)
        if piece.condition or piece.otherwise:
            return self._own_branch(piece)
        if not self.branches or not self.branches[-1].leads:
            return None
        goes_on = piece.link is Link.AND or (piece.link is Link.THEN and len(self.branches) == 1)
        return self.branches[-1] if goes_on else None

    def _own_branch(self, piece: Segment) -> Branch:
        said = self.held.said(piece.condition)
        check = check_in_context(said, self.clauses, self.subject) if said else None
        if said and check is None:
            self.unsure.append(said)
        if check and check.subject:
            self.subject = check.subject
        return Branch(
            words=said, expression=check.expression if check else "", negated=piece.negated,
            otherwise=piece.otherwise, leads=not piece.behind, bare=check is not None and check.bare,
            number=len(self.branches),
        )  # fmt: skip

    def _open(self, branch: Branch, piece: Segment, action: Action) -> None:
        if not self.branches:
            implied = not self.clauses and not self.triggered and (piece.given or branch.bare)
            named = next(
                (m.service for m in find_services(branch.words, self.services) if m.service not in CHATS),
                None,
            )
            if named and not self.clauses and not self.triggered and action.operation in SINKS:
                self._put(Action("report", named, object=branch.words), (), piece)
                self.stage = [0]
            elif implied and action.operation in SINKS:
                self._put(Action("report", object=branch.words), (), piece)
                self.stage = [0]
            beside = piece.link in (Link.AND, Link.NEXT) and action.operation in SINKS and not piece.otherwise
            beside = (
                beside and bool(self.stage) and {self.clauses[at].operation for at in self.stage} <= SINKS
            )
            self.beside = tuple(self.stage) if beside else ()
            self.base = self.clauses[self.stage[0]].needs if beside else tuple(self.stage)
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
        self.stage = sorted({*(self.beside or self.base), *members})
        self.branches, self.base, self.beside = [], (), ()

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
            case Link.THEN if (
                action.operation == "report" and action.service and self._independent(action, piece)
            ):
                self._beside(action, piece)
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
        about_it = re.search(
            r"\babout (?:it|that|this)\b|\bthe link\b|^(?:assign|label|tag|link|close|move) (?:it|them)\b",
            piece.text,
            re.IGNORECASE,
        )
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
        if action.operation == "report" and not action.service and not needs and self.kept_in:
            action = replace(action, service=self.kept_in)
        if action.operation == "create" and action.service in ("slack", "email"):
            action = replace(action, operation="post")
        if (
            action.operation in ("update", "create")
            and not action.service
            and re.search(r"\bthere\b", piece.text)
        ):
            action = replace(action, service=self._at_work())
        if action.operation == "update" and not action.service:
            action = replace(action, service=self._at_work())
        self.clauses.append(
            Clause(
                operation=action.operation, service=action.service, object=action.object, place=action.place,
                text=action.text, urgent=action.urgent, needs=needs, words=self.held.restore(piece.text),
            )
        )  # fmt: skip
        return len(self.clauses) - 1

    def _at_work(self) -> str | None:
        """The one service that is worked with, chats left out."""
        named = {c.service for c in self.clauses if c.service and c.service not in CHATS} - {
            "http",
            "rss",
            "files",
        }
        return named.pop() if len(named) == 1 else None

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
        if piece.heads:
            return
        bound = (
            piece.condition
            or piece.otherwise
            or piece.link in (Link.THEN, Link.ALL, Link.SAME_TIME, Link.TOGETHER)
        )
        imperative = re.match(
            r"[a-z]{2,}\s+(?:the|an?|our|my|it|them|your|something|all|these|each|every|any|incoming|new|"
            r"users?)\b",
            said,
            re.IGNORECASE,
        )
        doing = VERBS.get(said.split(maxsplit=1)[0].lower())
        goes = (
            CHANNEL.search(said)
            or re.search(r"\b(?:by|via|per) e-?mail\b", said, re.I)
            or self.held.of_kind("e", piece.text)
        )
        if (self.clauses and goes and len(words(said)) > 3) or (
            len(words(said)) > 1 and (bound or imperative or (doing and doing.deed is not Deed.LIGHT))
        ):
            self.unsure.append(said)
