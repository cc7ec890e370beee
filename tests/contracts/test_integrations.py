"""One suite for every folder of the catalogue, found by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge.core.errors import OmniForgeError
from omniforge.integrations import Access, Integration, IntegrationTool, SampleFault, load_catalog
from omniforge.integrations.manifest import CATALOG, SignInKind, read_manifest
from omniforge.integrations.samples import sample_client

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
CATALOGUE = load_catalog()
EVERY = [pytest.param(integration, id=name) for name, integration in CATALOGUE.items()]
EVERY_TOOL = [
    pytest.param(integration, tool, id=tool.name)
    for integration in CATALOGUE.values()
    for tool in integration.tools.values()
]


async def sample(integration: Integration, name: str, args: Mapping[str, Any], **how: Any) -> dict[str, Any]:
    async with sample_client(integration, NOW, **how) as client:
        return await integration.tool(name).call(client, args)


async def arguments_for(integration: Integration, tool: IntegrationTool) -> dict[str, Any]:
    """Arguments by the schema's required fields, with ids and fields found through the sample data."""
    kind = integration.resource_kind(None)
    resource = (await sample(integration, kind.list_tool, {}))[kind.list_key][0]
    assert kind.describe_tool is not None
    described = await sample(integration, kind.describe_tool, {kind.id_argument: resource["id"]})
    name = next(
        field["name"] for field in described["fields"] if field["type"] in ("title", "text", "string")
    )
    reader = next(t for t in integration.tools.values() if "limit" in t.input_schema["properties"])
    rows = (await sample(integration, reader.name, {kind.id_argument: resource["id"]}))["rows"]
    known = {kind.id_argument: resource["id"], "page_id": rows[0]["id"]}
    known |= {"fields": {name: "Sample"}, "mark": "contract-suite"}
    return {field: known[field] for field in tool.input_schema.get("required", [])}


def test_every_folder_is_found():
    folders = {path.name for path in CATALOG.iterdir() if path.is_dir() and (path / "provider.yaml").exists()}
    assert folders == set(CATALOGUE)
    assert folders


@pytest.mark.parametrize("integration", EVERY)
def test_the_manifest_is_whole(integration: Integration):
    manifest = read_manifest(integration.folder / "provider.yaml")
    assert manifest.id == integration.folder.name
    assert manifest.identity_tool in integration.tools
    assert all(word == word.lower() for word in manifest.words)
    for kind in manifest.resources:
        assert kind.list_tool in integration.tools
        assert kind.describe_tool is None or kind.describe_tool in integration.tools
    if manifest.sign_in.kind is SignInKind.OAUTH:
        assert manifest.sign_in.authorize_url.startswith("https://")
        assert manifest.sign_in.token_url.startswith("https://")
        assert all(scope.reason for scope in manifest.sign_in.scopes)


@pytest.mark.parametrize("integration", EVERY)
def test_every_fault_has_an_answer_in_the_services_own_shape(integration: Integration):
    answers = json.loads((integration.folder / "fixtures" / "faults.json").read_text())
    assert set(answers) == {fault.value for fault in SampleFault} - {SampleFault.TIMEOUT.value}


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
def test_a_tool_says_what_it_is(integration: Integration, tool: IntegrationTool):
    assert tool.name.startswith(f"{integration.id}.")
    assert tool.description.endswith(".")
    schema = tool.input_schema
    assert schema["type"] == "object"
    assert schema.get("additionalProperties") is False
    assert isinstance(tool.access, Access)


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
async def test_a_tool_works_on_sample_data_and_the_same_each_time(
    integration: Integration, tool: IntegrationTool
):
    args = await arguments_for(integration, tool)
    first = await sample(integration, tool.name, args)
    assert first
    assert json.dumps(first) == json.dumps(await sample(integration, tool.name, args))


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
async def test_summary_and_destination_are_plain(integration: Integration, tool: IntegrationTool):
    args = await arguments_for(integration, tool)
    summary = tool.summary(args)
    assert summary
    assert summary[0].islower()
    assert "_" not in summary
    destination = tool.destination(args)
    if tool.access is Access.READ:
        assert destination is None
    else:
        assert destination is not None
        assert destination.resource in args.values()
    assert tool.destination({}) is None


@pytest.mark.parametrize(("integration", "tool"), EVERY_TOOL)
@pytest.mark.parametrize("fault", list(SampleFault))
async def test_every_fault_ends_in_one_of_our_errors(
    integration: Integration, tool: IntegrationTool, fault: SampleFault
):
    args = await arguments_for(integration, tool)
    with pytest.raises(OmniForgeError) as refusal:
        await sample(integration, tool.name, args, fault=fault)
    assert integration.title in refusal.value.message
    codes = {
        SampleFault.UNAUTHORIZED: "connection_expired",
        SampleFault.FORBIDDEN: "permission_denied_there",
        SampleFault.NOT_FOUND: "resource_not_found",
        SampleFault.CONFLICT: "conflict_there",
        SampleFault.RATE_LIMITED: "rate_limited_there",
    }
    assert refusal.value.code == codes.get(fault, "service_down")


@pytest.mark.parametrize("integration", EVERY)
async def test_an_empty_account_has_resources_without_items(integration: Integration):
    for kind in integration.manifest.resources:
        found = (await sample(integration, kind.list_tool, {}, empty=True))[kind.list_key]
        assert found
        assert all(resource["items"] == 0 for resource in found)


@pytest.mark.parametrize("integration", EVERY)
async def test_samples_take_the_shape_of_a_known_resource(integration: Integration):
    kind = integration.resource_kind(None)
    resource = {
        "id": "11111111-2222-4333-8444-555555555555",
        "name": "My own",
        "fields": [{"name": "Thing", "type": "title"}, {"name": "Amount", "type": "number"}],
    }
    assert kind.describe_tool is not None
    args = {kind.id_argument: resource["id"]}
    described = await sample(integration, kind.describe_tool, args, resources=[resource])
    assert described["name"] == "My own"
    assert described["fields"] == resource["fields"]
    reader = next(t for t in integration.tools.values() if "limit" in t.input_schema["properties"])
    rows = (await sample(integration, reader.name, args, resources=[resource]))["rows"]
    assert rows
    assert all(set(row["fields"]) == {"Thing", "Amount"} for row in rows)


@pytest.mark.parametrize("integration", EVERY)
async def test_samples_reach_no_network(integration: Integration):
    transport = integration.samples(NOW)
    assert not isinstance(transport, httpx.AsyncHTTPTransport)


def test_nothing_outside_its_folder_names_an_integration():
    room = Path(CATALOG).parent
    for path in room.glob("*.py"):
        words = path.read_text(encoding="utf-8").casefold()
        assert not [name for name in CATALOGUE if f"catalog.{name}" in words or f'"{name}"' in words], path
