"""What a foreign skill could do to whoever runs it, read off its files without running anything (pure)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from omniforge.core.scan import secrets_in
from omniforge.skills.document import SKILL_FILE, Document, load
from omniforge.skills.findings import Finding, Weight, condensed, texts

MAX_LINE = 20_000
MAX_READ = 4 * 1_048_576
"""Characters of all files that are looked at."""
_SCRIPT = re.compile(
    r"(?i)\.(?:py|sh|bash|zsh|js|mjs|cjs|ts|rb|pl|ps1|bat|cmd|php|lua|go|rs|applescript)$|(?:^|/)Makefile$"
)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A pattern that tells of something; of one line, in linear time."""

    code: str
    message: str
    weight: Weight
    pattern: re.Pattern[str]


def _sign(code: str, message: str, weight: Weight, *patterns: str) -> _Sign:
    return _Sign(code, message, weight, re.compile("|".join(f"(?:{each})" for each in patterns), re.I))


_IN_SCRIPTS = (
    _sign(
        "network",
        "It opens a connection to the network.",
        Weight.HIGH,
        r"\b(?:import|from)\s+(?:socket|ssl|http|urllib(?!\.parse)|urllib3|requests|httpx|aiohttp|ftplib|smtplib|telnetlib|paramiko|websockets?)\b",
        r"\b(?:curl|wget|ncat|netcat|telnet|scp|rsync|Invoke-WebRequest|Invoke-RestMethod)\s",
        r"\bnc\s+-",
        r"\bfetch\s{0,3}\(|XMLHttpRequest|require\s{0,3}\(\s{0,3}['\"](?:node:)?(?:https?|net|dns|tls|axios)\b",
        r"/dev/(?:tcp|udp)/",
    ),
    _sign(
        "process",
        "It starts other programs.",
        Weight.HIGH,
        r"\bsubprocess\b|\bos\.(?:system|popen|exec[lv]|spawn|fork)|\bpty\.spawn|\bchild_process\b",
        r"\bsudo\s|\brm\s+-[a-z]{0,5}[rf]|\bchmod\s+[0-7+]|\bmkfifo\b|\bcrontab\b|\bsystemctl\b|\blaunchctl\b",
        r"\|\s{0,5}(?:ba|z)?sh\b",
    ),
    _sign(
        "reads_secrets",
        "It looks where secrets are kept.",
        Weight.HIGH,
        r"\bos\.(?:environ|getenv)|\bprocess\.env\b|\bgetenv\s{0,3}\(|\bprintenv\b|\bENV\[",
        r"\.ssh/|id_(?:rsa|ed25519)|\.aws/|\.netrc|\.git-credentials|\.docker/config|\.kube/config|\bkeyring\b",
        r"/etc/(?:passwd|shadow)|/proc/(?:self|\d+)/environ|Login Data|Cookies\.sqlite|\.env\b(?!\w)",
    ),
    _sign(
        "obfuscated",
        "It hides what it does.",
        Weight.HIGH,
        r"\b(?:exec|eval)\s{0,3}\(|\b__import__\s{0,3}\(|\bmarshal\.loads|\bcompile\s{0,3}\([^)]{0,200}['\"]exec['\"]",
        r"\b(?:b64decode|b32decode|a85decode|unhexlify|zlib\.decompress|codecs\.decode|atob)\s{0,3}\(",
        r"base64\s+(?:-d|--decode)|(?:\\x[0-9a-f]{2}){16}|(?:chr\(\d{1,3}\)\s{0,3}\+\s{0,3}){6}",
        r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{400}",
    ),
    _sign(
        "writes_outside",
        "It names places outside of its own folder.",
        Weight.MEDIUM,
        r"(?:open|Path|writeFile\w{0,4})\s{0,3}\(\s{0,3}['\"](?:/(?!tmp|workspace|skill|dev/null)|~)",
        r"(?:>|>>|tee)\s{0,3}(?:/(?!tmp|workspace|skill|dev/null)|~)",
    ),
)  # fmt: skip

