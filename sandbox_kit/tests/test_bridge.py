"""The program's end of the bridge, against a host that is played by the test."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox_kit.bridge import MAX_LINE, Bridge, ToolError

Host = Callable[[list[dict[str, Any]]], list[Any]]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ThreadPoolExecutor(1):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            yield ours, theirs
            theirs.shutdown(socket.SHUT_RDWR)


def answer(
    host: socket.socket, count: int, reply: Callable[[dict[str, Any]], Any], reverse: bool = False
) -> None:
    with host.makefile("rwb") as lines:
        requests = [json.loads(lines.readline()) for _ in range(count)]
        for request in reversed(requests) if reverse else requests:
            lines.write(json.dumps(reply(request)).encode() + b"\n")
        lines.flush()


def test_a_request_carries_its_operation_and_fields(ends: tuple[socket.socket, socket.socket]) -> None:
    bridge = Bridge(ends[0])
    seen: list[dict[str, Any]] = []

    def reply(request: dict[str, Any]) -> Any:
        seen.append(request)
        return {"id": request["id"], "ok": True, "result": {"n": 1}}

    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer, ends[1], 1, reply)
        assert bridge.request("tool", tool="notion.search", args={"q": "ä"}) == {"n": 1}
    assert seen == [{"id": 1, "op": "tool", "tool": "notion.search", "args": {"q": "ä"}}]


def test_answers_in_another_order_find_their_callers(ends: tuple[socket.socket, socket.socket]) -> None:
    bridge = Bridge(ends[0])
    with ThreadPoolExecutor(11) as pool:
        host = pool.submit(
            answer, ends[1], 10, lambda r: {"id": r["id"], "ok": True, "result": r["n"] * 2}, reverse=True
        )
        calls = [pool.submit(bridge.request, "x", n=n) for n in range(10)]
        assert [call.result() for call in calls] == [n * 2 for n in range(10)]
        host.result()


def test_an_error_of_the_host_is_raised_with_all_it_says(ends: tuple[socket.socket, socket.socket]) -> None:
    bridge = Bridge(ends[0])
    error = {"code": "rate_limited", "message": "Wait.", "retryable": True, "retry_after": 2.5}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer, ends[1], 1, lambda r: {"id": r["id"], "ok": False, "error": error})
        with pytest.raises(ToolError, match=r"rate_limited: Wait\.") as raised:
            bridge.request("tool")
    assert (raised.value.code, raised.value.retryable, raised.value.retry_after) == (
        "rate_limited",
        True,
        2.5,
    )


def test_a_closed_bridge_ends_every_waiting_and_every_later_call(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    bridge = Bridge(ends[0])
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(bridge.request, "x") for _ in range(3)]
        with ends[1].makefile("rb") as lines:
            for _ in range(3):
                lines.readline()
        ends[1].shutdown(socket.SHUT_RDWR)
        codes = {getattr(call.exception(), "code", None) for call in waiting}
    assert codes == {"bridge_closed"}
    with pytest.raises(ToolError, match="bridge_closed"):
        bridge.request("x")


def test_a_request_that_is_too_long_is_not_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    bridge = Bridge(ends[0])
    with pytest.raises(ToolError, match="request_too_large"):
        bridge.request("tool", args={"text": "x" * MAX_LINE})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(answer, ends[1], 1, lambda r: {"id": r["id"], "ok": True, "result": "next"})
        assert bridge.request("tool") == "next"
