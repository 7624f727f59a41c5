"""The manifest of an export, signed with the organisation's key.

``manifest.json.sig`` is RSASSA-PKCS1-v1_5 with SHA-256 over the bytes of ``manifest.json``, which
``openssl dgst -verify`` can check. The manifest contains the SHA-256 of ``SHA256SUMS``, and that file those
of all files before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from samdrift.attestation.archive import damaged
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.attestation.signatures import read_object, time_of
from samdrift.contracts.principals import Role
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

FORMAT = "samdrift organisation export"
VERSION = 4
"""Version 2 added digests that the log commits to, version 3 certificates of peers named in the log.

Version 4 added vaults of message client and governance, and the second form of log entries.
"""
_KNOWN = (1, 2, 3, VERSION)


@dataclass(frozen=True, slots=True)
class Log:
    """A log in the export: the id that starts its hash chain, its number of entries, and its last hash."""

    id: str
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files before the manifest, as counted."""

    count: int
    bytes: int
    sha256sums: str
    """SHA-256 of the file ``SHA256SUMS``, in hex."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed description of an export."""

    organisation: str
    made_at: datetime
    made_by: str
    """Name of the program, with its version."""
    suspended: bool
    """True if the organisation was suspended at its supplier, so that nothing continued there."""
    approved_by: tuple[str, ...]
    recipients: tuple[str, ...]
    roles: tuple[str, ...]
    files: Files
    records: Mapping[str, int]
    """Number of records of each part, such as ``mt/messages``."""
    logs: Mapping[str, Log]
    """End of each log, by role."""

    def encode(self) -> bytes:
        document = {"format": FORMAT, "version": VERSION} | asdict(self)
        document["made_at"] = self.made_at.isoformat()
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def decode(data: bytes) -> Manifest:
    """Return the manifest from its bytes; :class:`MoveError` if it is invalid or of an unknown version."""
    document = read_object(data, "manifest.json")
    check_format(document)
    try:
        return Manifest(
            ParticipantIdentifier.parse(_text(document["organisation"])).value,
            time_of(document["made_at"]),
            _text(document["made_by"]),
            document["suspended"] is True,
            tuple(map(_text, document["approved_by"])),
            tuple(map(_text, document["recipients"])),
            tuple(Role(each).value for each in document["roles"]),
            Files(
                int(document["files"]["count"]),
                int(document["files"]["bytes"]),
                _text(document["files"]["sha256sums"]),
            ),
            {_text(name): int(count) for name, count in document["records"].items()},
            {
                Role(role).value: Log(_text(log["id"]), int(log["entries"]), _text(log["head"]))
                for role, log in document["logs"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, WireError):
        raise damaged("manifest.json lacks what a manifest must have") from None


def check_format(document: Mapping[str, Any]) -> None:
    """Raise :class:`MoveError` unless the document belongs to an export of a known version."""
    if document.get("format") != FORMAT:
        raise MoveError(MoveFault.NOT_AN_EXPORT, "the file is not an organisation's export")
    if document.get("version") not in _KNOWN:
        raise MoveError(
            MoveFault.VERSION,
            f"the export has an unsupported version; versions up to {VERSION} are supported",
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
