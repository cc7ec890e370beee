"""HTTP of specs: requirements, design, approvals, work, import, export and trace."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from omniforge.board.endpoints.projects import Board
from omniforge.board.importing.documents import FORMAT
from omniforge.board.importing.sources import Document, read_json
from omniforge.board.shapes.specs import (
    CriterionChanges,
    Documents,
    Imported,
    ImportOptions,
    PhaseRuns,
    Requirement,
    RequirementChanges,
    RequirementGiven,
    Said,
    Spec,
    SpecChanges,
    SpecGiven,
    SpecList,
    SpecQuery,
    SpecTaskGiven,
    SpecTaskQuery,
    SpecVersions,
)
from omniforge.board.shapes.tasks import Task, TaskList
from omniforge.board.shapes.tickets import Criterion, CriterionGiven
from omniforge.board.shapes.trace import Trace
from omniforge.board.spec_life import Part
from omniforge.board.specs import Specs
from omniforge.core import plainjson
from omniforge.core.errors import Invalid
from omniforge.core.paging import Paging
from omniforge.core.shapes import checked
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["specs"])
Json = dict[str, Any]
Page = Annotated[Paging, Query()]
MARKDOWN = "text/markdown"


def specs_of(board: Board) -> Specs:
    return board.specs


Room = Annotated[Specs, Depends(specs_of)]


@router.post("/specs", status_code=201)
async def create_spec(body: SpecGiven, actor: CurrentActor, specs: Room) -> Spec:
    return await specs.create(actor, body)


@router.get("/specs/project/{project_id}")
async def list_specs(
    project_id: str, actor: CurrentActor, specs: Room, query: Annotated[SpecQuery, Query()]
) -> SpecList:
    return await specs.find(actor, project_id, query)


@router.get("/specs/{spec_id}")
async def get_spec(spec_id: str, actor: CurrentActor, specs: Room) -> Spec:
    return await specs.show(actor, spec_id)


@router.patch("/specs/{spec_id}")
async def change_spec(spec_id: str, body: SpecChanges, actor: CurrentActor, specs: Room) -> Spec:
    return await specs.change(actor, spec_id, body)


@router.delete("/specs/{spec_id}")
async def archive_spec(spec_id: str, actor: CurrentActor, specs: Room) -> Said:
    await specs.archive(actor, spec_id)
    return Said(message="The spec was archived. Its tickets stay.")


# --- requirements and their criteria -----------------------------------------------------------------------


@router.post("/specs/{spec_id}/requirements", status_code=201)
async def add_requirement(
    spec_id: str, body: RequirementGiven, actor: CurrentActor, specs: Room
) -> Requirement:
    requirement_id = await specs.requirements.add(actor, spec_id, body)
    return await specs.requirement(actor, spec_id, requirement_id)


@router.patch("/specs/{spec_id}/requirements/{requirement_id}")
async def change_requirement(
    spec_id: str, requirement_id: str, body: RequirementChanges, actor: CurrentActor, specs: Room
) -> Requirement:
    """Changing one that was approved takes the approval back."""
    await specs.requirements.change(actor, spec_id, requirement_id, body)
    return await specs.requirement(actor, spec_id, requirement_id)


@router.delete("/specs/{spec_id}/requirements/{requirement_id}")
async def delete_requirement(spec_id: str, requirement_id: str, actor: CurrentActor, specs: Room) -> Said:
    await specs.requirements.delete(actor, spec_id, requirement_id)
    return Said(message="The requirement was taken out of the spec.")


@router.post("/specs/{spec_id}/requirements/{requirement_id}/criteria", status_code=201)
async def add_criterion(
    spec_id: str, requirement_id: str, body: CriterionGiven, actor: CurrentActor, specs: Room
) -> Criterion:
    row = await specs.requirements.add_criterion(actor, spec_id, requirement_id, body)
    return Criterion.model_validate(row)


@router.patch("/specs/{spec_id}/requirements/{requirement_id}/criteria/{criterion_id}")
async def change_criterion(  # noqa: PLR0917 - the whole path
    spec_id: str,
    requirement_id: str,
    criterion_id: str,
    body: CriterionChanges,
    actor: CurrentActor,
    specs: Room,
) -> Criterion:
    change = specs.requirements.change_criterion
    return Criterion.model_validate(await change(actor, spec_id, requirement_id, criterion_id, body))


@router.delete("/specs/{spec_id}/requirements/{requirement_id}/criteria/{criterion_id}")
async def delete_criterion(
    spec_id: str, requirement_id: str, criterion_id: str, actor: CurrentActor, specs: Room
) -> Said:
    await specs.requirements.delete_criterion(actor, spec_id, requirement_id, criterion_id)
    return Said(message="The criterion was taken away.")


# --- design and approvals ----------------------------------------------------------------------------------


@router.put("/specs/{spec_id}/design")
async def put_design(spec_id: str, body: Json, actor: CurrentActor, specs: Room) -> Json:
    """Replaces the whole design: architecture, data_model, api_spec, and more where there is more to say."""
    return await specs.requirements.put_design(actor, spec_id, body)


@router.post("/specs/{spec_id}/approve-requirements")
async def approve_requirements(spec_id: str, actor: CurrentActor, specs: Room) -> Spec:
    return await specs.approve(actor, spec_id, Part.REQUIREMENTS)


@router.post("/specs/{spec_id}/approve-design")
async def approve_design(spec_id: str, actor: CurrentActor, specs: Room) -> Spec:
    return await specs.approve(actor, spec_id, Part.DESIGN)


# --- work --------------------------------------------------------------------------------------------------


@router.post("/specs/{spec_id}/tasks", status_code=201)
async def add_task(spec_id: str, body: SpecTaskGiven, actor: CurrentActor, specs: Room) -> Task:
    return await specs.add_task(actor, spec_id, body)


@router.get("/specs/{spec_id}/tasks")
async def list_tasks(
    spec_id: str, actor: CurrentActor, specs: Room, query: Annotated[SpecTaskQuery, Query()]
) -> TaskList:
    return await specs.tasks(actor, spec_id, query)


# --- import, export, history -------------------------------------------------------------------------------


_BODIES: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "format": {"const": FORMAT},
                        "spec": {"type": "object"},
                        "requirements": {"type": "array", "items": {"type": "object"}},
                        "design": {"type": "object"},
                        "tickets": {"type": "array", "items": {"type": "object"}},
                        "tasks": {"type": "array", "items": {"type": "object"}},
                        "documents": {"type": "array", "items": {"type": "object"}},
                        "options": {"type": "object"},
                    },
                    "additionalProperties": False,
                }
            },
            MARKDOWN: {"schema": {"type": "string"}},
        },
    }
}
"""The body is read by hand: its mistakes are told by ref and line."""


@router.post("/specs/{spec_id}/import", openapi_extra=_BODIES)
async def import_spec(
    spec_id: str,
    request: Request,
    actor: CurrentActor,
    specs: Room,
    given: Annotated[ImportOptions, Query()],
) -> Imported:
    """`application/json`: a spec, or `{documents: [{path, content}]}`; `text/markdown`: one document, with
    the options in the address."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == MARKDOWN:
        return await specs.importing.import_text(actor, spec_id, [("", _text(body))], given)
    content = _json(body)
    if "documents" in content:
        documents = checked(Documents, content, "The import")
        found: list[Document] = [(each.path, each.content) for each in documents.documents]
        return await specs.importing.import_text(actor, spec_id, found, documents.options)
    options = checked(ImportOptions, _object(content.pop("options", None) or {}), "The options")
    return await specs.importing.import_spec(actor, spec_id, read_json(content), options)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        rule = {"field": "body", "value": None, "rule": "text in UTF-8"}
        raise Invalid("The document is not UTF-8.", fields=[rule]) from None


