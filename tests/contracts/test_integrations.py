"""One suite for every folder of the catalogue, found by itself: what it says, its sample data, its errors.

What the suite cannot know, a folder says in `fixtures/contract.yaml`. Everything in it is optional, except
that every tool with required arguments has an entry in `tools`:

    find:                     # calls made first, in order; `${name.path}` below is a value of their answers
      databases: {tool: notion.list_databases}
      rows: {tool: notion.query_database, args: {database_id: "${databases.databases.0.id}", limit: 5}}
    tools:                    # working arguments, for sample data and for the local server alike
      notion.read_page: {page_id: "${rows.rows.0.id}"}
      notion.create_page: {database_id: "${databases.databases.0.id}", fields: {Project: Sample}}
    local: [csv.read_rows]    # tools that ask no service: no fault can reach them
    repeatable: [slack.join]  # writes that do no harm twice, and so need no look-up
    codes:                    # where a fault ends in another of our errors than usual ("": in no error)
      slack.who_am_i: {forbidden: connection_expired}
    shaped: {tool: notion.query_database, argument: database_id, items: rows}   # samples take known fields

Folders with sign-in also say, for the journey against their local server over real HTTP
(test_integration_journeys.py):

    paged: {tool: notion.query_database, args: {...}, items: rows, count: 156}   # over several pages: all
    write: notion.create_page    # the write of the journey, with its arguments of `tools` (a mark is added)
    lost: {method: POST, path: /v1/pages, body: ""}     # the request of that write whose answer gets lost
    event: {event: page.created, page: "${rows.rows.0.id}"}   # what /_control/deliver makes a delivery of

`find` runs on the same side as the call it is for: sample data, or the local server through a connection.
"""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from folder_contract import Contract, contract_of, looks_plain
from omniforge.core.errors import OmniForgeError
from omniforge.integrations import Access, Integration, IntegrationTool, SampleFault, load_catalog
from omniforge.integrations.manifest import CATALOG, SignInKind, read_manifest
from omniforge.integrations.samples import fault_answers, faults_of, sample_client

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
CATALOGUE = load_catalog()
EVERY = [pytest.param(integration, id=name) for name, integration in CATALOGUE.items()]
SIGNED_IN = [
    pytest.param(i, id=name) for name, i in CATALOGUE.items() if i.manifest.sign_in.kind is SignInKind.OAUTH
]
EVERY_TOOL = [
    pytest.param(integration, tool, id=tool.name)
    for integration in CATALOGUE.values()
    for tool in integration.tools.values()
]
WRITES = [param for param in EVERY_TOOL if param.values[1].access is not Access.READ]
EVERY_EVENT = [
    pytest.param(integration, kind, id=f"{name}:{kind.name}")
    for name, integration in CATALOGUE.items()
    for kind in integration.events.values()
]
USUAL_CODES = {
    SampleFault.UNAUTHORIZED: "connection_expired",
    SampleFault.FORBIDDEN: "permission_denied_there",
    SampleFault.NOT_FOUND: "resource_not_found",
    SampleFault.CONFLICT: "conflict_there",
    SampleFault.RATE_LIMITED: "rate_limited_there",
}


async def sample(integration: Integration, name: str, args: Any, **how: Any) -> dict[str, Any]:
    async with sample_client(integration, NOW, **how) as client:
        return await integration.tool(name).call(client, args)


async def found(integration: Integration) -> Contract:
    """The folder's contract with everything it finds first, from sample data."""
    return await contract_of(integration).looked_up(lambda name, args: sample(integration, name, args))


async def arguments_for(integration: Integration, tool: IntegrationTool) -> dict[str, Any]:
    return (await found(integration)).arguments(tool)


# --- what a folder says of itself


def test_every_folder_is_found():
    folders = {path.parent.name for path in CATALOG.glob("*/provider.yaml")}
    assert folders == set(CATALOGUE)
    assert folders


@pytest.mark.parametrize("integration", EVERY)
def test_the_manifest_is_whole(integration: Integration):
    manifest = read_manifest(integration.folder / "provider.yaml")
    assert manifest.id == integration.folder.name
    assert (manifest.identity_tool in integration.tools) is (manifest.sign_in.kind is not SignInKind.NONE)
    assert all(word == word.lower() for word in manifest.words)
    for kind in manifest.resources:
        assert kind.list_tool in integration.tools
        assert kind.describe_tool is None or kind.describe_tool in integration.tools
    assert all(looks_plain(line) for line in manifest.sign_in.asks)


