"""The SDK message, ``MessageWithAttachments`` 3.0 (content-specification 4)."""

from samdrift.wire.sdkmessage.build import (
    Prepared,
    build,
    file_from_bytes,
    file_size,
    instant,
    new_timestamp,
    person_size,
    prepare,
    reference_size,
    text_size,
)
from samdrift.wire.sdkmessage.parse import origin, parse, read, read_tree
from samdrift.wire.sdkmessage.rules import MAX_BYTES, too_long, validate
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

__all__ = [
    "MAX_BYTES",
    "Attention",
    "Document",
    "File",
    "Ii",
    "Party",
    "Person",
    "Prepared",
    "Reference",
    "SdkMessage",
    "build",
    "file_from_bytes",
    "file_size",
    "instant",
    "new_timestamp",
    "origin",
    "parse",
    "person_size",
    "prepare",
    "read",
    "read_tree",
    "reference_size",
    "text_size",
    "too_long",
    "validate",
]
