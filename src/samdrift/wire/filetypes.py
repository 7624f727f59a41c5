"""File types by content, not by name (content-specification 4.3.3.3 contentType).

A declared MIME type is compared with the kind that :func:`detect` finds. A file that two programs would read
as different things (an image with an archive at its end, an archive with a PDF in front) evades every check
that looks at only one of them, so such a file is ``AMBIGUOUS``.

Archives come from strangers: only their directory is read, if it is small, and the beginning of the one entry
that reveals the type.
"""

from __future__ import annotations

import codecs
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from io import SEEK_CUR, SEEK_END, SEEK_SET
from struct import error as struct_error
from typing import IO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

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
"""Signature of a Zip64 locator, which precedes the end record and points a reader to another directory."""

_ELSEWHERE_SIZE = 20
_END_SIZE = 22
_LONGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 1 << 20
_MOST_READ = 1 << 18

_METHODS = (ZIP_STORED, ZIP_DEFLATED)
"""Compression methods of office documents (ODF 1.3 part 2, 2.2.1; ISO 29500-2 annex B).

Other methods can demand unlimited memory, and have failure modes of their own.
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
"""Number of first bytes in which PDF readers search for the header (ISO 32000-1, implementation note 13)."""

_TEXT_BEGINNING = 2048
_SPACE = b" \t\r\n\x0b\x0c"
_MARK = codecs.BOM_UTF8
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_PIECE = 1 << 20
_TAIL = _LARGEST_DIRECTORY + _ELSEWHERE_SIZE + _END_SIZE + _LONGEST_COMMENT
"""Number of bytes at the end of a file that are sure to contain an archive's directory and end record."""
_PART = 2 * _MOST_READ
"""Bytes to read of an archive from an entry on: its header and at least :data:`_MOST_READ` bytes."""
_MOST_PLACES = 1 << 16

_HTML = re.compile(
    rb"<(!doctype\s+html|html|head|body|script|iframe|style|table|title|a|div|font|img|h1|br|p|meta|link|object|embed)[\s>/]",
    re.IGNORECASE,
)

_ROOT = re.compile(rb"<(?![?!])")


class Kind(Enum):
    """Kinds of content."""

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
    """An archive that is not one of the documents above."""
    OFFICE = auto()
    """A document in an older Word, Excel or PowerPoint format."""
    COMPOUND = auto()
    """A file in the same container format as ``OFFICE`` but of another kind: an installer, a saved e-mail."""
    RTF = auto()
    TEXT = auto()
    """Plain text: UTF-8 without control characters."""
    XML = auto()
    HTML = auto()
    PROGRAM = auto()
    """A program that a computer can execute."""
    OTHER = auto()
    """Unrecognised binary content."""
    AMBIGUOUS = auto()
    """Two things in one file, which different programs read differently."""


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
    """Return a MIME type in lower case, without parameters, and with aliases replaced."""
    bare = content_type.partition(";")[0].strip().lower()
    return _SAME.get(bare, bare)


def agrees(content_type: str, kind: Kind) -> bool:
    """Return whether a file declared as ``content_type`` may have content of ``kind``.

    For a type whose format is not known here, this only checks that the content is not recognised as another
    type.
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


def _kind_of_open_xml(types: bytes) -> Kind:
    """Return the kind by the main part's type, as office programs do; ``ZIP`` if there is no such part."""
    try:
        root = xml.parse(types, XmlLimits(max_bytes=_MOST_READ - 1))
    except WireError:
        return Kind.ZIP
    found = {each.get("ContentType", "").strip().lower() for each in xml.children(root)}
    kinds = {_MAIN.get(each, Kind.ZIP) for each in found if each.endswith(_MAIN_PART)}
    return kinds.pop() if len(kinds) == 1 else Kind.ZIP


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
    (b"{\\rt", Kind.RTF),  # Word requires no more
    (b"\x7fELF", Kind.PROGRAM),
    (b"\xfe\xed\xfa\xce", Kind.PROGRAM),
    (b"\xfe\xed\xfa\xcf", Kind.PROGRAM),
    (b"\xce\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xcf\xfa\xed\xfe", Kind.PROGRAM),
    (b"\xca\xfe\xba\xbe", Kind.PROGRAM),  # universal Mach-O binaries, and Java classes
    (b"L\0\0\0\x01\x14\x02\0", Kind.PROGRAM),  # Windows shortcuts
    (b"#!", Kind.PROGRAM),
)

_ARCHIVES = frozenset({Kind.ZIP, Kind.DOCX, Kind.XLSX, Kind.PPTX, Kind.ODT, Kind.ODS, Kind.ODP})