@pytest.mark.parametrize("integration", SIGNED_IN)
def test_addresses_are_the_services_own(integration: Integration):
    manifest = integration.manifest
    sign_in = manifest.sign_in
    addresses = [manifest.address, sign_in.authorize_url, sign_in.token_url, sign_in.revoke_url]
    parts = [urlsplit(address) for address in addresses if address]
    assert len(parts) >= 3
    for part in parts:
        assert (part.scheme, part.port, part.query, part.username) == ("https", None, "", None)
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", part.netloc)
        assert not part.netloc.endswith((".invalid", ".example", ".test", ".local", ".localhost"))
    assert len({".".join(part.netloc.split(".")[-2:]) for part in parts}) == 1
    assert all(scope.reason.endswith(".") for scope in sign_in.scopes)


@pytest.mark.parametrize("integration", EVERY)
def test_every_fault_has_an_answer_in_the_services_own_shape(integration: Integration):
    answers = fault_answers(integration)
    everything_here = set(integration.tools) == set(contract_of(integration).local)
    if integration.open_sample is None and not everything_here:
        assert set(answers) == {fault.value for fault in SampleFault} - {SampleFault.TIMEOUT.value}
    else:
        assert set(answers) <= {fault.value for fault in SampleFault}


@pytest.mark.parametrize("integration", EVERY)
def test_the_contract_names_only_tools_there_are(integration: Integration):
    contract = contract_of(integration)
    named = {*contract.tools, *contract.local, *contract.codes}
    assert named <= set(integration.tools)


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
def test_a_tool_says_what_it_is(integration: Integration, tool: IntegrationTool):
    assert tool.name.startswith(f"{integration.id}.")
    assert tool.description.endswith(".")
    schema = tool.input_schema
    assert schema["type"] == "object"
    assert schema.get("additionalProperties") is False
    assert isinstance(tool.access, Access)


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
async def test_summary_and_destination_are_plain(integration: Integration, tool: IntegrationTool):
    args = await arguments_for(integration, tool)
    summary = tool.summary(args)
    assert summary
    assert summary[0].islower()
    assert looks_plain(f"{summary}.")
    destination = tool.destination(args)
    if tool.access is Access.READ:
        assert destination is None
    else:
        assert destination is not None
        assert destination.resource
        assert destination.name
    assert tool.destination({}) is None


def test_nothing_outside_its_folder_names_an_integration():
    room = Path(CATALOG).parent
    for path in [*room.glob("*.py"), *(room / "standin").glob("*.py")]:
        words = path.read_text(encoding="utf-8")
        assert not [name for name in CATALOGUE if f"catalog.{name}" in words], path
        assert not [param.id for param in SIGNED_IN if f'"{param.id}"' in words], path


# --- sample data


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
async def test_a_tool_works_on_sample_data_the_same_each_time_and_without_a_network(
    integration: Integration, tool: IntegrationTool, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any) -> None:
        raise AssertionError("sample data reached for the network")

    for way_out in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, way_out, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    args = await arguments_for(integration, tool)
    first = await sample(integration, tool.name, args)
    assert first
    assert json.dumps(first) == json.dumps(await sample(integration, tool.name, args))


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
@pytest.mark.parametrize("fault", list(SampleFault))
async def test_every_fault_is_told_in_plain_words(
    integration: Integration, tool: IntegrationTool, fault: SampleFault
):
    contract = await found(integration)
    if tool.name in contract.local or fault not in faults_of(integration):
        return
    args = contract.arguments(tool)
    expected = contract.codes.get(tool.name, {}).get(fault.value, USUAL_CODES.get(fault, "service_down"))
    if not expected:
        assert await sample(integration, tool.name, args, fault=fault)
        return
    with pytest.raises(OmniForgeError) as refusal:
        await sample(integration, tool.name, args, fault=fault)
    assert refusal.value.code == expected
    assert integration.title in refusal.value.message
    assert looks_plain(refusal.value.message), refusal.value.message


@pytest.mark.parametrize("integration", EVERY)
async def test_an_empty_account_has_resources_without_items(integration: Integration):
    for kind in integration.manifest.resources:
        listed = (await sample(integration, kind.list_tool, {}, empty=True))[kind.list_key]
        assert listed
        assert all(resource.get("items") in (0, None) for resource in listed)


@pytest.mark.parametrize("integration", EVERY)
async def test_samples_take_the_shape_of_a_known_resource(integration: Integration):
    shaped = contract_of(integration).shaped
    if shaped is None:
        return
    kind = integration.resource_kind(None)
    resource = {
        "id": "11111111-2222-4333-8444-555555555555",
        "name": "My own",
        "fields": [{"name": "Thing", "type": "title"}, {"name": "Amount", "type": "number"}],
    }
    assert kind.describe_tool is not None
    described = await sample(
        integration, kind.describe_tool, {kind.id_argument: resource["id"]}, resources=[resource]
    )
    assert described["name"] == "My own"
    assert described["fields"] == resource["fields"]
    args = {shaped["argument"]: resource["id"]}
    rows = (await sample(integration, shaped["tool"], args, resources=[resource]))[shaped["items"]]
    assert rows
    assert all(set(row["fields"]) == {"Thing", "Amount"} for row in rows)


