"""What an archive holds: an office document, or anything.

Archives come from strangers, so no more is read of one than its directory, as
long as that is small, and the beginning of the one entry that tells its type.
"""

from __future__ import annotations

import re
import zlib
from io import BytesIO
from struct import error as struct_error
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from samdrift.wire.filetypes.kinds import Kind

_END = b"PK\x05\x06"
_END_SIZE = 22
_LONGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 1 << 20
_MOST_READ = 1 << 18
_METHODS = (ZIP_STORED, ZIP_DEFLATED)
"""What office documents are packed with (ODF 1.3 part 2, 2.2.1; ISO 29500-2 annex B)."""
_CONTENT_TYPES = "[Content_Types].xml"
_MIMETYPE = "mimetype"
_OPEN_XML = b"application/vnd.openxmlformats-officedocument."
_MAIN_PART = re.compile(rb'ContentType\s*=\s*["\']([^"\']+\.main\+xml)["\']')
_MAIN = {
    _OPEN_XML + b"wordprocessingml.document.main+xml": Kind.DOCX,
    _OPEN_XML + b"spreadsheetml.sheet.main+xml": Kind.XLSX,
    _OPEN_XML + b"presentationml.presentation.main+xml": Kind.PPTX,
}
_OPEN_DOCUMENT = {
    b"application/vnd.oasis.opendocument.text": Kind.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": Kind.ODS,
    b"application/vnd.oasis.opendocument.presentation": Kind.ODP,
}
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
    """Whether a reader of archives, which begins at the end, would take it for one."""
    return _end(data) is not None


def kind_of_archive(data: bytes) -> Kind:
    """The kind of what begins as an archive."""
    at = _end(data)
    if at is None:
        return Kind.OTHER
    directory = int.from_bytes(data[at + 12 : at + 16], "little")
    start = int.from_bytes(data[at + 16 : at + 20], "little")
    if start + directory != at:
        return Kind.AMBIGUOUS  # something stands before the archive, or it is larger than archives here are
    if directory > _LARGEST_DIRECTORY:
        return Kind.ZIP
    try:
        with ZipFile(BytesIO(data)) as archive:
            return _kind_of_document(archive)
    except _UNREADABLE:
        return Kind.OTHER


def _kind_of_document(archive: ZipFile) -> Kind:
    names = [entry.filename for entry in archive.infolist()]
    open_xml, open_document = names.count(_CONTENT_TYPES), names.count(_MIMETYPE)
    if open_xml + open_document > 1:
        return Kind.AMBIGUOUS
    if open_xml:
        main = _MAIN_PART.findall(_beginning(archive, _CONTENT_TYPES))
        kinds = {_MAIN.get(each, Kind.ZIP) for each in main}
        return kinds.pop() if len(kinds) == 1 else Kind.ZIP
    if open_document:
        return _OPEN_DOCUMENT.get(_beginning(archive, _MIMETYPE).strip(), Kind.ZIP)
    return Kind.ZIP


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
