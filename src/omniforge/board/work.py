"""The work of an installation's board: everything about tasks, put together."""

from __future__ import annotations

from omniforge.board.attempts import Attempts, Blocker
from omniforge.board.blocking import Blocking
from omniforge.board.claims import Claims, StartRun
from omniforge.board.dependency_graph import DependencyGraphs
from omniforge.board.leases import Leases
from omniforge.board.store.queue import Capacity
from omniforge.board.task_edits import TaskEdits
from omniforge.board.task_views import TaskViews
from omniforge.board.tasks import Tasks
from omniforge.board.titles import Titles
from omniforge.db import Database
from omniforge.llm.protocol import ModelClient


class WorkService:
    """Every room of tasks by its name. `tasks` is what other rooms of the board are given as well. Without
    `start`, which starts the run of an attempt, nothing is claimed here: `claims` is None."""

    def __init__(
        self,
        db: Database,
        tasks: Tasks,
        *,
        blocker: Blocker | None = None,
        start: StartRun | None = None,
        capacity: Capacity = Capacity(),  # noqa: B008 - immutable
        models: ModelClient | None = None,
    ) -> None:
        self.db, self.tasks = db, tasks
        self.edits = TaskEdits(db, tasks)
        self.views = TaskViews(db, tasks.clock)
        self.graphs = DependencyGraphs(db)
        self.titles = Titles(db, tasks.events, tasks.clock, models)
        self.attempts = Attempts(db, tasks, blocker or Blocking(tasks))
        self.leases = Leases(db, self.attempts)
        self.claims = None if start is None else Claims(db, self.leases, start, capacity)
