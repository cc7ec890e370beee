"""Asks a language model: what a message means, how to say a reply in another language, a skill's body."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omniforge.builder.assistant import proposal
from omniforge.builder.assistant.proposal import OPERATIONS, Proposal, Situation
from omniforge.builder.vocabulary import forbidden_words
from omniforge.core.errors import OmniForgeError
from omniforge.llm.prompts import load_prompt, spotlight
from omniforge.llm.protocol import Ask, AskLimits, ModelClient, ModelNotConfigured
from omniforge.skills.document import Profile, Severity, load, validate

log = logging.getLogger(__name__)

PACKAGE = "omniforge.builder.assistant"
SECONDS = 20.0
"""A conversation waits so long for a model; then it goes on by fixed rules."""
WRITING_SECONDS = 60.0
LIMITS = AskLimits(iterations=4, tool_calls=0, tokens=60_000, seconds=SECONDS)
_TEXT = {"type": "string"}
_DONE_BY = {
    "report": "reads entries of a service and lays them out",
    "brief": "a document about the one thing that started it",
    "fetch": "reads a public address",
    "post": "sends a message to a channel or an address",
    "create": "makes an entry, a page, an issue, a row",
    "update": "changes an entry",
    "summarise": "one text out of what earlier entries gave",
    "transform": "renames, keeps or computes fields",
    "compare": "compares two values: gives variance_percent, difference, equal",
    "extract": "takes fields out of a document",
    "fill": "fills a form",
    "match": "finds the record that belongs to it",
    "check": "checks completeness and known values",
    "decide": "notes a decision such as approve or reject",
    "follow": "judgement on free text by a language model",
}


@dataclass(frozen=True, slots=True)
class Help:
    """What a model gave; `failed` says in plain words why it gave nothing."""

    proposal: Proposal | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Assistant:
    """Everything it gives is checked; what does not pass after three tries is not used."""

    models: ModelClient

    def is_there(self, tenant_id: str) -> bool:
        return self.models.is_configured(tenant_id)

    async def propose(self, tenant_id: str, message: str, situation: Situation) -> Help:
        """What the message means, or why there is nothing to go on but the rules."""
        ask = Ask(
            instructions=_understanding(situation),
            prompt=spotlight(message, "person"),
            tenant_id=tenant_id,
            schema=Proposal.model_json_schema(),
            check=lambda value: proposal.problems(value, situation),
            limits=LIMITS,
            temperature=0.0,
        )
        value, failed = await self._asked(ask)
        return Help(failed=failed) if value is None else Help(Proposal.model_validate(value))

    async def translate(self, tenant_id: str, text: str, language: str, names: Sequence[str]) -> str | None:
        """The reply in another language, or None. Numbers, names and addresses stand in it unchanged."""

        def check(value: dict[str, Any]) -> list[str]:
            said = str(value.get("text", ""))
            slips = [f"a word people do not know: {word}" for word in forbidden_words(said, names)]
            return [*proposal.translation_problems(text, said, names), *slips]

        ask = Ask(
            instructions=load_prompt(PACKAGE, "translate").filled(language=language),
            prompt=spotlight(text, "reply"),
            tenant_id=tenant_id,
            schema={"type": "object", "properties": {"text": _TEXT}, "required": ["text"]},
            check=check,
            limits=LIMITS,
            temperature=0.0,
        )
        value, _ = await self._asked(ask)
        return None if value is None else str(value["text"])

    async def write_body(self, tenant_id: str, page: bytes, wish: str) -> bytes:
        """The SKILL.md with a body that a model wrote for the wish; the page as it was when that fails."""
        head, body = _split(page)
        title = next((line[2:].strip() for line in body.decode().splitlines() if line.startswith("# ")), "")
        tools = [str(tool) for tool in load(page).allowed_tools or ()]

        def check(value: dict[str, Any]) -> list[str]:
            return body_problems(head, str(value.get("body", "")), title, tools)

        ask = Ask(
            instructions=load_prompt(PACKAGE, "write_skill").filled(
                title=title,
                tools=", ".join(tools) or "none",
                needs="the results of the steps before it, as fields with text",
                gives="`text`: what a person reads, in Markdown, and `title`",
            ),
            prompt=spotlight(wish, "person"),
            tenant_id=tenant_id,
            schema={"type": "object", "properties": {"body": _TEXT}, "required": ["body"]},
            check=check,
            limits=AskLimits(iterations=4, tool_calls=0, tokens=60_000, seconds=WRITING_SECONDS),
        )
        value, _ = await self._asked(ask)
        return page if value is None else _whole(head, str(value["body"]))

    async def _asked(self, ask: Ask) -> tuple[dict[str, Any] | None, str]:
        """The checked answer, or the reason in plain words why there is none."""
        try:
            answer = await self.models.ask(ask)
        except ModelNotConfigured:
            return None, ""
        except OmniForgeError as error:
            log.warning("the language model gave nothing to go on (%s): %s", error.code, error.message)
            return None, "The language model isn't answering; I went on by fixed rules."
        return answer.value, ""


def _understanding(situation: Situation) -> str:
    operations = "\n".join(f"  - {name}: {_DONE_BY[name]}" for name in OPERATIONS)
    known = "\n".join(f"- {label}: {value}" for label, value in situation.known) or "nothing yet"
    return load_prompt(PACKAGE, "understand").filled(
        operations=operations,
        services=", ".join(situation.services) or "none",
        phase=situation.phase,
        question=spotlight(situation.question, "question"),
        known=spotlight(known, "conversation"),
        fields=spotlight(", ".join(situation.fields) or "not known yet", "service"),
        places=spotlight(", ".join(situation.places) or "not known yet", "service"),
        zone=situation.timezone,
        now=situation.now,
    )


# --- the body of a skill --------------------------------------------------------------------------

_FENCE = b"---\n"
LONGEST_BODY = 5_000
_TOOL = re.compile(r"`([a-z][a-z0-9_]*\.[a-z_]+)`")
_WANTED = ("## Prerequisites", "## Steps", "## Error handling")


def _split(page: bytes) -> tuple[bytes, bytes]:
    """Front matter with its fences, and the body."""
    end = page.index(b"\n" + _FENCE, len(_FENCE)) + 1 + len(_FENCE)
    return page[:end], page[end:]


def _whole(head: bytes, body: str) -> bytes:
    return head + b"\n" + body.strip().encode() + b"\n"


def body_problems(head: bytes, body: str, title: str, tools: Sequence[str]) -> list[str]:
    """What is wrong with a body somebody wrote for this front matter."""
    found = [f"this heading is missing: {part}" for part in (f"# {title}", *_WANTED) if part not in body]
    if len(body.encode("utf-8", "replace")) > LONGEST_BODY:
        found.append(f"at most {LONGEST_BODY} bytes")
    if "!`" in body or "$ARGUMENTS" in body or "${" in body:
        found.append("no commands and no placeholders")
    if "](" in body or "http" in body:
        found.append("no links")
    found += [f"this tool is not there: {tool}" for tool in _TOOL.findall(body) if tool not in tools]
    document = load(_whole(head, body))
    if not document.loadable:
        return [*found, "it cannot be read as a document"]
    wrong = [d for d in validate(document, Profile.OMNIFORGE) if d.severity is Severity.ERROR]
    return [*found, *(f"{d.field}: {d.message}" for d in wrong)]
