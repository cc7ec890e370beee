"""What is known about the agent being built, and how one message changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict

from omniforge.builder.understanding import mentions, phrases, shaping
from omniforge.builder.understanding.fields import Field, find_fields, match_field
from omniforge.builder.understanding.filters import merged, take_filters
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.place import Place
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.schedule import Origin, Schedule, Unclear, read_schedule
from omniforge.builder.understanding.shaping import How, Only, OrderRule, Removed
from omniforge.builder.understanding.stance import Stance, read_stance
from omniforge.builder.understanding.text import blank, normalise
from omniforge.builder.understanding.things import things_in, without_things
from omniforge.builder.understanding.windows import find_window
from omniforge.builder.understanding.zones import find_zone

Source = Place
"""One resource the agent reads."""


class Slots(BaseModel):
    """What messages say of an agent and of one of its parts. `origins` tells per slot where its value came
    from; unset slots are absent."""

    model_config = ConfigDict(frozen=True)

    goal: str | None = None
    subject: str | None = None
    service: str | None = None
    sources: tuple[Source, ...] = ()
    fields: tuple[str, ...] = ()
    window: str | None = None
    group: str | None = None
    order: tuple[OrderRule, ...] = ()
    only: tuple[Only, ...] = ()
    format: Format | None = None
    things: tuple[str, ...] = ()
    destination: str | None = None
    schedule: Schedule | None = None
    name: str | None = None
    origins: dict[str, Origin] = {}

    def having(self, origin: Origin, **values: Any) -> Slots:
        """The slots with these values, all of this origin."""
        origins = {**self.origins, **dict.fromkeys(values, origin)}
        return self.model_copy(update={**values, "origins": origins})

    def said(self, slot: str) -> bool:
        return self.origins.get(slot) in ("said", "derived", "found")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something said that cannot be used. `kind`: field, filter, group, order, service, format, schedule."""

    kind: str
    phrase: str
    near: tuple[str, ...] = ()
    unclear: Unclear | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The slots after a message, which of them it touched, and what it could not be used for."""

    slots: Slots
    touched: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What the words are matched against: fields of the chosen resources, all resources, the words for
    services that are here, and the service they are of."""

    fields: tuple[Field, ...] = ()
    resources: tuple[Source, ...] = ()
    services: tuple[str, ...] = ()
    service: str | None = None


