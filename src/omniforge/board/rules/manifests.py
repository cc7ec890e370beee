"""Which packages a tree declares: readers of manifests and lock files, by the names of the files. Pure."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, cast

import yaml

Json = dict[str, Any]
MAX_BYTES = 20 * 1024 * 1024


class Ecosystem(StrEnum):
    """Whose packages they are; an audit asks each of them by itself."""

    PYTHON = "Python"
    NODE = "Node.js"
    RUST = "Rust"
    GO = "Go"
    PHP = "PHP"
    RUBY = "Ruby"


class Unreadable(ValueError):
    """A file that is not what its name says."""


@dataclass(frozen=True, slots=True)
class Package:
    """Something that is declared; a version only where exactly one is fixed."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A kind of file. `is_lock`: it fixes what is installed; None: where it fixes every version."""

    names: tuple[str, ...]
    ecosystem: Ecosystem
    read: Callable[[str], Iterable[Package]]
    is_lock: bool | None = False


def manifest_of(path: str) -> Manifest | None:
    """The kind of a file by its name. Those of installed packages are no manifests of the project."""
    at = PurePosixPath(path)
    if "node_modules" in at.parts:
        return None
    for manifest in MANIFESTS:
        if any(fnmatchcase(at.name, name) or fnmatchcase(path, name) for name in manifest.names):
            return manifest
    return None


def read_packages(manifest: Manifest, path: str, data: bytes) -> list[Package]:
    """`Unreadable` for what is too large or broken."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{path} is too large to be read")
    try:
        return list(manifest.read(data.decode("utf-8-sig")))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        yaml.YAMLError,
        configparser.Error,
    ):
        raise Unreadable(f"{path} cannot be read") from None


def is_lock_file(manifest: Manifest, packages: Iterable[Package]) -> bool:
    if manifest.is_lock is not None:
        return manifest.is_lock
    found = list(packages)
    return bool(found) and all(package.version for package in found)


def plain_name(name: str) -> str:
    """Names that package indexes take for the same are the same."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


# --- Python ------------------------------------------------------------------------------------------------

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)")
_FIXED = re.compile(r"={2,3}\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(?:;.*|--hash.*)?")
_NO_NAMES = ("-", "http:", "https:", "file:", ".", "/")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)")


def _requirement(line: str) -> Package | None:
    found = _REQUIREMENT.match(line)
    if found is None:
        return None
    fixed = _FIXED.fullmatch(found[2].strip())
    return Package(found[1], fixed[1] if fixed else None)


def _requirements(text: str) -> Iterator[Package]:
    for raw in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if egg := _EGG.search(raw):
            yield Package(egg[1])
        elif not line.startswith(_NO_NAMES) and (package := _requirement(line)):
            yield package


def _listed(value: Any) -> Iterator[Package]:
    """A list of requirements, or a table of names."""
    if isinstance(value, list):
        for one in cast("list[Any]", value):
            if isinstance(one, str) and (package := _requirement(one)):
                yield package
    elif isinstance(value, dict):
        yield from (Package(name) for name in cast("Json", value) if name.lower() != "python")


def _tables(value: Any) -> list[Json]:
    """The tables in a table."""
    return [one for one in _table(value).values() if isinstance(one, dict)]


def _values(value: Any) -> list[Any]:
    return list(_table(value).values())


