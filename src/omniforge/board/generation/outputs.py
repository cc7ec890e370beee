"""The shapes of what a model gives in each phase, as JSON schemas; and the document they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from omniforge.board.importing.documents import FORMAT
from omniforge.board.vocabulary import (
    CheckKind,
    Estimate,
    Priority,
    RequirementCategory,
    SpecPhase,
    TaskType,
    TicketType,
)

Json = dict[str, Any]
ASKED = "asked"
"""Beside an output: what people were asked, and what they answered."""
OWN = "own"
"""Beside an output: refs of what people added to it."""
OWN_FIELDS = {"requirements": "stories", "tickets": "component"}
"""What is said of an item for the evaluation only, and is no part of a document."""


def _text(longest: int = 5_000, **more: Any) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": longest, **more}


def _word(words: type[StrEnum], *only: StrEnum) -> Json:
    return {"type": "string", "enum": [word.value for word in only or words]}


def _list(of: Json, most: int = 200) -> Json:
    return {"type": "array", "items": of, "maxItems": most}


def _object(needed: Mapping[str, Json], **optional: Json) -> Json:
    return {
        "type": "object",
        "properties": {**needed, **optional},
        "required": list(needed),
        "additionalProperties": False,
    }


_ANYTHING: Json = {}
_LONG = _text(50_000)
_REFS = _list(_text(64))
_CRITERIA = _list(
    _object(
        {"text": _text()},
        kind=_word(CheckKind),
        check={"type": "object", "description": '{"command": …} for kind command'},
    )
)
_QUESTION = _object({"question": _text()}, answer=_text(), assumption=_text())

QUESTIONS = _object({"questions": _list(_text(500), 50)})
UNDERSTAND = _object(
    {
        "name": _text(100),
        "one_line": _text(500),
        "problem": _LONG,
        "users": _text(),
        "stories": _list(_text(2_000)),
        "in_scope": _list(_text()),
        "out_of_scope": _list(_text()),
        "constraints": _list(_text()),
        "risks": _list(_text()),
        "questions": _list(_QUESTION),
    }
)
RESEARCH = _object(
    {
        "findings": _list(_object({"topic": _text(500), "source": {"type": "string"}, "note": _text()})),
        "reuse": _list(_object({"path": _text(1_000), "why": _text()})),
    },
    reason=_text(),
)
REQUIREMENTS = _object(
    {
        "requirements": _list(
            _object(
                {"ref": _text(64), "title": _text(500), "action": _text(), "criteria": _CRITERIA},
                condition={"type": "string"},
                category=_word(RequirementCategory),
                priority=_word(Priority),
                linked_design=_text(100),
                stories={"type": "array", "items": {"type": "integer"}},
            ),
            500,
        )
    }
)
_FIELD = _object({"name": _text(500)}, type=_text(500), nullable={"type": "boolean"}, default=_ANYTHING)
DESIGN = _object(
    {
        "architecture": _LONG,
        "components": _list(
            _object({"name": _text(500)}, layer={"type": "string"}, duties=_list(_text())), 200
        ),
        "data_model": _LONG,
        "api_spec": _list(
            _object(
                {"method": _text(500), "endpoint": _text(500)},
                description=_text(),
                auth=_ANYTHING,
                request=_ANYTHING,
                response=_ANYTHING,
                errors=_ANYTHING,
            ),
            500,
        ),
        "errors": _list(_ANYTHING, 500),
    },
    ref=_text(100),
    data_models=_list(_object({"name": _text(500)}, table=_text(500), fields=_list(_FIELD, 500)), 500),
    sequences=_list(_ANYTHING),
    config=_list(_ANYTHING),
    notes=_LONG,
)
TICKETS = _object(
    {
        "tickets": _list(
            _object(
                {
                    "ref": _text(64),
                    "title": _text(500),
                    "description": _LONG,
                    "component": _text(500),
                    "estimate": _word(Estimate),
                    "requirements": _REFS,
                },
                priority=_word(Priority),
                ticket_type=_word(TicketType),
                depends_on=_REFS,
                blocks=_REFS,
                criteria=_CRITERIA,
                tags=_list(_text(64), 50),
                approach=_LONG,
                key_files=_list(_text(1_000)),
                testing=_LONG,
                rollback=_LONG,
            )
        )
    }
)
TASKS = _object(
    {
        "tasks": _list(
            _object(
                {
                    "ref": _text(64),
                    "ticket": _text(64),
                    "title": _text(500),
                    "estimate": _word(Estimate),
                    "deliverables": _list(_object({"path": _text(1_000)}, content={"type": "string"})),
                    "criteria": _CRITERIA,
                },
                description=_LONG,
                task_type=_word(TaskType),
                phase_id=_text(64),
                priority=_word(Priority),
                depends_on=_REFS,
                blocks=_REFS,
                owned_files=_list(_text(1_000)),
                required_capabilities=_list(_text(64), 50),
                timeout_seconds={"type": "integer", "minimum": 60, "maximum": 86_400},
                parent=_text(64),
            ),
            2_000,
        )
    }
)


def said_in(output: Mapping[str, Any] | None) -> Json:
    """What the model gave, without what is kept beside it."""
    return {name: value for name, value in (output or {}).items() if name not in (ASKED, OWN)}


def document_of(outputs: Mapping[SpecPhase, Mapping[str, Any]]) -> Json:
    """The import document that outputs of phases make, as far as they go."""
    content: Json = {"format": FORMAT}
    for phase, name in _LISTS.items():
        if phase in outputs:
            own = OWN_FIELDS.get(name)
            items: list[Json] = said_in(outputs[phase]).get(name, [])
            content[name] = [{key: item[key] for key in item if key != own} for item in items]
    if SpecPhase.DESIGN in outputs:
        content["design"] = said_in(outputs[SpecPhase.DESIGN])
    return content


_LISTS = {
    SpecPhase.REQUIREMENTS: "requirements",
    SpecPhase.TICKETS: "tickets",
    SpecPhase.TASKS: "tasks",
}


def refs_in(output: Mapping[str, Any] | None) -> set[str]:
    """Refs of the items a model gave."""
    own: list[str] = (output or {}).get(OWN, [])
    said = said_in(output)
    found = (item.get("ref") for name in _LISTS.values() for item in said.get(name, []))
    return {ref for ref in found if isinstance(ref, str) and ref not in own}