def _json(body: bytes) -> Json:
    try:
        return _object(plainjson.parse(body))
    except ValueError as flaw:
        rule = {"field": "body", "value": None, "rule": str(flaw)}
        message = f"The body is no JSON ({flaw}); Markdown is sent as {MARKDOWN}."
        raise Invalid(message, fields=[rule]) from None


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        rule = {"field": "body", "value": None, "rule": "an object"}
        raise Invalid("The body is an object.", fields=[rule])
    return value  # pyright: ignore[reportUnknownVariableType]


@router.get("/specs/{spec_id}/export")
async def export_spec(
    spec_id: str,
    actor: CurrentActor,
    specs: Room,
    format: Literal["json", "markdown"] = "json",  # noqa: A002 - as it is called on the wire
) -> Response:
    """The spec as a document; imported again it changes nothing."""
    if format == "markdown":
        text = await specs.export_markdown(actor, spec_id)
        return PlainTextResponse(text, media_type=MARKDOWN)
    return JSONResponse(await specs.export_json(actor, spec_id))


@router.get("/specs/{spec_id}/versions")
async def list_versions(spec_id: str, actor: CurrentActor, specs: Room, paging: Page) -> SpecVersions:
    return await specs.versions(actor, spec_id, paging)


@router.get("/specs/{spec_id}/phases")
async def list_phases(spec_id: str, actor: CurrentActor, specs: Room, paging: Page) -> PhaseRuns:
    return await specs.phases(actor, spec_id, paging)


@router.get("/specs/{spec_id}/trace")
async def trace_spec(spec_id: str, actor: CurrentActor, specs: Room) -> Trace:
    """From every requirement to what shows it, and where the chain is broken."""
    return await specs.tracing.trace(actor, spec_id)
