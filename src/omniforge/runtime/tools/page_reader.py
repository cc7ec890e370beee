"""Run as a program by `pages`: a file on stdin, its suffix and most rows as arguments, JSON on stdout. It
imports nothing of ours, so that it starts at once."""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import Any

Json = dict[str, Any]

CPU_SECONDS = 30
MEMORY_BYTES = 1024 * 1024 * 1024
MAX_TEXT = 2_000_000
"""Characters."""


def main(suffix: str, rows: int) -> None:
    """Whatever a broken file makes the libraries raise ends this process with 1."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    data = sys.stdin.buffer.read()
    found = _pdf(data) if suffix == ".pdf" else _docx(data, rows)
    sys.stdout.write(json.dumps(found))


def _pdf(data: bytes) -> Json:
    from pypdf import PdfReader  # noqa: PLC0415 - only here

    reader = PdfReader(io.BytesIO(data))
    texts: list[str] = []
    for page in reader.pages:
        texts.append(page.extract_text())
        if sum(map(len, texts)) > MAX_TEXT:
            break
    text = "\n\n".join(texts)
    return {"text": text[:MAX_TEXT], "pages": len(reader.pages), "truncated": len(texts) < len(reader.pages)}


def _docx(data: bytes, rows: int) -> Json:
    from docx import Document  # noqa: PLC0415 - only here

    found = Document(io.BytesIO(data))
    text = "\n".join(paragraph.text for paragraph in found.paragraphs)
    tables: list[list[list[str]]] = []
    left = rows
    for table in found.tables:
        cells = [[cell.text for cell in row.cells] for row in table.rows[:left]]
        left -= len(cells)
        tables.append(cells)
    return {"text": text[:MAX_TEXT], "tables": tables, "truncated": len(text) > MAX_TEXT or left <= 0}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
