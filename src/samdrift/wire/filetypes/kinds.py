"""The kinds of content that are told apart."""

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
