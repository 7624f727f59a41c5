"""File types by content, not by name (content-specification 4.3.3.3 contentType).

A declared MIME type is held against the kind that :func:`detect` finds. A file that two
programs would take for different things (an image with an archive at its end, an
archive with a PDF in front) is a way past every check that looks at one of them, so
such a file is of no kind.

Archives come from strangers: no more of one is read than its directory, as long as
that is small, and the beginning of the one entry that shows its type.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable
from enum import Enum, auto
from io import BytesIO
from struct import error as struct_error
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from samdrift.wire import xml
from samdrift.wire.errors import WireError
from samdrift.wire.xml import XmlLimits

PDF = "application/pdf"
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

_SAME = {
    "application/x-pdf": PDF,
    "image/x-png": "image/png",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/tif": "image/tiff",
    "image/x-tiff": "image/tiff",
    "text/rtf": "application/rtf",
    "application/x-rtf": "application/rtf",
    "application/x-zip-compressed": "application/zip",
    "text/xml": "application/xml",
    "text/x-markdown": "text/markdown",
    "application/csv": "text/csv",
    "application/doc": "application/msword",
    "application/excel": "application/vnd.ms-excel",
}

_END = b"PK\x05\x06"
_ENTRY = b"PK\x01\x02"

_ELSEWHERE = b"PK\x06\x07"
"""Begins what may stand before the end and send a reader to another directory (Zip64)."""

_ELSEWHERE_SIZE = 20
_END_SIZE = 22
_LONGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 1 << 20
_MOST_READ = 1 << 18

_METHODS = (ZIP_STORED, ZIP_DEFLATED)
"""Compression methods of office documents (ODF 1.3 part 2, 2.2.1; ISO 29500-2 annex B).

