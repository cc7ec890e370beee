"""LangGraph over its SQLite checkpointer (WAL, synchronous NORMAL): durable steps, and many runs at once."""

from __future__ import annotations

import asyncio
import operator
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bench.timing import (
    FAN,
    PAYLOAD,
    STEPS_OF_CHAIN,
    STEPS_OF_FAN,
    LoopLag,
    ms_per_step,
    options,
    peak_mb,
    report,
)


class ChainState(TypedDict, total=False):
    a: dict[str, Any]
    b: dict[str, Any]
    c: dict[str, Any]


class FanState(TypedDict, total=False):
    number: int
    begun: dict[str, Any]
    done: Annotated[list[dict[str, Any]], operator.add]
    total: int


def chain(saver: AsyncSqliteSaver):
    async def a(state: ChainState) -> ChainState:
        return {"a": {"n": 1, "text": PAYLOAD}}

    async def b(state: ChainState) -> ChainState:
        return {"b": {"n": state["a"]["n"] + 1, "text": PAYLOAD}}

    async def c(state: ChainState) -> ChainState:
        return {"c": {"n": state["b"]["n"] + 1, "text": PAYLOAD}}

    graph = StateGraph(ChainState)
    for name, node in (("a", a), ("b", b), ("c", c)):
        graph.add_node(f"do_{name}", node)
    graph.add_edge(START, "do_a").add_edge("do_a", "do_b").add_edge("do_b", "do_c").add_edge("do_c", END)
    return graph.compile(checkpointer=saver)


def fan(saver: AsyncSqliteSaver):
    async def begin(state: FanState) -> FanState:
        return {"begun": {"n": 1, "text": PAYLOAD}}

    async def work(state: FanState) -> FanState:
        return {"done": [{"n": state["number"], "text": PAYLOAD}]}

    async def gather(state: FanState) -> FanState:
        return {"total": len(state["done"])}

    graph = StateGraph(FanState)
    graph.add_node("begin", begin).add_node("work", work).add_node("gather", gather)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges(
        "begin", lambda _: [Send("work", {"number": n}) for n in range(FAN)], ["work"]
    )
    graph.add_edge("work", "gather").add_edge("gather", END)
    return graph.compile(checkpointer=saver)


def sleeping(saver: AsyncSqliteSaver):
    async def nap(state: ChainState) -> ChainState:
        await asyncio.sleep(0.2)
        return {"a": {"n": 1, "text": PAYLOAD}}

    graph = StateGraph(ChainState)
    graph.add_node("nap", nap).add_edge(START, "nap").add_edge("nap", END)
    return graph.compile(checkpointer=saver)


async def durable_steps(saver: AsyncSqliteSaver, durability: str, seconds: float) -> dict[str, float]:
    threads = count()

    def starter(graph: Any):
        async def finish() -> None:
            config = {"configurable": {"thread_id": str(next(threads))}, "max_concurrency": None}
            await graph.ainvoke({}, config, durability=durability)

        return finish

    chained, fanned = starter(chain(saver)), starter(fan(saver))
    return {
        "chain": await ms_per_step(chained, STEPS_OF_CHAIN, at_once=1, seconds=seconds),
        "at_once": await ms_per_step(chained, STEPS_OF_CHAIN, at_once=32, seconds=seconds),
        "fan": await ms_per_step(fanned, STEPS_OF_FAN, at_once=1, seconds=seconds),
    }


async def many_runs(saver: AsyncSqliteSaver, durability: str, runs: int) -> dict[str, float]:
    graph = sleeping(saver)

    async def finish(number: int) -> None:
        await graph.ainvoke({}, {"configurable": {"thread_id": str(number)}}, durability=durability)

    await finish(-1)
    begun = time.perf_counter()
    async with LoopLag() as lag:
        await asyncio.gather(*(finish(number) for number in range(runs)))
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "peak_mb": peak_mb(), "lag_p99_ms": lag.p99_ms()}


async def main() -> None:
    asked = options()
    durability = asked.get("durability", "sync")
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncSqliteSaver.from_conn_string(str(Path(folder) / "checkpoints.db")) as saver:
            await saver.setup()  # sets WAL
            await saver.conn.execute("PRAGMA synchronous=NORMAL")
            match asked["work"]:
                case "steps":
                    report(await durable_steps(saver, durability, asked["seconds"]))
                case "runs":
                    report(await many_runs(saver, durability, asked["runs"]))


asyncio.run(main())
