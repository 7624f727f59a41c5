"""Common parts of reading the log formats: two kinds of faults, and the canonical forms of values.

:class:`Malformed` is for input that cannot be used at all, :class:`Unverified` for input that is well-formed
but wrong; the exit status of commands is 2 for the former and 1 for the latter. Both name the place of the
fault, and neither repeats the input.

A number has no sign and no leading zero, and base64 (RFC 4648 4) is padded and its spare bits are zero. So
each value has exactly one form, and a changed byte never leaves the document the same.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_NUMBER = 2**63 - 1
"""Maximum number of entries, and latest time (tlog-cosignature)."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Malformed(ValueError):
    """A fault in input that cannot be read, with ``where``: a line, a byte or a field."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.text = text
        self.where = where


class Unverified(ValueError):
    """A fault in input that is well-formed but does not verify, with ``where``, as in :class:`Malformed`."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.text = text
        self.where = where


def number(text: str, where: str, most: int = MAX_NUMBER) -> int:
    """Read a decimal number from 0 to ``most``."""
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise Malformed(f"expected a decimal number from 0 to {most}", where)
    return int(text)


def from_base64(text: str, where: str, size: int | None = None) -> bytes:
    """Read base64 of ``size`` bytes, or of any number of bytes."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed("it is not base64", where) from None
    if to_base64(data) != text:
        raise Malformed("it is not base64 in canonical form", where)
    if size is not None and len(data) != size:
        raise Malformed(f"expected {size} bytes in base64", where)
    return data


def to_base64(data: bytes) -> str:
    """Return data in the canonical base64 that :func:`from_base64` reads."""
    return base64.b64encode(data).decode("ascii")
