"""The framing of a multipart body, for callers who stream what stands between."""

from __future__ import annotations

import re
from collections.abc import Sequence

from samdrift.wire.errors import WireError, WireFault

_PRINTABLE = re.compile(r"[\x20-\x7e]*")

Field = tuple[str, str]


def opening(boundary: str, fields: Sequence[Field], *, first: bool = False) -> bytes:
    """The delimiter and the header block of a part; its content follows directly (RFC 2046 5.1.1).

    :class:`WireError` (``MIME``) for a value that is not printable ASCII on one line.
    """
    if not all(_PRINTABLE.fullmatch(value) for _, value in fields):
        raise WireError(WireFault.MIME, "a value that no header field can hold", "part header")
    lines = [f"--{boundary}", *(f"{field}: {value}" for field, value in fields), "", ""]
    return (b"" if first else b"\r\n") + "\r\n".join(lines).encode("ascii")


def closing(boundary: str) -> bytes:
    """The delimiter that ends the last part and the body."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
