"""Which entries a sentence wants: open, labelled bug, assigned to Anna, overdue, without an owner.

Each rule takes its words out of the text. What tells of a choice that no field can express is told apart, so
that it can be said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from omniforge.builder.understanding import filter_words as said
from omniforge.builder.understanding.fields import Field, match_field
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.roles import (
    DONE,
    done_values,
    flag_of,
    number_fields,
    open_rule,
    role_of,
)
from omniforge.builder.understanding.shaping import ANYWHERE, EDITED, How, Only, find_option
from omniforge.builder.understanding.text import blank, stems, words

MOST_NEAR = 8
WHO = frozenset(words("me myself us our my you"))


Left = tuple[str, tuple[str, ...]]
"""A choice that no field expresses, and values that are near."""


@dataclass
class Taken:
    """`left`: choices that no field expresses, each with values that are near. `text`: what was not read."""

    text: str
    rules: list[Only] = field(default_factory=list[Only])
    left: list[Left] = field(default_factory=list[Left])


def take_filters(
    text: str, fields: Sequence[Field], *, places: Sequence[str] = (), loose: bool = False
) -> Taken:
    """The choices in a text. `loose`: the text tells of entries, so that a value or "open" alone is one."""
    reader = _Reader(text, tuple(fields), tuple(places), loose=loose)
    for rule in (
        reader.nobody, reader.people, reader.labels, reader.days, reader.age, reader.texts,
        reader.stated, reader.numbers, reader.adjectives, reader.values,
    ):  # fmt: skip
        rule()
    return Taken(reader.text, merged(reader.rules), reader.left)


def merged(rules: Sequence[Only]) -> list[Only]:
    """Rules of one sentence: several values of one field are any of them."""
    found: list[Only] = []
    for rule in rules:
        alike = next(
            (r for r in found if (r.field, r.how, r.keep) == (rule.field, rule.how, rule.keep)), None
        )
        if alike is None or rule.how not in (How.IS, How.HOLDS, How.WITHIN) or rule.field == ANYWHERE:
            found += [] if rule in found else [rule]
            continue
        values = (*alike.values, *(v for v in rule.values if v not in alike.values))
        found[found.index(alike)] = alike.model_copy(update={"values": values})
    return found


class _Reader:
    def __init__(self, text: str, fields: tuple[Field, ...], places: tuple[str, ...], *, loose: bool) -> None:
        self.text, self.fields, self.places, self.loose = text, fields, places, loose
        self.rules: list[Only] = []
        self.left: list[Left] = []

    # --- small steps

    def _each(self, pattern: re.Pattern[str], use: Callable[[re.Match[str], bool], int | None]) -> None:
        """Every match is used and taken out; `use` gives the end of what it used, or None to leave it."""
        for match in list(pattern.finditer(self.text)):
            start, keep = match.start(), True
            head = max(0, start - said.BEFORE)
            if negated := said.NOT_BEFORE.search(self.text[head:start]):
                start, keep = head + negated.start(), False
            end = use(match, keep)
            if end is not None:
                self.text = blank(self.text, start, max(end, start + 1))

    def _unfit(self, phrase: str, near: Sequence[str] = ()) -> None:
        self.left.append((" ".join(phrase.split()).strip(" ,.;"), tuple(near)[:MOST_NEAR]))

    def _value(self, match: re.Match[str], group: str, among: Field) -> tuple[list[str], int]:
        """The value that stands there, with further ones of the field, and where they end."""
        raw, start = match[group], match.start(group)
        if quoted := re.match(r"[\"']([^\"']+)[\"']", raw):
            return [quoted[1]], start + quoted.end()
        told = said.until_stop(raw)
        if not told:
            return [], start
        sizes = range(len(told.split()), 0, -1)
        for phrase in (" ".join(told.split()[:size]) for size in sizes):
            if option := _option(phrase, among):
                more, end = self._further(start + len(phrase), among)
                return [option, *more], end
        if among.options:
            return [], start + len(told)
        name = said.proper(told)
        return [name], start + len(name)

    def _further(self, end: int, among: Field) -> tuple[list[str], int]:
        values: list[str] = []
        while match := said.FURTHER.match(self.text, end):
            taken = match["what"].split()
            phrases = (" ".join(taken[:size]) for size in range(len(taken), 0, -1))
            phrase = next((one for one in phrases if _option(one, among)), "")
            if not phrase:
                break
            values.append(_option(phrase, among) or phrase)
            end = match.start("what") + len(phrase)
        return values, end

    def _put(self, rule: Only, keep: bool) -> None:
        self.rules.append(rule if keep else rule.model_copy(update={"keep": not rule.keep}))

    # --- people

    def nobody(self) -> None:
        """ "Unassigned", "without an owner", "with no due date"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            if match["alone"]:
                there = role_of("assignee", self.fields)
                if there is None:
                    self._unfit(match.group())
                else:
                    self._put(Only(field=there.name, how=How.EMPTY), keep)
                return match.end()
            sure = match["article"] or match["no"] or match["thing"]
            phrase = said.until_stop(match["what"])
            if not sure or not phrase:
                return None
            for size in range(len(phrase.split()), 0, -1):
                part = " ".join(phrase.split()[:size])
                found = match_field(part, self.fields).names
                role = role_of("assignee", self.fields) if stems(part) in said.OWNERS else None
                name = found[0] if len(found) == 1 else role.name if role else None
                if name:
                    self.rules.append(Only(field=name, how=How.EMPTY))
                    return match.start("what") + len(part)
            return None

        self._each(said.NOBODY, use)

    def people(self) -> None:
        """ "Assigned to Anna", "opened by sam", "from Anna"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            role = "assignee" if match["owned"] else "author"
            who = role_of(role, self.fields)
            first = words(match["who"])[:1]
            cue = said.ONLY_BEFORE.search(self.text[max(0, match.start() - said.BEFORE) : match.start()])
            if match["origin"] and not self._is_sender(match["who"], who, cued=cue is not None):
                return None
            if first and first[0] in WHO:
                self._unfit(match.group().split(match["who"])[0] + first[0], who.options if who else ())
                return match.start("who") + len(first[0])
            if who is None:
                name = said.proper(said.until_stop(match["who"]))
                self._unfit(match.group()[: match.start("who") - match.start()] + name)
                return match.start("who") + len(name)
            if "@" in match["who"]:
                who = next((f for f in self.fields if f.name == "from"), who)
            values, end = self._value(match, "who", who)
            if not values:
                self._unfit(self.text[match.start() : end], who.options)
                return end
            exact = bool(who.options)
            self._put(Only(field=who.name, values=tuple(values), how=How.IS if exact else How.HOLDS), keep)
            return end

        self._each(said.MINE, lambda match, _: self._mine(match))
        self._each(said.PEOPLE, use)

    def _mine(self, match: re.Match[str]) -> int | None:
        there = role_of("assignee", self.fields)
        if there is None or not self.loose:
            return None
        self._unfit(match.group(), there.options)
        return match.start() + len("my")

    def _is_sender(self, told: str, who: Field | None, *, cued: bool) -> bool:
        """Whether "from …" names a person, not a place or a time."""
        name = said.until_stop(told)
        if who is None or not name or said.is_time(name) or "/" in name or name.startswith("#"):
            return False
        if "@" in name:
            return True
        if resolve(name, self.places).positions or match_field(name, self.fields).names:
            return False
        return name[:1].isupper() or self.loose or cued

    # --- labels and other values

    def labels(self) -> None:
        """ "Labelled bug", "with the tag urgent"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            there = role_of("labels", self.fields)
            if there is None:
                value = said.proper(said.until_stop(match["value"]))
                self._unfit(self.text[match.start() : match.start("value") + len(value)])
                return match.start("value") + len(value)
            values, end = self._value(match, "value", there)
            if not values:
                self._unfit(self.text[match.start() : end], there.options)
            else:
                self._put(Only(field=there.name, values=tuple(values)), keep)
            return end

        self._each(said.LABELLED, use)

    def stated(self) -> None:
        """ "Whose client is Acme", "in state open", "with status Blocked"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            found = match_field(match["field"], self.fields)
            if len(found.names) != 1:
                return None
            there = next(f for f in self.fields if f.name == found.names[0])
            values, end = self._value(match, "value", there)
            if not values:
                if not match["verb"]:
                    return None
                self._unfit(self.text[match.start() : end], there.options)
                return end
            if not match["verb"] and not there.options:
                return None
            self._put(Only(field=there.name, values=tuple(values)), keep and not match["neg"])
            return end

        self._each(said.STATED, use)

    def texts(self) -> None:
        """ "That mention refund", "with invoice in the subject"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            inside, where = match["inside"], match["where"]
            raw = inside or match["about"]
            name = ANYWHERE
            if where:
                found = match_field(where, self.fields).names
                name = found[0] if len(found) == 1 else ANYWHERE
            quoted = re.match(r"[\"']([^\"']+)[\"']", raw)
            told = quoted[1] if quoted else said.until_stop(raw)
            if not told:
                return None
            self._put(Only(field=name, values=(told,), how=How.HOLDS), keep)
            if where:
                return match.end()
            return match.start("about") + (quoted.end() if quoted else len(told))

        self._each(said.MENTIONS, use)

    # --- dates and numbers

    def days(self) -> None:
        """ "Overdue", "due this week", "created yesterday"."""

        def late(match: re.Match[str], keep: bool) -> int | None:
            there = role_of("due", self.fields)
            if there is None:
                self._unfit(match.group())
                return match.end()
            self._put(Only(field=there.name, values=("today",), how=How.BEFORE), keep)
            if keep and (rule := open_rule(self.fields)):
                self.rules.append(rule)
            return match.end()

        def on(match: re.Match[str], keep: bool) -> int | None:
            span = said.span_of(match)
            role = said.ROLE_OF_VERB[match["what"].lower().split()[0]]
            if role == "updated":
                return None
            there = role_of(role, self.fields)
            if there is None or span is None:
                self._unfit(match.group())
                return match.end()
            self._put(Only(field=there.name, values=(span,), how=How.WITHIN), keep)
            return match.end()

        self._each(said.LATE, late)
        self._each(said.ON, on)

    def age(self) -> None:
        """ "Older than 30 days", "not updated for two weeks"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            days = said.days_in(match["n"], match["unit"])
            there = role_of("created", self.fields) if match["older"] else None
            name = there.name if there else EDITED
            self.rules.append(Only(field=name, values=(f"last_{days}_days",), how=How.BEFORE))
            return match.end()

        self._each(said.AGE, use)

    def numbers(self) -> None:
        """ "With an amount above 1000"."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            found = match_field(match["field"], number_fields(self.fields)).names
            if len(found) != 1:
                return None
            how = How.ABOVE if match["way"].lower() in said.ABOVE else How.BELOW
            self._put(Only(field=found[0], values=(match["number"],), how=how), keep)
            return match.end()

        self._each(said.COMPARED, use)

    # --- single words

    def adjectives(self) -> None:
        """ "The open ones", "unread messages"; words that no field can tell of are said to be left."""

        def use(match: re.Match[str], keep: bool) -> int | None:
            word = match["word"].lower()
            cue = said.ONLY_BEFORE.search(self.text[max(0, match.start() - said.BEFORE) : match.start()])
            if not (self.loose or cue or not keep):
                return None
            rule = self._adjective(word)
            if rule is not None:
                self._put(rule, keep)
                return match.end()
            if word in said.COMMON or find_option(word, self.fields):
                return None
            self._unfit(word)
            return match.end()

        self._each(said.ADJECTIVE, use)

    def _adjective(self, word: str) -> Only | None:
        if option := find_option(word, self.fields):
            return Only(field=option[0].name, values=(option[1],))
        if word in said.OPEN:
            return open_rule(self.fields)
        if word in DONE and (done := done_values(self.fields, word)):
            return done
        if word in said.FRESH:
            there = role_of("created", self.fields)
            return Only(field=there.name, values=("report",), how=How.WITHIN) if there else None
        return flag_of(word, self.fields)

    def values(self) -> None:
        """Values to choose from that stand in words about entries: "the At Risk projects of Acme"."""
        if not self.loose:
            return
        for size in (3, 2, 1):
            pattern = re.compile(rf"(?=(?<![\w'-])(?P<run>[\w'-]+(?: [\w'-]+){{{size - 1}}})(?![\w'-]))")
            taken = 0
            for match in list(pattern.finditer(self.text)):
                start, end = match.span("run")
                if start < taken or said.is_small(match["run"]):
                    continue
                hit = self._named_value(match["run"])
                if hit is None:
                    continue
                keep = said.NOT_BEFORE.search(self.text[max(0, start - said.BEFORE) : start]) is None
                self._put(Only(field=hit[0].name, values=(hit[1],)), keep)
                self.text, taken = blank(self.text, start, end), end

    def _named_value(self, run: str) -> tuple[Field, str] | None:
        """A whole value, or one with its field's name: "high priority"."""
        choices = [f for f in self.fields if f.options]
        for one in choices:
            if stems(run) == stems(one.name):
                return None
        return find_option(run, choices)


def _option(phrase: str, among: Field) -> str | None:
    """A value of this field by its whole name; a person by a part of it that only one has."""
    if exact := find_option(phrase, (among,)):
        return exact[1]
    if among.type not in ("people", "person"):
        return None
    told = set(stems(phrase))
    hits = [option for option in among.options if told and told <= set(stems(option))]
    return hits[0] if len(hits) == 1 else None
