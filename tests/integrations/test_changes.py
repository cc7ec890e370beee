"""A change that may have happened is never told as one that did not, and never repeated."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from omniforge.core.clock import SystemClock
from omniforge.core.errors import OmniForgeError
from omniforge.integrations.catalog.notion.client import Notion
from omniforge.integrations.errors import ResourceNotFound, ServiceDown
from omniforge.integrations.rest import Patience, RestClient


async def token(rejected: str | None = None) -> str:
    return "t"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> RestClient:
    return RestClient(
        httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        title="Notion",
        base_url="https://api.example.com",
        token=token,
        clock=SystemClock(),
        patience=Patience(pause=0, largest_answer=10_000),
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"x" * 20_000])
async def test_a_change_whose_answer_cannot_be_read_may_have_happened(body: bytes) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, content=body)

    rest = client(answer)
    with pytest.raises(ServiceDown) as refused:
        await rest.post("/v1/pages", {}, changes=True)
    assert refused.value.details["outcome_unknown"] is True
    assert asked == ["POST"]
    with pytest.raises(OmniForgeError) as read:
        await rest.get("/v1/pages/1")
    assert "outcome_unknown" not in read.value.details


async def test_a_page_that_lacks_the_rest_of_its_text_is_there_all_the_same() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"id": "0f" * 16})
        return httpx.Response(400, json={"message": "too long"})

    with pytest.raises(ServiceDown) as refused:
        await Notion(client(answer)).create("0a" * 16, {}, [{"object": "block"}] * 150)
    assert refused.value.details["outcome_unknown"] is True


async def test_what_a_service_says_about_an_error_can_be_told_again() -> None:
    half = json.dumps({"message": "gone \ud800 away"}).encode()
    with pytest.raises(ResourceNotFound) as refused:
        await client(lambda _: httpx.Response(404, content=half)).get("/v1/pages/1")
    assert refused.value.details["said"].encode() == b"gone ? away"
