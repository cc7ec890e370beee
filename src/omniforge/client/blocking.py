"""The rooms of the client without `await`: each call is the asynchronous one's, on a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal

from omniforge.client import agents, board, executions, skills

Room = TypeVar("Room")
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
END = object()


class SyncRoom(Generic[Room]):
    """A room of the asynchronous client, and the thread its calls happen on."""

    def __init__(self, room: Room, portal: BlockingPortal) -> None:
        self._room, self._portal = room, portal


def _waits(
    method: Callable[Concatenate[Room, Given], Coroutine[Any, Any, Answer]],
) -> Callable[Concatenate[SyncRoom[Room], Given], Answer]:
    def call(self: SyncRoom[Room], /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return self._portal.call(lambda: method(self._room, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    call.__doc__, call.__name__ = method.__doc__, method.__name__
    return call


def _yields(
    method: Callable[Concatenate[Room, Given], AsyncGenerator[Answer]],
) -> Callable[Concatenate[SyncRoom[Room], Given], Generator[Answer]]:
    def call(self: SyncRoom[Room], /, *args: Given.args, **kwargs: Given.kwargs) -> Generator[Answer]:
        events = method(self._room, *args, **kwargs)  # pyright: ignore[reportPrivateUsage]
        portal = self._portal  # pyright: ignore[reportPrivateUsage]

        async def following() -> Any:
            return await anext(events, END)

        try:
            while (event := portal.call(following)) is not END:
                yield event
        finally:
            portal.call(events.aclose)

    call.__doc__, call.__name__ = method.__doc__, method.__name__
    return call


class SyncAgents(SyncRoom[agents.Agents]):
    list = _waits(agents.Agents.list)
    get = _waits(agents.Agents.get)
    create = _waits(agents.Agents.create)
    update = _waits(agents.Agents.update)
    replace = _waits(agents.Agents.replace)
    delete = _waits(agents.Agents.delete)
    test = _waits(agents.Agents.test)
    activate = _waits(agents.Agents.activate)
    pause = _waits(agents.Agents.pause)
    run = _waits(agents.Agents.run)
    get_executions = _waits(agents.Agents.get_executions)
    versions = _waits(agents.Agents.versions)
    rollback = _waits(agents.Agents.rollback)


class SyncExecutions(SyncRoom[executions.Executions]):
    list = _waits(executions.Executions.list)
    get = _waits(executions.Executions.get)
    wait = _waits(executions.Executions.wait)
    stream = _yields(executions.Executions.stream)
    cancel = _waits(executions.Executions.cancel)


class SyncSkills(SyncRoom[skills.Skills]):
    list = _waits(skills.Skills.list)
    get = _waits(skills.Skills.get)
    save = _waits(skills.Skills.save)
    delete = _waits(skills.Skills.delete)


class SyncProjects(SyncRoom[board.Projects]):
    list = _waits(board.Projects.list)
    get = _waits(board.Projects.get)
    create = _waits(board.Projects.create)


class SyncSpecs(SyncRoom[board.Specs]):
    list = _waits(board.Specs.list)
    get = _waits(board.Specs.get)
    create = _waits(board.Specs.create)
    import_ = _waits(board.Specs.import_)
    import_file = _waits(board.Specs.import_file)


class SyncTickets(SyncRoom[board.Tickets]):
    list = _waits(board.Tickets.list)
    get = _waits(board.Tickets.get)


class SyncTasks(SyncRoom[board.Tasks]):
    list = _waits(board.Tasks.list)
    get = _waits(board.Tasks.get)


class SyncBoard(SyncRoom[board.Board]):
    def __init__(self, room: board.Board, portal: BlockingPortal) -> None:
        super().__init__(room, portal)
        self.projects, self.specs = SyncProjects(room.projects, portal), SyncSpecs(room.specs, portal)
        self.tickets, self.tasks = SyncTickets(room.tickets, portal), SyncTasks(room.tasks, portal)

    events = _yields(board.Board.events)
