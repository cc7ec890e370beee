"""The one parser of `allowed-tools`, and the question whether a call is on the list (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

BUILT_IN = (
    *("Read", "Write", "Edit", "Glob", "Grep", "Bash"),
    *("WebFetch", "Http", "Skill", "Agent", "Inbox", "Ask", "State", "Document"),
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {name.lower(): name for name in BUILT_IN}
    | {
        **{"read_file": "Read", "view": "Read", "write_file": "Write", "create_file": "Write"},
        **{"edit_file": "Edit", "multiedit": "Edit", "str_replace": "Edit"},
        **{"ls": "Glob", "search_files": "Grep", "shell": "Bash", "terminal": "Bash"},
        **{"web_fetch": "WebFetch", "fetch": "WebFetch", "externalapi": "Http", "http_request": "Http"},
        **{"task": "Agent", "askuserquestion": "Ask", "ask_user": "Ask"},
    }
)
"""Spellings found in the wild, in lower case, to the tool that is meant."""

SHELL_BREAKS = (";", "&", "|", "<", ">", "`", "$(", "\n", "\r")
"""A command that holds one of these can do more than its beginning says."""

_PATH_TOOLS = frozenset({"Read", "Write", "Edit", "Glob", "Grep"})
_WEB_TOOLS = frozenset({"WebFetch", "Http"})
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_INTEGRATION_TOOL = re.compile(r"[a-z][a-z0-9_-]*\.(\*|[a-z][a-z0-9_.-]*)")
_MCP_TOOL = re.compile(r"mcp__[a-z0-9_.-]+\*?")
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class ToolRule:
    """One entry: a tool, and the pattern its subject must fit (None: any subject)."""

    tool: str
    pattern: str | None = None

    def __str__(self) -> str:
        return self.tool if self.pattern is None else f"{self.tool}({self.pattern})"

    @property
    def is_known(self) -> bool:
        """A built-in tool, or the form of an integration's or MCP server's tool."""
        return (
            self.tool in BUILT_IN
            or _INTEGRATION_TOOL.fullmatch(self.tool) is not None
            or _MCP_TOOL.fullmatch(self.tool) is not None
        )

    def matches(self, tool: str, subject: str = "") -> bool:
        """Whether this entry covers a call. `subject`: command, URL, resource, or a path already resolved."""
        name = canonical_name(tool)
        if self.tool.endswith("*") and self.tool != "*":
            if not name.startswith(self.tool[:-1]) or name == self.tool[:-1]:
                return False
        elif self.tool != name:
            return False
        return self.pattern is None or _fits(name, self.pattern, subject)


@dataclass(frozen=True, slots=True)
class AllowedTools:
    """An allow-list in its order. `problems` are entries that could not be read; they allow nothing."""

    rules: tuple[ToolRule, ...] = ()
    problems: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[ToolRule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(rule.tool for rule in self.rules if not rule.is_known)

    def matches(self, tool: str, subject: str = "") -> bool:
        return any(rule.matches(tool, subject) for rule in self.rules)


def canonical_name(name: str) -> str:
    """The tool meant by a spelling: aliases and case resolved, integration and MCP tools in lower case."""
    lower = name.lower()
    if lower in ALIASES:
        return ALIASES[lower]
    return lower if "." in lower or lower.startswith("mcp__") else name


def parse(value: object) -> AllowedTools:
    """Read any spelling: a list, a comma string, a space string; None and [] allow nothing.

    Whoever tells "omitted" from "empty" asks before. What cannot be read allows nothing and is a problem.
    """
    if value is None:
        return AllowedTools()
    if isinstance(value, str):
        return _parse_text(value)
    if not isinstance(value, list):
        return AllowedTools(problems=("must be a list of tools, or a string of them",))
    items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    wrong = tuple(f"{item!r:.60} is not the name of a tool" for item in items if not isinstance(item, str))
    # A YAML list splits `Bash(a, b)` at its comma; joined again, one reading serves every spelling.
    read = _parse_text(", ".join(item for item in items if isinstance(item, str)))
    return AllowedTools(read.rules, (*wrong, *read.problems))


def _parse_text(text: str) -> AllowedTools:
    if len(text) > _LONGEST:
        return AllowedTools(problems=(f"is longer than {_LONGEST} characters",))
    rules: dict[ToolRule, None] = {}
    problems: list[str] = []
    for token in _tokens(text):
        name, opened, rest = token.partition("(")
        name = name.strip()
        if opened and not rest.endswith(")"):
            problems.append(f"{token[:60]!r} has no closing parenthesis")
        elif not (_PLAIN_NAME.fullmatch(name) or ToolRule(canonical_name(name)).is_known):
            problems.append(f"{token[:60]!r} is not the name of a tool")
        else:
            rules[ToolRule(canonical_name(name), rest[:-1].strip() if opened else None)] = None
    return AllowedTools(tuple(rules), tuple(problems))


def _tokens(text: str) -> Iterator[str]:
    """Entries, split at commas and white space outside parentheses; `Bash (x)` is one entry."""
    depth, start, entries = 0, 0, list[str]()
    for at, char in enumerate(f"{text} "):
        if char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif depth == 0 and (char == "," or char.isspace()):
            entries.append(text[start:at])
            start = at + 1
    if depth:
        entries.append(text[start:])
    whole: list[str] = []
    for entry in filter(None, entries):
        if entry.startswith("(") and whole and "(" not in whole[-1]:
            whole[-1] += entry
        else:
            whole.append(entry)
    return iter(whole)


def _fits(tool: str, pattern: str, subject: str) -> bool:
    if tool == "Bash":
        return not any(mark in subject for mark in SHELL_BREAKS) and _fits_words(pattern, subject.strip())
    if tool in _PATH_TOOLS and ".." in re.split(r"[/\\]", subject):
        return False  # not resolved: it could lead anywhere
    if tool in _WEB_TOOLS:
        return _fits_address(pattern, subject)
    return _fits_words(pattern, subject)


def _fits_words(pattern: str, subject: str) -> bool:
    if pattern.endswith(":*"):
        prefix = pattern[:-2]
        return _glob(prefix, subject) or _glob(f"{prefix} *", subject)
    return _glob(pattern, subject)


def _fits_address(pattern: str, subject: str) -> bool:
    """Host against host and the rest against the rest, so that no path can pose as a host."""
    try:
        parts = urlsplit(subject if "://" in subject else f"//{subject}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.username is not None or "\\" in subject or ".." in parts.path.split("/"):
        return False
    scheme, found, rest = pattern.removeprefix("domain:").rpartition("://")
    if found and not _glob(scheme.lower(), parts.scheme):
        return False
    wanted_host, slash, wanted_path = rest.partition("/")
    place = parts.netloc.lower() if ":" in wanted_host else host
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return _glob(wanted_host.lower(), place) and (not slash or _glob(f"/{wanted_path}", path or "/"))


def _glob(pattern: str, text: str) -> bool:
    """`*` is any run of characters; nothing else is special. Time grows with pattern + text only."""
    first, *middle = pattern.split("*")
    if not middle:
        return text == pattern
    last = middle.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
