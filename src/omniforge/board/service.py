"""The board of an installation: its rooms, put together."""

from __future__ import annotations

from omniforge.board.blocking import Blocking
from omniforge.board.columns import BoardColumns
from omniforge.board.commits import Commits
from omniforge.board.context import Contexts
from omniforge.board.conversation import Conversation
from omniforge.board.creation import Creation
from omniforge.board.dependencies import Dependencies
from omniforge.board.detection import Detection
from omniforge.board.duplicates import Duplicates
from omniforge.board.following import Following
from omniforge.board.hindrances import Hindrances
from omniforge.board.moves import Moves
from omniforge.board.phases import BoardPhases
from omniforge.board.ports import Gatekeeper, Setback
from omniforge.board.projects import Projects
from omniforge.board.reviews import Reviews
from omniforge.board.similarity import Embedder
from omniforge.board.specs import Specs
from omniforge.board.tasks import Tasks
from omniforge.board.ticket_edges import TicketEdges
from omniforge.board.tickets import Tickets
from omniforge.board.views import BoardViews
from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.events import EventLog


class BoardService:
    """Every room of the board by its name. Without `gates` every gate is shut; without `setback` a ticket is
    held that evidence speaks against. `embedder` finds likes of tickets; ours needs nobody."""

    def __init__(
        self,
        db: Database,
        events: EventLog,
        clock: Clock,
        *,
        embedder: Embedder | None = None,
        gates: Gatekeeper | None = None,
        setback: Setback | None = None,
    ) -> None:
        self.db, self.events, self.clock = db, events, clock
        self.gates = gates
        self.tasks = Tasks(events, clock)
        self.moves = Moves(db, events, clock, self.tasks, gates, setback)
        self.projects = Projects(db, events, clock, self.tasks)
        self.columns = BoardColumns(db, events, clock)
        self.views = BoardViews(db, clock)
        self.phases = BoardPhases(db, clock)
        edges = TicketEdges(self.tasks, clock)
        self.reviews = Reviews(db, self.tasks)
        self.duplicates = Duplicates(db, clock, embedder)
        self.creation = Creation(
            self.moves, dependencies=edges, reviews=self.reviews, duplicates=self.duplicates
        )
        self.dependencies = Dependencies(db, events, edges)
        self.blocking = Blocking(self.tasks)
        self.hindrances = Hindrances(db, self.moves, self.blocking)
        self.detection = Detection(db, self.blocking)
        self.conversation = Conversation(db, events, clock)
        self.commits = Commits(db, events, clock)
        self.contexts = Contexts(db, events, clock)
        self.tickets = Tickets(db, self.moves, self.creation)
        self.specs = Specs(db, events, clock, creation=self.creation, tasks=self.tasks)
        self.following = Following(db, self.moves)

    def follow(self) -> None:
        """Hear what happens, and move what may move then. Lost calls are made good from the stored place."""
        self.events.subscribe("board.moves", self.following.types, self.following.hear)
        self.events.subscribe("board.specs", self.specs.types, self.specs.hear)
