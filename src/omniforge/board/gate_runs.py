"""Runs the commands of a gate: one run per evaluation, in a sandbox that holds the merged work."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.checks import Checks, CheckSubject
from omniforge.board.gate_standing import GateStandings, Shown, Standing
from omniforge.board.gate_trees import Repositories
from omniforge.board.moves import Moves, system_actor
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.trees import file_in
from omniforge.board.vocabulary import MoveCause, PhaseId, TicketStatus
from omniforge.board.workflow import phase_of
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Fatal, NotFound, ProviderError, RateLimited, Retryable, Unavailable
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import RunStatus, StepResult
from omniforge.runs.service import RunService, StartRequest
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow
from omniforge.sandboxes.workspaces import Execution

HOST = "system:host"
KIND = "gate"
MARGIN = 900.0
"""Seconds beside those of the commands: for making the sandbox and taking it down."""
READ_FILE = '[ -f "$1" ] && [ ! -L "$1" ] && exec cat -- "$1"; exit 1'
READ_SECONDS = 60.0
MAX_RUNS_LOOKED_AT = 200


class Evidence(Protocol):
    async def store_evidence(
        self, session: AsyncSession, ticket: TicketRow, phase: PhaseId, receipts: Sequence[ReceiptRow]
    ) -> object:
        """What the commands of a gate have shown, as artifacts."""
        ...


class GateRuns:
    """Starts the run of an evaluation. The same ticket, entry and tree never have two under way."""

    def __init__(self, runs: RunService) -> None:
        self.runs = runs

    async def start(self, ticket: TicketRow, standing: Standing, cause: MoveCause) -> str:
        """Id of the run, also of the one that is under way already. One that broke does not stand in the way
        of the next that somebody asks for."""
        key, subject = f"gate/{ticket.id}/{ticket.phase_entry}/{standing.tree_hash}", f"gate:{ticket.id}"
        found, _ = await self.runs.engine.store.list_runs(
            ticket.tenant_id, subject=subject, limit=MAX_RUNS_LOOKED_AT
        )
        earlier = [run for run, _ in found if (run.idempotency_key or "").startswith(key)]
        for run in earlier:
            if not RunStatus(run.status).is_over:
                return run.id
        actor = Actor(ticket.tenant_id, "system", Role.VIEWER, HOST, frozenset({"agent:execute"}))
        request = StartRequest(
            plan_for_gate(ticket, standing, cause),
            subject,
            trigger_type=KIND,
            triggered_by=HOST,
            idempotency_key=f"{key}/{len(earlier) + 1}" if earlier else key,
        )
        return await self.runs.start_run(actor, request)


def plan_for_gate(ticket: TicketRow, standing: Standing, cause: MoveCause) -> Plan:
    """Pure: one step, which is done again from what is there already whenever it is interrupted."""
    seconds = sum(float(one.command.fields["timeout_seconds"]) for one in standing.missing if one.command)
    args = {
        "ticket_id": ticket.id,
        "from_status": standing.from_status.value,
        "phase_entry": ticket.phase_entry,
        "tree_hash": standing.tree_hash,
        "cause": cause.value,
    }
    retry = Retry(attempts=4, delay=2.0, max_delay=30.0)
    return Plan((Step("evaluate", KIND, args, timeout=seconds + MARGIN, retry=retry),))


class GateStep:
    """Step kind `gate`. Output: `{"ran": [keys], "hops": [statuses]}`."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        standings: GateStandings,
        checks: Checks,
        sandboxes: SandboxService,
        repositories: Repositories,
        moves: Moves,
        evidence: Evidence | None = None,
    ) -> None:
        self.db, self.standings, self.checks = db, standings, checks
        self.sandboxes, self.repositories, self.moves = sandboxes, repositories, moves
        self.evidence = evidence

    async def __call__(self, call: StepCall) -> StepResult:
        args: dict[str, Any] = dict(call.step.args)
        ran: list[str] = []
        ticket, standing = await self._look(call.run.tenant_id, args)
        if ticket is None or standing is None:
            return StepResult({"ran": [], "hops": []}, "the ticket has moved on")
        if standing.missing:
            try:
                ran = await self._run_missing(call.run.id, args, ticket, standing)
            except (ProviderError, RateLimited) as error:
                raise Retryable(error.message, code=error.code, retry_after=error.retry_after) from error
            except Unavailable as error:
                raise Fatal(error.message, code=error.code) from error
        try:
            done = await self.moves.advance_ticket(
                system_actor(ticket.tenant_id, "advance"), ticket.id, cause=MoveCause(args["cause"])
            )
        except NotFound:
            return StepResult({"ran": ran, "hops": []}, "the ticket is gone")
        hops = [hop.value for hop in done.hops]
        return StepResult({"ran": ran, "hops": hops}, f"{len(ran)} checks run")

    async def _look(self, tenant_id: str, args: dict[str, Any]) -> tuple[TicketRow | None, Standing | None]:
        """The ticket and its gate, as long as it is still the evaluation that was started."""
        async with self.db.read() as session:
            ticket = await session.get(TicketRow, args["ticket_id"])
            if ticket is None or ticket.tenant_id != tenant_id or ticket.archived:
                return None, None
            asked = (args["from_status"], args["phase_entry"])
            if (ticket.status, ticket.phase_entry) != asked:
                return None, None
            standing = await self.standings.stand(session, ticket)
        return ticket, standing

    async def _run_missing(
        self, run_id: str, args: dict[str, Any], ticket: TicketRow, standing: Standing
    ) -> list[str]:
        """Keys of the checks that were run. Work that is merged meanwhile ends it: what comes after would be
        about files that count no more."""
        assert standing.head is not None  # noqa: S101 - commands are run on files
        tree = await self.repositories.tree(ticket.project_id, standing.head.commit)
        ran: list[ReceiptRow] = []
        async with self._sandbox(run_id, ticket, tree) as sandbox:
            tree_hash, left = standing.tree_hash, standing.missing
            while left and standing.tree_hash == tree_hash:
                ran.append(await self._run(sandbox, ticket, standing, left[0]))
                done = {receipt.check_key for receipt in ran}
                current, again = await self._look(ticket.tenant_id, args)
                if current is None or again is None:
                    break
                ticket, standing = current, again
                left = [one for one in standing.missing if one.check.key not in done]
            await self._finish(sandbox, ticket, ran)
        return [receipt.check_key for receipt in ran]

    async def _run(
        self, sandbox: SandboxRow, ticket: TicketRow, standing: Standing, one: Shown
    ) -> ReceiptRow:
        assert one.command is not None  # noqa: S101 - only commands are missing
        assert standing.tree_hash is not None  # noqa: S101 - the same

        async def execute(argv: Sequence[str], cwd: str, timeout: float) -> Execution:
            return await self.sandboxes.execute(sandbox.id, argv, cwd, None, timeout)

        async def read_file(path: str) -> bytes | None:
            return await self._file(sandbox.id, path)

        about = CheckSubject(
            tenant_id=ticket.tenant_id,
            project_id=ticket.project_id,
            ticket_id=ticket.id,
            phase_entry=ticket.phase_entry,
            from_status=standing.from_status.value,
        )
        return await self.checks.run_command(
            HOST,
            one.command,
            execute=execute,
            about=about,
            tree_hash=standing.tree_hash,
            image=sandbox.image or "",
            read_file=read_file,
        )

    async def _file(self, sandbox_id: str, path: str) -> bytes | None:
        """A regular file of the workspace; a large one is taken out of the whole."""
        argv = ("/bin/sh", "-c", READ_FILE, "sh", path if path.startswith("/") else f"./{path}")
        read = await self.sandboxes.execute(sandbox_id, argv, ".", None, READ_SECONDS)
        if read.exit_code != 0:
            return None
        if not read.truncated:
            return read.output
        return file_in(await self.sandboxes.read_tree(sandbox_id), path)

    # --- its sandbox ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _sandbox(self, run_id: str, ticket: TicketRow, tree: bytes) -> AsyncGenerator[SandboxRow]:
        """A sandbox with these files; gone afterwards, whatever happened, as is one of an earlier try."""
        await self._clear(run_id)
        async with self.db.transaction() as session:
            project = await session.get_one(ProjectRow, ticket.project_id)
            asked = await self.sandboxes.request_check_in(
                session,
                tenant_id=ticket.tenant_id,
                project_id=ticket.project_id,
                ticket_id=ticket.id,
                run_id=run_id,
                provider=project.settings.get("sandbox_provider", "local"),
                network=project.settings.get("sandbox_network", "allowlist"),
            )
        try:
            await self.sandboxes.provision(asked.id, tree)
            yield await self.sandboxes.get(asked.id)
        except (ProviderError, Unavailable) as error:
            async with self.db.transaction() as session:
                await self.sandboxes.fail_in(session, asked, error.code, error.message)
            raise
        finally:
            await self.sandboxes.terminate(asked.id, "the gate was evaluated")

    async def _clear(self, run_id: str) -> None:
        async with self.db.read() as session:
            query = select(SandboxRow.id).where(
                SandboxRow.run_id == run_id, SandboxRow.state.in_(LIVE_STATES)
            )
            left = list(await session.scalars(query))
        for sandbox_id in left:
            await self.sandboxes.terminate(sandbox_id, "its evaluation was interrupted")

    async def _finish(self, sandbox: SandboxRow, ticket: TicketRow, ran: Sequence[ReceiptRow]) -> None:
        outcome = "passed" if all(receipt.passed for receipt in ran) else "failed"
        async with self.db.transaction() as session:
            await self.sandboxes.work_finished_in(session, sandbox.id)
            if self.evidence is not None and ran:
                fresh = await session.get_one(TicketRow, ticket.id, with_for_update=True)
                phase = phase_of(TicketStatus(ticket.status))
                await self.evidence.store_evidence(session, fresh, phase, ran)
            await self.sandboxes.complete_in(session, sandbox, outcome)
