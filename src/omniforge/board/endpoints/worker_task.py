"""HTTP of workers about their task: what it is, what they did, what they want to know of people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from omniforge.board.chain import Chain
from omniforge.board.endpoints.workers import LateWorker, Worker
from omniforge.board.results import MAX_BODY
from omniforge.board.shapes.worker import Brief, ResultGiven, ResultTaken, ReviewAsked, ReviewGiven
from omniforge.core.errors import PayloadTooLarge


def chain_of(request: Request) -> Chain:
    chain: Chain = request.app.state.chain
    return chain


async def small_enough(request: Request) -> None:
    if len(await request.body()) > MAX_BODY:
        raise PayloadTooLarge(f"At most {MAX_BODY} bytes are taken here.", limit=MAX_BODY)


ChainOf = Annotated[Chain, Depends(chain_of)]

router = APIRouter(prefix="/api/v1", tags=["workers"])


@router.get("/sandbox/task")
async def read_task(call: Worker, chain: ChainOf) -> Brief:
    """Everything a worker has to know."""
    return await chain.briefs.brief(call)


@router.post("/sandbox/task/{task_id}/results", dependencies=[Depends(small_enough)])
async def submit_results(
    task_id: str, body: ResultGiven, call: LateWorker, chain: ChainOf, response: Response
) -> ResultTaken:
    """202 while its checks run. Send the same again until there is an answer; the verdict does not depend on
    it."""
    accepted = await chain.results.accept_result(call, body)
    response.status_code = 200 if accepted.settled else 202
    return accepted.answer


@router.post("/sandbox/task/{task_id}/review")
async def ask_people(task_id: str, body: ReviewGiven, call: Worker, chain: ChainOf) -> ReviewAsked:
    """A question; a blocking one ends the attempt, and the next one is told the answer."""
    return await chain.questions.ask(call, body)
