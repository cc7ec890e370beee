"""A tenant's folder through the service: no sign-in, nothing outside it, rows added once per mark."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid, OmniForgeError
from omniforge.integrations import IntegrationService, SampleFault, load_catalog
from omniforge.integrations.catalog.files.disk import FolderDisk, checked_name
from omniforge.integrations.catalog.files.folder import Folder
from omniforge.integrations.errors import ConflictThere, PermissionDeniedThere
from omniforge.integrations.samples import faults_of, sample_client

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
FILES = load_catalog()["files"]


class StillClock:
    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@pytest.fixture
async def files(make_service, tmp_path) -> AsyncIterator[IntegrationService]:
    made = make_service(Settings(home=tmp_path))
    yield made
    await made.close()


@pytest.fixture
def call(files, actor):
    async def called(name: str, **args: object) -> dict:
        return await files.call_tool(actor.tenant_id, actor.user_id, "files", f"files.{name}", args)

    return called


async def test_no_sign_in_is_needed_and_there_is_always_a_connection(files, actor):
    view = await files.integration(actor, "files")
    assert (view.configured, view.connected, view.sign_in, view.accepts_keys) == (True, True, "none", False)
    [connection], total = await files.list_connections(actor, "files")
    assert (connection.id, connection.status, total) == ("files", "healthy", 1)
    assert (await files.check(actor, "files")).id == "files"
    assert await files.list_resources(actor, "files") == []
    assert (await files.list_connections(actor))[1] == 0
    with pytest.raises(Conflict, match="no sign-in"):
        await files.start_sign_in(actor, "files")
    with pytest.raises(Conflict, match="no connection to end"):
        await files.disconnect(actor, "files")
    with pytest.raises(Invalid, match="access keys"):
        await files.add_key_connection(actor, "files", "key")


async def test_rows_are_written_listed_described_and_read(call, files, actor, tmp_path):
    await call(
        "append_rows", file="crm/clients.csv", rows=[{"Client": "Aurora", "Seats": 24, "Due": "2026-12-01"}]
    )
    await call("append_rows", file="crm/clients.csv", rows=[{"Client": "Bo", "Seats": 3, "Note": "x"}])
    kept = tmp_path / "files" / actor.tenant_id / "crm" / "clients.csv"
    assert kept.read_text() == "Client,Seats,Due,Note\nAurora,24,2026-12-01,\nBo,3,,x\n"
    [resource] = await files.list_resources(actor, "files")
    assert (resource.id, resource.items, resource.kind) == ("crm/clients.csv", 2, "file")
    described = await files.describe_resource(actor, "files", "crm/clients.csv")
    assert [(f["name"], f["type"]) for f in described.fields] == [
        ("Client", "text"), ("Seats", "number"), ("Due", "date"), ("Note", "text"),
    ]  # fmt: skip
    found = await call(
        "read_file", file="crm/clients.csv", filters=[{"field": "Seats", "op": "greater_than", "value": 10}]
    )
    assert [(row["id"], row["fields"]["Client"]) for row in found["rows"]] == [
        ("crm/clients.csv#1", "Aurora")
    ]
    due = await call("read_file", file="crm/clients.csv", after="2026-11-30T00:00:00Z", limit=1)
    assert [row["fields"]["Client"] for row in due["rows"]] == ["Aurora"]
    whole = await call("write_file", file="crm/clients.csv", rows=[{"Client": "C"}])
    assert (whole["items"], whole["made"]) == (1, False)


async def test_a_foreign_tenant_sees_a_folder_of_its_own(call, files, foreign_actor):
    await call("append_rows", file="a.csv", rows=[{"A": 1}])
    assert await files.list_resources(foreign_actor, "files") == []


async def test_a_mark_adds_its_rows_once(call):
    args = {"file": "a.csv", "rows": [{"A": "x"}], "mark": "run-1.1"}
    tool = FILES.tool("files.append_rows")
    lookup = tool.lookup(args)
    assert lookup is not None
    assert (await call("find_rows", **lookup.args))[lookup.found] is None
    first = await call("append_rows", **args)
    again = await call("append_rows", **args)
    assert again == first
    assert (await call("find_rows", **lookup.args))[lookup.found]["id"] == "a.csv#1"
    assert len((await call("read_file", file="a.csv"))["rows"]) == 1


async def test_many_writers_at_once_lose_no_row(call):
    await asyncio.gather(*(call("append_rows", file="a.csv", rows=[{"N": n}]) for n in range(12)))
    rows = (await call("read_file", file="a.csv"))["rows"]
    assert sorted(row["fields"]["N"] for row in rows) == list(range(12))


def test_a_mark_noted_before_a_crash_counts_only_if_its_rows_came(tmp_path):
    folder = Folder(FolderDisk(tmp_path), StillClock())
    folder.append("a.csv", [{"A": "first"}], None, "run-1.1")
    before = (tmp_path / "a.csv").read_bytes()
    folder.append("a.csv", [{"A": "second"}], None, "run-1.2")
    (tmp_path / "a.csv").write_bytes(before)  # as if the computer had stopped between note and rows
    assert folder.find("a.csv", "run-1.1") is not None
    assert folder.find("a.csv", "run-1.2") is None
    folder.append("a.csv", [{"A": "third"}], None, "run-1.3")
    assert folder.find("a.csv", "run-1.2") is None  # also after others have written
    folder.append("a.csv", [{"A": "second"}], None, "run-1.2")
    assert [row["A"] for row in folder.table("a.csv").rows] == ["first", "third", "second"]


@pytest.mark.parametrize(
    "name",
    [
        "../a.csv", "/etc/passwd.csv", "a/../../b.csv", "..", ".", "", "a", "a.txt", ".hidden.csv",
        "a/.b/c.csv",
        "a\\b.csv", "a\0.csv", "a\n.csv", "c:a.csv", "a//b.csv", "/a.csv", "a.csv/", " a.csv", "a.csv ",
        "~/../a.csv\u202e",
        "x" * 200 + ".csv", "/".join("d" * 9) + "/a.csv", "a.csv\u0000.xlsx",
        "....//a.csv", "con|.csv", "a?.csv",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        checked_name(name)


@pytest.mark.parametrize("name", ["a.csv", "reports/2026/November sales.XLSX", "Übersicht.tsv", "a.b.json"])
def test_ordinary_names_are_taken(name: str) -> None:
    assert checked_name(name) == name


async def test_links_out_of_the_folder_are_not_followed(call, actor, tmp_path: Path):
    secret = tmp_path / "secret.csv"
    secret.write_text("A\nhidden\n")
    root = tmp_path / "files" / actor.tenant_id
    root.mkdir(parents=True)
    (root / "link.csv").symlink_to(secret)
    (root / "out").symlink_to(tmp_path)
    assert (await call("list_files"))["files"] == []
    for name in ("link.csv", "out/secret.csv"):
        for tool, more in (("read_file", {}), ("append_rows", {"rows": [{"A": "x"}]})):
            with pytest.raises(PermissionDeniedThere):
                await call(tool, file=name, **more)
    assert secret.read_text() == "A\nhidden\n"


async def test_a_damaged_list_of_marks_adds_nothing_twice(call, actor, tmp_path):
    await call("append_rows", file="a.csv", rows=[{"A": 1}], mark="run-1.1")
    (tmp_path / "files" / actor.tenant_id / ".marks.json").write_text("{")
    with pytest.raises(OmniForgeError, match="damaged"):
        await call("append_rows", file="a.csv", rows=[{"A": 1}], mark="run-1.1")


async def test_what_is_too_large_or_gone_is_said_to_be(call, actor, tmp_path):
    root = tmp_path / "files" / actor.tenant_id
    root.mkdir(parents=True)
    (root / "big.csv").write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    with pytest.raises(OmniForgeError, match="10 MB"):
        await call("read_file", file="big.csv")
    with pytest.raises(OmniForgeError) as gone:
        await call("read_file", file="none.csv")
    assert gone.value.code == "resource_not_found"


async def test_samples_have_every_kind_of_file_and_take_a_known_shape():
    async with sample_client(FILES, NOW) as client:
        listed = (await FILES.tool("files.list_files").call(client, {}))["files"]
        assert {item["id"]: item["items"] for item in listed} == {
            "clients.csv": 4, "reports/sales.xlsx": 5, "tasks.tsv": 3,
        }  # fmt: skip
        sales = await FILES.tool("files.read_file").call(client, {"file": "reports/sales.xlsx", "limit": 1})
        assert sales["rows"][0]["fields"]["Day"] == "2026-11-22"
        assert sales["truncated"] is True
    resource = {
        "id": "own.csv",
        "name": "own.csv",
        "fields": [{"name": "Thing"}, {"name": "N", "type": "number"}],
    }
    async with sample_client(FILES, NOW, resources=[resource]) as client:
        rows = (await FILES.tool("files.read_file").call(client, {"file": "own.csv"}))["rows"]
        assert rows[0]["fields"] == {"Thing": "Sample 1", "N": 10}


@pytest.mark.parametrize("fault", faults_of(FILES))
async def test_every_fault_of_samples_ends_in_one_of_our_errors(fault: SampleFault):
    codes = {
        SampleFault.FORBIDDEN: "permission_denied_there", SampleFault.NOT_FOUND: "resource_not_found",
        SampleFault.CONFLICT: ConflictThere.code,
    }  # fmt: skip
    async with sample_client(FILES, NOW, fault=fault) as client:
        with pytest.raises(OmniForgeError) as refusal:
            await FILES.tool("files.append_rows").call(client, {"file": "a.csv", "rows": [{"A": 1}]})
    assert refusal.value.code == codes.get(fault, "service_down")
    assert "Files" in refusal.value.message
    assert json.dumps(refusal.value.details)
