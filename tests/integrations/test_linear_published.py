"""What we send to Linear, and what the local server knows, against what Linear publishes.

`published/linear/types.json` holds the schema as Linear's own client has it (npm package @linear/sdk),
reduced to the types used here. The last test does the same with the newest release of that package.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from omniforge.integrations.catalog.linear.queries import operations
from omniforge.integrations.catalog.linear.shapes import CHANGES
from omniforge.integrations.catalog.linear.standin import StandinState
from omniforge.integrations.catalog.linear.standin.deliveries import KINDS as DELIVERED
from omniforge.integrations.catalog.linear.standin.deliveries import delivery
from omniforge.integrations.catalog.linear.standin.graphql import parse
from omniforge.integrations.catalog.linear.standin.validate import Check, complexity_of
from omniforge.integrations.catalog.linear.standin.world import schema
from omniforge.integrations.catalog.linear.trouble import KINDS

PUBLISHED = Path(__file__).parent / "published" / "linear" / "types.json"
WEBHOOKS = (
    "EntityWebhookPayload",
    "IssueWebhookPayload",
    "CommentWebhookPayload",
    "IssueChildWebhookPayload",
)
BLOCK = re.compile(r"^(?:declare )?type (\w+) = (?:Node & )?\{\n(.*?)^\};", re.M | re.S)
ENUM = re.compile(r"^declare enum (\w+) \{\n(.*?)^\}", re.M | re.S)
MOST_COMPLEX = 10_000


def reduced(declarations: str, program: str) -> dict[str, Any]:
    """The published schema in GraphQL's words, out of the package's type declarations and its program."""
    plain = re.sub(r"/\*\*.*?\*/", "", declarations, flags=re.S)
    blocks = {name: _members(body) for name, body in BLOCK.findall(plain)}
    known = schema()
    arguments = {
        f"{name}.{field}": blocks.get(f"{name}{field[0].upper()}{field[1:]}Args", {})
        for name, fields in known.types.items()
        for field in fields
    }
    return {
        "types": {name: blocks.get(name, {}) for name in (*known.types, *known.inputs)},
        "arguments": {name: args for name, args in arguments.items() if args},
        "enums": {
            name: re.findall(r'= "([^"]+)"', body)
            for name, body in ENUM.findall(plain)
            if name in known.enums
        },
        "webhooks": {name: blocks[name] for name in WEBHOOKS},
        "errors": re.findall(r'\[LinearErrorType\.\w+\]: "([^"]+)"', program),
    }


def _members(body: str) -> dict[str, str]:
    found = re.findall(r"^  (\w+)(\??): (.*);$", body, re.M)
    return {name: _type(text, bool(optional)) for name, optional, text in found if name != "__typename"}


def _type(text: str, optional: bool = False) -> str:
    """`Maybe<Array<Scalars["ID"]>>` is `[ID!]`."""
    if inner := re.fullmatch(r"(?:Input)?Maybe<(.*)>", text):
        return _type(inner[1], optional=True)
    if inner := re.fullmatch(r"Array<(.*)>", text):
        made = f"[{_type(inner[1])}]"
    else:
        scalar = re.fullmatch(r'Scalars\["(\w+)"\]', text)
        made = scalar[1] if scalar else text
    return made if optional else f"{made}!"


@cache
def published() -> dict[str, Any]:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def differences(there: dict[str, Any]) -> list[str]:
    """What the local server's schema has that the published one has not, or has otherwise."""
    ours = schema()
    found: list[str] = []
    for name, fields in ours.types.items():
        for field, kind in fields.items():
            if there["types"][name].get(field) != str(kind.type):
                found.append(f"{name}.{field}: {kind.type} is {there['types'][name].get(field)}")
            known = there["arguments"].get(f"{name}.{field}", {})
            found += [
                f"{name}.{field}({argument}: {given}) is {known.get(argument)}"
                for argument, given in kind.arguments.items()
                if known.get(argument) != str(given)
            ]
    for name, fields in ours.inputs.items():
        found += [
            f"{name}.{field}: {given} is {there['types'][name].get(field)}"
            for field, given in fields.items()
            if there["types"][name].get(field) != str(given)
        ]
        found += [
            f"{name}.{field}: required there, unknown here"
            for field, given in there["types"][name].items()
            if given.endswith("!") and field not in fields
        ]
    found += [
        f"enum {name}" for name, values in ours.enums.items() if there["enums"].get(name) != list(values)
    ]
    return found


