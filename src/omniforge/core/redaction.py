"""Secrets in text that nobody should see again, by the forms that vendors give them (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

FORMS: Mapping[str, str] = {
    "private key": (
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
        r"[A-Za-z0-9+/=\\\s]{0,8000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
    ),
    "OmniForge key": r"(?:\bof_sk|ofs)_[A-Za-z0-9_-]{20,}",
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}",
    "GitHub token": r"\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{20,}",
    "Slack address": r"https://hooks\.slack\.com/services/[A-Za-z0-9/_-]{20,}",
    "Notion token": r"\b(?:ntn_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,})",
    "Linear key": r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,}",
    "AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "Google key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Stripe key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}",
    "signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "bearer credential": (
        r"(?i:\bauthorization['\"]?\s{0,3}[:=]\s{0,3}['\"]?(?:bearer|basic)\s{1,3})"
        r"[A-Za-z0-9._~+/=-]{16,}"
    ),
}
_ANY = re.compile("|".join(f"(?P<f{number}>{form})" for number, form in enumerate(FORMS.values())))
_NAMES = tuple(FORMS)


def redacted(text: str) -> str:
    """The text with every secret of a known form replaced by what it was."""
    return _ANY.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    kind = _NAMES[int(str(found.lastgroup)[1:])]
    return f"[{kind} removed]"


def redact(value: Any) -> Any:
    """A JSON value with every text in it redacted."""
    match value:
        case str():
            return redacted(value)
        case dict():
            parts = cast("dict[str, Any]", value)
            return {redacted(name): redact(part) for name, part in parts.items()}
        case list():
            return [redact(part) for part in cast("list[Any]", value)]
        case _:
            return value
