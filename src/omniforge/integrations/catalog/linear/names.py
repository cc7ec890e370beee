"""From the words people use for teams, states, labels and people to Linear's ids and filters."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.linear.client import Linear, is_id
from omniforge.integrations.catalog.linear.shapes import CLOSED, PRIORITIES, STATE_TYPES, Json
from omniforge.integrations.loose import mapping, text

MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that has a name: the query that lists it, and the fields a name may stand in."""

    word: str
    operation: str
    root: str
    named_in: tuple[str, ...]


TEAM = Kind("team", "Teams", "teams", ("name", "key"))
PROJECT = Kind("project", "ProjectNames", "projects", ("name",))
STATE = Kind("state", "States", "workflowStates", ("name",))
LABEL = Kind("label", "Labels", "issueLabels", ("name",))
PERSON = Kind("person", "Users", "users", ("name", "displayName", "email"))


async def every(linear: Linear, kind: Kind, wanted: str, within: Json | None = None) -> list[Json]:
    """All things of that id or name, in any case. Invalid names the nearest when there is none."""
    named: Json = {"id": {"eq": wanted}}
    if not is_id(wanted):
        named = {"or": [{name: {"eqIgnoreCase": wanted}} for name in kind.named_in]}
    where = {"and": [named, within]} if within else named
    found = (await linear.all(kind.operation, kind.root, filter=where)).results
    if not found:
        known = await linear.all(kind.operation, kind.root, filter=within or {}, limit=500)
        names = sorted({text(thing.get("name")) for thing in known.results})
        raise _unknown(kind.word, wanted, names)
    return found


async def exactly_one(linear: Linear, kind: Kind, wanted: str, within: Json | None = None) -> str:
    """The id of the one thing meant; Invalid when several have the name."""
    found = await every(linear, kind, wanted, within)
    if len(found) > 1:
        ids = ", ".join(_told_apart(thing) for thing in found[:MOST_SHOWN])
        raise _wrong(kind.word, wanted, f"{len(found)} are called so; give the id of the one you mean: {ids}")
    return text(found[0].get("id"))


def _told_apart(thing: Json) -> str:
    team = text(mapping(thing.get("team")).get("name"))
    more = team or text(thing.get("email")) or text(thing.get("name"))
    return f"{text(thing.get('id'))} ({more})"


async def ids(linear: Linear, kind: Kind, wanted: Sequence[str], within: Json | None = None) -> list[str]:
    """The ids of all things meant by any of the names, each once."""
    found = [text(thing.get("id")) for name in wanted for thing in await every(linear, kind, name, within)]
    return list(dict.fromkeys(found))


async def state_filter(linear: Linear, wanted: Sequence[str], team_id: str | None) -> Json:
    """States by name, by Linear's types, or by `open` and `closed`."""
    any_of: list[Json] = []
    names: list[str] = []
    for word in wanted:
        match word.strip().casefold():
            case "open":
                any_of.append({"type": {"nin": list(CLOSED)}})
            case "closed":
                any_of.append({"type": {"in": list(CLOSED)}})
            case kind if kind in STATE_TYPES:
                any_of.append({"or": [{"type": {"eq": kind}}, {"name": {"eqIgnoreCase": kind}}]})
            case _:
                names.append(word.strip())
    if names:
        any_of.append({"id": {"in": await ids(linear, STATE, names, of_team(team_id))}})
    return any_of[0] if len(any_of) == 1 else {"or": any_of}


async def assignee_filter(linear: Linear, wanted: str) -> Json:
    match wanted.strip().casefold():
        case "me":
            return {"isMe": {"eq": True}}
        case "nobody" | "unassigned" | "none":
            return {"null": True}
        case _:
            return {"id": {"in": await ids(linear, PERSON, [wanted.strip()])}}


async def person_id(linear: Linear, wanted: str) -> str:
    if wanted.strip().casefold() == "me":
        return text((await linear.one("WhoAmI", "viewer")).get("id"))
    return await exactly_one(linear, PERSON, wanted.strip(), {"active": {"eq": True}})


def priority_number(wanted: str) -> int:
    """Linear's number for `urgent`, `high`, `medium` (also `normal`), `low` or `none`."""
    word = wanted.strip().casefold().removesuffix(" priority")
    number = PRIORITIES.get({"normal": "medium", "no": "none"}.get(word, word))
    if number is None:
        raise _unknown("priority", wanted, list(PRIORITIES))
    return number


def of_team(team_id: str | None) -> Json | None:
    return {"team": {"id": {"eq": team_id}}} if team_id else None


def usable_in(team_id: str) -> Json:
    """Labels that an issue of the team may have: its own and the workspace's, not groups of labels."""
    either = [{"team": {"id": {"eq": team_id}}}, {"team": {"null": True}}]
    return {"and": [{"or": either}, {"isGroup": {"eq": False}}]}


def _unknown(word: str, wanted: str, names: Sequence[str]) -> Invalid:
    by_word = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wanted.casefold(), by_word, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(by_word[one] for one in near)}?"
    elif names:
        more = " and more" if len(names) > MOST_SHOWN else ""
        hint = f"there is {', '.join(names[:MOST_SHOWN])}{more}"
    else:
        hint = "there is none that we can see"
    return _wrong(word, wanted, f"must be known to Linear: {hint}")


def _wrong(word: str, wanted: str, rule: str) -> Invalid:
    entry = {"field": word, "value": wanted[:200], "rule": rule}
    return Invalid(f"Linear has no single {word} called {wanted[:80]!r}: {rule}", fields=[entry])
