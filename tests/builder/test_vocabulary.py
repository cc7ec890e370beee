"""Words that people are not shown: how they are found, and that no sentence of the conversation has one."""

# ruff: noqa: E501 - a list is best read on one line

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import omniforge.builder
from omniforge.builder.vocabulary import forbidden_words

BUILDER = Path(omniforge.builder.__file__).parent
NOT_SAID = (
    "understanding",
    "generation",
    "assistant",
    "vocabulary.py",
    "schemas.py",
    "store.py",
    "endpoints.py",
)
"""What reads people's words, writes skills, talks to models or to programs: nothing of it is shown."""

BAD = (
    "Web-hook", "webhooks", "APIs", "apis", "end point", "endpoints", "OAuth2", "oauth", "tokens", "access-token",
    "JSON", "json-file", "yaml", "cron", "crontab", "cronjob", "regexes", "regular expression", "payload",
    "pay-loads", "schemas", "schemata", "orchestrates", "orchestration", "sequential", "sequentially", "parallel",
    "parallelism", "conditional", "unconditional", "conditionally", "DAG", "dags", "SKILL.md", "skill.md",
    "front matter", "frontmatter", "stack traces", "stacktrace", "Stack-Trace", "RESTAPI", "webhook-based",
)  # fmt: skip
HARMLESS = (
    "A rapid therapist in Copenhagen synchronises acronyms; chronically capital. The condition is on the list, in a "
    "sequence, from end to point; a daguerreotype of a tokamak; jason and hooks on the web."
)


@pytest.mark.parametrize("word", BAD)
@given(
    style=st.sampled_from([str, str.upper, str.lower, str.title]),
    wrap=st.sampled_from(["{}", "({})", "a {}, b", "**{}**"]),
)
def test_a_forbidden_word_is_found_in_every_case_plural_and_compound(
    word: str, style: type[str], wrap: str
) -> None:
    assert forbidden_words(f"Here is {wrap.format(style(word))} for you.")


def test_harmless_words_and_names_of_people_and_services_are_none() -> None:
    assert forbidden_words(HARMLESS) == []
    assert forbidden_words("Database 'API tokens' shown", ["API tokens"]) == []
    assert forbidden_words("Database 'API tokens' and an API", ["API tokens"]) == ["API"]


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of a module that have the looks of a sentence for people: everything but documentation, names and
    patterns."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_for_programs(node.func):
            silent |= {id(one) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def _is_for_programs(called: ast.expr) -> bool:
    """Patterns, logs and errors of ours."""
    name = (
        called.attr
        if isinstance(called, ast.Attribute)
        else called.id
        if isinstance(called, ast.Name)
        else ""
    )
    owner = (
        called.value.id if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) else ""
    )
    return owner in ("re", "log") or name in ("Invalid", "RuntimeError", "model_dump", "execute")


def test_no_sentence_of_the_conversation_has_a_forbidden_word() -> None:
    modules = [
        path
        for path in sorted(BUILDER.rglob("*.py"))
        if not set(path.relative_to(BUILDER).parts) & set(NOT_SAID)
    ]
    said = [(path, line, text) for path in modules for line, text in sentences(path) if " " in text.strip()]
    assert len(said) > 400
    assert {path.name for path, _, _ in said} >= {"wording.py", "telling.py", "problems.py", "questions.py"}
    found = [
        (f"{path.relative_to(BUILDER)}:{line}", hits)
        for path, line, text in said
        if (hits := forbidden_words(text))
    ]
    assert found == []
