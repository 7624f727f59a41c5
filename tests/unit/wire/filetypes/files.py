"""Beginnings of files of many kinds, and whole archives, made here."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(40)
GIF = b"GIF89a" + bytes(40)
TIFF = b"II*\0" + bytes(40)
RTF = rb"{\rtf1\ansi hej}"
TEXT = "Hej på dig,\r\n\tvi ses i Åmål.\n".encode()
XML = b'<?xml version="1.0"?>\n<!-- a note -->\n<order><line/></order>'
HTML = b"  <!DOCTYPE html>\n<html><body>hej</body></html>"
PE = b"MZ\x90\0\x03\0\0\0" + bytes(60) + b"PE\0\0"
ELF = b"\x7fELF\x02\x01\x01" + bytes(40)
MACH_O = b"\xcf\xfa\xed\xfe" + bytes(40)
SCRIPT = b"#!/bin/sh\nrm -rf .\n"
BINARY = bytes(range(256))
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def archive(files: dict[str, bytes], comment: bytes = b"") -> bytes:
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as target:
        target.comment = comment
        for name, data in files.items():
            target.writestr(name, data, ZIP_STORED if name == "mimetype" else ZIP_DEFLATED)
    return written.getvalue()


def open_xml(main: str, part: str = "/word/document.xml", before: str = "") -> bytes:
    """Return a document with a main part of a type, with ``before`` inserted ahead of its declaration."""
    types = (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f"{before}"
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="{part}" ContentType="{main}.main+xml"/></Types>'
    )
    return archive({"[Content_Types].xml": types.encode(), part[1:]: b"<x/>"})


def open_document(mimetype: str) -> bytes:
    return archive({"mimetype": mimetype.encode(), "content.xml": b"<x/>"})


_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = open_xml(f"{_OFFICE}wordprocessingml.document")
XLSX = open_xml(f"{_OFFICE}spreadsheetml.sheet", "/xl/workbook.xml")
PPTX = open_xml(f"{_OFFICE}presentationml.presentation", "/ppt/presentation.xml")
WITH_MACROS = open_xml("application/vnd.ms-word.document.macroEnabled")
_DECOY = f'ContentType="{_OFFICE}wordprocessingml.document.main+xml"'
DISGUISED_MACROS = [
    open_xml(f"{macros}", before=f"<!-- {_DECOY} -->")
    for macros in (
        'application/vnd.ms-word.document.macroEnabled&#46;main+xml" x="',
        'application/vnd.ms-word.document.macroEnabled.main&#43;xml" x="',
        'application/vnd.ms-word.document.macroEnabled.MAIN+XML" x="',
    )
] + [
    open_xml("application/vnd.ms-word.document.macroEnabled", before=f"<a {_DECOY}/>{' ' * (1 << 18)}"),
]
"""Documents that an XML reader recognises as having macros, but a text search does not."""
ODT = open_document("application/vnd.oasis.opendocument.text")
ODS = open_document("application/vnd.oasis.opendocument.spreadsheet")
ZIP = archive({"a.txt": b"hej"})


def compound(*streams: str) -> bytes:
    return _COMPOUND + b"".join(stream.encode("utf-16-le").ljust(128, b"\0") for stream in streams)


def with_broken_lzma() -> bytes:
    """Return an archive with a corrupt decisive entry, in a compression that office documents never use."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_LZMA) as target:
        target.writestr("[Content_Types].xml", _types_of(DOCX))
    data = written.getvalue()
    start = data.index(b".xml") + len(b".xml")
    return data[: start + 4] + b"\xff" * 8 + data[start + 12 :]


def with_another_directory() -> bytes:
    """Return a document with a pointer to another directory (Zip64) in the comment of its last entry."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as target:
        info = ZipInfo("[Content_Types].xml")
        info.comment = b"PK\x06\x07" + bytes(16)
        target.writestr(info, _types_of(DOCX))
    return written.getvalue()


def _types_of(document: bytes) -> bytes:
    with ZipFile(BytesIO(document)) as archive:
        return archive.read("[Content_Types].xml")
