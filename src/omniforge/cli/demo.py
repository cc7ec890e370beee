"""The main job, from nothing to a finished run, over the real HTTP API of a server started for it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule

from omniforge.cli.runs import events, show_event
from omniforge.cli.server import ask
from omniforge.core.errors import OmniForgeError, Unavailable

CONNECT = "(connects Notion in the browser)"
CONVERSATION = (
    "Our weekly reports from Notion boards take hours every Monday",
    "Yes",
    CONNECT,
    "Done!",
    "the first two",
    "last week's updates, status, blockers, bullets by client, Monday morning before my 9:00 meeting",
    "Yes, but also the project owner",
    "Yes",
    "Yes please",
    "Put At Risk first",
    "Looks good",
    "Yes",
)
START_SECONDS = 60


class DemoFailed(OmniForgeError):
    """The main job did not come to its end; the message says where it stopped."""

    code = "demo_failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demonstration plays."""

    folder: Path
    server: str
    notion: str

    @property
    def home(self) -> Path:
        return self.folder / "home"


async def play(folder: Path, console: Console) -> int:
    """Play it all; prints one JSON line last. Returns the exit code."""
    begun = time.monotonic()
    folder = folder.resolve() / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        stage = await _set_up(stack, folder, console)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=stage.server, timeout=120))
        agent_id = await _talk(client, console)
        console.print(Rule("The agent runs"))
        execution = await _run(client, console, agent_id)
        report = await _save_report(client, folder, execution)
    console.print(Padding(Markdown(report.read_text()), (1, 2)))
    skills = stage.home / "skills" / "tenants" / "default" / "agents" / agent_id / "skills"
    result = {
        "status": execution["status"],
        "agent_id": agent_id,
        "run_id": execution["id"],
        "report": str(report),
        "skills": str(skills),
        "seconds": round(time.monotonic() - begun, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if execution["status"] == "completed" else 1


async def _set_up(stack: AsyncExitStack, folder: Path, console: Console) -> Stage:
    from omniforge.integrations.catalog.notion import standin  # noqa: PLC0415

    server_port, notion_port = free_port(), free_port()
    stage = Stage(folder, f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{notion_port}")
    redirect = f"{stage.server}/oauth/callback/notion"
    settings = {
        "OMNIFORGE_HOME": stage.home,
        "OMNIFORGE_PORT": server_port,
        "OMNIFORGE_TIMEZONE": "Europe/Berlin",
        "OMNIFORGE_NOTION_BASE_URL": stage.notion,
        "NOTION_CLIENT_ID": standin.CLIENT_ID,
        "NOTION_CLIENT_SECRET": standin.CLIENT_SECRET,
        "NOTION_REDIRECT_URI": redirect,
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    console.print(f"A local stand-in for Notion at {stage.notion} (sample data), OmniForge at {stage.server}")
    notion = ["dev", "services", "--only", "notion", "--port", str(notion_port), "--server", stage.server]
    await stack.enter_async_context(
        program(folder, notion, "notion.log", f"{stage.notion}/_control/requests")
    )
    await stack.enter_async_context(program(folder, ["up"], "server.log", f"{stage.server}/health"))
    return stage


@asynccontextmanager
async def program(folder: Path, args: list[str], log: str, address: str) -> AsyncGenerator[None]:
    """One of our commands as a process of its own, until the block ends; entered once it answers."""
    with (folder / log).open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omniforge.cli.main", *args, cwd=folder, stdout=file, stderr=file
        )
        try:
            await _answering(process, address, folder / log)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _answering(process: asyncio.subprocess.Process, address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise Unavailable(f"{address} did not start: {log.read_text()[-2000:]}")
            try:
                await client.get(address)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise Unavailable(f"{address} did not answer within {START_SECONDS} seconds; see {log}")


async def _talk(client: httpx.AsyncClient, console: Console) -> str:
    """The conversation of CONVERSATION; returns the id of the agent it made."""
    started = await ask(client, "POST", "/api/v1/conversation/start", json={"timezone": "Europe/Berlin"})
    path = f"/api/v1/conversation/{started['session_id']}/message"
    _show(console, "OmniForge", str(started["message"]))
    oauth_url: str | None = None
    reply: dict[str, Any] = {}
    for said in CONVERSATION:
        _show(console, "Maya", said)
        if said == CONNECT:
            if oauth_url is None:
                raise DemoFailed(f"No address to connect at was given: {reply.get('text')}")
            console.print(f"  {await allow(oauth_url)}\n", style="dim")
            continue
        reply = await ask(client, "POST", path, json={"message": said})
        _show(console, "OmniForge", reply["text"])
        if reply["oauth_url"]:
            oauth_url = str(reply["oauth_url"])
            console.print(f"  {oauth_url}\n", style="dim", soft_wrap=True)
    agent_id = reply["data"].get("draft_agent_id")
    if reply["phase"] != "complete" or not agent_id:
        raise DemoFailed(f"The conversation ended in the phase {reply['phase']}: {reply['text']}")
    return str(agent_id)


def _show(console: Console, who: str, text: str) -> None:
    console.print(f"[bold {'cyan' if who == 'Maya' else 'green'}]{who}[/]")
    console.print(Padding(Markdown(text), (0, 0, 1, 2)))


async def allow(address: str) -> str:
    """Press Allow on the sign-in page, as a person would; returns what the last page says."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
        page = await browser.get(address)
        form = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        target = urljoin(str(page.url), unescape(form[1]) if form else "")
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
        button = re.search(r'<button[^>]*name="([^"]+)"[^>]*value="(allow)"', page.text, re.IGNORECASE)
        data = {name: unescape(value) for name, value in fields.items()}
        if button:
            data[button[1]] = button[2]
        answer = await browser.post(target, data=data)
        if answer.is_error:
            raise DemoFailed(f"Connecting failed: {answer.status_code} {answer.text[:500]}")
        said = re.search(r"<p>(.*?)</p>", answer.text, re.DOTALL)
        return unescape(said[1]) if said else "The last page said nothing."


async def _run(client: httpx.AsyncClient, console: Console, agent_id: str) -> dict[str, Any]:
    started = await ask(client, "POST", f"/api/v1/agents/{agent_id}/run", json={"input_data": {}})
    async for event in events(client, str(started["execution_id"])):
        show_event(console, event)
    return await ask(client, "GET", f"/api/v1/executions/{started['execution_id']}")


async def _save_report(client: httpx.AsyncClient, folder: Path, execution: dict[str, Any]) -> Path:
    result: dict[str, Any] = execution.get("result") or {}
    artifacts: list[dict[str, Any]] = result.get("artifacts") or []
    if not artifacts:
        raise DemoFailed(f"The run ended {execution['status']} without a report: {execution.get('error')}")
    address = f"/api/v1/executions/{execution['id']}/artifacts/{artifacts[0]['sha256']}"
    answer = await client.get(address)
    answer.raise_for_status()
    report = folder / "report.md"
    report.write_bytes(answer.content)
    return report


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
