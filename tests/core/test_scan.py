"""Secrets, addresses and ids in text: found by their formats, and prose is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.scan import addresses_in, ids_in, secrets_in, words_in

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7z" * 8
SECRETS = {
    "GitHub token": "ghp_" + LETTERS[:36],
    "fine GitHub token": "github_pat_" + LETTERS[:60],
    "GitLab token": "glpat-" + LETTERS[:20],
    "Slack token": "xoxb-" + "123456789012-abcdefABCDEF",
    "Slack webhook": "https://hooks.slack.com/services/T0/B0/" + LETTERS[:24],
    "Notion token": "ntn_" + LETTERS[:46],
    "Linear key": "lin_api_" + LETTERS[:40],
    "Anthropic key": "sk-ant-api03-" + LETTERS[:90],
    "OpenAI key": "sk-proj-" + LETTERS[:48],
    "AWS access key": "AKIA" + "IOSFODNN7ABCDEFG",
    "Google key": "AIza" + LETTERS[:35],
    "Stripe key": "sk_live_" + LETTERS[:24],
    "npm token": "npm_" + LETTERS[:36],
    "Hugging Face token": "hf_" + LETTERS[:34],
    "OmniForge key": "of_sk_" + LETTERS[:43],
    "signed token": "eyJ" + LETTERS[:20] + ".eyJ" + LETTERS[:30] + "." + LETTERS[:40],
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "password in a URL": "postgresql://app:s3cr3tpass@db.internal/x",
    "password or key": "api_key = 'Zq8vT2mX0pLr5nWb'",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_formats_are_found_with_their_line_and_never_told_back(kind: str) -> None:
    secret = SECRETS[kind]
    hits = secrets_in(f"one\ntwo\nhere: {secret} and more\n")
    assert [hit.line for hit in hits] == [3]
    assert secret not in hits[0].shown
    assert hits[0].kind in kind or kind == "fine GitHub token"


def test_our_own_sources_and_pages_hold_none() -> None:
    paths = [
        *(ROOT / "skills").rglob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "skills").rglob("*.py"),
    ]
    found = {str(path): hits for path in paths if (hits := secrets_in(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "password = 'your-password-here'",
        "token = '<put it here>'",
        "api_key: '${API_KEY}'",
        "secret = 'xxxxxxxxxxxxxxxx'",
        "the sk-learn-style-of-writing-things-down",
        "see https://example.com/path?a=b",
    ],
)
def test_placeholders_are_no_secrets(line: str) -> None:
    assert secrets_in(line) == []


def test_addresses_of_nobody_are_none() -> None:
    assert addresses_in("a@example.com b@sub.example.org c@x.invalid d@host.test") == []
    assert [hit.line for hit in addresses_in("x\nmail bob.smith+x@initech.co.uk now")] == [2]


def test_ids_by_their_forms() -> None:
    text = (
        "1f2e3d4c1f2e3d4c1f2e3d4c5b6a7988\nDATABASES C0123ABCD\nconn_0123456789ab0123456789abcdef\ndeadbeef"
    )
    assert [hit.line for hit in ids_in(text)] == [1, 2, 3]


def test_names_are_whole_words_in_any_case() -> None:
    names = [("Acme Corp", "name of a customer"), ("Al", "name")]
    assert [hit.line for hit in words_in("for\nACME corp!\nacme corporation\nal", names)] == [2]


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    for hit in [*secrets_in(text), *addresses_in(text), *ids_in(text), *words_in(text, [(text[:9], "x")])]:
        assert 1 <= hit.line <= text.count("\n") + 1
