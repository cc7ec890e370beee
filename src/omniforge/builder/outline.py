"""The agent being built, in plain structure: its parts, what each one does, needs, and when it runs. Pure.

The conversation fills an outline, the generator writes it down as skills and an agent, and what is changed
later is changed here first. Every part becomes one skill and one reference to it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.place import Place
from omniforge.builder.understanding.shaping import Only, OrderRule


class Operation(StrEnum):
    """What a part does. The first group works with a service, the second on what earlier parts found."""

    REPORT = "report"
    BRIEF = "brief"
    FETCH = "fetch"
    POST = "post"
    CREATE = "create"
    UPDATE = "update"

    SUMMARISE = "summarise"
    TRANSFORM = "transform"
    COMPARE = "compare"
    EXTRACT = "extract"
    FILL = "fill"
    MATCH = "match"
    CHECK = "check"
    DECIDE = "decide"

    FOLLOW = "follow"
    KEEP = "keep"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Report(Frozen):
    """Reads entries, keeps what is wanted, orders, groups and lays them out."""

    operation: Literal[Operation.REPORT] = Operation.REPORT
    places: tuple[Place, ...] = ()
    fields: tuple[str, ...] = ()
    window: str | None = None
    group: str | None = None
    order: tuple[OrderRule, ...] = ()
    only: tuple[Only, ...] = ()
    format: Format | None = None
    things: tuple[str, ...] = ()
    """Kinds of entries where a place has several: `issues`, `pull_requests`, `commits`, `releases`."""


class Brief(Frozen):
    """A document about the one thing that started the agent: its fields, and what `include` names."""

    operation: Literal[Operation.BRIEF] = Operation.BRIEF
    include: tuple[str, ...] = ()


class Fetch(Frozen):
    """Reads a public address: a page, a feed, a file of values."""

    operation: Literal[Operation.FETCH] = Operation.FETCH
    url: str = ""


class Content(StrEnum):
    FULL = "full"
    SUMMARY = "summary"
    SUMMARY_AND_LINK = "summary_and_link"
    TEXT = "text"
    """The words of `text`, nothing of what earlier parts found but what they name."""


class Post(Frozen):
    """Sends a message. `text` may name results as `{field}`; empty means what the earlier parts wrote."""

    operation: Literal[Operation.POST] = Operation.POST
    place: Place | None = None
    content: Content = Content.FULL
    text: str = ""
    urgent: bool = False
    always: bool = False
    """Also when nothing was found."""


class Create(Frozen):
    """Makes an entry. `values`: field there → text that may name results as `{field}`."""

    operation: Literal[Operation.CREATE] = Operation.CREATE
    place: Place | None = None
    title: str = ""
    values: dict[str, str] = {}


class Update(Frozen):
    """Changes the entry that started the agent, or each one that an earlier part found there."""

    operation: Literal[Operation.UPDATE] = Operation.UPDATE
    place: Place | None = None
    values: dict[str, str] = {}


class Summarise(Frozen):
    """The telling sentences or entries of all it needs, in one text; nothing is made up."""

    operation: Literal[Operation.SUMMARISE] = Operation.SUMMARISE
    sentences: int = 5


class Transform(Frozen):
    """Renames, keeps and computes fields of records. `compute`: field → arithmetic over fields."""

    operation: Literal[Operation.TRANSFORM] = Operation.TRANSFORM
    rename: dict[str, str] = {}
    keep: tuple[str, ...] = ()
    compute: dict[str, str] = {}


class Compare(Frozen):
    """One value on both sides: gives `left`, `right`, `difference`, `variance_percent` (of `left`, unsigned)
    and `equal`. Sides are `part.field`, or a field name."""

    operation: Literal[Operation.COMPARE] = Operation.COMPARE
    left: str = ""
    right: str = ""


class Extract(Frozen):
    """Fields out of the text of a document (`input.<source>`): labels with values, tables, amounts."""

    operation: Literal[Operation.EXTRACT] = Operation.EXTRACT
    source: str = "document"
    fields: tuple[str, ...] = ()


class Fill(Frozen):
    """A form with its fields filled from what was found; missing ones are named in `missing`."""

    operation: Literal[Operation.FILL] = Operation.FILL
    form: str = ""
    fields: tuple[str, ...] = ()


class Match(Frozen):
    """The one record of `input.<records>` whose `by` is equal; none: the run ends here with `missing`."""

    operation: Literal[Operation.MATCH] = Operation.MATCH
    records: str = "records"
    by: tuple[str, ...] = ()
    missing: str = ""


class Check(Frozen):
    """Completeness and known values. What fails is listed, and the run is marked for a person to look at."""

    operation: Literal[Operation.CHECK] = Operation.CHECK
    required: tuple[str, ...] = ()
    known: dict[str, tuple[str, ...]] = {}


class Decide(Frozen):
    """Notes a decision (`approve`, `review`, `reject`, or other words) with its reason."""

    operation: Literal[Operation.DECIDE] = Operation.DECIDE
    verdict: str = ""
    reason: str = ""


class Follow(Frozen):
    """Judgement on free text: instructions for a language model, in the person's words."""

    operation: Literal[Operation.FOLLOW] = Operation.FOLLOW
    instructions: str = ""


