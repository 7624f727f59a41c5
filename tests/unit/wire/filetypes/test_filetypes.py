"""content-specification 4.3.3.3 contentType: a file's type follows from its content, not from its name."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.wire.filetypes import Detector, Kind, agrees, canonical, detect
from tests.unit.wire.filetypes import files

KINDS = {
    Kind.PDF: [files.PDF, b"\n " + files.PDF, b"\xef\xbb\xbf" + files.PDF],
    Kind.PNG: [files.PNG],
    Kind.JPEG: [files.JPEG],
    Kind.GIF: [files.GIF, b"GIF87a" + bytes(9)],
    Kind.TIFF: [files.TIFF, b"MM\0*" + bytes(9)],
    Kind.DOCX: [files.DOCX],
    Kind.XLSX: [files.XLSX],
    Kind.PPTX: [files.PPTX],
    Kind.ODT: [files.ODT],
    Kind.ODS: [files.ODS],
    Kind.ODP: [files.open_document("application/vnd.oasis.opendocument.presentation")],
    Kind.ZIP: [
        files.ZIP,
        files.archive({}),
        files.archive({"a": b"b"}, comment=b"a comment"),
        files.WITH_MACROS,
        *files.DISGUISED_MACROS,
        files.with_broken_lzma(),
        files.open_document("application/vnd.oasis.opendocument.text-master"),
    ],
    Kind.OFFICE: [files.compound(name) for name in ("WordDocument", "Workbook", "PowerPoint Document")],
    Kind.COMPOUND: [files.compound("__substg1.0_001A001E")],
    Kind.RTF: [files.RTF, rb"{\rt hej}"],
    Kind.TEXT: [files.TEXT, b"\xef\xbb\xbfhej", b"MZ-linjen", "å".encode() * (1 << 20), b"a<b>c"],
    Kind.XML: [files.XML, b"<order/>", b"\xef\xbb\xbf \n<order/>"],
    Kind.HTML: [files.HTML, b"<script>x()</script>", b'<?xml version="1.0"?>\n<html xmlns="x"/>', b"<HTML>"],
    Kind.PROGRAM: [
        files.PE,
        files.ELF,
        files.MACH_O,
        files.SCRIPT,
        b"\xca\xfe\xba\xbe\0\0",
        files.PE + files.ZIP,
    ],
    Kind.OTHER: [
        files.BINARY,
        b"",
        "hej".encode("utf-16"),
        "Åmål".encode("latin-1"),
        b"text\0",
        b"hej \xc3",
        files.DOCX[:-1],
        b"PK\x03\x04" + bytes(40),
    ],
    Kind.AMBIGUOUS: [
        files.PDF + files.ZIP,
        files.PDF + files.ZIP + b"\n%%EOF\n",
        files.PDF + files.archive({"a": b"b"}, comment=b"c" * 9)[:-1],
        files.DOCX + b"more",
        files.with_another_directory(),
        files.archive({"[Content_Types].xml": b"<x/>", "[content_types].XML": b"<x/>"}),
        files.GIF + files.archive({"a": b"b"}, comment=b"c" * 1000),
        files.JPEG + files.DOCX,
        files.BINARY + files.ZIP,
        files.GIF + files.PDF,
        files.archive({"mimetype": b"%PDF-1.7 "}),
        files.ZIP + files.ZIP,
        files.archive({"a": b"b"}, comment=b"PK\x05\x06 is not the end"),
        files.archive(
            {"mimetype": b"application/vnd.oasis.opendocument.text", "[Content_Types].xml": b"<x/>"}
        ),
    ],
}


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_content_tells_the_kind(kind: Kind) -> None:
    assert [detect(data) for data in KINDS[kind]] == [kind] * len(KINDS[kind])


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/pdf", files.PDF),
        ("Application/PDF; name=a", files.PDF),
        ("application/x-pdf", files.PDF),
        ("image/jpg", files.JPEG),
        ("text/xml", files.XML),
        ("text/plain; charset=utf-8", files.TEXT),
        ("text/plain", files.XML),
        ("application/msword", files.compound("WordDocument", "Workbook")),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", files.DOCX),
        ("application/vnd.oasis.opendocument.spreadsheet", files.ODS),
        ("application/acad", files.BINARY),
        ("application/vnd.visio", files.ZIP),
    ],
)
def test_what_is_declared_as_it_is(content_type: str, data: bytes) -> None:
    assert agrees(content_type, detect(data))


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/pdf", files.PNG),
        ("application/pdf", files.PE),
        ("application/pdf", b"MZ\x90\0" + files.PDF),
        ("application/pdf", files.PDF + files.ZIP),
        ("application/pdf", files.HTML),
        ("application/pdf", b""),
        ("image/png", files.JPEG),
        ("image/gif", files.GIF + files.PDF),
        ("text/plain", files.HTML),
        ("text/plain", files.SCRIPT),
        ("text/plain", files.BINARY),
        ("application/zip", files.DOCX),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", files.WITH_MACROS),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", files.XLSX),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", files.ZIP),
        ("application/msword", files.compound("__substg1.0_001A001E")),
        ("application/msword", files.DOCX),
        ("application/acad", files.PE),
        ("application/acad", files.PDF),
        ("application/acad", files.BINARY + files.ZIP),
    ],
)
def test_what_is_declared_as_something_else(content_type: str, data: bytes) -> None:
    assert not agrees(content_type, detect(data))


def test_names_of_the_same_type_are_one() -> None:
    assert canonical(" Image/JPG ;q=1") == canonical("image/jpeg") == "image/jpeg"
    assert canonical("application/acad") == "application/acad"


def test_nothing_that_can_be_declared_agrees_with_two_things_at_once() -> None:
    declared = ["application/acad", "application/pdf", "application/zip", "text/plain", ""]
    assert not any(agrees(each, kind) for each in declared for kind in (Kind.AMBIGUOUS, Kind.PROGRAM))


def test_a_directory_of_very_many_entries_is_not_read() -> None:
    """Reading it would take many times as much memory as the size of the file."""
    named = {f"{'n' * 200}{number}": b"" for number in range(6000)}
    assert (
        detect(files.archive({**named, "mimetype": b"application/vnd.oasis.opendocument.text"})) is Kind.ZIP
    )


@pytest.mark.parametrize("method", [ZIP_LZMA, ZIP_BZIP2])
@pytest.mark.parametrize("name", ["mimetype", "[Content_Types].xml"])
def test_an_entry_packed_as_no_office_document_is_not_unpacked(method: int, name: str) -> None:
    """Another library would have to parse a stranger's data; office documents do not use such methods."""
    written = BytesIO()
    with ZipFile(written, "w", method) as target:
        target.writestr(name, b"application/vnd.oasis.opendocument.text")
    whole = written.getvalue()
    assert detect(whole) is Kind.ZIP
    start = whole.index(name.encode()) + len(name)
    for at in range(start, start + 20):
        assert detect(whole[:at] + b"\xff" + whole[at + 1 :]) in (Kind.ZIP, Kind.OTHER, Kind.AMBIGUOUS)