def test_every_line_of_our_schema_stands_in_the_published_one():
    assert differences(published()) == []


def test_a_line_that_is_not_published_is_found():
    there = json.loads(json.dumps(published()))
    there["types"]["Issue"]["title"] = "Int!"
    del there["arguments"]["Query.issues"]["first"]
    assert differences(there) == ["Query.issues(first: Int) is None", "Issue.title: String! is Int!"]


@pytest.mark.parametrize("name", list(operations()))
def test_every_operation_we_send_fits_the_schema_and_linears_limit(name: str):
    document = parse(operations()[name])
    operation = document.operations[name]
    Check(schema(), document, operation).run()
    given = {"first": 100} if "first" in operation.variables else {}
    assert 0 < complexity_of(schema(), document, operation, given) <= MOST_COMPLEX


def test_every_kind_of_error_that_linears_client_knows_is_understood():
    vague = {"unknown", "other"}  # those go by the status they name
    assert set(published()["errors"]) - vague <= set(KINDS)


def test_changed_fields_are_called_as_linear_calls_them():
    there = published()
    history, update = there["types"]["IssueHistory"], there["webhooks"]["IssueWebhookPayload"]
    assert [name for name in CHANGES if name not in history and name not in update] == []


@pytest.mark.parametrize("event", list(DELIVERED))
def test_deliveries_have_the_published_fields(event: str):
    world = StandinState().world
    if event.startswith("comment"):
        issue = world.rows("Issue")[0]
        world.add(
            "Comment", {"issueId": issue["id"], "userId": issue["creatorId"], "body": "x", "parentId": None}
        )
    body, _ = delivery(world, {"event": event}, "id")
    there = published()["webhooks"]
    data = there[f"{body['type']}WebhookPayload"]
    assert set(body["data"]) <= set(data)
    left_out = {"prioritySortOrder", "releases"}
    assert {name for name, kind in data.items() if kind.endswith("!")} - set(body["data"]) <= left_out
    assert set(body) <= set(there["EntityWebhookPayload"])
    if body["type"] == "Comment":
        assert set(body["data"]["issue"]) == set(there["IssueChildWebhookPayload"])


def npm(*command: str, cwd: Path) -> str:
    """What npm says; skips the test when it cannot ask its registry."""
    program = shutil.which("npm")
    if program is None:
        pytest.skip("npm is not installed here")
    limits = ("--silent", "--fetch-retries=0", "--fetch-timeout=20000")
    done = subprocess.run([program, *command, *limits], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the npm registry cannot be reached: {done.stderr[-200:]}")
    return done.stdout.strip()


def test_the_newest_release_of_linears_client_still_has_it_all(tmp_path: Path):
    newest = npm("view", "@linear/sdk", "version", cwd=tmp_path)
    if f"@linear/sdk {newest}," in published()["source"]:
        return  # the reduced one is of this release
    archive = tmp_path / npm("pack", f"@linear/sdk@{newest}", cwd=tmp_path)
    with tarfile.open(archive) as files:
        texts = {
            member.name: file.read().decode()
            for member in files
            if re.search(r"\.d\.[mc]?ts$|dist/index\.[mc]?js$", member.name)
            and (file := files.extractfile(member))
        }
    types = [text for name, text in texts.items() if ".d." in name]
    program = "".join(text for name, text in texts.items() if ".d." not in name)
    assert differences(reduced(max(types, key=len), program)) == []