class Keep(Frozen):
    """A skill that is used as it is: one from the library, or one this conversation did not write."""

    operation: Literal[Operation.KEEP] = Operation.KEEP
    skill: str
    source: Literal["custom", "public"] = "custom"
    version: str = "latest"
    config: dict[str, JsonValue] = {}
    author: str = ""


Doing = Annotated[
    Report
    | Brief
    | Fetch
    | Post
    | Create
    | Update
    | Summarise
    | Transform
    | Compare
    | Extract
    | Fill
    | Match
    | Check
    | Decide
    | Follow
    | Keep,
    Field(discriminator="operation"),
]


class Condition(Frozen):
    """Only if. `expression` is CEL over the results of what the part needs (a bare name is one of their
    fields), as an agent's `when` has it; `otherwise` marks the branch for everything else. `only`: instead of
    an expression, rules that at least one entry of the report before it has to pass."""

    words: str
    expression: str = ""
    otherwise: bool = False
    only: tuple[Only, ...] = ()


class Part(Frozen):
    """One skill of the agent. `key` is unique and kebab-case, `{service}-{action}-{object}`. `needs` are keys
    of earlier parts; empty means that it starts at once."""

    key: str
    does: Doing
    service: str | None = None
    needs: tuple[str, ...] = ()
    condition: Condition | None = None
    words: str = ""
    """What the person said of it."""


class Happening(Frozen):
    """What starts an event-driven agent. `service` and `event` are empty while they are not known."""

    service: str = ""
    event: str = ""
    place: Place | None = None
    interval_minutes: int = 15


class Outline(Frozen):
    """Parts in an order that agrees with their needs."""

    parts: tuple[Part, ...] = ()
    starts: Happening | None = None

    def part(self, key: str) -> Part | None:
        return next((part for part in self.parts if part.key == key), None)

    def having(self, part: Part) -> Outline:
        """With this part instead of the one of its key, or at the end."""
        if self.part(part.key) is None:
            return self.model_copy(update={"parts": (*self.parts, part)})
        parts = tuple(part if one.key == part.key else one for one in self.parts)
        return self.model_copy(update={"parts": parts})

    def without(self, key: str) -> Outline:
        """What needed the part that goes needs what that one needed."""
        gone = self.part(key)
        if gone is None:
            return self

        def rewired(needs: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(n for need in needs for n in (gone.needs if need == key else (need,))))

        left = tuple(
            one.model_copy(update={"needs": rewired(one.needs)}) for one in self.parts if one.key != key
        )
        return self.model_copy(update={"parts": left})

    def renamed(self, key: str, other: str) -> Outline:
        """The same with one key exchanged, also where it is needed."""

        def told(name: str) -> str:
            return other if name == key else name

        parts = tuple(
            one.model_copy(update={"key": told(one.key), "needs": tuple(map(told, one.needs))})
            for one in self.parts
        )
        return self.model_copy(update={"parts": parts})

    @property
    def services(self) -> tuple[str, ...]:
        """Services that have to be connected, each once, in order of use."""
        named = [self.starts.service] if self.starts and self.starts.service else []
        return tuple(dict.fromkeys([*named, *(part.service for part in self.parts if part.service)]))
