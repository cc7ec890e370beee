"""Text and tables of PDF and Word files, read in a process of its own: strangers wrote them."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from omniforge.core.errors import Invalid, PayloadTooLarge

Json = dict[str, Any]

PAGED = frozenset({".pdf", ".docx"})
SECONDS = 30
READER = Path(__file__).with_name("page_reader.py")


async def read_pages(suffix: str, data: bytes, rows: int) -> Json:
    """`{text, pages}` of a PDF, `{text, tables}` of a Word file (rows of cells, at most `rows` in all).

    Invalid for what is no such file or is locked by a password, PayloadTooLarge for what takes more than the
    process may use.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(READER),
        suffix,
        str(rows),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            told, _ = await process.communicate(data)
    except TimeoutError:
        raise PayloadTooLarge(f"This {suffix} file takes too long to read.", code="too_large") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode is not None and process.returncode < 0:  # killed at a limit
        raise PayloadTooLarge(f"This {suffix} file takes too much to read.", code="too_large")
    if process.returncode:
        why = "it is damaged, locked by a password, or something else"
        raise Invalid(f"This is no {suffix} file that can be read: {why}.", code="unreadable")
    found: Json = json.loads(told)
    return found
