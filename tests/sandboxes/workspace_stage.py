"""Workspace providers for tests: local ones as they are, docker and daytona before fakes that run things."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.sandboxes.fake_daytona import KEY, FakeDaytona
from tests.sandboxes.fake_docker import FakeDocker

from omniforge.sandboxes.providers.bare_workspaces import BareWorkspaces
from omniforge.sandboxes.providers.daytona_workspaces import DaytonaWorkspaces
from omniforge.sandboxes.providers.docker_workspaces import DockerWorkspaces
from omniforge.sandboxes.providers.local_workspaces import LocalWorkspaces
from omniforge.sandboxes.workspaces import Place, WorkspaceProvider

PROVIDERS = ("local", "docker", "daytona")


def new_place(home: Path, **given: Any) -> Place:
    fields: dict[str, Any] = {
        "home": home,
        "api_url": "http://omniforge.example",
        "label": "this-installation",
        "registries": ("packages.example",),
        "bubblewrap": Path("/usr/bin/bwrap"),
        "unisolated": False,
        "image": "python:3.12-slim",
        "docker_host": "unix:///nowhere/docker.sock",
        "daytona_url": "http://127.0.0.1:9/api",
        "daytona_key": None,
        "daytona_snapshot": None,
        "worker": ("python3", "/workspace/worker.py"),
    }
    return Place(**(fields | given))


@asynccontextmanager
async def public_folder() -> AsyncGenerator[Path]:
    """One that every user may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="omniforge-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def open_provider(name: str, **given: Any) -> AsyncGenerator[WorkspaceProvider]:
    async with public_folder() as folder:
        match name:
            case "docker":
                async with open_docker(folder, **given) as (provider, _):
                    yield provider
            case "daytona":
                async with open_daytona(folder, **given) as (provider, _):
                    yield provider
            case _:
                kind = LocalWorkspaces if name == "local" else BareWorkspaces
                provider = kind(new_place(folder, **given))
                try:
                    yield provider
                finally:
                    await provider.close()


@asynccontextmanager
async def open_docker(folder: Path, **given: Any) -> AsyncGenerator[tuple[DockerWorkspaces, FakeDocker]]:
    fake = FakeDocker(folder / "docker")
    fake.host = await fake.http.start(str(folder / "docker.sock"))
    provider = DockerWorkspaces(new_place(folder, docker_host=fake.host, **given))
    try:
        yield provider, fake
    finally:
        await provider.close()
        await fake.close()


@asynccontextmanager
async def open_daytona(folder: Path, **given: Any) -> AsyncGenerator[tuple[DaytonaWorkspaces, FakeDaytona]]:
    fake = FakeDaytona(folder / "daytona")
    url = await fake.start()
    provider = DaytonaWorkspaces(
        new_place(folder, **({"daytona_url": url, "daytona_key": SecretStr(KEY)} | given))
    )
    try:
        yield provider, fake
    finally:
        await provider.close()
        await fake.close()
