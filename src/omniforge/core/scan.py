"""Secrets, addresses and ids in text: the formats they are handed out in, each hit with its line (pure)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE = 20_000
"""Characters of one line that are looked at: longer ones are data, and their beginning tells."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found. `line` counts from 1; `shown` is enough to recognise it and too little to use it."""

    kind: str
    line: int
    shown: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A format. Only lines that hold one of the `hints` are looked at, so that most text costs nothing."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(kind: str, pattern: str, *hints: str) -> _Rule:
    return _Rule(kind, hints, re.compile(pattern))


_USER = r"\b[a-z][\w+.-]{1,20}://[^\s/:@'\"<>]{1,99}:"
_UNREAL = r"(?!(?:password|passwd|pass|secret)@)"
_SECRETS = (
    _rule("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{30,255}|\bgithub_pat_\w{22,255}", "gh", "github_pat_"),
    _rule("GitLab token", r"\bglpat-[\w-]{20,64}", "glpat-"),
    _rule("Slack token", r"\bxox[abceoprs](?:\.xox[a-z])?-[\w-]{9,250}|\bxapp-[\w-]{20,250}", "xox", "xapp"),
    _rule("Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/[\w/]{20,200}", "hooks.slack.com"),
    _rule("Notion token", r"\bntn_[A-Za-z0-9]{20,80}|\bsecret_[A-Za-z0-9]{43}\b", "ntn_", "secret_"),
    _rule("Linear key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{20,80}", "lin_"),
    _rule("Anthropic key", r"\bsk-ant-[\w-]{20,250}", "sk-ant-"),
    _rule("OpenAI key", r"\bsk-(?!ant-)(?:(?:proj|svcacct|admin)-)?(?=[\w-]{0,100}\d)[\w-]{20,250}", "sk-"),
    _rule("AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "AKIA", "ASIA"),
    _rule("Google key", r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,250}|\bGOCSPX-[\w-]{20,}", "AIza", "ya29", "GOC"),
    _rule("Stripe key", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{16,99}|\bwhsec_[\w+/=]{20,100}", "k_", "whsec_"),
    _rule("npm token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm_"),
    _rule("PyPI token", r"\bpypi-[\w-]{50,250}", "pypi-"),
    _rule("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,60}\b", "hf_"),
    _rule("DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b", "_v1_"),
    _rule("SendGrid key", r"\bSG\.[\w-]{16,32}\.[\w-]{32,64}", "SG."),
    _rule("Shopify token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "shp"),
    _rule("Telegram token", r"\b[0-9]{8,10}:AA[\w-]{33}\b", ":AA"),
    _rule("OmniForge key", r"\bof_sk_[\w-]{20,100}", "of_sk_"),
    _rule("signed token", r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}", "eyJ"),
    _rule("private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY", "PRIVATE KEY"),
    _rule("password in a URL", _USER + _UNREAL + r"[^\s/@'\"<>{}$]{3,99}@\w", "://"),
)  # fmt: skip
_ASSIGNED = re.compile(
    r"(?:password|passwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|token)['\"]?\s{0,10}[:=]\s{0,10}"
    r"['\"]([^'\"\s]{12,200})['\"]",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?i)your|example|placeholder|changeme|dummy|sample|test|x{4}|\.\.\.|[<>{}$*…]|^(.)\1+$"
)
_LOW_ENTROPY = 3.0
"""Bits per character: words and names lie below, what was drawn at random above."""

_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6})")
_NOBODYS = re.compile(r"(?i)(?:^|\.)(?:example\.(?:com|net|org)|[\w-]+\.(?:example|invalid|test|localhost))$")

_HEX = "[0-9a-f]"
_GROUP = rf"{_HEX}{{4}}\1"
_IDS = (
    _rule("id of a page or database", rf"(?i)(?<![\w-]){_HEX}{{8}}(-?){_GROUP * 3}{_HEX}{{12}}(?![\w-])"),
    _rule("id in OmniForge", r"\b[a-z]{2,20}_[0-9a-f]{28}\b", "_"),
    _rule("Slack id", r"\b(?=[A-Z]{0,11}[0-9])[CDGUWTB][A-Z0-9]{8,11}\b"),
)  # fmt: skip


def secrets_in(text: str) -> list[Hit]:
    """Keys, tokens and passwords, by their formats and by what they are assigned to."""
    hits = list(_found(text, _SECRETS))
    known = {hit.line for hit in hits}
    hits += [hit for line in _lines(text) if line[0] not in known for hit in _assigned(*line)]
    return sorted(hits, key=lambda hit: hit.line)


def addresses_in(text: str) -> list[Hit]:
    """E-mail addresses of somebody: not those of the domains that are reserved for examples."""
    hits: list[Hit] = []
    for number, line in _lines(text):
        if "@" in line:
            hits += [
                Hit("e-mail address", number, _masked(match[0]))
                for match in _ADDRESS.finditer(line)
                if not _NOBODYS.search(match[1])
            ]
    return hits


def ids_in(text: str) -> list[Hit]:
    """Ids of things in somebody's workspace, by their forms."""
    return list(_found(text, _IDS))


def words_in(text: str, words: Iterable[tuple[str, str]]) -> list[Hit]:
    """Where `(word, what it is)` stands as a whole, in upper or lower case."""
    known = [(word.strip().casefold(), kind) for word, kind in words if len(word.strip()) > 2]
    lowered = text.casefold()
    wanted = [(word, kind) for word, kind in known if word in lowered]
    hits: list[Hit] = []
    for number, line in _lines(text) if wanted else ():
        low = line.casefold()
        for word, kind in wanted:
            if word in low and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", low):
                hits.append(Hit(kind, number, word[:80]))
    return hits


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line[:MAX_LINE]


def _found(text: str, rules: Iterable[_Rule]) -> Iterator[Hit]:
    wanted = [rule for rule in rules if not rule.hints or any(hint in text for hint in rule.hints)]
    for number, line in _lines(text):
        for rule in wanted:
            if not rule.hints or any(hint in line for hint in rule.hints):
                for match in rule.pattern.finditer(line):
                    yield Hit(rule.kind, number, _masked(match[0]))


def _assigned(number: int, line: str) -> Iterator[Hit]:
    if "=" not in line and ":" not in line:
        return
    for match in _ASSIGNED.finditer(line):
        value = match[1]
        if not _PLACEHOLDER.search(value) and _entropy(value) >= _LOW_ENTROPY and re.search(r"\d", value):
            yield Hit("password or key", number, _masked(value))


def _entropy(text: str) -> float:
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _masked(text: str) -> str:
    return f"{text[: min(6, len(text) // 3)]}…"
