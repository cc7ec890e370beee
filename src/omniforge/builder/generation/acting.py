"""The skills that act at a service: messages, comments, new entries and changes to them."""

from __future__ import annotations

import re
from typing import Any

from omniforge.builder.generation.flow import about, inputs_of, place_for
from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.page import Page
from omniforge.builder.generation.report import DONE, place_of
from omniforge.builder.generation.services import (
    CHANGES,
    MAKINGS,
    READINGS,
    SENDINGS,
    TITLES,
    Sending,
    Writing,
)
from omniforge.builder.generation.templates import constants, quoted_list, script, short, tools_in
from omniforge.builder.outline import Content, Create, Outline, Part, Place, Post, Update
from omniforge.core.errors import Invalid

_SAYS = {
    Content.FULL: "Take everything that the steps before wrote.",
    Content.SUMMARY: "Take the summary that the steps before wrote, or the beginnings of what they wrote.",
    Content.SUMMARY_AND_LINK: "Take the summary of what the steps before wrote, and where the whole is.",
    Content.TEXT: "Take the words in the script, with what was found in place of each `{field}`.",
}
_REFUSED = "What {title} refuses ends the run and is told in its words."


def write_post(part: Part, does: Post, outline: Outline) -> SkillFiles:
    service = part.service or ""
    kinds = SENDINGS[service]
    kind = does.place.kind if does.place else ""
    if not kind and does.place and does.place.name.startswith("@"):
        kind = "person"
    sending = kinds.get(kind, kinds[""])
    source, found_by = about(part, outline) if sending.about else (None, None)
    place = place_for(part, outline, found_by)
    if service == "email":
        place = place.model_copy(update={"id": "", "name": _addresses(place)})
    message = {
        "content": str(does.content),
        "text": does.text,
        "urgent": does.urgent,
        "always": does.always,
        "room": sending.room,
    }
    message = {name: value for name, value in message.items() if value}
    slots = {"TOOL": f'"{sending.tool}"', "ARGUMENTS": sending.arguments}
    if sending.about:
        values, slots["THINGS"] = _things(service, found_in=sending.found_in)
        code = constants({**values, "MESSAGE": message})
        main = script("parts/comment.py.template", CONSTANTS=code, **slots)
    else:
        main = script("parts/post.py.template", CONSTANTS=constants({"MESSAGE": message}), **slots)
    tools = tools_in(main)
    page = _page_of_post(part, does, sending, tools)
    return SkillFiles(
        {"SKILL.md": page, "scripts/main.py": main},
        tools,
        {"place": place_of(place)},
        inputs_of(part, outline, source),
    )


def _addresses(place: Place) -> str:
    """Every address once, as the service puts them: so what was approved is what is sent to."""
    given = re.split(r"[,;\s]+(?:and\s+)?", (place.name if "@" in place.name else place.id).lower())
    return ", ".join(sorted({one for one in given if one}))


def _page_of_post(part: Part, does: Post, sending: Sending, tools: tuple[str, ...]) -> bytes:
    service, title = part.service or "", TITLES[part.service or ""]
    what = "comment" if sending.about else "message"
    target = (
        "each of the issues it is about" if sending.about else f"the {sending.noun} in the setting `place`"
    )
    return Page(
        name=part.key,
        description=f"Sends one {what} to a chosen {title} {'issue' if sending.about else sending.noun}."
        if service != "http"
        else "Sends what was found to a chosen web address.",
        tools=tools,
        intro=f"Sends one {what} with {title}. {DONE}",
        prerequisites=[
            f"{title}, where the agent may send to the {sending.noun}.",
            f"The setting `place` (its `id` or `name`): the {sending.noun}.",
            "What the steps before wrote.",
        ],
        when="Use this when somebody should be told what was found.",
        steps=[
            *([] if does.always else ["When the steps before found nothing, send nothing."]),
            *(
                ["Find the issues in their place again, so that nothing else is commented on."]
                if len(tools) > 1
                else []
            ),
            *([_SAYS[Content.TEXT]] if does.text else []),
            *([] if does.content is Content.TEXT and does.text else [_SAYS[does.content]]),
            *(["Mark it as urgent."] if does.urgent else []),
            f"Send it with `{sending.tool}` to {target}.",
            "Return the whole `text`, what was `sent`, and `to` where.",
        ],
        trouble=[
            _REFUSED.format(title=title),
            "A text longer than there is room for is cut at the end of a line, and says so.",
            "A name in the words that nothing before has ends the run before anything is sent.",
        ],
    ).written()


