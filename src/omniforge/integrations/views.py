"""What people see of integrations, connections and resources. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from omniforge.integrations.manifest import Integration, ResourceKind
from omniforge.integrations.schemas import (
    Connection,
    ConnectionKind,
    ConnectionStatus,
    IntegrationView,
    Resource,
    SignInFieldView,
    ToolView,
)
from omniforge.integrations.store import ConnectionRow
from omniforge.integrations.tokens import AHEAD


def view_of_integration(integration: Integration, *, configured: bool, connected: bool) -> IntegrationView:
    manifest = integration.manifest
    return IntegrationView(
        id=integration.id,
        title=integration.title,
        description=manifest.description,
        configured=configured,
        connected=connected,
        accepts_keys=manifest.sign_in.takes_keys,
        sign_in=manifest.sign_in.kind,
        fields=[
            SignInFieldView(
                name=field.name,
                title=field.title,
                secret=field.secret,
                required=field.required,
                default=field.default,
            )
            for field in manifest.sign_in.fields
        ],
        asks=list(manifest.sign_in.asks),
        words=list(manifest.words),
        resource_kinds=[kind.kind for kind in manifest.resources],
        events=list(integration.events),
        tools=[
            ToolView(
                name=tool.name,
                description=tool.description,
                access=tool.access,
                input_schema=tool.input_schema,
            )
            for tool in integration.tools.values()
        ],
    )


def view_of_connection(row: ConnectionRow, now: datetime) -> Connection:
    status = ConnectionStatus(row.status)
    ends_soon = row.expires_at is not None and row.expires_at - now <= AHEAD
    if status is ConnectionStatus.HEALTHY and ends_soon:
        status = ConnectionStatus.EXPIRING
    return Connection(
        id=row.id,
        integration_id=row.integration_id,
        workspace_id=row.workspace_id,
        workspace_name=row.workspace_name,
        kind=ConnectionKind(row.kind),
        status=status,
        reason=reason_of(row, status),
        scopes=row.scopes,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def reason_of(row: ConnectionRow, status: ConnectionStatus) -> str:
    """Why a connection stands as it does, with the next step where there is one."""
    match status:
        case ConnectionStatus.HEALTHY if row.kind == ConnectionKind.NONE:
            return "Nothing to sign in to."
        case ConnectionStatus.HEALTHY:
            return f"Connected to {row.workspace_name} and working."
        case ConnectionStatus.EXPIRING if row.refresh_secret is not None:
            return f"Connected to {row.workspace_name}; the sign-in renews itself at the next use."
        case ConnectionStatus.EXPIRING:
            return f"The sign-in to {row.workspace_name} ends in a few minutes. Reconnect to go on."
        case ConnectionStatus.BROKEN:
            return (
                f"The sign-in to {row.workspace_name} no longer holds: it has ended, or was withdrawn there. "
                "Reconnect, and what waits for it goes on."
            )
        case ConnectionStatus.REVOKED:
            return f"Disconnected from {row.workspace_name}; nothing of the sign-in is kept here."


def view_of_resource(kind: ResourceKind, item: Mapping[str, Any]) -> Resource:
    return Resource(
        id=str(item["id"]),
        name=str(item["name"]),
        kind=kind.kind,
        items=item.get("items"),
        url=item.get("url"),
        fields=item.get("fields"),
    )
