"""`GET /metrics`: the figures of the whole installation, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from omniforge.core.actor import Actor
from omniforge.core.errors import Forbidden, NotFound
from omniforge.tenants.endpoints import CurrentActor
from omniforge.tenants.service import DEFAULT_TENANT

if TYPE_CHECKING:
    from omniforge.engine.telemetry import Telemetry

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request, actor: CurrentActor) -> Response:
    may_read(actor)
    telemetry: Telemetry = request.app.state.telemetry
    if telemetry.metrics is None:
        raise NotFound(
            "Metrics are switched off. OMNIFORGE_METRICS_ENABLED=true switches them on at the next start.",
            code="metrics_off",
        )
    figures, media_type = await telemetry.metrics.exposition(request.headers.get("accept", ""))
    return Response(figures, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


def may_read(actor: Actor) -> None:
    """Whoever may see the audit trail of the installation's own tenant: the figures tell of all tenants."""
    actor.require("audit:view")
    if actor.tenant_id != DEFAULT_TENANT:
        raise Forbidden(
            "These figures are about all tenants of this installation; its operator may read them.",
            permission="audit:view",
            tenant=DEFAULT_TENANT,
        )
