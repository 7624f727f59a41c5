"""Reading of the formats around a tree: two kinds of faults, and the few spellings that all of them share.

:class:`Malformed` is for input that cannot be used at all, :class:`Unverified` for one that is well-formed
and wrong; commands end with 2 for the one and with 1 for the other. Both name the place, and neither
repeats the input.

Spellings are canonical: a number has no sign and no leading zero, and base64 (RFC 4648 4) is padded with
its spare bits zero. So one value has one spelling, and a changed byte is never the same document.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_NUMBER = 2**63 - 1
"""Largest number of entries and latest time (tlog-cosignature)."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Malformed(ValueError):
    """Input that cannot be read: what is wrong, and ``where``, as a line, a byte or a field."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.text = text
        self.where = where


class Unverified(ValueError):
    """Input that is well-formed and does not hold: what does not, and ``where``."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(f"{text} (at {where})" if where else text)
        self.text = text
        self.where = where


def number(text: str, where: str, most: int = MAX_NUMBER) -> int:
    """Read a decimal number of 0 to ``most``."""
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise Malformed(f"a decimal number of 0 to {most} is wanted", where)
    return int(text)


def from_base64(text: str, where: str, size: int | None = None) -> bytes:
    """Read base64 of ``size`` bytes, or of any number of them."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed("it is not base64", where) from None
    if to_base64(data) != text:
        raise Malformed("it is not base64 in canonical form", where)
    if size is not None and len(data) != size:
        raise Malformed(f"{size} bytes in base64 are wanted", where)
    return data


def to_base64(data: bytes) -> str:
    """Write base64 as it is read."""
    return base64.b64encode(data).decode("ascii")
