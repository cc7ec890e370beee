"""What a workspace is on any provider: a folder to work in behind walls, and what can be done with it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import SecretStr

from omniforge.core.config import Settings
from omniforge.core.errors import ProviderError, Unavailable
from omniforge.sandboxes.protocol import MIB

WORKSPACE, SKILLS, KIT = "/workspace", "/skills", "/kit"
"""Where the tree, given folders and `sandbox_kit` lie inside, on every provider."""
OUTPUT_KEPT = 1 * MIB
"""Bytes of a command's output that are kept; the hash is of all of it."""
WORKER = ("python3", "-m", "sandbox_kit.worker")

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "local": "omniforge.sandboxes.providers.local_workspaces:LocalWorkspaces",
        "unisolated": "omniforge.sandboxes.providers.bare_workspaces:BareWorkspaces",
        "docker": "omniforge.sandboxes.providers.docker_workspaces:DockerWorkspaces",
        "daytona": "omniforge.sandboxes.providers.daytona_workspaces:DaytonaWorkspaces",
    }
)
"""Dotted paths of classes that take a `Place`, imported when they are asked for."""
NAMES = ("local", "docker", "daytona")
"""What a project can name. `local` is `unisolated` where the settings say so."""


class ProviderUnavailable(Unavailable):
    """This provider is not installed, not set up, or its walls do not hold here."""

    code = "provider_unavailable"


class WorkspaceFailed(ProviderError):
    """The provider did not do what it was asked; the message is plain and never holds a secret."""

    code = "provider_error"

    def __init__(self, message: str, *, retryable: bool = False, **details: Any) -> None:
        super().__init__(message, retryable=retryable, **details)


class WorkspaceGone(WorkspaceFailed):
    """The provider knows no workspace by this reference any more."""


class TreeRefused(WorkspaceFailed):
    """The archive of a tree is broken, climbs out of the workspace, or is too large."""


class Kind(StrEnum):
    """What a workspace is for: the attempt of a task, or one evaluation of a gate."""

    TASK = "task"
    CHECK = "check"


class Network(StrEnum):
    """What is reached from inside: the OmniForge API always, package registries too, every public host."""

    NONE = "none"
    ALLOWLIST = "allowlist"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceOrder:
    """What is wanted. The limits hold for everything that runs in the workspace at the same time."""

    sandbox_id: str
    kind: Kind | str = Kind.TASK
    network: Network | str = Network.NONE
    image: str | None = None
    """Of docker, or a snapshot of daytona; None = the one of the settings. The local provider has none."""
    memory_bytes: int = 2048 * MIB
    cpus: float = 2.0
    processes: int = 256
    """Processes and threads."""
    disk_bytes: int = 2048 * MIB
    cpu_seconds: float = 24 * 3600.0
    """Of one worker or command, all its processes together; the local provider's way to limit CPU."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A workspace that exists. `ref` is the provider's own name for it, all that is needed to find it."""

    ref: str
    image: str
    """What its software is: the image, or `local` and the system's name. Part of what a receipt holds."""
    preview_url: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """How a command ended. 128 + n when signal n ended it; `timed_out` comes with 137."""

    exit_code: int
    output: bytes
    """stdout and stderr as they came, the first `OUTPUT_KEPT` bytes."""
    output_hash: str
    """SHA-256 in hex of all the output, also of what was not kept."""
    truncated: bool
    timed_out: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """Of one provider, just asked. `isolated` is false only where somebody has set it so."""

    healthy: bool
    isolated: bool
    message: str | None = None


