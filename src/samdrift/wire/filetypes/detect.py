"""The kind of a file, from its content alone.

A file that two programs would take for different things (an image with an
archive at its end, an archive with a PDF in front) is a way past every check
that looks at one of them, so such a file is of no kind.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from samdrift.wire.filetypes.kinds import Kind
from samdrift.wire.filetypes.zips import ends_as_archive, kind_of_archive

_MAGIC = (
    (b"%PDF-", Kind.PDF),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.COMPOUND),
    (b"{\\rt", Kind.RTF),  # Word asks for no more
    (b"\x7fELF", Kind.PROGRAM),
    (b"\xfe\xed\xfa\xce", Kind.PROGRAM),
    (b"\xfe\xed\xfa\xcf", Kind.PROGRAM),
    (b"\xce\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xcf\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xca\xfe\xba\xbe", Kind.PROGRAM),  # Mach-O for several processors, and classes of Java
    (b"L\0\0\0\x01\x14\x02\0", Kind.PROGRAM),  # a shortcut of Windows
    (b"#!", Kind.PROGRAM),
)
_OFFICE_STREAMS = ("WordDocument", "Workbook", "Book", "PowerPoint Document")
_ARCHIVES = frozenset({Kind.ZIP, Kind.DOCX, Kind.XLSX, Kind.PPTX, Kind.ODT, Kind.ODS, Kind.ODP})
_PDF_ANYWHERE = 1024
"""Readers of PDF find its beginning anywhere in so many bytes (ISO 32000-1, implementation note 13)."""
_TEXT_BEGINNING = 2048
_SPACE = b" \t\r\n\x0b\x0c"
_MARK = codecs.BOM_UTF8
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_PIECE = 1 << 20
_HTML = re.compile(
    rb"<(!doctype\s+html|html|head|body|script|iframe|style|table|title|a|div|font|img|h1|br|p|meta|link|object|embed)[\s>/]",
    re.IGNORECASE,
)
_ROOT = re.compile(rb"<(?![?!])")


def detect(data: bytes) -> Kind:
    """The kind of a file."""
    kind = _kind(data)
    archive = kind in _ARCHIVES
    if not archive and kind is not Kind.PROGRAM and ends_as_archive(data):
        return Kind.AMBIGUOUS
    binary = kind not in (Kind.PDF, Kind.TEXT, Kind.XML, Kind.HTML, Kind.PROGRAM)
    if binary and b"%PDF-" in data[:_PDF_ANYWHERE]:
        return Kind.AMBIGUOUS
    return kind


def _kind(data: bytes) -> Kind:
    beginning = data[:_TEXT_BEGINNING].removeprefix(_MARK).lstrip(_SPACE)
    if beginning.startswith(b"%PDF-"):
        return Kind.PDF
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return _CLOSER[kind](data) if kind in _CLOSER else kind
    if _is_text(data):
        return _kind_of_text(beginning)
    return Kind.PROGRAM if data.startswith(b"MZ") else Kind.OTHER


def _kind_of_compound(data: bytes) -> Kind:
    """By the names of its streams, which are UTF-16; a document may hold others of another program."""
    office = any(f"{name}\0".encode("utf-16-le") in data for name in _OFFICE_STREAMS)
    return Kind.OFFICE if office else Kind.COMPOUND


_CLOSER: dict[Kind, Callable[[bytes], Kind]] = {Kind.ZIP: kind_of_archive, Kind.COMPOUND: _kind_of_compound}


def _kind_of_text(beginning: bytes) -> Kind:
    if not beginning.startswith(b"<"):
        return Kind.TEXT
    root = _ROOT.search(beginning)
    if _HTML.match(beginning) or (root and _HTML.match(beginning, root.start())):
        return Kind.HTML
    return Kind.XML


def _is_text(data: bytes) -> bool:
    """Return whether it is UTF-8 without control characters other than white space."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if _CONTROL.search(piece):
                return False
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return bool(data)
