"""How the installation fares: breakers of the tenant, slots of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from omniforge.api.metrics import may_read
from omniforge.tenants import CurrentActor

if TYPE_CHECKING:
    from omniforge.engine.admission import Admission
    from omniforge.engine.breakers import Breakers

router = APIRouter(prefix="/api/v1", tags=["operation"])


class BreakerJson(BaseModel):
    """One service that calls were kept from, or would be: `status` is closed, open or half_open."""

    name: str
    status: str
    failures: int
    open_since: str | None
    retry_at: str | None
    alerted: bool
    updated_at: str


class BreakerList(BaseModel):
    breakers: list[BreakerJson]


class AdmissionJson(BaseModel):
    """Slots for steps: those in use and free, steps that wait for one, and why none may be free."""

    limit: int
    held: int
    free: int
    waiting: int
    paused: bool
    mode: str


@router.get("/breakers")
async def list_breakers(request: Request, actor: CurrentActor) -> BreakerList:
    """Every service of this tenant that has failed lately."""
    actor.require("integration:view")
    breakers: Breakers = request.app.state.breakers
    views = await breakers.list_breakers(actor.tenant_id)
    return BreakerList(breakers=[BreakerJson(**view.shown()) for view in views])


@router.post("/breakers/{breaker}/reset")
async def reset_breaker(breaker: str, request: Request, actor: CurrentActor) -> BreakerJson:
    """Let calls through again at once."""
    actor.require("integration:manage")
    breakers: Breakers = request.app.state.breakers
    return BreakerJson(**(await breakers.reset(actor.tenant_id, breaker, actor=actor.by)).shown())


@router.get("/admission")
async def get_admission(request: Request, actor: CurrentActor) -> AdmissionJson:
    """The slots of the process that answers; for the operator of the installation."""
    may_read(actor)
    admission: Admission = request.app.state.engine.admission
    names: tuple[str, ...] = tuple(AdmissionJson.model_fields)
    figures: dict[str, Any] = {name: getattr(admission, name) for name in names}
    return AdmissionJson(**figures)
