"""Log lines: as JSON or text, with the ids of what they are about."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from omniforge.core.config import Settings
from omniforge.core.logs import JsonLines, LogFormat, TextLines, bind, bound_ids

Logged = tuple[logging.Logger, Callable[[], list[str]]]


def logger_with(formatter: logging.Formatter, name: str) -> Iterator[Logged]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, lambda: stream.getvalue().splitlines()
    logger.removeHandler(handler)


@pytest.fixture
def as_json() -> Iterator[Logged]:
    yield from logger_with(JsonLines(), "test.logs.json")


@pytest.fixture
def as_text() -> Iterator[Logged]:
    yield from logger_with(TextLines(), "test.logs.text")


def test_a_line_names_what_it_is_about(as_json: Logged) -> None:
    logger, lines = as_json
    with bind(run_id="run_1", step="a", tenant_id="t"):
        logger.warning("%d pages", 3)
    logger.warning("outside")
    inside, outside = (json.loads(line) for line in lines())
    at = inside.pop("at")
    assert at.endswith("Z")
    assert inside == {
        "level": "warning",
        "logger": "test.logs.json",
        "message": "3 pages",
        "run_id": "run_1",
        "step": "a",
        "tenant_id": "t",
    }
    assert "run_id" not in outside


def test_an_inner_block_adds_to_the_outer_and_ends_by_itself() -> None:
    with bind(tenant_id="t", step="x"):
        with contextlib.suppress(ZeroDivisionError), bind(run_id="r", step="y"):
            assert bound_ids() == {"tenant_id": "t", "run_id": "r", "step": "y"}
            raise ZeroDivisionError
        assert bound_ids() == {"tenant_id": "t", "step": "x"}
    assert bound_ids() == {}


async def test_tasks_keep_their_own_ids_apart() -> None:
    seen: dict[str, Any] = {}

    async def inner(name: str) -> None:
        await asyncio.sleep(0)
        seen[name] = bound_ids()

    async def work(name: str) -> None:
        with bind(run_id=name):
            await asyncio.gather(inner(name), asyncio.sleep(0.001))

    await asyncio.gather(*(work(f"r{n}") for n in range(5)))
    assert seen == {f"r{n}": {"run_id": f"r{n}"} for n in range(5)}
    with bind(run_id="thread"):
        assert await asyncio.to_thread(bound_ids) == {"run_id": "thread"}


def test_text_from_outside_cannot_write_lines_of_its_own(as_text: Logged) -> None:
    logger, lines = as_text
    with bind(step="a\nb"):
        logger.error("got %s", "x\n2026-01-01T00:00:00.000Z ERROR root: all is lost\x1b[2J")
    (line,) = lines()
    assert "\\n2026" in line
    assert "\\x1b[2J" in line
    assert line.endswith("[step=a\\nb]")


def test_errors_come_with_their_traceback(as_json: Logged, as_text: Logged) -> None:
    for logger, _ in (as_json, as_text):
        try:
            int("no number")
        except ValueError:
            logger.exception("could not")
    (line,) = as_json[1]()
    assert "ValueError: invalid literal" in json.loads(line)["error"]
    assert as_text[1]()[-1].startswith("ValueError: invalid literal")


def test_settings_choose_form_and_level() -> None:
    settings = Settings.model_validate({"log_format": "json", "log_level": "info"})
    program = (
        "import logging; from omniforge.core.logs import *;"
        f"set_up_logs(LogFormat('{settings.log_format}'), '{settings.log_level}');"
        "logging.getLogger('x').info('shown'); logging.getLogger('x').debug('not shown')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert [json.loads(line)["message"] for line in ended.stderr.splitlines()] == ["shown"]
    assert settings.log_format is LogFormat.JSON
    with pytest.raises(ValueError, match="log_format"):
        Settings.model_validate({"log_format": "xml"})