def write_create(part: Part, does: Create, outline: Outline) -> SkillFiles:
    service, title = part.service or "", TITLES[part.service or ""]
    making = MAKINGS[service]
    values, notes = _sorted_values(does.values, making)
    named: dict[str, Any] = {"TITLE": does.title, "VALUES": values, "NOTES": notes}
    if making.types is not None:
        named["TYPES"] = {name: making.types[name] for name in values}
    main = script(
        "parts/create.py.template",
        CONSTANTS=constants(named),
        TYPES=_types(making),
        KNOWN=f", {_known(making)}" if _known(making) else "",
        TOOL=f'"{making.tool}"',
        ARGUMENTS=making.arguments,
    )
    tools = tools_in(main)
    page = Page(
        name=part.key,
        description=f"Adds an entry to a chosen {title} {making.noun}."
        if service != "http"
        else "Sends an entry to a chosen web address.",
        tools=tools,
        intro=f"Adds an entry to a {making.noun} ({title}). {DONE}",
        prerequisites=[
            f"{title}, where the agent may add to the {making.noun}.",
            f"The setting `place` (its `id` or `name`): the {making.noun}.",
            "What the steps before found.",
        ],
        when="Use this when what was found should be kept as an entry of its own.",
        steps=[
            "When the steps before found nothing, add nothing.",
            "Put what was found in place of each `{field}` of the title and the values.",
            *([f"Fill in {quoted_list([*values, *notes])}."] if does.values else []),
            f"Add the entry with `{making.tool}`.",
            "Return its `id` and `url`, and a `text` that says what was added.",
        ],
        trouble=[
            _REFUSED.format(title=title),
            "A value that does not fit its field, or a name that nothing before has, ends the run before "
            "anything is added.",
        ],
    )
    place = place_for(part, outline)
    return SkillFiles(
        {"SKILL.md": page.written(), "scripts/main.py": main},
        tools,
        {"place": place_of(place)},
        inputs_of(part, outline),
    )


def write_update(part: Part, does: Update, outline: Outline) -> SkillFiles:
    service, title = part.service or "", TITLES[part.service or ""]
    changing = CHANGES[service]
    values, unknown = _sorted_values(does.values, changing)
    if not values or unknown:
        raise _nothing_to_set(part, unknown)
    source, found_by = about(part, outline)
    place = place_for(part, outline, found_by)
    named, things = _things(service, found_in=changing.found_in)
    named["VALUES"] = values
    if changing.types is not None:
        named["TYPES"] = {name: changing.types[name] for name in values}
    main = script(
        "parts/update.py.template",
        CONSTANTS=constants(named),
        THINGS=things,
        TYPES=_types(changing),
        KNOWN=_known(changing),
        TOOL=f'"{changing.tool}"',
        ARGUMENTS=changing.arguments,
    )
    tools = tools_in(main)
    page = Page(
        name=part.key,
        description=f"Changes entries of a chosen {title} {changing.noun}.",
        tools=tools,
        intro=f"Changes entries of a {changing.noun} ({title}). {DONE}",
        prerequisites=[
            f"{title}, where the agent may change what lies in the {changing.noun}.",
            f"The setting `place` (its `id` or `name`): the {changing.noun}.",
            "The entry that started the run, or the entries that the steps before found.",
        ],
        when="Use this when an entry should say what was found or decided.",
        steps=[
            "Take the entry that started the run, or those that the steps before found (at most 200).",
            *(
                ["Find them in their place again, so that nothing else is changed."]
                if changing.found_in
                else []
            ),
            f"Set {quoted_list(values)}, with what was found in place of each `{{field}}`.",
            f"Change each entry with `{changing.tool}`.",
            "Return the `entries` that were changed.",
        ],
        trouble=[
            _REFUSED.format(title=title),
            "A value that does not fit its field ends the run before that entry is changed.",
            "When nothing is to be changed, the run says so.",
        ],
    )
    return SkillFiles(
        {"SKILL.md": page.written(), "scripts/main.py": main},
        tools,
        {"place": place_of(place)},
        inputs_of(part, outline, source),
    )


def _things(service: str, *, found_in: bool) -> tuple[dict[str, Any], str]:
    """Constants and expression for what is changed or commented on."""
    if not found_in:
        return {}, "things_of(request)"
    reads = READINGS[service].things
    return {"READ": [next(iter(reads.values())).constant()]}, "located(request, READ, where)"


def _sorted_values(given: dict[str, str], writing: Writing) -> tuple[dict[str, str], dict[str, str]]:
    """Values by the names the service has for them, and those that it has no field for."""
    if writing.types is None:
        return dict(given), {}
    names = {name.replace("_", " "): name for name in writing.types}
    known: dict[str, str] = {}
    others: dict[str, str] = {}
    for key, text in given.items():
        name = names.get(" ".join(key.casefold().replace("_", " ").split()))
        if name is None or name in known:
            others[key] = text
        else:
            known[name] = text
    return known, others


def _types(writing: Writing) -> str:
    """The line of a script that asks what the values have to be; empty where nobody has to be asked."""
    return f"\n    types = types_of({writing.schema})" if writing.schema else ""


def _known(writing: Writing) -> str:
    """What a script knows about the values: the names and types that it asked for, or its constant."""
    return "types" if writing.schema else "TYPES" if writing.types is not None else ""


def _nothing_to_set(part: Part, unknown: dict[str, str]) -> Invalid:
    rule = f"none of {', '.join(short(name) for name in unknown)}" if unknown else "at least one field"
    return Invalid(
        "What this step is to change is not clear.",
        code="nothing_to_set",
        fields=[{"field": part.key, "value": list(unknown), "rule": rule}],
    )
