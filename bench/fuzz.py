"""Every operation of the API under odd requests: `make fuzz`. The last line is JSON.

`{"operations", "requests", "server_errors"}`; each operation that answered with 5xx is told before it, with a
request that did it. It ends with 1 when there was one. The same seed makes the same requests.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from omniforge.cli.demo import free_port

PATIENCE = 10.0
"""Seconds for one answer; a stream never ends, and is left then."""


@contextmanager
def server(home: Path) -> Generator[str]:
    """`omniforge up` over an empty home; its address."""
    port = free_port()
    environment = os.environ | {"OMNIFORGE_HOME": str(home / "data"), "OMNIFORGE_PORT": str(port)}
    command = (sys.executable, "-m", "omniforge.cli.main", "up")
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=0)) as client:
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


ELSEWHERE = (502, 503)
"""Somebody else's fault: a service outside that does not answer, or none that is set up."""


class Count:
    """What was asked and answered."""

    def __init__(self, client: httpx.Client, known: dict[str, str]) -> None:
        self.client, self.known = client, known
        self.requests = 0
        self.server_errors = 0
        self.answers = Counter[int]()
        """By their status: whether the requests came far enough to say anything."""

    def ask(self, operation: Any, examples: int, start: int) -> str | None:
        """Odd requests to one operation; one that was answered with 5xx, if there was one."""
        found: list[str] = []

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
        @given(case=operation.as_strategy())
        def odd(case: Any) -> None:
            if self.requests % 4:  # odd ids are unknown ids: most requests should get beyond that
                there = {name: self.known[name] for name in case.path_parameters or () if name in self.known}
                case.path_parameters = {**(case.path_parameters or {}), **there}
                body: Any = case.body
                if isinstance(body, dict):
                    case.body = {**body, **{name: self.known[name] for name in self.known if name in body}}
            asked: dict[str, Any] = case.as_transport_kwargs()
            asked.pop("cookies", None)
            path = urlsplit(str(asked.pop("url"))).path
            content = {"content": asked["data"]} if isinstance(asked.get("data"), bytes | str) else {}
            content |= {"json": asked["json"]} if "json" in asked else {}
            headers = {str(name): str(value) for name, value in dict(asked["headers"]).items()}
            self.requests += 1
            try:
                answer = self.client.request(
                    asked["method"], path, params=asked.get("params"), headers=headers, **content
                )
            except (
                httpx.HTTPError,
                httpx.InvalidURL,
                UnicodeError,
            ):  # what no client could send, or a stream
                return
            self.answers[answer.status_code] += 1
            if answer.status_code >= 500 and answer.status_code not in ELSEWHERE:
                self.server_errors += 1
                found.append(
                    f"{answer.status_code} {asked['method']} {answer.url} {content} {answer.text[:200]}"
                )

        odd()
        return found[0] if found else None


def things(client: httpx.Client) -> dict[str, str]:
    """One of several kinds, made beforehand: name of its id → id."""

    def made(path: str, **body: Any) -> str:
        return str(client.post(f"/api/v1/{path}", json=body).raise_for_status().json()["id"])

    project = made("projects", name="Shop")
    ticket = made("tickets", project_id=project, title="Search")
    return {
        "project_id": project,
        "ticket_id": ticket,
        "task_id": made("tasks", ticket_id=ticket, title="Find"),
        "spec_id": made("specs", project_id=project, title="Things"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Odd requests to every operation of the API.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=10, help="requests per operation, at most")
    given_ = parser.parse_args()
    try:
        schemathesis: Any = importlib.import_module("schemathesis")
    except ImportError:
        sys.stderr.write("This needs schemathesis: .tools/bin/uv pip install schemathesis\n")
        return 2
    operations = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as url,
        httpx.Client(base_url=url, timeout=PATIENCE) as client,
    ):
        count = Count(client, things(client))
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        schema.config.update(base_url=url)
        for found in schema.get_all_operations():
            operations += 1
            if failed := count.ask(found.ok(), given_.examples, given_.seed):
                sys.stdout.write(f"{failed}\n")
    answers = ", ".join(f"{status}: {times}" for status, times in sorted(count.answers.items()))
    sys.stdout.write(f"answers {answers}\n")
    told = {"operations": operations, "requests": count.requests, "server_errors": count.server_errors}
    sys.stdout.write(f"{json.dumps(told)}\n")
    return 1 if count.server_errors else 0


if __name__ == "__main__":
    sys.exit(main())
