"""Every operation of the API under odd requests: `make fuzz`. The last line is JSON.

`{"operations", "requests", "server_errors", "unlike_errors"}`; each operation that answered with 5xx, or
refused in other than our words, is told before it, with a request that did it. It ends with 1 when there was
one. The same seed makes the same requests. Two of three fit the description of their operation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode
from tests.seeding import connected, judged, seeded, worker
from tests.standin_server import RunningServer

from omniforge.cli.demo import free_port
from omniforge.integrations.catalog.github.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app

PATIENCE = 10.0
"""Seconds for one answer."""
SERVICE = "github"
PLACE = {"owner": "acme-operations", "repo": "storefront", "path": "README.md"}
"""What the local server in place of GitHub has."""
ELSEWHERE: Mapping[str, str] = {
    "/api/v1/github/": "github_error",  # GitHub itself refused
    "/api/v1/sandbox/task/{task_id}/results": "unavailable",  # the sandbox is not there yet
    "/api/v1/sandboxes": "provider_unavailable",  # docker and Daytona are not set up here
    "/api/v1/sandbox/model": "model_unavailable",  # nor is a model
}
"""5xx that are somebody else's fault: where an address begins, and the code of the error."""
PAGES = ("/oauth/callback/",)
"""What a browser is led to: it shows pages."""
OF_WORKERS = ("/api/v1/sandbox/", "/api/v1/sandboxes/{sandbox_id}/events", "register-conversation")
LAST = ("/logout", "/cancel", "/archive", "/disconnect", "/pause")


@contextmanager
def server(home: Path) -> Generator[str]:
    """`omniforge up` over an empty home, beside a local server in place of GitHub; its address."""
    port = free_port()
    there = RunningServer.start(create_app())
    there.use(StandinState(rate_per_second=None))
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "OMNIFORGE_HOME": str(home / "data"),
        "OMNIFORGE_PORT": str(port),
        "OMNIFORGE_GITHUB_BASE_URL": there.url,
        "GITHUB_CLIENT_ID": CLIENT_ID,
        "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
        "GITHUB_REDIRECT_URI": f"{url}/oauth/callback/github",
    }
    command = (sys.executable, "-m", "omniforge.cli.main", "up")
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as process,
    ):
        try:
            with httpx.Client() as client:
                while True:
                    try:
                        client.get(f"{url}/health")
                        break
                    except httpx.TransportError:
                        if process.poll() is not None:
                            raise
                        time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            there.stop()


async def things(url: str) -> dict[str, str]:
    """One of everything: name of its id → id."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        known = await seeded(http)
        return known | await judged(http) | await connected(http, SERVICE) | PLACE


async def somebody_outside(url: str) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return await worker(http)


@dataclass
class Count:
    """What was asked and answered."""

    client: httpx.Client
    known: Mapping[str, str]
    requests: int = 0
    server_errors: int = 0
    unlike_errors: int = 0
    answers: Counter[int] = field(default_factory=Counter[int])
    """By their status: whether the requests came far enough to say anything."""

    def ask(self, operation: Any, examples: int, start: int) -> str | None:
        """Odd requests to one operation; one that was answered badly, if there was one."""
        found: list[str] = []
        which = (operation.method.upper(), operation.path)
        known, credential = dict(self.known), dict[str, str]()
        if any(part in operation.path for part in OF_WORKERS) and which[0] != "GET":
            known |= asyncio.run(somebody_outside(str(self.client.base_url)))
            credential = {"Authorization": f"Bearer {known['token']}"}

        @seed(start)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
        @given(case=cases(operation))
        def odd(case: Any) -> None:
            if self.requests % 4:  # odd ids are unknown ids: most requests should get beyond that
                make_known(case, known)
            headers = credential if self.requests % 8 else {}
            if bad := self.send(which, case, headers):
                found.append(bad)

        odd()
        if "token" in known:  # somebody else wants the place
            self.client.delete(f"/api/v1/sandboxes/{known['sandbox_id']}")
        return found[0] if found else None

    def send(self, which: tuple[str, str], case: Any, more: Mapping[str, str]) -> str | None:
        """One request; what is wrong with its answer."""
        asked: dict[str, Any] = case.as_transport_kwargs()
        path = urlsplit(str(asked["url"])).path
        content = {"content": asked["data"]} if isinstance(asked.get("data"), bytes | str) else {}
        content |= {"json": asked["json"]} if "json" in asked else {}
        headers = {str(name): str(value) for name, value in dict(asked["headers"]).items()} | dict(more)
        self.requests += 1
        try:
            with self.client.stream(
                asked["method"], path, params=asked.get("params"), headers=headers, **content
            ) as answer:
                if "event-stream" not in answer.headers.get("content-type", ""):  # a stream never ends
                    answer.read()
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):  # what no client could send
            return None
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500 and not is_elsewhere(which[1], answer):
            self.server_errors += 1
        elif answer.status_code < 400 or is_our_error(answer) or which[1].startswith(PAGES):
            return None
        else:
            self.unlike_errors += 1
        return f"{answer.status_code} {which[0]} {answer.url} {content} {answer.text[:300]}"


def cases(operation: Any) -> Any:
    """Requests as described, and some that are not."""
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    return one_of(fitting, fitting, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def make_known(case: Any, known: Mapping[str, str]) -> None:
    """Ids that are there instead of made up ones."""
    for part in ("path_parameters", "query", "body"):
        given_: Any = getattr(case, part)
        if isinstance(given_, dict):
            names = [name for name in known if name in given_ and (part != "body" or name.endswith("_id"))]
            setattr(case, part, {**given_, **{name: known[name] for name in names}})


def is_elsewhere(path: str, answer: httpx.Response) -> bool:
    return is_our_error(answer) and any(
        path.startswith(begin) and answer.json()["error"] == code for begin, code in ELSEWHERE.items()
    )


def is_our_error(answer: httpx.Response) -> bool:
    try:
        body: Any = answer.json()
    except ValueError:
        return False
    shape = {"error": str, "message": str, "details": dict}
    if not isinstance(body, dict):
        return False
    told = cast("dict[str, Any]", body)
    return all(isinstance(told.get(name), kind) for name, kind in shape.items())


def by_harm(operation: Any) -> tuple[int, str]:
    """Those that take things away come last."""
    method, path = operation.method.upper(), operation.path
    is_last = method == "DELETE" or path.endswith(LAST)
    return (2 if is_last else int(method != "GET"), path)


def fuzz(url: str, *, examples: int, start: int, every: int = 1) -> tuple[list[str], dict[str, int], str]:
    """What was answered badly, how much was asked (of every so many operations one), and the answers."""
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        count = Count(client, asyncio.run(things(url)))
        schema: Any = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        schema.config.update(base_url=url)
        operations = sorted((one.ok() for one in schema.get_all_operations()), key=by_harm)[::every]
        found = [count.ask(one, examples, start) for one in operations]
    told = {"operations": len(operations), "requests": count.requests}
    told |= {"server_errors": count.server_errors, "unlike_errors": count.unlike_errors}
    answers = ", ".join(f"{status}: {times}" for status, times in sorted(count.answers.items()))
    return [one for one in found if one], told, answers


def main() -> int:
    parser = argparse.ArgumentParser(description="Odd requests to every operation of the API.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=20, help="requests per operation, at most")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as url:
        found, told, answers = fuzz(url, examples=asked.examples, start=asked.seed)
    sys.stdout.write("".join(f"{one}\n" for one in found))
    sys.stdout.write(f"answers {answers}\n{json.dumps(told)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
