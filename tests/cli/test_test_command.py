"""`omniforge test`: what is asked for wrongly is said before anything is asked of a server."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from omniforge.cli.main import app


@pytest.mark.parametrize("flags", [["--live", "--dry-run"], ["--preview", "--live"], ["--input", "{"]])
def test_what_cannot_be_meant_is_one_clear_line(flags: list[str]) -> None:
    result = CliRunner().invoke(app, ["test", "anybody", *flags])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
