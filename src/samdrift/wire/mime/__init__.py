"""MIME as AS4 needs it: multipart/related read in a stream and written in pieces."""

from samdrift.wire.mime.headers import ContentType, closing, content_id, opening
from samdrift.wire.mime.reader import (
    BodyEnd,
    MimeEvent,
    MultipartReader,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
)

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
