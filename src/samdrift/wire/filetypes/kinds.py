"""Kinds of content that are distinguished, and the MIME types that agree with each."""

from __future__ import annotations

from enum import Enum, auto


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
    """Two things at once: one program sees this, another one that."""


PDF = "application/pdf"
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

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