def detect(data: bytes) -> Kind:
    """Return the kind of a file."""
    detector = Detector()
    detector.feed(data)
    part = detector.wanted()
    return detector.kind(b"" if part is None else data[part.start : part.stop])


class Detector:
    """A detector of the kind of a file that arrives in pieces, which keeps only the beginning and end.

    The kind of document in an archive may be shown somewhere in between: :meth:`wanted` returns the range,
    which the caller reads again and passes to :meth:`kind`.
    """

    def __init__(self) -> None:
        self._size = 0
        self._beginning = b""
        self._tail = bytearray()
        self._text = _Text()
        self._entries = _Occurrences(_ENTRY)
        self._streams = tuple(_Occurrences(f"{name}\0".encode("utf-16-le")) for name in _OFFICE_STREAMS)

    def feed(self, piece: bytes) -> None:
        """Process the next piece."""
        if len(self._beginning) < _TEXT_BEGINNING:
            self._beginning += piece[: _TEXT_BEGINNING - len(self._beginning)]
        self._size += len(piece)
        self._text.feed(piece)
        self._entries.feed(piece)
        if self._magic() is Kind.COMPOUND:
            for stream in self._streams:
                stream.feed(piece)
        self._tail += piece[-_TAIL:]
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def wanted(self) -> range | None:
        """Return the range of bytes that reveals the kind of document in an archive, if it is one."""
        if self._magic() is not Kind.ZIP:
            return None
        archive = _Archive(self._size, bytes(self._tail))
        start = archive.place_of_kind()
        return None if start is None else range(start, min(self._size, start + _PART))

    def kind(self, part: bytes = b"") -> Kind:
        """Return the kind, after the last piece; ``part`` holds the bytes that :meth:`wanted` asked for."""
        kind = self._kind(part)
        archive = kind in _ARCHIVES
        if not archive and kind is not Kind.PROGRAM and self._ends_as_archive():
            return Kind.AMBIGUOUS
        binary = kind not in (Kind.PDF, Kind.TEXT, Kind.XML, Kind.HTML, Kind.PROGRAM)
        if binary and b"%PDF-" in self._beginning[:_PDF_ANYWHERE]:
            return Kind.AMBIGUOUS
        return kind

    def _magic(self) -> Kind | None:
        return next((kind for magic, kind in _MAGIC if self._beginning.startswith(magic)), None)

    def _kind(self, part: bytes) -> Kind:
        beginning = self._beginning.removeprefix(_MARK).lstrip(_SPACE)
        if beginning.startswith(b"%PDF-"):
            return Kind.PDF
        match self._magic():
            case Kind.ZIP:
                return _Archive(self._size, bytes(self._tail)).kind(part)
            case Kind.COMPOUND:  # A document may embed others from another program.
                return Kind.OFFICE if any(stream.places for stream in self._streams) else Kind.COMPOUND
            case Kind() as kind:
                return kind
        if self._size and self._text.ended():
            return _kind_of_text(beginning)
        return Kind.PROGRAM if self._beginning.startswith(b"MZ") else Kind.OTHER

    def _ends_as_archive(self) -> bool:
        """Return whether a reader of archives, which starts at the end, would take the file for one.

        Many readers accept an end record with data after it, as long as the directory precedes it.
        """
        tail = bytes(self._tail)
        before = self._size - len(tail)
        if _end(tail) is not None:
            return True
        for at in _ends(tail):
            size = int.from_bytes(tail[at + 12 : at + 16], "little")
            if 0 < size <= before + at and self._entries.at(before + at - size):
                return True
        return False


class _Archive:
    """A file that begins as an archive, known by its end, which contains the directory, and by one part."""

    def __init__(self, size: int, tail: bytes) -> None:
        self._size = size
        self._tail = tail

    def place_of_kind(self) -> int | None:
        """Return the offset of the entry that reveals the kind of document."""
        telling = self._telling()
        return telling.header_offset if isinstance(telling, ZipInfo) else None

    def kind(self, part: bytes) -> Kind:
        """Return the kind of document; ``part`` begins at :meth:`place_of_kind`."""
        telling = self._telling()
        if isinstance(telling, Kind):
            return telling
        try:
            with self._opened((telling.header_offset, part)) as archive:
                if telling.filename == _CONTENT_TYPES:
                    return _kind_of_open_xml(_start_of(archive, telling))
                if telling.filename == _MIMETYPE:
                    return _OPEN_DOCUMENT_TYPES.get(_start_of(archive, telling).strip(), Kind.ZIP)
        except _UNREADABLE:
            return Kind.OTHER
        return Kind.ZIP

    def _telling(self) -> ZipInfo | Kind:
        """Return the entry that reveals the kind of document, or the kind if the directory suffices."""
        at = _end(self._tail)
        if at is None:
            return Kind.OTHER
        directory = int.from_bytes(self._tail[at + 12 : at + 16], "little")
        start = int.from_bytes(self._tail[at + 16 : at + 20], "little")
        before = self._size - len(self._tail)
        elsewhere = self._tail.startswith(_ELSEWHERE, max(at - _ELSEWHERE_SIZE, 0))
        if start + directory != before + at or elsewhere:
            return Kind.AMBIGUOUS  # bytes precede the archive, or it is in the ZIP64 format
        if directory > _LARGEST_DIRECTORY:
            return Kind.ZIP
        try:
            with self._opened() as archive:
                return _telling_entry(archive)
        except _UNREADABLE:
            return Kind.OTHER

    def _opened(self, *parts: tuple[int, bytes]) -> ZipFile:
        tail = (self._size - len(self._tail), self._tail)
        return ZipFile(cast("IO[bytes]", _Sparse(self._size, (tail, *parts))))