def _table(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _rows(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _pyproject(text: str) -> Iterator[Package]:
    document = tomllib.loads(text)
    project: Json = document.get("project", {})
    tool: Json = document.get("tool", {})
    poetry: Json = tool.get("poetry", {})
    places = [project.get("dependencies"), document.get("build-system", {}).get("requires")]
    places += [*_values(project.get("optional-dependencies")), *_values(document.get("dependency-groups"))]
    places += [poetry.get("dependencies"), poetry.get("dev-dependencies")]
    places += [group.get("dependencies") for group in _tables(poetry.get("group"))]
    places += [
        tool.get("uv", {}).get("dev-dependencies"),
        *_values(tool.get("pdm", {}).get("dev-dependencies")),
    ]
    for place in places:
        yield from _listed(place)


def _setup_cfg(text: str) -> Iterator[Package]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    lists = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        lists += [value for _, value in parser.items("options.extras_require")]
    for one in lists:
        yield from _requirements(one)


def _pipfile(text: str) -> Iterator[Package]:
    document = tomllib.loads(text)
    for part in ("packages", "dev-packages"):
        yield from _listed(document.get(part))


def _pipfile_lock(text: str) -> Iterator[Package]:
    document = _table(json.loads(text))
    for part in ("default", "develop"):
        for name, entry in _table(document.get(part)).items():
            yield Package(name, str(_table(entry).get("version", "")).lstrip("=") or None)


def _locked_toml(text: str) -> Iterator[Package]:
    """uv.lock, poetry.lock, pdm.lock, pylock.toml, Cargo.lock. What is the project itself has no index."""
    document = tomllib.loads(text)
    for entry in (*_rows(document.get("package")), *_rows(document.get("packages"))):
        if not {"editable", "virtual", "directory"} & _table(entry.get("source")).keys():
            yield Package(entry["name"], entry.get("version"))


# --- Node.js -----------------------------------------------------------------------------------------------

_ALIAS = re.compile(r"npm:((?:@[^/@]+/)?[^@]+)")


def _package_json(text: str) -> Iterator[Package]:
    document = _table(json.loads(text))
    parts = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    for part in (*parts, "overrides", "resolutions"):
        for name, wanted in _table(document.get(part)).items():
            yield Package(name)
            if isinstance(wanted, str) and (alias := _ALIAS.match(wanted)):
                yield Package(alias[1])
    for part in ("bundledDependencies", "bundleDependencies"):
        yield from (Package(name) for name in _rows(document.get(part)) if isinstance(name, str))


def _package_lock(text: str) -> Iterator[Package]:
    document = _table(json.loads(text))
    for path, entry in _table(document.get("packages")).items():
        _, inside, name = path.rpartition("node_modules/")
        if inside:
            yield Package(name, _table(entry).get("version"))
            yield Package(_table(entry).get("name", name), _table(entry).get("version"))
    yield from _nested(_table(document.get("dependencies")))


def _nested(found: Json) -> Iterator[Package]:
    for name, entry in found.items():
        version = str(_table(entry).get("version", ""))
        alias = _ALIAS.match(version)
        yield Package(alias[1] if alias else name, version or None)
        yield from _nested(_table(_table(entry).get("dependencies")))


def _yarn_lock(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        if not line.startswith((" ", "#", "\t")) and line.rstrip().endswith(":"):
            for one in line.rstrip()[:-1].split(","):
                found = re.match(r"\s*\"?((?:@[^/@]+/)?[^@\s\"]+)@", one)
                if found:
                    yield Package(found[1])
                if alias := _ALIAS.search(one):
                    yield Package(alias[1])


def _pnpm_lock(text: str) -> Iterator[Package]:
    document = _table(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506
    for part in ("packages", "snapshots"):
        for key in map(str, _table(document.get(part))):
            found = re.match(r"/?((?:@[^/@]+/)?[^/@]+)[@/]([^(_]+)", key)
            if found:
                yield Package(found[1], found[2])


# --- others ------------------------------------------------------------------------------------------------


def _cargo(text: str) -> Iterator[Package]:
    document = tomllib.loads(text)
    places = [document, *_tables(document.get("target")), _table(document.get("workspace"))]
    for place in places:
        for part in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in _table(place.get(part)).items():
                yield Package(_table(wanted).get("package", name))


def _go_mod(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        if found := re.match(r"\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+|[\w.-]+\.\w+)\s+(v\S+)", line):
            yield Package(found[1], found[2])


def _go_sum(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name and rest:
            yield Package(name, rest.partition(" ")[0].removesuffix("/go.mod"))


def _composer(text: str) -> Iterator[Package]:
    document = _table(json.loads(text))
    for part in ("require", "require-dev"):
        yield from (Package(name) for name in _table(document.get(part)) if "/" in name)


def _composer_lock(text: str) -> Iterator[Package]:
    document = _table(json.loads(text))
    for part in ("packages", "packages-dev"):
        yield from (Package(entry["name"], entry.get("version")) for entry in _rows(document.get(part)))


def _gemfile(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        if found := re.match(r"\s*gem\s*\(?\s*['\"]([\w.-]+)['\"]", line):
            yield Package(found[1])


def _gemfile_lock(text: str) -> Iterator[Package]:
    for line in text.splitlines():
        if found := re.match(r" {4,6}([\w.-]+)(?: \(([^)]+)\))?$", line):
            yield Package(found[1], found[2])


E = Ecosystem
MANIFESTS: tuple[Manifest, ...] = (
    Manifest(("requirements*.txt", "*requirements/*.txt", "constraints*.txt"), E.PYTHON, _requirements, None),
    Manifest(("pyproject.toml",), E.PYTHON, _pyproject),
    Manifest(("setup.cfg",), E.PYTHON, _setup_cfg),
    Manifest(("Pipfile",), E.PYTHON, _pipfile),
    Manifest(("Pipfile.lock",), E.PYTHON, _pipfile_lock, is_lock=True),
    Manifest(("uv.lock", "poetry.lock", "pdm.lock", "pylock*.toml"), E.PYTHON, _locked_toml, is_lock=True),
    Manifest(("package.json",), E.NODE, _package_json),
    Manifest(("package-lock.json", "npm-shrinkwrap.json"), E.NODE, _package_lock, is_lock=True),
    Manifest(("yarn.lock",), E.NODE, _yarn_lock, is_lock=True),
    Manifest(("pnpm-lock.yaml",), E.NODE, _pnpm_lock, is_lock=True),
    Manifest(("Cargo.toml",), E.RUST, _cargo),
    Manifest(("Cargo.lock",), E.RUST, _locked_toml, is_lock=True),
    Manifest(("go.mod",), E.GO, _go_mod),
    Manifest(("go.sum",), E.GO, _go_sum, is_lock=True),
    Manifest(("composer.json",), E.PHP, _composer),
    Manifest(("composer.lock",), E.PHP, _composer_lock, is_lock=True),
    Manifest(("Gemfile", "*.gemspec"), E.RUBY, _gemfile),
    Manifest(("Gemfile.lock",), E.RUBY, _gemfile_lock, is_lock=True),
)
