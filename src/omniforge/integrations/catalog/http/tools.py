"""What can be done at web addresses: read and write JSON, and see whether something is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.http import sample
from omniforge.integrations.catalog.http.client import WebAddresses, checked_host, shown
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.errors import ResourceNotFound
from omniforge.integrations.manifest import (
    Access,
    Arguments,
    Destination,
    IntegrationTool,
    Json,
    Lookup,
    Mark,
)

Url = Annotated[str, StringConstraints(min_length=8, max_length=2000)]
Header = Annotated[str, StringConstraints(max_length=4000)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: Url


class Read(_Arguments):
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict[str, str | int | float | bool],
        max_length=50,
        description="Query of the address.",
    )
    headers: dict[str, Header] = Field(default_factory=dict[str, Header], max_length=20)


class Find(_Arguments):
    """Only the address."""


class Remove(Read):
    check_url: Url | None = Field(
        default=None, description="An address that tells that nothing is there any more, once this was done."
    )


class Write(Read):
    json_body: dict[str, Any] | list[Any] | None = Field(
        default=None, alias="json", description="What is sent."
    )
    mark: Mark | None = Field(default=None, description="Sent as Idempotency-Key.")
    check_url: Url | None = Field(
        default=None, description="An address where nothing is before this was done, and something after."
    )


async def get(web: WebAddresses, args: Read) -> Json:
    return shown(await web.ask("GET", args.url, params=_params(args), headers=args.headers))


async def head(web: WebAddresses, args: Read) -> Json:
    answer = shown(await web.ask("HEAD", args.url, params=_params(args), headers=args.headers))
    return {"status": answer["status"], "headers": answer["headers"]}


async def find(web: WebAddresses, args: Find) -> Json:
    try:
        return {"answer": shown(await web.ask("GET", args.url))}
    except ResourceNotFound:
        return {"answer": None}


def _writing(method: str) -> Callable[[WebAddresses, Write], Any]:
    async def write(web: WebAddresses, args: Write) -> Json:
        headers = {**args.headers, **({"Idempotency-Key": args.mark} if args.mark else {})}
        return shown(
            await web.ask(
                method, args.url, params=_params(args), headers=headers, body=args.json_body, changes=True
            )
        )

    return write


async def delete(web: WebAddresses, args: Remove) -> Json:
    return shown(await web.ask("DELETE", args.url, params=_params(args), headers=args.headers, changes=True))


def _params(args: Read) -> list[tuple[str, str]]:
    return [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in args.params.items()
    ]


@asynccontextmanager
async def open_client(surroundings: Surroundings) -> AsyncGenerator[WebAddresses]:
    yield WebAddresses(surroundings)


samples = sample.transport


def _host(args: Arguments) -> Destination | None:
    try:
        host = checked_host(str(args.get("url", "")))
    except Invalid:
        return None
    return Destination(host, host)


def _look_up(args: Arguments) -> Lookup | None:
    address = args.get("check_url")
    return Lookup("http.find", {"url": address}, "answer") if address else None


def _said(verb: str) -> Callable[[Arguments], str]:
    def summary(args: Arguments) -> str:
        target = _host(args)
        return f"{verb} {target.name if target else 'a web address'}"

    return summary


def _tool(name: str, description: str, arguments: type[BaseModel], verb: str, run: Any) -> IntegrationTool:
    """A reading tool."""
    return IntegrationTool(
        name=f"http.{name}",
        description=description,
        arguments=arguments,
        access=Access.READ,
        summary=_said(verb),
        run=run,
    )


def _write_tool(name: str, description: str, verb: str) -> IntegrationTool:
    return IntegrationTool(
        name=f"http.{name}",
        description=description,
        arguments=Write,
        access=Access.WRITE,
        summary=_said(verb),
        destination=_host,
        lookup=_look_up,
        run=_writing(name.upper()),
    )


TOOLS: tuple[IntegrationTool, ...] = (
    _tool("get", "Reads JSON or text from a web address; follows redirects.", Read, "reads from", get),
    _tool("head", "Reads only the headers of a web address.", Read, "looks at", head),
    _tool(
        "find", "Tells what is at a web address, or that nothing is.", Find, "looks for something at", find
    ),
    _write_tool("post", "Sends JSON to a web address to make or start something there.", "sends data to"),
    _write_tool("put", "Puts JSON at a web address in place of what is there.", "puts data at"),
    _write_tool("patch", "Changes what is at a web address by sending JSON.", "changes data at"),
    IntegrationTool(
        name="http.delete",
        description="Deletes what is at a web address.",
        arguments=Remove,
        access=Access.WRITE,
        summary=_said("deletes something at"),
        destination=_host,
        run=delete,
    ),
)
