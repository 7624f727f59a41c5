"""The SDK message, ``MessageWithAttachments`` 3.0 (content-specification 4)."""

from samdrift.wire.sdkmessage.build import build, file_from_bytes, new_timestamp
from samdrift.wire.sdkmessage.parse import parse, read
from samdrift.wire.sdkmessage.types import (
    Attention,
    Document,
    File,
    Ii,
    Party,
    Person,
    Reference,
    SdkMessage,
)
from samdrift.wire.sdkmessage.validate import MAX_BYTES, validate

__all__ = [
    "MAX_BYTES",
    "Attention",
    "Document",
    "File",
    "Ii",
    "Party",
    "Person",
    "Reference",
    "SdkMessage",
    "build",
    "file_from_bytes",
    "new_timestamp",
    "parse",
    "read",
    "validate",
]
