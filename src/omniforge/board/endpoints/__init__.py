"""HTTP of the board, a module per kind of thing; `ROUTERS` in an order that has fixed paths before ids."""

from __future__ import annotations

from fastapi import APIRouter

from omniforge.board.endpoints import (
    approvals,
    board,
    gates,
    github,
    graph,
    projects,
    results,
    sandboxes,
    spec_generation,
    specs,
    tasks,
    ticket_reviews,
    ticket_surroundings,
    tickets,
    worker_model,
    worker_task,
    workers,
)

ROUTERS: tuple[APIRouter, ...] = (
    projects.router,
    board.router,
    gates.router,
    approvals.router,
    results.router,
    ticket_reviews.router,
    tickets.router,
    ticket_surroundings.router,
    specs.router,
    spec_generation.router,
    tasks.router,
    graph.router,
    github.router,
    sandboxes.router,
    worker_task.router,
    workers.router,
    worker_model.router,
    board.phases_by_id,
)
"""Routers with fixed paths beside `/tickets/{id}` or `/phases/{id}` stand before those of the ids."""
