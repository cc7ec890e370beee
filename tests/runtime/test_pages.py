"""PDF and Word files: their text and tables, and what is no such file."""

from __future__ import annotations

import io

import pytest
from docx import Document
from pypdf import PdfWriter

from omniforge.core.errors import Invalid
from omniforge.runtime.tools.pages import read_pages


def pdf(text: str) -> bytes:
    """One page with one line."""
    drawn = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%s endobj\n" % (number, one)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + rows + end


def word() -> bytes:
    made = Document()
    made.add_paragraph("Purchase order 85")
    table = made.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("Item", "Price"), ("Chair", "42")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    kept = io.BytesIO()
    made.save(kept)
    return kept.getvalue()


async def test_the_text_of_a_pdf_is_read() -> None:
    found = await read_pages(".pdf", pdf("Invoice 4711, total 119.50"), 100)
    assert found == {"text": "Invoice 4711, total 119.50", "pages": 1, "truncated": False}


async def test_text_and_tables_of_a_word_file_are_read() -> None:
    found = await read_pages(".docx", word(), 100)
    assert found["text"] == "Purchase order 85"
    assert found["tables"] == [[["Item", "Price"], ["Chair", "42"]]]
    assert (await read_pages(".docx", word(), 1))["tables"] == [[["Item", "Price"]]]


@pytest.mark.parametrize("suffix", [".pdf", ".docx"])
async def test_what_is_no_such_file_is_told_in_plain_words(suffix: str) -> None:
    with pytest.raises(Invalid, match="damaged"):
        await read_pages(suffix, b"nothing of the kind", 100)


async def test_a_locked_pdf_is_told_in_plain_words() -> None:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    writer.encrypt("secret")
    kept = io.BytesIO()
    writer.write(kept)
    with pytest.raises(Invalid, match="password"):
        await read_pages(".pdf", kept.getvalue(), 100)
