"""The kind of a ZIP archive: an office document, or anything.

Archives come from strangers, so no more is read of one than its directory, as
long as that is small, and the beginning of the one entry that tells its type.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import error as struct_error
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from samdrift.wire import xml
from samdrift.wire.errors import WireError
from samdrift.wire.filetypes.kinds import Kind
from samdrift.wire.xml import XmlLimits

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
"""Compression methods of office documents (ODF 1.3 part 2, 2.2.1; ISO 29500-2 annex B)."""
_CONTENT_TYPES = "[Content_Types].xml"
_MIMETYPE = "mimetype"
_TELLING = (_CONTENT_TYPES.lower(), _MIMETYPE)
_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_MAIN_PART = ".main+xml"
_MAIN = {
    f"{_OPEN_XML}wordprocessingml.document{_MAIN_PART}": Kind.DOCX,
    f"{_OPEN_XML}spreadsheetml.sheet{_MAIN_PART}": Kind.XLSX,
    f"{_OPEN_XML}presentationml.presentation{_MAIN_PART}": Kind.PPTX,
}
_OPEN_DOCUMENT = {
    b"application/vnd.oasis.opendocument.text": Kind.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": Kind.ODS,
    b"application/vnd.oasis.opendocument.presentation": Kind.ODP,
}
_METHODS = (ZIP_STORED, ZIP_DEFLATED)
"""Office documents know no other ways to compress; others ask for memory as they please, and fail in ways of
their own."""
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


def ends_as_archive(data: bytes) -> bool:
    """Return whether a reader of archives, which begins at the end, would take it for one.

    Many are content with an end that something follows, as long as the directory stands before it.
    """
    return _end(data) is not None or _has_directory(data)


def kind_of_archive(data: bytes) -> Kind:
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
        return _OPEN_DOCUMENT.get(_beginning(archive, _MIMETYPE).strip(), Kind.ZIP)
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
    """Nothing of what is packed in another way than office documents are: that is not unpacked at all."""
    if archive.getinfo(name).compress_type not in _METHODS:
        return b""
    with archive.open(name) as entry:
        return entry.read(_MOST_READ)


def _end(data: bytes) -> int | None:
    """Where the record stands that ends an archive; it may be followed by a comment, and by nothing else."""
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
