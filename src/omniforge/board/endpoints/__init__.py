"""HTTP of the board, a module per kind of thing; `ROUTERS` in an order that has fixed paths before ids."""

from __future__ import annotations

from fastapi import APIRouter

from omniforge.board.endpoints import board, graph, projects, specs, tasks, tickets

ROUTERS: tuple[APIRouter, ...] = (
    projects.router,
    board.router,
    tickets.router,
    specs.router,
    tasks.router,
    graph.router,
    board.phases_by_id,
)
"""Routers with fixed paths beside `/tickets/{id}` or `/phases/{id}` stand before those of the ids."""