Others ask for as much memory as they please, and fail in ways of their own.
"""

_CONTENT_TYPES = "[Content_Types].xml"
_MIMETYPE = "mimetype"
_TELLING = (_CONTENT_TYPES.lower(), _MIMETYPE)
_OPEN_XML_PARTS = "application/vnd.openxmlformats-officedocument."
_MAIN_PART = ".main+xml"

_UNREADABLE = (
    BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct_error,
    zlib.error,
    KeyError,
    OverflowError,
)

_OFFICE_STREAMS = ("WordDocument", "Workbook", "Book", "PowerPoint Document")

_PDF_ANYWHERE = 1024
"""Readers of PDF find its beginning anywhere in the first bytes (ISO 32000-1, implementation note 13)."""

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


class Kind(Enum):
    """A kind of content."""

    PDF = auto()
    PNG = auto()
    JPEG = auto()
    GIF = auto()
    TIFF = auto()
    DOCX = auto()
    XLSX = auto()
    PPTX = auto()
    ODT = auto()
    ODS = auto()
    ODP = auto()
    ZIP = auto()
    """An archive that is none of the documents above."""
    OFFICE = auto()
    """A document of Word, Excel or PowerPoint as they were before the formats above."""
    COMPOUND = auto()
    """A file of the same form that is none; installers and saved e-mails are such."""
    RTF = auto()
    TEXT = auto()
    """UTF-8 without control characters."""
    XML = auto()
    HTML = auto()
    PROGRAM = auto()
    """Something that a computer executes."""
    OTHER = auto()
    """Binary content that nothing more is known of."""
    AMBIGUOUS = auto()
    """Two things in one file: one program sees this, another one that."""


_AGREE: dict[str, frozenset[Kind]] = {
    PDF: frozenset({Kind.PDF}),
    "image/png": frozenset({Kind.PNG}),
    "image/jpeg": frozenset({Kind.JPEG}),
    "image/gif": frozenset({Kind.GIF}),
    "image/tiff": frozenset({Kind.TIFF}),
    f"{_OPEN_XML}.wordprocessingml.document": frozenset({Kind.DOCX}),
    f"{_OPEN_XML}.spreadsheetml.sheet": frozenset({Kind.XLSX}),
    f"{_OPEN_XML}.presentationml.presentation": frozenset({Kind.PPTX}),
    f"{_OPEN_DOCUMENT}.text": frozenset({Kind.ODT}),
    f"{_OPEN_DOCUMENT}.spreadsheet": frozenset({Kind.ODS}),
    f"{_OPEN_DOCUMENT}.presentation": frozenset({Kind.ODP}),
    "application/msword": frozenset({Kind.OFFICE}),
    "application/vnd.ms-excel": frozenset({Kind.OFFICE}),
    "application/vnd.ms-powerpoint": frozenset({Kind.OFFICE}),
    "application/rtf": frozenset({Kind.RTF}),
    "application/zip": frozenset({Kind.ZIP}),
    "application/xml": frozenset({Kind.XML}),
    "text/html": frozenset({Kind.HTML}),
    "text/plain": frozenset({Kind.TEXT, Kind.XML}),
    "text/csv": frozenset({Kind.TEXT, Kind.XML}),
    "text/markdown": frozenset({Kind.TEXT, Kind.XML}),
    "application/json": frozenset({Kind.TEXT}),
}

_OF_UNKNOWN_FORM = frozenset({Kind.OTHER, Kind.ZIP, Kind.COMPOUND, Kind.TEXT, Kind.XML})


def canonical(content_type: str) -> str:
    """A MIME type in small letters, without parameters, by the name that is used here."""
    bare = content_type.partition(";")[0].strip().lower()
    return _SAME.get(bare, bare)


def agrees(content_type: str, kind: Kind) -> bool:
    """Return whether a file that is declared as ``content_type`` may have content of that kind.

    Of a type whose form is not known here it can only be asked that it is
    nothing that is known to be something else.
    """
    return kind in _AGREE.get(canonical(content_type), _OF_UNKNOWN_FORM)


_MAIN = {
    f"{_OPEN_XML_PARTS}wordprocessingml.document{_MAIN_PART}": Kind.DOCX,
    f"{_OPEN_XML_PARTS}spreadsheetml.sheet{_MAIN_PART}": Kind.XLSX,
    f"{_OPEN_XML_PARTS}presentationml.presentation{_MAIN_PART}": Kind.PPTX,
}

_OPEN_DOCUMENT_TYPES = {
    b"application/vnd.oasis.opendocument.text": Kind.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": Kind.ODS,
    b"application/vnd.oasis.opendocument.presentation": Kind.ODP,
}


def _ends_as_archive(data: bytes) -> bool:
    """Return whether a reader of archives, which begins at the end, would take it for one.

    Many are content with an end that something follows, as long as the directory stands before it.
    """
    return _end(data) is not None or _has_directory(data)


def _kind_of_archive(data: bytes) -> Kind:
    """The kind of what begins as an archive."""
    at = _end(data)
    if at is None:
        return Kind.OTHER
    directory = int.from_bytes(data[at + 12 : at + 16], "little")
    start = int.from_bytes(data[at + 16 : at + 20], "little")
    if start + directory != at or data.startswith(_ELSEWHERE, max(at - _ELSEWHERE_SIZE, 0)):
        return Kind.AMBIGUOUS  # something stands before the archive, or it is larger than archives here are
    if directory > _LARGEST_DIRECTORY:
        return Kind.ZIP
    try:
        with ZipFile(BytesIO(data)) as archive:
            return _kind_of_document(archive)
    except _UNREADABLE:
        return Kind.OTHER


def _kind_of_document(archive: ZipFile) -> Kind:
    """Names of parts are the same in small and capital letters (ISO/IEC 29500-2)."""
    telling = [entry for entry in archive.infolist() if entry.filename.lower() in _TELLING]
    if len(telling) > 1:
        return Kind.AMBIGUOUS
    if not telling or telling[0].compress_type not in _METHODS:
        return Kind.ZIP
    if telling[0].filename == _CONTENT_TYPES:
        return _kind_of_open_xml(_beginning(archive, _CONTENT_TYPES))
    if telling[0].filename == _MIMETYPE:
        return _OPEN_DOCUMENT_TYPES.get(_beginning(archive, _MIMETYPE).strip(), Kind.ZIP)
    return Kind.ZIP


def _kind_of_open_xml(types: bytes) -> Kind:
    """By the main part, as whoever opens the document reads its type: what is no XML has none."""
    try:
        root = xml.parse(types, XmlLimits(max_bytes=_MOST_READ - 1))
    except WireError:
        return Kind.ZIP
    found = {each.get("ContentType", "").strip().lower() for each in xml.children(root)}
    kinds = {_MAIN.get(each, Kind.ZIP) for each in found if each.endswith(_MAIN_PART)}
    return kinds.pop() if len(kinds) == 1 else Kind.ZIP


def _beginning(archive: ZipFile, name: str) -> bytes:
    """Unpack nothing that is packed in another way than office documents are."""
    if archive.getinfo(name).compress_type not in _METHODS:
        return b""
    with archive.open(name) as entry:
        return entry.read(_MOST_READ)


def _end(data: bytes) -> int | None:
    """Return the place of the record that ends an archive; only a comment may follow it."""
    tail = max(len(data) - _END_SIZE - _LONGEST_COMMENT, 0)
    at = data.rfind(_END, tail)
    while at >= 0:
        comment = int.from_bytes(data[at + 20 : at + _END_SIZE], "little")
        if at + _END_SIZE + comment == len(data):
            return at
        at = data.rfind(_END, tail, at)
    return None


def _has_directory(data: bytes) -> bool:
    """Return whether some end near the end of the file has a directory before it, whatever follows."""
    tail = max(len(data) - _END_SIZE - _LONGEST_COMMENT, 0)
    at = data.rfind(_END, tail, len(data) - _END_SIZE + len(_END)) if len(data) >= _END_SIZE else -1
    while at >= 0:
        size = int.from_bytes(data[at + 12 : at + 16], "little")
        if 0 < size <= at and data.startswith(_ENTRY, at - size):
            return True
        at = data.rfind(_END, tail, at)
    return False


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

_ARCHIVES = frozenset({Kind.ZIP, Kind.DOCX, Kind.XLSX, Kind.PPTX, Kind.ODT, Kind.ODS, Kind.ODP})


def detect(data: bytes) -> Kind:
    """The kind of a file."""
    kind = _kind(data)
    archive = kind in _ARCHIVES
    if not archive and kind is not Kind.PROGRAM and _ends_as_archive(data):
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


_CLOSER: dict[Kind, Callable[[bytes], Kind]] = {Kind.ZIP: _kind_of_archive, Kind.COMPOUND: _kind_of_compound}


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