_IN_TEXT = (
    _sign(
        "prompt_injection",
        "It speaks to the model behind the back of people.",
        Weight.HIGH,
        r"\b(?:ignore|disregard|forget|override)\b.{0,40}"
        r"\b(?:previous|prior|above|earlier|all|any|other|system|your)\b"
        r".{0,40}\b(?:instructions?|rules?|prompts?|guidelines?|context)",
        r"\b(?:do not|don't|never|without)\b.{0,30}\b(?:tell|inform|mention|ask|show|alert|notify)(?:ing)?\b"
        r".{0,30}\b(?:user|human|person|anyone|anybody|owner)",
        r"\b(?:reveal|print|show|output|repeat|leak)\b.{0,30}"
        r"\b(?:system prompt|hidden instructions|api keys?|credentials|passwords?|tokens?)",
        r"\byou are (?:now|no longer)\b|\bnew (?:system )?instructions?\s{0,3}:|\bjailbreak\b|\bDAN mode\b",
        r"\b(?:exfiltrate|send|post|upload|forward)\b.{0,60}"
        r"\b(?:credentials|passwords?|secrets?|api keys?|tokens|environment variables|conversation)\b",
        r"<\s{0,3}/?\s{0,3}(?:system|instructions?|im_start|im_end)\s{0,3}[|>]|\[/?INST\]|<\|im_(?:start|end)\|>",
        r"\bsecretly\b|\bwithout (?:the user|anyone|anybody) (?:knowing|noticing)",
    ),
    _sign(
        "installs",
        "It tells to download and install something.",
        Weight.MEDIUM,
        r"\b(?:pip3?|uv|npm|pnpm|yarn|gem|cargo|brew|apt(?:-get)?|go)\s+(?:install|add|get)\s+\S",
        r"\bnpx\s+(?:-y\s+)?\S|\b(?:curl|wget)\b.{0,200}\|\s{0,5}(?:sudo\s+)?(?:ba|z)?sh\b",
    ),
)  # fmt: skip

_DYNAMIC = re.compile(r"(?:^|\s)!`([^`\n]{1,400})`")
_DYNAMIC_FENCE = re.compile(r"^\s{0,3}(?:```|~~~)!")
_ADDRESS = re.compile(r"\b(?:https?|wss?|ftp)://[^\s<>\"'`)\]}]{3,500}")
_HARMLESS_HOSTS = re.compile(r"(?i)^(?:localhost|127\.0\.0\.1|(?:[\w-]+\.)*example\.(?:com|org|net))$")
_WIDE = frozenset({"Bash", "Http", "WebFetch", "Agent", "Write", "Edit"})
MANY_TOOLS = 15
MAX_COMMENTS = 20
_OBEYED_ELSEWHERE = {
    "hooks": "It wants to hook into other work. Hooks never run here.",
    "schedule": "It wants to run by itself. An imported schedule schedules nothing.",
    "trigger": "It wants to be started by something. Imported triggers are not set up.",
    "shell": "It names a shell. That is not obeyed here.",
}


def risks(files: Mapping[str, bytes]) -> list[Finding]:
    """Everything that somebody should have seen before they let it in, the heaviest first."""
    document = load(files.get(SKILL_FILE, b""))
    found = [*_in_front_matter(document), *_in_binaries(files)]
    left = MAX_READ
    for path, text in texts(files):
        left -= len(text)
        if left < 0:
            found.append(Finding("not_read", path, 1, "There is too much text to look at.", Weight.HIGH))
            continue
        is_script = bool(_SCRIPT.search(path)) or text.startswith("#!")
        found += _in_lines(path, text, is_script=is_script)
        found += _hidden(path, text)
        found += [
            Finding("holds_secret", path, hit.line, f"{hit.kind} ({hit.shown}).", Weight.HIGH)
            for hit in secrets_in(text)
        ]
        if not is_script:
            found += _in_comments(path, text)
    return condensed(found)