class _Reader:
    """One message being used up, slot by slot: what is understood is blanked out for the next rule."""

    def __init__(
        self, message: str, slots: Slots, known: Known, stance: Stance, expected: frozenset[str]
    ) -> None:
        self.message = message
        self.text = normalise(message)
        self.slots, self.known, self.stance, self.expected = slots, known, stance, expected
        self.touched: list[str] = []
        self.problems: list[Problem] = []
        self.removed = ""

    def put(self, slot: str, value: object, origin: Origin = "said") -> None:
        if getattr(self.slots, slot) != value or not self.slots.said(slot):
            self.touched.append(slot)
        self.slots = self.slots.having(origin, **{slot: value})

    def read(self) -> Update:
        self.text, name = mentions.take_name(self.text)
        if name:
            self.put("name", name)
        self.text, self.removed = mentions.take_replaced(self.text)
        self._read_services()
        self._read_format()
        if self.known.fields:
            self._read_things()
            self._read_filters()
        self._read_window()
        self._read_schedule()
        if self.known.fields:
            self._read_order()
            self._read_only()
            self._read_removals()
            self._read_sources()
            self._read_group()
            self._read_fields()
        return Update(self.slots, tuple(dict.fromkeys(self.touched)), tuple(self.problems))

    def _read_services(self) -> None:
        self.text, named = mentions.take_services(self.text, self.known.services)
        for mention in named:
            if mention.inbox:
                self.put("destination", "inbox")
            elif not mention.possible and not self._is_here(mention.name):
                self.problems.append(Problem("service", mention.name, (mention.role,)))

    def _is_here(self, name: str) -> bool:
        plain = name.casefold()
        return name.startswith("#") or "@" in name or plain in self.known.services

    def _read_format(self) -> None:
        self.text, found, impossible = mentions.take_format(self.text)
        if found:
            self.put("format", found)
        if impossible:
            self.problems.append(Problem("format", impossible))

    def _read_window(self) -> None:
        if found := find_window(self.text):
            self.text = blank(self.text, found.start, found.end)
            self.put("window", found.window)

    def _read_things(self) -> None:
        """Other kinds of entries: "pull requests too", "the releases instead"."""
        named = things_in(self.text, self.known.service)
        further = tuple(thing for thing in named if thing not in self.slots.things)
        if further and self.stance in (Stance.AMEND, Stance.REPLACE, Stance.NONE):
            kept = self.slots.things if self.stance is Stance.AMEND else ()
            self.put("things", (*kept, *further))
            self.text = without_things(self.text, self.known.service)

    def _read_filters(self) -> None:
        places = [source.name for source in self.known.resources]
        taken = take_filters(self.text, self.known.fields, places=places)
        self.text = taken.text
        self.filter(taken.rules)
        self.problems += [Problem("filter", phrase, near) for phrase, near in taken.left]

    def filter(self, rules: Sequence[Only]) -> None:
        """Rules of the same field and kind are replaced; of an amendment, their values are added."""
        if not rules:
            return
        more = self.stance is Stance.AMEND and phrases.widens(self.message)
        alike = {(rule.field, rule.how) for rule in rules}
        kept = [rule for rule in self.slots.only if more or (rule.field, rule.how) not in alike]
        self.put("only", tuple(merged([*kept, *rules])))

    def _read_schedule(self) -> None:
        zone_before = self.slots.schedule.timezone if self.slots.schedule else None
        found = read_schedule(self.text, base=self.slots.schedule, expected="schedule" in self.expected)
        if isinstance(found, Unclear):
            self.problems.append(Problem("schedule", "", unclear=found))
            self.text = mentions.without_times(self.text)
        elif found is not None:
            found = found if found.timezone else found.model_copy(update={"timezone": zone_before})
            self.put("schedule", found, found.origin)
            if zone := find_zone(self.text, expected="schedule" in self.expected):
                self.text = blank(self.text, zone.start, zone.end)
            self.text = mentions.without_times(self.text)

    def _read_order(self) -> None:
        self.text, rules, unknown = shaping.take_order(self.text, self.known.fields)
        if rules:
            fields = {rule.field for rule in rules}
            kept = (
                ()
                if self.stance is Stance.REPLACE
                else tuple(r for r in self.slots.order if r.field not in fields)
            )
            self.put("order", (*rules, *kept))
        self.problems += [Problem("order", phrase, near) for phrase, near in unknown]

    def _read_only(self) -> None:
        self.text, rules = shaping.take_only(self.text, self.known.fields)
        self.filter(rules or self._more_values())
        phrase = None if rules or self.touched else shaping.unknown_only(self.text, self.known.fields)
        if phrase and not self.problems:
            options = [option for one in self.known.fields for option in one.options]
            self.problems.append(Problem("filter", phrase, tuple(get_close_matches(phrase, options, 3, 0.5))))
            self.text = ","

    def _more_values(self) -> list[Only]:
        """ "Also Globex", where entries of some values of that field are wanted already."""
        if self.stance is not Stance.AMEND or not phrases.widens(self.message):
            return []
        found: list[Only] = []
        for rule in self.slots.only:
            among = [one for one in self.known.fields if one.name == rule.field]
            for chunk in phrases.chunks(self.text) if rule.keep and rule.how is How.IS else ():
                if (hit := shaping.find_option(phrases.noun_phrase(chunk) or chunk, among)) is not None:
                    found.append(rule.model_copy(update={"values": (hit[1],)}))
                    self.text = self.text.replace(chunk, ",")
        return found

    def _read_group(self) -> None:
        self.text, group = shaping.take_group(self.text, self.known.fields, expected="group" in self.expected)
        if group is None:
            return
        if group.field or group.none:
            self.put("group", group.field)
        else:
            self.problems.append(Problem("group", group.phrase, group.near))

    def _read_removals(self) -> None:
        self.text, removed = shaping.take_removals(self.text)
        region = f"{removed} , {self.removed}"
        titles = {field.name for field in self.known.fields if field.type == "title"}
        gone = [name for name in find_fields(region, self.known.fields) if name not in titles]
        left = tuple(name for name in self.slots.fields if name not in gone)
        if gone and left != self.slots.fields:
            self.put("fields", left)
        if removed and (what := shaping.removed_part(removed)):
            self._remove(what)
        if removed and not gone and (lost := self._sources_in(region)):
            kept = tuple(source for source in self.slots.sources if source.id not in lost)
            if kept and kept != self.slots.sources:
                self.put("sources", kept)

    def _read_sources(self) -> None:
        """Resources named in full while others are chosen already: one more, or these instead."""
        named = resolve(self.text, [s.name for s in self.known.resources], expected=False).positions
        chosen = {source.id for source in self.slots.sources}
        further = tuple(self.known.resources[i] for i in named if self.known.resources[i].id not in chosen)
        if self.slots.sources and further and self.stance in (Stance.AMEND, Stance.REPLACE):
            kept = () if self.stance is Stance.REPLACE else self.slots.sources
            self.put("sources", (*kept, *further))

    def _remove(self, what: Removed) -> None:
        match what:
            case Removed.GROUP:
                self.put("group", None)
            case Removed.ORDER:
                self.put("order", ())
            case Removed.ONLY:
                self.put("only", ())
            case Removed.SCHEDULE:
                self.put("schedule", Schedule(event="on_demand", time_said=False))

    def _sources_in(self, region: str) -> set[str]:
        picked = resolve(region, [s.name for s in self.slots.sources], expected=True)
        return {self.slots.sources[i].id for i in picked.positions}

    def _read_fields(self) -> None:
        titles = {field.name for field in self.known.fields if field.type == "title"}
        wanted: list[str] = []
        for chunk in phrases.chunks(self.text):
            found = find_fields(chunk, self.known.fields)
            wanted += [name for name in found if name not in titles]
            if found or read_stance(chunk).stance not in (Stance.NONE, Stance.AMEND):
                continue
            if (phrase := phrases.noun_phrase(chunk)) and self._asks_for_fields():
                match = match_field(phrase, self.known.fields)
                if len(match.names) > 1:
                    self.problems.append(Problem("field", phrase, match.names))
                elif match.names:
                    wanted += [name for name in match.names if name not in titles]
                elif not self._adds_source(phrase):
                    self.problems.append(Problem("field", phrase, match.near))
        if phrases.wants_every_field(self.text) and "fields" in self.expected:
            wanted = [field.name for field in self.known.fields if field.name not in titles]
        wanted = list(dict.fromkeys(wanted))
        if not wanted:
            return
        fresh = not self.slots.said("fields") or self.stance is Stance.REPLACE or phrases.says_only(self.text)
        kept = (
            ()
            if fresh
            and not (self.slots.fields and self.stance is Stance.AMEND and not phrases.says_only(self.text))
            else self.slots.fields
        )
        self.put("fields", (*kept, *(name for name in wanted if name not in kept)))

    def _adds_source(self, phrase: str) -> bool:
        """A phrase that is no field but tells one resource: "add the archive as well"."""
        named = resolve(phrase, [s.name for s in self.known.resources]).positions
        if len(named) != 1 or not self.slots.sources:
            return False
        if (source := self.known.resources[named[0]]) not in self.slots.sources:
            self.put("sources", (*self.slots.sources, source))
        return True

    def _asks_for_fields(self) -> bool:
        return "fields" in self.expected or phrases.adds(self.message)


def read_slots(
    message: str, slots: Slots, known: Known, *, stance: Stance = Stance.NONE, expected: Sequence[str] = ()
) -> Update:
    """Everything a message says about the agent. `expected` are the slots the open question asks for."""
    return _Reader(message, slots, known, stance, frozenset(expected)).read()
