"""MIME as AS4 needs it: multipart/related read in a stream and written in pieces."""

from samdrift.wire.mime.headers import ContentType, content_id
from samdrift.wire.mime.reader import (
    BodyEnd,
    MimeEvent,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
)
from samdrift.wire.mime.writer import closing, opening

__all__ = [
    "BodyEnd",
    "ContentType",
    "MimeEvent",
    "MultipartReader",
    "PartData",
    "PartEnd",
    "PartStart",
    "boundary_of",
    "closing",
    "content_id",
    "opening",
]
