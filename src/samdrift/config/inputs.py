"""Reading of files and values given to a command, which may be anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from samdrift.config.errors import Unusable, shown
from samdrift.trust.keys import KeyMaterialError, certificates
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.xml import LARGE


def read_document(path: Path) -> bytes:
    """Read a message, envelope or receipt; raise :class:`Unusable` for a file that cannot be one.

    Never reads more than the largest accepted envelope, whatever the path refers to.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > LARGE.max_bytes:
                raise Unusable(f"{shown(path)}: larger than {LARGE.max_bytes} bytes")
            data = file.read(LARGE.max_bytes + 1)
    except OSError as error:
        raise Unusable(f"{shown(path)}: {reason(error)}") from None
    if not data:
        raise Unusable(f"{shown(path)}: is empty")
    return data


def read_certificates(
    file: Path, read: Callable[[Path], bytes] = Path.read_bytes
) -> tuple[x509.Certificate, ...]:
    """Read the certificates in a file, PEM or DER; at least one."""
    try:
        return certificates(read(file))
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    except KeyMaterialError as error:
        raise Unusable(f"{shown(file)}: {error}") from None


def reason(error: OSError) -> str:
    """Return the operating system's message about a file, without its path."""
    return (error.strerror or type(error).__name__).lower()


def read_time(text: str | None) -> datetime:
    """Read a time in ISO 8601, in UTC if it has no zone; return the current time for ``None``."""
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unusable("a time is written like 2026-11-24 or 2026-11-24T09:30:00Z") from None


def read_participant(text: str) -> ParticipantIdentifier:
    """Read a participant identifier that a person has entered."""
    try:
        return ParticipantIdentifier.parse(text)
    except WireError as error:
        raise Unusable(error.text) from None
