"""The exception that the wire formats raise on bad input."""

from __future__ import annotations

from enum import StrEnum


class WireFault(StrEnum):
    """Kinds of fault in an input, for programs to branch on."""

    NOT_XML = "not-xml"
    FORBIDDEN_XML = "forbidden-xml"
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    UNKNOWN_ROOT = "unknown-root"
    STRUCTURE = "structure"
    IDENTIFIER = "identifier"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    DECRYPTION = "decryption"
    MIME = "mime"
    COMPRESSION = "compression"


class WireError(ValueError):
    """Input that cannot be used; the error describes the fault and its place without quoting content.

    ``text`` never repeats a value of the input, so that it can be logged, shown and put in a receipt
    (invariant 9). ``where`` is a path of element names, a header name or a byte offset.
    """

    def __init__(self, fault: WireFault, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.fault = fault
        self.text = text
        self.where = where