class _Sparse:
    """A file object with only some parts of a file, those that :class:`zipfile.ZipFile` reads."""

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        self._size = size
        self._parts = parts
        self._place = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        place = offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._size}[whence]
        if place < 0:
            raise OSError("a place before the file")
        self._place = place
        return place

    def read(self, size: int = -1) -> bytes:
        """Return the available bytes from the current position; raise ``OSError`` if there are none."""
        if self._place >= self._size or size == 0:
            return b""
        for start, part in self._parts:
            inside = self._place - start
            if 0 <= inside < len(part):
                found = part[inside:] if size < 0 else part[inside : inside + size]
                self._place += len(found)
                return found
        raise OSError("a part of the file that is not here")


class _Text:
    """A check that a stream is UTF-8 without control characters other than white space."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._broken = False

    def feed(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if not self._broken:
                piece = data[start : start + _PIECE]
                self._broken = bool(_CONTROL.search(piece)) or not self._decodes(piece)

    def ended(self) -> bool:
        """Return whether the whole stream, which has ended, was text."""
        return not self._broken and self._decodes(b"", final=True)

    def _decodes(self, piece: bytes, *, final: bool = False) -> bool:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            return False
        return True


class _Occurrences:
    """The positions at which a byte string occurs in a stream."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self._held = b""
        self._before = 0
        """Number of bytes before those that are kept."""
        self.places = array("Q")

    def feed(self, piece: bytes) -> None:
        data = self._held + piece if self._held else piece
        at = data.find(self._wanted)
        while at >= 0 and len(self.places) < _MOST_PLACES:
            self.places.append(self._before + at)
            at = data.find(self._wanted, at + 1)
        self._held = data[-(len(self._wanted) - 1) :]
        self._before += len(data) - len(self._held)

    def at(self, place: int) -> bool:
        """Return whether it occurs at ``place``, or so often that not all positions were kept."""
        return len(self.places) == _MOST_PLACES or place in self.places


def _telling_entry(archive: ZipFile) -> ZipInfo | Kind:
    """Return the entry that reveals the kind, or the kind; names ignore case (ISO/IEC 29500-2)."""
    telling = [entry for entry in archive.infolist() if entry.filename.lower() in _TELLING]
    if len(telling) > 1:
        return Kind.AMBIGUOUS
    if not telling or telling[0].compress_type not in _METHODS:
        return Kind.ZIP  # Only unpack what is compressed the way office documents are.
    return telling[0]


def _start_of(archive: ZipFile, entry: ZipInfo) -> bytes:
    with archive.open(entry) as opened:
        return opened.read(_MOST_READ)


def _end(tail: bytes) -> int | None:
    """Return the offset of the record that ends an archive; only a comment may follow it."""
    for at in _ends(tail):
        comment = int.from_bytes(tail[at + 20 : at + _END_SIZE], "little")
        if at + _END_SIZE + comment == len(tail):
            return at
    return None


def _ends(tail: bytes) -> Iterator[int]:
    """Yield the offsets near the end that look like an archive's end record, the last one first."""
    if len(tail) < _END_SIZE:
        return
    first = max(len(tail) - _END_SIZE - _LONGEST_COMMENT, 0)
    at = tail.rfind(_END, first, len(tail) - _END_SIZE + len(_END))
    while at >= 0:
        yield at
        at = tail.rfind(_END, first, at + len(_END) - 1)


def _kind_of_text(beginning: bytes) -> Kind:
    if not beginning.startswith(b"<"):
        return Kind.TEXT
    root = _ROOT.search(beginning)
    if _HTML.match(beginning) or (root and _HTML.match(beginning, root.start())):
        return Kind.HTML
    return Kind.XML
