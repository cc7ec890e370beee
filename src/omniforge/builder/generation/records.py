"""The operations on data as skills: read, fill, match, compare, check, decide, transform, summarise.

None of them needs a model or a tool. What they do is in `sandbox_kit`; a skill holds what to do it with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omniforge.builder.generation import flow
from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.records_fields import field_key, fields_of, keyed, known_values, sides_of
from omniforge.builder.generation.records_formulas import check_formulas
from omniforge.builder.generation.records_pages import page_of
from omniforge.builder.generation.records_samples import sample_input, sample_of
from omniforge.builder.generation.templates import constants, filled
from omniforge.builder.outline import (
    Check,
    Compare,
    Decide,
    Extract,
    Fill,
    Match,
    Outline,
    Part,
    Summarise,
    Transform,
)
from omniforge.builder.understanding.text import normalise
from omniforge.core.errors import Invalid

__all__ = ["EXAMPLE", "inputs_of", "sample_input", "write_skill"]

Json = dict[str, Any]
Data = Summarise | Transform | Compare | Extract | Fill | Match | Check | Decide

EXAMPLE = "examples/input.json"
"""What a part that begins is tried with: its share of the run's input."""
MOST_SENTENCES = 50
LONGEST = 1_000
LONGEST_NAME = 120


def write_skill(part: Part, outline: Outline, title: str) -> SkillFiles:
    """The skill of a part on data. `part` may bear another key than in the outline: the name of its skill.

    `title` is the agent's, for a form without a name. Invalid when the part works with a service, and when a
    formula is none.
    """
    own = _own(part, outline)
    does = own.does
    match does:
        case Extract():
            values = _extract(own, does, outline)
        case Fill():
            values = _fill(own, does, outline, title)
        case Match():
            values = _match(own, does)
        case Compare():
            left, right = sides_of(own, does, outline)
            values = {"LEFT": left.field, "RIGHT": right.field, "NAMES": (left.words, right.words)}
        case Check():
            values = _check(own, does, outline)
        case Decide():
            said = own.condition.words if own.condition and not own.condition.otherwise else ""
            values = {
                "VERDICT": normalise(does.verdict)[:LONGEST],
                "REASON": normalise(does.reason)[:LONGEST],
                "ONLY_IF": normalise(said)[:LONGEST],
            }
        case Transform():
            check_formulas(does.compute, own.key)
            values = _transform(does)
        case Summarise():
            values = {"SENTENCES": max(1, min(does.sentences, MOST_SENTENCES)), "PARTS": _names(own, outline)}
        case _:
            raise Invalid(
                "This step works with a service, not with data.",
                fields=[{"field": part.key, "value": str(does.operation), "rule": "an operation on data"}],
            )
    files = {
        "SKILL.md": page_of(part.key, does, values).written(),
        "scripts/main.py": filled(
            f"records/{does.operation}.py.template", CONSTANTS=constants(values)
        ).encode(),
    }
    sample = sample_of(own, outline)
    if sample:
        files[EXAMPLE] = (json.dumps(sample, indent=2, sort_keys=True) + "\n").encode()
    return SkillFiles(files, inputs=inputs_of(own, outline))


def _own(part: Part, outline: Outline) -> Part:
    """The part as the outline has it, whatever its skill is called."""
    same = [one for one in outline.parts if one.model_copy(update={"key": part.key}) == part]
    return outline.part(part.key) or next(iter(same), part)


def inputs_of(part: Part, outline: Outline) -> Json | None:
    """Inputs of the reference to the skill; None where merged results of its needs, or the run's input, do.

    `results` are those of its needs and `earlier` those of the parts before, null where one was left out;
    `run` is the run's input. A comparison is given the two objects that its sides are in.
    """
    does = part.does
    match does:
        case Compare():
            left, right = sides_of(part, does, outline)
            if not (left.source and right.source):
                return _results(part, outline)
            return {"left_from": left.source, "right_from": right.source}
        case Match():
            return _match_inputs(part, does, outline)
        case Extract() if part.needs:
            return {**_results(part, outline), "run": "${input}"}
        case Check() | Summarise() if part.needs:
            return _results(part, outline)
        case _:
            return flow.inputs_of(part, outline)


