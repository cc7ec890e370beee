"""Every room of the board of an installation, put together in the order in which they know each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path

from omniforge.board.artifacts import Artifacts
from omniforge.board.briefs import MAX_COST_USD, MAX_TURNS
from omniforge.board.chain import Chain
from omniforge.board.gate_runs import KIND, GateStep
from omniforge.board.generation.service import Generation
from omniforge.board.generation.steps import PhaseStep
from omniforge.board.judging import Judging
from omniforge.board.proofs import Proofs
from omniforge.board.repository import Repositories
from omniforge.board.service import BoardService
from omniforge.board.starting import AttemptRuns
from omniforge.board.store.queue import Capacity
from omniforge.board.work import WorkService
from omniforge.board.worker_models import Budget, WorkerModels
from omniforge.board.workshop import Workshop
from omniforge.engine.active import Handler
from omniforge.llm.protocol import ModelClient
from omniforge.runs.service import RunService
from omniforge.sandboxes.service import SandboxService
from omniforge.skills.service import SkillService


@dataclass(frozen=True, slots=True)
class Ground:
    """What the board stands on."""

    runs: RunService
    sandboxes: SandboxService
    skills: SkillService
    models: ModelClient
    repositories: Path
    """Folder of the projects' repositories."""
    capacity: Capacity = field(default_factory=Capacity)
    capabilities: Collection[str] = ()
    auditor: str | None = None
    """The command that audits dependencies, in place of the usual ones."""


@dataclass(frozen=True, slots=True)
class BoardRooms:
    """By the names under which endpoints look for them."""

    board: BoardService
    work: WorkService
    proofs: Proofs
    judging: Judging
    workshop: Workshop
    worker_models: WorkerModels
    chain: Chain
    generation: Generation

    @classmethod
    def make(cls, ground: Ground) -> BoardRooms:
        runs, sandboxes = ground.runs, ground.sandboxes
        engine, db, clock = runs.engine, sandboxes.db, sandboxes.clock
        events, kept = engine.events, engine.artifacts
        repositories = Repositories(ground.repositories, clock)
        handovers = Artifacts(db, events, clock)
        judging = Judging(
            db,
            events,
            clock,
            repositories,
            kept,
            runs=runs,
            handovers=handovers,
            auditor=ground.auditor,
        )
        board = BoardService(db, events, clock, gates=judging.gates, setback=judging.setbacks)
        judging.connect(board.moves, life=board.specs.life, reviews=board.reviews)
        proofs = Proofs(db, events, clock, kept)
        attempts = AttemptRuns(db, runs)
        work = WorkService(
            db,
            board.tasks,
            blocker=board.blocking,
            start=attempts.start_in,
            capacity=ground.capacity,
            models=ground.models,
        )
        workshop = Workshop(sandboxes, work)
        chain = Chain(
            board,
            judging,
            workshop,
            attempts,
            repositories,
            proofs.checks,
            ground.skills,
            models=ground.models,
            capabilities=ground.capabilities,
        )
        gate = GateStep(
            db, judging.standings, proofs.checks, sandboxes, repositories, board.moves, proofs.artifacts
        )
        chain.handlers[KIND] = gate
        specs = board.specs
        phase = PhaseStep(specs, ground.models, repositories)
        chain.handlers |= phase.handlers()
        generation = Generation(db, specs.life, runs, ground.models)
        budget = Budget(MAX_TURNS, MAX_COST_USD)
        models = WorkerModels(db, ground.models, model_of=chain.briefs.model_of, budget=budget)
        return cls(board, work, proofs, judging, workshop, models, chain, generation)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What the engine does for the board."""
        return self.chain.handlers

    def follow(self) -> None:
        """Hear what happens, from where it was heard last."""
        self.board.follow()
        self.judging.follow()
        self.chain.dispatch.follow(self.board.events)
        self.generation.follow(self.board.events)

    async def close(self) -> None:
        """What is being written is finished; what only waits ends."""
        await self.chain.dispatch.close()
        await self.generation.close()
        await self.chain.runs.close()

    def attach(self, state: object) -> None:
        """Put each room where its endpoints look for it."""
        for part in fields(self):
            setattr(state, part.name, getattr(self, part.name))
