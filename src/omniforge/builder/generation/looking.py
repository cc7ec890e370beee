"""The skills that look at one thing: a brief about what started the run, and what stands at an address."""

from __future__ import annotations

from omniforge.builder.generation.flow import about, before, inputs_of
from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.page import Page
from omniforge.builder.generation.services import FETCHES, LINKED, LOOKS, TITLES
from omniforge.builder.generation.templates import constants, quoted_list, script, tools_in
from omniforge.builder.outline import Brief, Fetch, Outline, Part

_READ = "if_there(\n            lambda entry=entry: {}\n        )"


def write_brief(part: Part, does: Brief, outline: Outline) -> SkillFiles:
    service = part.service or ""
    looks = LOOKS[service]
    event = outline.starts.event if outline.starts and outline.starts.service == service else ""
    look = looks.get(event, looks[""])
    linked = LINKED.get(service, "") if look else ""
    main = script(
        "parts/brief.py.template",
        CONSTANTS=constants({"INCLUDE": list(does.include)}),
        LOOK=_READ.format(look) if look else "{}",
        LINKED=f", lambda linked: {linked}" if linked else "",
    )
    tools = tools_in(main)
    told = quoted_list(does.include) if does.include else "every field that has something in it"
    page = Page(
        name=part.key,
        description=f"Writes a briefing about one entry from {TITLES[service]}.",
        tools=tools,
        intro="Writes a document about one entry, for somebody who has to know it in a minute. "
        "`scripts/main.py` does exactly the steps below.",
        prerequisites=[
            f"{TITLES[service]}, from where the entry comes." if not tools
            else f"{TITLES[service]}, from where the entry can be read.",
            "An entry: the one that started the run, or those that the step before found.",
        ],
        when="Use this when something happened that somebody should be told about in one document.",
        steps=[
            "Take the entry that started the run, or those that the step before found (at most ten).",
            *([f"Read it in full with `{tools[0]}`."] if tools else []),
            *(["Read the pages that its fields point to, for their titles."] if linked else []),
            f"Write down its title with its address, then {told}, then its text and what was said about it.",
            "Say what was asked for and is not there.",
            "Save the document as `briefing.md` and return it as `text`.",
        ],
        trouble=[
            "An entry that is gone is told from what came with it; one that cannot be read ends the run.",
            "Without an entry there is nothing to write, and the run counts as having nothing to do.",
        ],
    )  # fmt: skip
    source = _source(part, outline)
    return SkillFiles(
        {"SKILL.md": page.written(), "scripts/main.py": main}, tools, inputs=inputs_of(part, outline, source)
    )


def _source(part: Part, outline: Outline) -> str | None:
    """Which of the things found before, where that is not simply the last result."""
    if not part.needs or not before(part, outline):
        return None
    source, found_by = about(part, outline)
    return None if found_by is not None and found_by.key == part.needs[-1] else source


def write_fetch(part: Part, does: Fetch, outline: Outline) -> SkillFiles:
    service = part.service or "http"
    main = script("parts/fetch.py.template", FETCH=FETCHES[service])
    tools = tools_in(main)
    page = Page(
        name=part.key,
        description="Reads a public web address and tells what stands there."
        if service == "http"
        else "Reads a news feed and tells what it has.",
        tools=tools,
        intro="Reads what stands at an address. `scripts/main.py` does exactly the steps below.",
        prerequisites=["The setting `place`, whose `name` is a whole address that needs no sign-in."],
        when="Use this when what is published at an address is needed by a person or by the next steps.",
        steps=[
            f"Read the address with `{tools[0]}`.",
            "Take lists and tables as entries, one thing as its fields, and a page as its words.",
            "Write them down, save them as `page.md` and return them as `text`.",
        ],
        trouble=[
            "An address that does not answer, or wants a sign-in, ends the run and says so.",
            "When nothing stands there, the run counts as having nothing to do.",
        ],
    )
    return SkillFiles(
        {"SKILL.md": page.written(), "scripts/main.py": main},
        tools,
        {"place": {"name": does.url}},
        inputs_of(part, outline),
    )
