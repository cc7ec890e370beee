"""Secrets by their forms: gone from everything that is told, and nothing else is touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.redaction import redact, redacted

LONG = "Ab3" * 20
SECRETS = [
    f"of_sk_{LONG}",
    f"sk-ant-api03-{LONG}",
    f"sk-proj-{LONG}",
    f"ghp_{LONG}",
    f"github_pat_{LONG}",
    "xoxb-123456789012-abcdefABCDEF",
    f"ntn_{LONG}",
    f"secret_{LONG}",
    f"lin_api_{LONG}",
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "a1B2c3D" * 5,
    f"eyJ{LONG}.eyJ{LONG}.{LONG}",
    f"sk_live_{LONG}",
    f"https://hooks.slack.com/services/T000/B000/{LONG}",
    f"Authorization: Bearer {LONG}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{LONG}\n{LONG}\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_replaced_by_what_it_was(secret: str) -> None:
    told = redacted(f"before {secret} after")
    assert LONG not in told
    assert secret not in told
    assert told.startswith("before ")
    assert told.rstrip().endswith("after")
    assert " removed]" in told


def test_it_is_found_anywhere_in_a_value() -> None:
    value = {"rows": [{"text": SECRETS[0], SECRETS[1]: 3}], "n": 1, "none": None}
    told = json.dumps(redact(value))
    assert LONG not in told
    assert redact({"rows": [1, None, True, "plain"]}) == {"rows": [1, None, True, "plain"]}


@given(st.text(alphabet="abcdefghij ÄÖ.,;:-_/\n0123", max_size=400))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text