def _in_lines(path: str, text: str, *, is_script: bool) -> Iterator[Finding]:
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole[:MAX_LINE]
        for sign in (*_IN_SCRIPTS, _IN_TEXT[0]) if is_script else _IN_TEXT:
            if sign.pattern.search(line):
                yield Finding(sign.code, path, number, sign.message, sign.weight)
        if not is_script and (_DYNAMIC.search(line) or _DYNAMIC_FENCE.match(line)):
            message = "It runs a command whenever it is read. That never happens with imported skills."
            yield Finding("dynamic_command", path, number, message, Weight.HIGH)
        for host in _hosts(line):
            yield Finding("address", path, number, f"It names the address {host}.", Weight.NOTE)


def _hosts(line: str) -> Iterator[str]:
    if "://" not in line:
        return
    for match in _ADDRESS.finditer(line):
        try:
            host = urlsplit(match[0]).hostname or ""
        except ValueError:
            host = match[0][:60]
        if host and not _HARMLESS_HOSTS.match(host):
            yield host[:100]


def _in_front_matter(document: Document) -> Iterator[Finding]:
    for field, message in _OBEYED_ELSEWHERE.items():
        if field in document.fields:
            line = document.lines.get(field, 1)
            weight = Weight.HIGH if field == "hooks" else Weight.MEDIUM
            yield Finding(field, SKILL_FILE, line, message, weight)
    allowed = document.allowed_tools
    if allowed is None:
        return
    line = document.lines.get("allowed-tools", 1)
    wide = [str(rule) for rule in allowed if rule.pattern in {None, "*"} and rule.tool in _WIDE]
    wide += [str(rule) for rule in allowed if rule.tool.endswith("*") and str(rule) not in wide]
    if wide:
        message = f"It wants tools without a limit: {', '.join(wide[:10])}."
        yield Finding("wide_tools", SKILL_FILE, line, message, Weight.HIGH)
    if len(allowed) > MANY_TOOLS:
        message = f"It wants {len(allowed)} tools."
        yield Finding("many_tools", SKILL_FILE, line, message, Weight.MEDIUM)


def _in_binaries(files: Mapping[str, bytes]) -> Iterator[Finding]:
    for path in sorted(files):
        data = files[path]
        if data.startswith((b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm")):
            yield Finding("binary", path, 1, "It is a program nobody can read.", Weight.HIGH)
        elif path.endswith((".pyc", ".so", ".dll", ".dylib", ".jar", ".class", ".wasm")):
            yield Finding("binary", path, 1, "It is a compiled program.", Weight.HIGH)
        elif b"\0" in data[:8192] and path.startswith("scripts/"):
            yield Finding("binary", path, 1, "It lies among the scripts, but is no text.", Weight.MEDIUM)


def _hidden(path: str, text: str) -> Iterator[Finding]:
    """Characters that nobody sees, and those that turn the order of others around."""
    if text.isascii():
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.isascii():
            continue
        names = dict.fromkeys(name for at in range(len(line[:MAX_LINE])) if (name := _unseen(line, at)))
        if number == 1 and line.startswith("\ufeff"):
            names.pop("U+FEFF", None)
        if names:
            message = f"It holds characters nobody sees: {', '.join(list(names)[:5])}."
            yield Finding("hidden_text", path, number, message, Weight.HIGH)


def _unseen(line: str, at: int) -> str | None:
    char = line[at]
    if char.isascii() or unicodedata.category(char) != "Cf":
        code = ord(char)
        return f"U+{code:04X}" if 0xE0100 <= code <= 0xE01EF else None
    around = line[max(0, at - 1) : at] + line[at + 1 : at + 2]
    if char in "\u200c\u200d" and not any(other.isascii() for other in around):
        return None  # they join letters and emoji in the scripts that need them
    return f"U+{ord(char):04X}"


def _in_comments(path: str, text: str) -> Iterator[Finding]:
    start, seen = text.find("<!--"), 0
    while seen < MAX_COMMENTS and start >= 0 and (end := text.find("-->", start)) >= 0:
        if len(text[start + 4 : end].split(None, 9)) > 8:
            seen += 1
            line = text.count("\n", 0, start) + 1
            yield Finding("hidden_text", path, line, "A comment here is read by models only.", Weight.MEDIUM)
        start = text.find("<!--", end)
