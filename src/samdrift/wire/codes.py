"""Code lists of the message receipt and of the rejections (message-receipt 4, content-specification 5.3)."""

from __future__ import annotations

from enum import StrEnum


class ReceiptStatus(StrEnum):
    """Receipt code (message-receipt 4.1)."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


class Reason(StrEnum):
    """Reason codes: the kind of check that a message failed (message-receipt 4.2)."""

    SCHEMA = "SV"
    RULE = "BV"
    SIGNATURE = "SIG"


class Detail(StrEnum):
    """Detail code of a rejection (content-specification 5.3)."""

    STRUCTURE = "structure"
    FORBIDDEN = "forbidden"
    TOO_LONG = "too-long"
    INVARIANT = "invariant"
    DUPLICATE = "duplicate"
    NOT_SUPPORTED = "not-supported"
    NOT_FOUND = "not-found"
    SECURITY = "security"