@pytest.mark.parametrize(("integration", "tool"), WRITES)
async def test_a_write_can_be_found_again_by_what_it_leaves(integration: Integration, tool: IntegrationTool):
    """Before it is made, looking it up finds nothing; afterwards, in the same place, it is there."""
    args = await arguments_for(integration, tool)
    if "mark" in tool.input_schema["properties"]:
        args["mark"] = "contract-suite.1"
    lookup = tool.lookup(args)
    contract = contract_of(integration)
    if tool.name in contract.repeatable and lookup is None:
        return
    assert lookup is not None, "a write has to say how to see whether it happened"
    looking = integration.tool(lookup.tool)
    assert looking.access is Access.READ
    if tool.name in contract.local:
        return
    async with sample_client(integration, NOW) as client:
        assert (await looking.call(client, lookup.args)).get(lookup.found) is None
        await tool.call(client, args)
        assert (await looking.call(client, lookup.args)).get(lookup.found) is not None


# --- events


@pytest.mark.parametrize(("integration", "kind"), EVERY_EVENT)
def test_an_event_says_what_it_is(integration: Integration, kind: Any):
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?|\*", kind.name)
    assert looks_plain(f"{kind.title}.")
    assert kind.push or kind.poll is not None
    assert kind.resource_kind in {None, *(k.kind for k in integration.manifest.resources)}
    if kind.push:
        assert integration.manifest.webhook is not None
    if kind.read_tool is not None:
        reader = integration.tool(kind.read_tool)
        assert reader.access is Access.READ
        assert kind.read_argument in reader.input_schema["properties"]


@pytest.mark.parametrize(("integration", "kind"), EVERY_EVENT)
async def test_polling_finds_all_since_a_moment_and_no_more(integration: Integration, kind: Any):
    if kind.poll is None:
        return
    since = NOW - timedelta(days=400)
    async with sample_client(integration, NOW) as client:
        resource = None
        if kind.resource_kind is not None:
            what = integration.resource_kind(kind.resource_kind)
            listed = (await integration.tool(what.list_tool).call(client, {}))[what.list_key]
            resources = [str(item["id"]) for item in listed]
        else:
            resources = [None]
        everything = [one for resource in resources for one in await kind.poll(client, resource, since)]
        assert everything, "sample data should hold an event of every kind that can be polled"
        for one in everything:
            assert one.type == kind.name
            assert one.at.tzinfo is not None
            assert one.at >= since
            assert one.id
            assert one.version
            assert one.item
        keys = [(one.resource, one.id, one.version) for one in everything]
        assert len(keys) == len(set(keys))
        middle = sorted(everything, key=lambda one: one.at)[len(everything) // 2]
        later = [one for r in resources for one in await kind.poll(client, r, middle.at)]
        expected = {(one.id, one.version) for one in everything if one.at >= middle.at}
        assert {(one.id, one.version) for one in later} == expected
        for resource in resources:
            assert await kind.poll(client, resource, NOW + timedelta(days=1)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("integration", EVERY)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_delivery_breaks_the_reader(integration: Integration, data: st.DataObject):
    """Any object, and the service's own field names with any values in them."""
    names = st.sampled_from(
        ["type", "event", "action", "entity", "data", "issue", "id", "timestamp", "comment", "user",
         "commits", "repository", "pull_request", "release", "item", "ts", "channel", "event_time",
         "webhookTimestamp", "createdAt", "updatedAt", "authors", "sender", "parent", "url",
         "team_id", "updatedFrom"]
    )  # fmt: skip
    values = st.sampled_from(
        ["page.created", "page.properties_updated", "Issue", "Comment", "create", "opened", "closed",
         "event_callback", "message", "app_mention", "reaction_added", "published", "update"]
    )  # fmt: skip
    fields = st.recursive(
        JSON | values,
        lambda deep: st.dictionaries(names, deep, max_size=6) | st.lists(deep, max_size=2),
        max_leaves=15,
    )
    strange = st.dictionaries(st.text(), JSON, max_size=3)
    payload = data.draw(st.dictionaries(names, fields, max_size=8) | strange)
    event = data.draw(st.sampled_from(["issues", "pull_request", "push", "release", "", "issue_comment"]))
    read = integration.read_delivery({"x-github-event": event}, payload)
    assert isinstance(read, list)
    assert "*" in integration.events or all(one.type in integration.events for one in read)
