"""Words that people are not shown, found as words only."""

# ruff: noqa: E501 - a list is best read on one line

from __future__ import annotations

from omniforge.builder.vocabulary import forbidden_words

BAD = "Web-hook, APIs, end point, OAuth2, tokens, JSON, yaml, crontab, regexes, payload, schemas, orchestrates, in parallel, unconditional, DAG, SKILL.md, front matter, stack traces"


def test_forbidden_words_are_found_as_words_only() -> None:
    assert len(forbidden_words(BAD)) == len(BAD.split(", "))
    harmless = "A rapid therapist in Copenhagen synchronises acronyms, chronically capital."
    assert forbidden_words(harmless) == []
    assert forbidden_words("Database 'API tokens' shown", ["API tokens"]) == []
