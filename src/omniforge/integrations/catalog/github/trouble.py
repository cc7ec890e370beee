"""What GitHub means by an answer that is no result: the status code alone does not tell. Pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import httpx

from omniforge.integrations.catalog.github.shapes import objects, texts, words
from omniforge.integrations.rest import Answer, Said, Trouble

BREATH = 60.0
"""GitHub asks for at least a minute when it names no time itself."""
LONGEST_WORDS = 300
TOO_FAST = ("secondary rate limit", "abuse detection", "submitted too quickly")
RULES = {
    "missing": "does not exist",
    "missing_field": "is needed",
    "invalid": "is not in the form GitHub takes",
    "already_exists": "is taken already",
    "unprocessable": "cannot be used like this",
}
"""Codes of a refusal's `errors`, in plain words."""


def read_trouble(answer: Answer) -> Said | None:
    """What is wrong, or None to go by the status code."""
    match answer.status:
        case 301 | 302 | 307 | 308:
            return Said(
                Trouble.NOT_FOUND,
                "This repository was renamed or moved on GitHub. Choose it again under its present name.",
            )
        case 403 | 429:
            return _slow_down(answer) or _forbidden(answer)
        case 404:
            return Said(
                Trouble.NOT_FOUND,
                "I can't find that on GitHub, or it is private and not shared with us. "
                "Was the app given access to this repository?",
            )
        case 410:
            return Said(
                Trouble.NOT_FOUND,
                f"That is gone from GitHub, or turned off for this repository{_quoted(answer)}.",
            )
        case 422:
            return _slow_down(answer) or Said(Trouble.REFUSED, _refusal(answer))
        case 451:
            return Said(Trouble.FORBIDDEN, "GitHub does not show this for legal reasons.")
        case _:
            return None


def _slow_down(answer: Answer) -> Said | None:
    """The hourly allowance is used up, or too much came at once."""
    said = words(answer.json, "message").casefold()
    named = _seconds(answer.headers.get("retry-after"))
    if named is not None:
        return Said(Trouble.SLOW_DOWN, retry_after=named)
    if answer.status != 422 and answer.headers.get("x-ratelimit-remaining") == "0":
        return Said(Trouble.SLOW_DOWN, retry_after=_until_reset(answer.headers))
    if answer.status == 429 or any(sign in said for sign in TOO_FAST):
        return Said(Trouble.SLOW_DOWN, retry_after=BREATH)
    return None


def _until_reset(headers: httpx.Headers) -> float:
    """Seconds to the next allowance, by GitHub's own clock; one more, as both are cut to seconds."""
    reset = _seconds(headers.get("x-ratelimit-reset"))
    try:
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return BREATH
    return max(reset - now, 0.0) + 1 if reset is not None else BREATH


def _seconds(given: str | None) -> float | None:
    return float(given) if given is not None and re.fullmatch(r"[0-9]{1,12}", given) else None


def _forbidden(answer: Answer) -> Said:
    sso = re.match(r"required; url=(https://github\.com/\S{1,400})", answer.headers.get("x-github-sso", ""))
    if sso:
        return Said(
            Trouble.FORBIDDEN,
            f"The organization wants you to confirm this access by its single sign-on first: {sso[1]}",
            lasting=True,
        )
    if "not accessible by" in words(answer.json, "message").casefold():
        return Said(
            Trouble.FORBIDDEN,
            f"GitHub does not let this connection do that{_quoted(answer)}. "
            "The app or key needs one more permission there; an owner of the repository can grant it.",
        )
    return Said(Trouble.FORBIDDEN, f"GitHub does not let us do that{_quoted(answer)}.")


def _refusal(answer: Answer) -> str:
    """Every entry of `errors` in plain words; GitHub writes them as objects or as bare sentences."""
    listed = texts(answer.json, "errors")
    for one in objects(answer.json, "errors"):
        rule = RULES.get(words(one, "code"))
        field = words(one, "field").replace("_", " ")
        listed.append(f"{field} {rule}" if rule and field else words(one, "message") or rule or "")
    reasons = "; ".join(reason for reason in listed if reason) or words(answer.json, "message")
    return f"GitHub did not accept this: {reasons[:LONGEST_WORDS] or 'it gave no reason'}."


def _quoted(answer: Answer) -> str:
    said = words(answer.json, "message").rstrip(". ")[:LONGEST_WORDS]
    return f" (“{said}”)" if said else ""