class WorkspaceProvider(Protocol):
    """Makes workspaces and works in them. Any process of the installation may use any reference.

    Everything raises `ProviderUnavailable` (503) when the provider cannot be used at all, `WorkspaceGone` for
    a reference that it does not know (not so `destroy`, `stop_worker`, `worker_alive`), else
    `WorkspaceFailed`.
    """

    name: str

    async def create(self, order: WorkspaceOrder) -> Placed:
        """An empty workspace in which nothing runs. What was begun is removed when it fails."""
        ...

    async def write_tree(self, ref: str, tree: bytes) -> None:
        """Replace the content of `/workspace` by a tar archive. Only while nothing runs in there."""
        ...

    async def read_tree(self, ref: str) -> bytes:
        """All of `/workspace` as tar: files (0644 or 0755) and links that stay inside, sorted by path.

        Left out: `.git` anywhere, links that lead out, whatever is neither, names that are not UTF-8.
        """
        ...

    async def put_folder(self, ref: str, name: str, tar: bytes) -> None:
        """Put a folder at `/skills/<name>` that programs inside can read and not change."""
        ...

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        """Start `python3 -m sandbox_kit.worker`; it lives until it ends or is stopped.

        Its environment is ours and `env`, of which `OMNIFORGE_URL`, `OMNIFORGE_SKILLS` and the proxies are
        the provider's to say.
        """
        ...

    async def stop_worker(self, ref: str) -> None:
        """Kill everything that still runs in there, whoever started it, and wait until it is gone."""
        ...

    async def worker_alive(self, ref: str) -> bool: ...

    async def exec(
        self,
        ref: str,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Execution:
        """Run a program in `cwd` (below `/workspace`) to its end; what it started ends with it.

        Its environment is ours plus `env`, nothing of a worker's. `timeout` in seconds.
        """
        ...

    async def destroy(self, ref: str) -> None:
        """Kill and remove all of it. Fine when it is gone already."""
        ...

    async def list(self) -> list[str]:
        """References of every workspace of this installation, also those a killed process has left."""
        ...

    async def health(self) -> Health: ...

    async def close(self) -> None:
        """Let go of connections. Workspaces stay where the provider can keep them; local workers end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What every provider is opened with."""

    home: Path
    api_url: str
    """Address of the OmniForge API as this process reaches it."""
    label: str
    """Tells the workspaces of this installation from others on the same docker or daytona."""
    registries: Sequence[str]
    """Hosts of `Network.ALLOWLIST`, as in `core.outward.Guard`."""
    bubblewrap: Path
    unisolated: bool
    image: str
    docker_host: str
    daytona_url: str
    daytona_key: SecretStr | None
    daytona_snapshot: str | None
    permitted: Sequence[str] = ()
    """Private networks that may be reached all the same."""
    worker: Sequence[str] = WORKER
    """The program that works in a workspace; it starts in `/kit`, so that no file of a project is taken for a
    part of it."""


class Workspaces(Mapping[str, WorkspaceProvider]):
    """Provider name → provider, each opened when it is first asked for. Gone through, it gives those that are
    set up here; of the others one can ask all the same, and is told what is missing."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._opened: dict[str, WorkspaceProvider] = {}

    def __getitem__(self, name: str) -> WorkspaceProvider:
        if name not in NAMES:
            raise KeyError(name)
        if name not in self._opened:
            is_bare = name == "local" and self._place.unisolated
            module, _, attribute = PROVIDERS["unisolated" if is_bare else name].partition(":")
            self._opened[name] = getattr(import_module(module), attribute)(self._place)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        place = self._place
        path = place.docker_host.removeprefix("unix://")
        yield "local"
        if "://" in path or Path(path).exists():
            yield "docker"
        if place.daytona_key is not None:
            yield "daytona"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    async def close(self) -> None:
        """Close what was opened."""
        opened, self._opened = self._opened, {}
        for provider in opened.values():
            await provider.close()


def open_workspaces(
    settings: Settings, *, api_url: str | None = None, label: str | None = None
) -> Workspaces:
    """Every provider this installation may use. Nothing is reached before something is asked of one.

    `api_url`: address of the API when it differs from the settings'. `label`: default by `home`.
    """
    return Workspaces(
        Place(
            home=settings.home,
            api_url=(api_url or settings.url).rstrip("/"),
            label=label or _label(settings),
            registries=tuple(settings.sandbox_registries),
            bubblewrap=settings.bubblewrap,
            unisolated=settings.sandbox_unisolated,
            image=settings.sandbox_image,
            docker_host=settings.docker_host,
            daytona_url=settings.daytona_api_url,
            daytona_key=settings.daytona_api_key,
            daytona_snapshot=settings.daytona_snapshot,
        )
    )


def _label(settings: Settings) -> str:
    """One installation is one database, whoever of its processes asks."""
    name = settings.database_url or f"{platform.node()}:{settings.sqlite_path.resolve()}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]
