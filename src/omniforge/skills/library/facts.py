"""What a skill's files say about it: integrations, settings, tools, and what broke since before (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from omniforge.skills.allowed_tools import AllowedTools, parse
from omniforge.skills.document import SKILL_FILE, Document, load
from omniforge.skills.library.semver import Version

_SETTINGS = re.compile(r"^#{1,6}[ \t]*(?:configuration|settings|config)\b[^\n]*\n(.*?)(?=^#{1,6}[ \t]|\Z)", re.I | re.M | re.S)  # fmt: skip  # noqa: E501
_SETTING = re.compile(r"^[ \t]{0,8}[-*+][ \t]+`([A-Za-z_][\w.-]{0,63})`", re.M)
_NEEDS = re.compile(r"^#{1,6}[ \t]*prerequisites\b[^\n]*\n(.*?)(?=^#{1,6}[ \t]|\Z)", re.I | re.M | re.S)
_ITEM = re.compile(r"^[-*+][ \t]+(.*(?:\n[ \t]+\S.*)*)", re.M)
MAX_BODY = 65_536
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """`tools` is None when the field is absent: then the skill uses whatever its agent is granted."""

    description: str
    tags: tuple[str, ...]
    integrations: tuple[str, ...]
    tools: tuple[str, ...] | None
    config_keys: tuple[str, ...]
    needs: tuple[str, ...]
    license: str
    author: str


def facts_of(files: Mapping[str, bytes]) -> Facts:
    document = load(files[SKILL_FILE])
    tools = document.allowed_tools
    body = document.body[:MAX_BODY].replace("\r\n", "\n")
    settings = _SETTINGS.search(body)
    needs = _NEEDS.search(body)
    return Facts(
        description=" ".join(document.description.split())[:1024],
        tags=document.tags[:MAX_LISTED],
        integrations=integrations_of(tools),
        tools=None if tools is None else tuple(str(rule) for rule in tools)[:MAX_LISTED],
        config_keys=tuple(dict.fromkeys(_SETTING.findall(settings[1])))[:MAX_LISTED] if settings else (),
        needs=_needs(needs[1]) if needs else (),
        license=_said(document, "license"),
        author=_said(document, "author"),
    )


def _needs(section: str) -> tuple[str, ...]:
    """The items of the list, without one that says that there are none."""
    items = (" ".join(item.split()) for item in _ITEM.findall(section))
    return tuple(item for item in items if not re.match(r"(?i)(?:nothing|none)\b", item))[:10]


def integrations_of(tools: AllowedTools | None) -> tuple[str, ...]:
    """The services whose tools are on the list, each once, in its order."""
    named = (rule.tool.partition(".") for rule in tools or ())
    return tuple(dict.fromkeys(service for service, dot, _ in named if dot))


def breaking_reasons(before: Version, after: Version, old: Facts | Recorded, changed: Facts) -> list[str]:
    """Why going from one version to another may break an agent; empty when nothing says so."""
    reasons: list[str] = []
    if after.major > before.major:
        reasons.append(f"It is a new major version ({before.major} → {after.major}).")
    if widened := _widened(old.tools, changed.tools):
        reasons.append(f"It may use more than before: {', '.join(widened)}.")
    if removed := [key for key in old.config_keys if key not in changed.config_keys]:
        reasons.append(f"Settings are gone: {', '.join(removed)}.")
    return reasons


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is kept of an earlier version to compare with."""

    tools: Collection[str] | None
    config_keys: Sequence[str]


def _widened(old: Collection[str] | None, changed: Collection[str] | None) -> list[str]:
    """Entries that allow what no entry allowed before. Without a list, an agent's whole grant is allowed."""
    if old is None:
        return []
    if changed is None:
        return ["every tool its agent is granted"]
    covering = parse(list(old))
    return [
        str(rule)
        for rule in parse(list(changed))
        if str(rule) not in old
        and not any(
            known.pattern is None and known.matches(rule.tool.replace("*", "x")) for known in covering
        )
    ]


def _said(document: Document, field: str) -> str:
    """A field of the front matter, or of its `metadata`."""
    value = document.fields.get(field)
    metadata = document.fields.get("metadata")
    if not isinstance(value, str) and isinstance(metadata, dict):
        value = metadata.get(field)
    return " ".join(value.split())[:200] if isinstance(value, str) else ""
