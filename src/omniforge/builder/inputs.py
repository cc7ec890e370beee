"""What a person gives an agent to work on: values, lines of label and value, or a document. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from omniforge.builder.outline import Create, Extract, Fill, Match, Outline, Part, Post, Update
from omniforge.builder.parts import slug
from omniforge.builder.understanding.text import words

Json = dict[str, Any]

_CUE = re.compile(
    r"^\W*(?:(?:please|ok|now|yes|and)[\s,]+)*(?P<verb>run|test|try|use|check|do|start)\b[^:\n{]{0,60}?"
    r"\b(?:on|with|for|using|this|these)\b[^:\n{]{0,40}:?\s*(?=[\n{]|\S+[^\n]*:)",
    re.IGNORECASE,
)
_LINE = re.compile(r"^\s*[-*]?\s*(?P<label>[^:\n]{1,60}):\s*(?P<value>.*)$")
TOLD = frozenset({"id", "url", "text", "title", "items", "verdict", "reason", "left", "right", "difference"})
"""What parts tell of what they did."""
_RUNS = frozenset({"run", "start", "do"})


def works_on_input(outline: Outline) -> bool:
    """Whether something has to be given to it, beside what starts it."""
    documents = any(isinstance(part.does, (Extract, Match, Fill)) for part in outline.parts)
    return outline.starts is None and (documents or bool(named_values(outline)))


def named_values(outline: Outline) -> tuple[str, ...]:
    """Names in braces that nothing before tells: they come in with the run."""
    if outline.starts is not None:
        return ()
    texts = [text for part in outline.parts for text in _texts(part)]
    found = [name for text in texts for name in re.findall(r"\{([A-Za-z_]\w*)\}", text)]
    told = {
        name for p in outline.parts if isinstance(p.does, (Extract, Fill)) for name in p.does.fields
    } | TOLD
    return tuple(dict.fromkeys(name for name in found if name not in told))


def _texts(part: Part) -> list[str]:
    match part.does:
        case Post(text=text):
            return [text]
        case Create(title=title, values=values):
            return [title, *values.values()]
        case Update(values=values):
            return list(values.values())
        case _:
            return []


def sample_values(outline: Outline) -> Json:
    """Values to try it with before anybody gave some."""
    return {name: f"Example {name.replace('_', ' ')}" for name in named_values(outline)}


def read_example(message: str, outline: Outline) -> tuple[str, Json] | None:
    """`run` or `test`, and the input; None for a message that gives none."""
    given = message.strip()
    cue = _CUE.match(given)
    body = given[cue.end() :] if cue else given
    if cue is None and not body.startswith("{"):
        return None
    found = _object(body) or _lines(body, outline)
    if not found:
        return None
    verb = cue["verb"].lower() if cue else ""
    return ("run" if verb in _RUNS else "test"), found


def _object(body: str) -> Json | None:
    start, end = body.find("{"), body.rfind("}")
    if start < 0 or end < start or body[:start].strip(" \n:-"):
        return None
    try:
        value: object = json.loads(body[start : end + 1], strict=False)
    except ValueError:
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def _lines(body: str, outline: Outline) -> Json | None:
    """A document for the one that reads it; several documents each under a line with its name; else one value
    per line."""
    sources = list(dict.fromkeys(p.does.source for p in outline.parts if isinstance(p.does, Extract)))
    text = body.strip()
    if not text:
        return None
    if len(sources) == 1:
        return {sources[0]: text} if ":" in text else None
    if sources:
        return _blocks(text, sources)
    found = {
        slug(m["label"]): _value(m["value"].strip()) for line in text.splitlines() if (m := _LINE.match(line))
    }
    return found or None


def _blocks(text: str, sources: list[str]) -> Json | None:
    found: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        head = slug(line.partition(":")[0])
        named = next(
            (s for s in sources if head in (s, s.replace("_", "")) and not line.partition(":")[2].strip()), ""
        )
        if named:
            current = named
        elif current:
            found.setdefault(current, []).append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()} or None


def _value(text: str) -> object:
    plain = text.replace(",", "")
    if re.fullmatch(r"-?\d{1,15}", plain) and len(words(text)) <= 1:
        return int(plain)
    return float(plain) if re.fullmatch(r"-?\d{1,15}\.\d{1,9}", plain) else text