def _results(part: Part, outline: Outline) -> Json:
    given = flow.inputs_of(part, outline)
    return given or {"results": [f"${{{key}.output}}" for key in part.needs]} if part.needs else {}


def _match_inputs(part: Part, does: Match, outline: Outline) -> Json | None:
    """The records of the run's input, or the document that is called like them."""
    if not part.needs:
        return None
    records = field_key(does.records)
    among = [one for one in flow.before(part, outline) if records in _called(one)]
    others = [key for key in part.needs if not among or key != among[0].key]
    place = f"${{{among[0].key}.output}}" if among else f"${{input.{records}}}"
    return {"results": [f"${{{key}.output}}" for key in others or part.needs], records: place}


def _called(part: Part) -> set[str]:
    """What the records may be called that a part gives."""
    source = field_key(part.does.source) if isinstance(part.does, Extract) else field_key(part.key)
    return {field_key(part.key), source, f"{source}s"} - {"document", "documents"}


# --- what a skill is made of --------------------------------------------------------------------------------


def _extract(part: Part, does: Extract, outline: Outline) -> Json:
    fields = fields_of(part, outline)
    known = {key: list(values) for key, values in known_values(outline).items() if key in fields}
    title = _title(does.source) if does.source != "document" else "Document"
    return {"SOURCE": field_key(does.source), "FIELDS": fields, "KNOWN": known, "TITLE": title}


def _fill(part: Part, does: Fill, outline: Outline, title: str) -> Json:
    fields = keyed(does.fields)
    if not fields:
        documents = [one for one in flow.before(part, outline) if isinstance(one.does, Extract)]
        fields = {key: name for one in documents for key, name in fields_of(one, outline).items()}
    is_last = not any(isinstance(one.does, Check) and part.key in one.needs for one in outline.parts)
    return {"FORM": normalise(does.form or title)[:LONGEST_NAME], "FIELDS": fields, "IS_LAST": is_last}


def _match(part: Part, does: Match) -> Json:
    by = keyed(does.by)
    if not by:
        rule = "the field that is the same in a record and in what it belongs to"
        raise Invalid(
            "By what the right record is found is still open.",
            code="match_field_missing",
            fields=[{"field": part.key, "value": None, "rule": rule}],
        )
    return {"RECORDS": field_key(does.records), "BY": by, "MISSING": normalise(does.missing)[:LONGEST]}


def _transform(does: Transform) -> Json:
    return {
        "COMPUTE": {_plain(name): text for name, text in does.compute.items()},
        "RENAME": {_plain(name): _plain(other) for name, other in does.rename.items()},
        "KEEP": [_plain(name) for name in does.keep],
    }


def _plain(name: str) -> str:
    return normalise(name)[:LONGEST_NAME]


def _check(part: Part, does: Check, outline: Outline) -> Json:
    """Without known values of its own, those that the conditions of what it needs know."""
    needed = [one for key in part.needs if (one := outline.part(key)) is not None]
    known: Mapping[str, tuple[str, ...]] = {
        field_key(name): tuple(values) for name, values in does.known.items()
    }
    if not known:
        known = known_values(Outline(parts=tuple(one for one in needed if one.condition is not None)))
    forms = [_title(one.key) for one in needed if isinstance(one.does, Fill) and one.condition is not None]
    return {
        "REQUIRED": keyed(does.required),
        "KNOWN": {key: list(values) for key, values in known.items()},
        "PARTS": _names(part, outline),
        "FORMS": forms,
    }


def _names(part: Part, outline: Outline) -> list[str]:
    """What people call the parts that it needs, in their order."""
    return [_title(key) for key in part.needs if outline.part(key)]


def _title(key: str) -> str:
    words = " ".join(normalise(key).replace("-", " ").replace("_", " ").split())
    return words[:1].upper() + words[1:]
