"""Run as a program by `pages`: a file on stdin, its suffix and most rows as arguments, JSON on stdout. It
imports nothing of ours, so that it starts at once."""

from __future__ import annotations

import io
import json
import resource
import sys
import zipfile
from typing import Any

Json = dict[str, Any]

CPU_SECONDS = 30
MEMORY_BYTES = 1024 * 1024 * 1024
MAX_TEXT = 2_000_000
"""Characters."""
MAX_PART = 100 * 1024 * 1024
"""Bytes of the unpacked text."""
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


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
    """Paragraphs outside of tables, and tables, of WordprocessingML (ECMA-376, part 1, section 17)."""
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415 - only here

    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        part = packed.getinfo("word/document.xml")
        if part.file_size > MAX_PART:
            raise ValueError("the text is too long")
        body = fromstring(packed.read(part), forbid_dtd=True).find(f"{W}body")
    if body is None:
        raise ValueError("no body")
    text = "\n".join(_words(one) for one in body if one.tag == f"{W}p")
    tables: list[list[list[str]]] = []
    left = rows
    for table in body.iter(f"{W}tbl"):
        found = [[_words(cell) for cell in row.findall(f"{W}tc")] for row in table.findall(f"{W}tr")[:left]]
        left -= len(found)
        tables.append(found)
    return {"text": text[:MAX_TEXT], "tables": tables, "truncated": len(text) > MAX_TEXT or left <= 0}


def _words(element: Any) -> str:
    """What is written in an element; its paragraphs on lines of their own."""
    lines = element.iter(f"{W}p") if element.tag != f"{W}p" else [element]
    return "\n".join("".join(run.text or "" for run in line.iter(f"{W}t")) for line in lines)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
