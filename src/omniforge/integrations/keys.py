"""What a person types in to connect: one access key, or several named fields kept as one secret (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from omniforge.core.errors import Invalid
from omniforge.integrations.manifest import Integration, Manifest

LONGEST_KEY = 2000


def secret_of(integration: Integration, given: str | Mapping[str, str]) -> str:
    """What is sealed: the key itself, or all fields as JSON. Invalid never repeats what was given."""
    manifest = integration.manifest
    if not manifest.sign_in.takes_keys:
        raise Invalid(f"{manifest.title} does not work with access keys.", code="key_not_accepted")
    if manifest.sign_in.fields:
        return _sealed_fields(manifest, given)
    if not isinstance(given, str):
        raise Invalid(f"{manifest.title} takes one access key.", code="key_refused", fields=rule(integration))
    usable = 1 <= len(given) <= LONGEST_KEY and given == given.strip()
    if not usable or not given.isascii() or not given.isprintable():
        raise Invalid("That does not look like an access key.", code="key_refused", fields=rule(integration))
    return given


def fields_of(secret: str) -> Mapping[str, str]:
    """The fields in a secret made by `secret_of`."""
    return cast("dict[str, str]", json.loads(secret))


def rule(integration: Integration) -> list[dict[str, Any]]:
    """What a refused key is answered with."""
    return [{"field": "key", "value": "…", "rule": f"an access key that {integration.title} accepts"}]


def _sealed_fields(manifest: Manifest, given: str | Mapping[str, str]) -> str:
    values: Mapping[str, str] = {} if isinstance(given, str) else given
    asked = {field.name: field for field in manifest.sign_in.fields}
    wrong = [
        {"field": f"fields.{name}", "value": "…", "rule": "not asked for"}
        for name in values
        if name not in asked
    ]
    filled: dict[str, str] = {}
    for name, field in asked.items():
        value = values.get(name) or field.default
        if not value and field.required:
            wrong.append({"field": f"fields.{name}", "value": "", "rule": f"{field.title} is needed"})
        elif value and not re.fullmatch(field.pattern, value[: LONGEST_KEY + 1]):
            wrong.append(
                {"field": f"fields.{name}", "value": "…", "rule": f"does not look like {field.title}"}
            )
        filled[name] = value
    if wrong:
        names = ", ".join(str(entry["field"]) for entry in wrong)
        raise Invalid(f"{manifest.title}: please check {names}.", code="key_refused", fields=wrong)
    return json.dumps(filled, sort_keys=True)
