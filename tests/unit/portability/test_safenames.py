"""The file and the cell of an attachment or a label are harmless, whatever it is called."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.portability import messagefolder
from samdrift.portability.messagefolder import Contents, Members, Names, safe_name
from samdrift.portability.readable import _line
from samdrift.wire.errors import WireError
from samdrift.wire.sdkmessage import build
from tests.unit.wire.sdkmessage.samples import FULL

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=300) | st.sampled_from(
    ["..", "CON", "nul.tar.gz", "COM¹", "a/", "a.b.", ". .", "~$x.docx", "x" * 119 + ".pdf", "LPT1 .txt"]
)


@given(st.lists(NAMES, max_size=8))
def test_names_are_single_short_visible_and_unlike_each_other(originals: list[str]) -> None:
    names = Names()
    given_ = [names.new(original) for original in originals]
    for name in given_:
        assert PurePosixPath(name).name == PureWindowsPath(name).name == name
        assert name.isprintable()
        assert 0 < len(name.encode()) <= 120
        assert not name.startswith((".", "-", " ", "~"))
        assert not name.endswith((".", " "))
        assert not PureWindowsPath(name).is_reserved()
    assert len({unicodedata.normalize("NFC", name).casefold() for name in given_}) == len(given_)


@pytest.mark.parametrize(
    "name", ["beslut.pdf", "Räksmörgås & co (1).docx", "2024-02-29 möte.txt", "日本.pdf"]
)
def test_a_plain_name_stays(name: str) -> None:
    assert safe_name(name) == name


def test_a_name_without_end_is_read_at_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender may name a file with 30 MB of accents, and normalising them took days in one call."""
    read: list[int] = []

    class Unicode:
        def normalize(self, form: str, text: str) -> str:
            read.append(len(text))
            return unicodedata.normalize(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(messagefolder, "unicodedata", Unicode())
    endless = "beslut" + "\u0301" * 3_000 + "\u0316" * 3_000 + ".pdf"
    assert safe_name(f"mapp/{endless}").endswith(".pdf")
    assert safe_name("x" * 5_000 + ".pdf") == "x" * 116 + ".pdf"
    assert max(read) <= 2 * messagefolder._MOST_READ


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "a,=1", 'a"; =1', "a|\t@b", "\t=1", "＝1"]
)
@pytest.mark.parametrize("delimiter", [";", ",", "|"])
def test_no_cell_is_a_formula_also_when_a_spreadsheet_parts_lines_elsewhere(
    text: str, delimiter: str
) -> None:
    (row,) = csv.reader(io.StringIO(_line(["before", text, "after"]).decode()), delimiter=delimiter)
    assert not any(cell.strip(" \t\"'").startswith(tuple("=+-@＝")) and "'" not in cell for cell in row)


class Held:
    """A memory that receives the parts of a message."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(self) -> Held:
        return Held()

    def attachment(self, name: str) -> Held:
        return Held()

    def write(self, text: str) -> None:
        self.pieces.append(text)

    def close(self) -> Members:
        return {"file": "".join(self.pieces)}


def read(data: bytes, step: int) -> list[Members]:
    contents = Contents(Held())
    for start in range(0, len(data), step):
        contents.feed(data[start : start + step])
    contents.close()
    return contents.documents


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_documents_are_read_in_pieces_of_any_size(step: int) -> None:
    first, second = read(build(FULL), step)
    assert [each["file"] for each in first["texts"]] == ["# Rubrik\r\n\n*text*", "mer"]
    assert [each["file"] for each in first["attachments"]] == [FULL.documents[0].files[0].content] * 2
    assert (second["documentID"], second["index"], "documentName" in second) == ("2", "2", False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"messagePayload", b"other"),
        (b">mer<", b">m<b/>er<"),
        (b"</tns:content>", b"</tns:content><tns:content/>"),
        (b"<tns:label>", b"<tns:label"),
        (b"<tns:message>", b"<!DOCTYPE a><tns:message>"),
        (b"beslut.pdf", b"x" * (5 << 20)),
    ],
)
def test_what_is_no_message_is_refused(old: bytes, new: bytes) -> None:
    data = build(FULL)
    assert old in data
    with pytest.raises(WireError):
        read(data.replace(old, new), 1 << 16)
