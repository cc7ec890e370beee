"""PDF and Word files: their text and tables, and what is no such file."""

from __future__ import annotations

import io
import zipfile

import pytest
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


def word(head: str = "") -> bytes:
    """A paragraph, and a table of two rows."""
    rows = (("Item", "Price"), ("Chair", "42"))

    def line(text: str) -> str:
        return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"

    cells = ["".join(f"<w:tc>{line(text)}</w:tc>" for text in row) for row in rows]
    table = "".join(f"<w:tr>{row}</w:tr>" for row in cells)
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f"<w:body>{line('Purchase order 85')}<w:tbl>{table}</w:tbl></w:body>"
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as packed:
        packed.writestr("word/document.xml", f'{head}<w:document xmlns:w="{space}">{body}</w:document>')
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


async def test_entities_in_a_word_file_are_refused() -> None:
    with pytest.raises(Invalid, match="damaged"):
        await read_pages(".docx", word('<!DOCTYPE x [<!ENTITY a "b">]>'), 100)
