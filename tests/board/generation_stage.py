"""A board whose specs are made by a model that says what a test wants, behind the real HTTP endpoints."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from tests.sandboxes.plain_workspaces import tar_of

from any_engine import make_engine
from board_stage import BASE, Stage
from model_stage import ModelStage
from omniforge.api.app import omniforge_error, validation_error
from omniforge.board.endpoints import ROUTERS
from omniforge.board.generation.service import Generation
from omniforge.board.generation.steps import PhaseStep
from omniforge.board.judging import Judging
from omniforge.board.repository import Repositories
from omniforge.board.service import BoardService
from omniforge.board.store.projects import ProjectRow
from omniforge.core.clock import SystemClock
from omniforge.core.config import ModelSettings, Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.llm.client import Models
from omniforge.llm.scripts import Asked, Turn
from omniforge.runs.service import RunService
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

Json = dict[str, Any]
WISH = "Let customers search their orders"
QUESTIONS = [f"What about case {number}?" for number in range(1, 6)]
GOOD: dict[str, Json] = {
    "understand": {
        "name": "order-search",
        "one_line": "Customers find their orders.",
        "problem": "They scroll through hundreds of orders.",
        "users": "Customers of the shop",
        "stories": [
            "As a customer I want to search by word so that I find an order.",
            "As a customer I want to filter by date so that the list is short.",
            "As a customer I want to see why nothing was found so that I can try again.",
        ],
        "in_scope": ["search by word and date"],
        "out_of_scope": ["search by picture"],
        "constraints": ["one second"],
        "risks": ["slow queries"],
        "questions": [{"question": "How many orders?", "assumption": "a million"}],
    },
    "research": {
        "findings": [{"topic": "index", "source": "src/orders.py", "note": "orders have a title"}],
        "reuse": [{"path": "src/orders.py", "why": "reads orders"}],
    },
    "requirements": {
        "requirements": [
            {
                "ref": f"REQ-ORDER-API-00{number}",
                "title": title,
                "condition": condition,
                "action": action,
                "criteria": [{"text": f"{title} is seen"}, {"text": f"{title} is tested"}],
                "stories": [number],
            }
            for number, (title, condition, action) in enumerate(
                [
                    ("Finds", "WHEN a word is given", "THE SYSTEM SHALL list orders that hold it."),
                    ("Filters", "WHEN a date is given", "THE SYSTEM SHALL list orders of that day."),
                    ("Tells", "IF nothing is found", "THE SYSTEM SHALL say so."),
                ],
                start=1,
            )
        ]
    },
    "design": {
        "architecture": "One service over the orders.",
        "components": [
            {"name": "Search index", "layer": "data", "duties": ["REQ-ORDER-API-001, REQ-ORDER-API-002"]},
            {"name": "Search page", "layer": "web", "duties": ["REQ-ORDER-API-003"]},
        ],
        "data_model": "Orders with words.",
        "data_models": [{"name": "Order", "fields": [{"name": "id", "type": "text"}]}],
        "api_spec": [{"method": "GET", "endpoint": "/orders", "description": "search"}],
        "errors": ["no such order: 404"],
    },
    "tickets": {
        "tickets": [
            {
                "ref": "TKT-001",
                "title": "Build the index",
                "description": "Words of orders.",
                "component": "Search index",
                "estimate": "M",
                "requirements": ["REQ-ORDER-API-001", "REQ-ORDER-API-002"],
            },
            {
                "ref": "TKT-002",
                "title": "Show what was found",
                "description": "A page.",
                "component": "Search page",
                "estimate": "S",
                "requirements": ["REQ-ORDER-API-003"],
                "depends_on": ["TKT-001"],
            },
        ]
    },
    "tasks": {
        "tasks": [
            {
                "ref": f"TSK-00{number}",
                "ticket": ticket,
                "title": title,
                "estimate": "S",
                "deliverables": [{"path": path}],
                "owned_files": [path],
                "criteria": [{"text": "passes", "kind": "command", "check": {"command": "pytest -q"}}],
            }
            for number, (ticket, title, path) in enumerate(
                [
                    ("TKT-001", "Write the index", "src/index.py"),
                    ("TKT-001", "Test the index", "tests/test_index.py"),
                    ("TKT-002", "Write the page", "src/page.py"),
                ],
                start=1,
            )
        ]
    },
    "questions": {"questions": QUESTIONS},
}
"""An answer of each phase that passes."""


def good(phase: str, **changes: Any) -> Json:
    """The answer of a phase that passes, with these parts changed."""
    return copy.deepcopy(GOOD[phase]) | changes


@dataclass
class Author:
    """Says what is next for the phase it is asked about, else what passes. `heard`: what it was asked."""

    answers: dict[str, list[Json | Turn]] = field(default_factory=dict[str, list[Json | Turn]])
    heard: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def __call__(self, asked: Asked) -> Turn:
        headings = {"questions": "**Ask first.**"} | {
            phase: f"**{phase.capitalize()}.**" for phase in GOOD if phase != "questions"
        }
        phase = next(phase for phase, heading in headings.items() if heading in asked.text)
        self.heard.append((phase, asked.text))
        waiting = self.answers.get(phase)
        answer = waiting.pop(0) if waiting else GOOD[phase]
        return answer if isinstance(answer, Turn) else Turn(value=answer)

    def told(self, phase: str) -> list[str]:
        return [text for name, text in self.heard if name == phase]


@dataclass
class GenerationStage(Stage):
    author: Author
    runs: RunService
    repositories: Repositories

    async def spec(self, **settings: Any) -> str:
        """A spec that says one line, in a project with one file."""
        project_id = await self.project(settings=settings)
        async with self.db.read() as session:
            project = await session.get_one(ProjectRow, project_id)
        await self.repositories.ensure(project)
        made = await self.repositories.snapshot(
            project_id, tar_of({"src/orders.py": "ORDERS = []\n"}), None, "a"
        )
        await self.repositories.merge(project_id, "main", made.commit, "a")
        return (await self.call("POST", "/specs", 201, project_id=project_id, title=WISH))["id"]

    async def generate(self, spec_id: str, **given: Any) -> Json:
        """Start it, and wait until it is over or waits for somebody."""
        started = await self.call("POST", f"/specs/{spec_id}/generate", 202, **given)
        await self.runs.engine.wait(started["run_id"])
        return started

    async def status(self, run_id: str) -> str:
        stored = await self.runs.engine.store.run(run_id)
        assert stored is not None
        return stored.status.value

    async def over(self, run_id: str) -> str:
        """How a run ends that goes on by itself."""
        async with asyncio.timeout(20):
            while (status := await self.status(run_id)) in ("queued", "running", "waiting"):
                await asyncio.sleep(0.01)
        return status

    async def until(self, met: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(20):
            while not await met():
                await asyncio.sleep(0.01)

    async def phases(self, spec_id: str) -> list[Json]:
        """Attempts, oldest first."""
        listed = await self.call("GET", f"/specs/{spec_id}/phases", limit=200)
        return list(reversed(listed["phases"]))

    async def told(self, *types: str) -> list[Json]:
        return [event["payload"] for event in await self.events(*types)]


@asynccontextmanager
async def open_generation(
    db: Database, home: Path, *, has_model: bool = True
) -> AsyncGenerator[GenerationStage]:
    await db.create_tables()
    settings = Settings(home=home)
    tenants = TenantService(
        db, settings, SystemClock(), SecretBox(MasterKeys.from_settings(settings)), load_jwt_key(settings)
    )
    await tenants.bootstrap()
    author = Author()
    models = ModelStage.written(author).client if has_model else Models(ModelSettings())
    handlers: dict[str, Handler] = {}
    engine = make_engine(db, handlers, home)
    runs = RunService(engine, max_unfinished=100)
    repositories = Repositories(home / "repositories", engine.clock)
    board = BoardService(db, engine.events, engine.clock)
    judging = Judging(db, engine.events, engine.clock, repositories, engine.artifacts, runs=runs)
    judging.connect(board.moves, life=board.specs.life, reviews=board.reviews)
    specs = board.specs
    handlers |= PhaseStep(specs, models, repositories).handlers()
    app = FastAPI()
    app.state.tenants, app.state.board, app.state.judging = tenants, board, judging
    app.state.generation = Generation(db, specs.life, runs, models)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    transport = httpx.ASGITransport(app)
    await engine.open()
    app.state.generation.follow(engine.events)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=20) as http:
        yield GenerationStage(db, tenants, board, transport, http, author, runs, repositories)
    await app.state.generation.close()
    await engine.close()
