"""The one shape of an error on the wire."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse


def answer(
    status: int, code: str, message: str, details: dict[str, Any], headers: dict[str, str] | None = None
) -> JSONResponse:
    body = {"error": code, "message": message, "details": details}
    return JSONResponse(body, status, headers=headers)
