"""A POST under the same `Idempotency-Key` happens once, whichever room answers it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from sqlalchemy import select

from omniforge.tenants.once import OnceRow

PATH = "/api/v1/keys"
BODY = {"name": "robot", "permissions": ["agent:view"]}


async def ask(http: httpx.AsyncClient, key: str, body: Any = BODY) -> httpx.Response:
    return await http.post(PATH, json=body, headers={"Idempotency-Key": key})


async def count(http: httpx.AsyncClient) -> int:
    return (await http.get(PATH)).json()["total"]


async def test_the_same_request_under_the_same_key_is_answered_again_and_not_done_again(
    application: Any,
) -> None:
    http = application.local
    first = await ask(http, "k1")
    again = await ask(http, "k1", dict(reversed(BODY.items())))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert await count(http) == 1
    assert (await ask(http, "k2")).json()["id"] != first.json()["id"]


async def test_another_request_under_the_same_key_is_refused(application: Any) -> None:
    http = application.local
    await ask(http, "k")
    refused = await ask(http, "k", BODY | {"name": "other"})
    assert refused.status_code == 409
    assert refused.json()["error"] == "version_conflict"
    assert await count(http) == 1


async def test_what_was_refused_may_be_tried_again(application: Any) -> None:
    http = application.local
    assert (await ask(http, "k", {"name": ""})).status_code == 422
    assert (await ask(http, "k")).status_code == 201


async def test_ten_at_once_are_one(application: Any) -> None:
    http = application.local
    answers = await asyncio.gather(*(ask(http, "k") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(http) == 1


async def test_a_request_whose_end_nobody_knows_is_not_done_again(application: Any) -> None:
    http = application.local
    await ask(http, "k")
    async with application.house.db.transaction() as session:
        row = (await session.scalars(select(OnceRow))).one()
        row.status, row.body = None, None
    assert (await ask(http, "k")).status_code == 409
    assert await count(http) == 1


async def test_what_was_answered_is_kept_sealed(application: Any) -> None:
    made = (await ask(application.local, "k")).json()
    async with application.house.db.read() as session:
        row = (await session.scalars(select(OnceRow))).one()
    assert row.body is not None
    assert made["key"].encode() not in row.body


async def test_a_key_that_is_too_long_is_refused(application: Any) -> None:
    refused = await ask(application.local, "k" * 256)
    assert refused.status_code == 422
    assert refused.json()["details"]["fields"][0]["field"] == "Idempotency-Key"