def test_an_entry_that_unpacks_without_end_is_not_unpacked() -> None:
    bomb = files.archive({"[Content_Types].xml": bytes(200 << 20)})
    assert len(bomb) < 1 << 20
    assert detect(bomb) is Kind.ZIP


WHOLE = [files.DOCX, files.ODT, files.ZIP, files.PDF, files.compound("Workbook"), files.XML]


@given(st.sampled_from(WHOLE), st.data())
def test_whatever_is_in_a_file_there_is_an_answer(whole: bytes, data: st.DataObject) -> None:
    """Bytes of a file are changed, removed or inserted."""
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 8, len(whole))))
    changed = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    assert detect(changed) in Kind


@given(
    st.sampled_from([each for found in KINDS.values() for each in found if len(each) < 1 << 16]),
    st.binary(max_size=40),
    st.integers(1, 2000),
)
def test_a_file_in_pieces_is_of_the_kind_that_it_is_as_a_whole(data: bytes, more: bytes, piece: int) -> None:
    for whole in (data, data + more, more + data):
        detector = Detector()
        for start in range(0, len(whole), piece):
            detector.feed(whole[start : start + piece])
        part = detector.wanted()
        assert detector.kind(whole[part.start : part.stop] if part else b"") is detect(whole)


def test_a_directory_before_an_end_is_found_wherever_pieces_are_cut() -> None:
    whole = files.GIF + files.archive({"a": b"b"}) + b"more"
    for cut in range(len(whole)):
        detector = Detector()
        detector.feed(whole[:cut])
        detector.feed(whole[cut:])
        assert detector.kind() is Kind.AMBIGUOUS
