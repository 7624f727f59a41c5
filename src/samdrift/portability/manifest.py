"""The manifest of an export, signed with the organisation's key.

``manifest.json.sig`` is RSASSA-PKCS1-v1_5 with SHA-256 over the bytes of
``manifest.json``, which ``openssl dgst -verify`` checks. The manifest names the
SHA-256 of ``SHA256SUMS``, and that names those of all files before it.
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
"""Since 2 there are digests that the log commits to, since 3 certificates of peers that it names, since 4
vaults of message client and governance, and entries of logs in their second form.
"""
_KNOWN = (1, 2, 3, VERSION)


@dataclass(frozen=True, slots=True)
class Log:
    """A log in the export: the id that its chain begins with, how many entries, and the hash at its end."""

    id: str
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class Files:
    """The files before the manifest."""

    count: int
    bytes: int
    sha256sums: str
    """SHA-256 of the file ``SHA256SUMS``, in hex."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The statement."""

    organisation: str
    made_at: datetime
    made_by: str
    """The program, with its version."""
    suspended: bool
    """True when the organisation was suspended at its supplier, so that nothing went on there."""
    approved_by: tuple[str, ...]
    recipients: tuple[str, ...]
    roles: tuple[str, ...]
    files: Files
    records: Mapping[str, int]
    """Number of rows of each part, such as ``mt/messages``."""
    logs: Mapping[str, Log]
    """By role."""

    def encode(self) -> bytes:
        document = {"format": FORMAT, "version": VERSION} | asdict(self)
        document["made_at"] = self.made_at.isoformat()
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def decode(data: bytes) -> Manifest:
    """A manifest from its bytes; :class:`MoveError` for none, or one of a version that is not known here."""
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
        raise damaged("manifest.json does not say what a manifest must") from None


def check_format(document: Mapping[str, Any]) -> None:
    """:class:`MoveError` unless the document is of an export, in the version that is known here."""
    if document.get("format") != FORMAT:
        raise MoveError(
            MoveFault.NOT_AN_EXPORT, "the file holds something else than an organisation's export"
        )
    if document.get("version") not in _KNOWN:
        raise MoveError(
            MoveFault.VERSION,
            f"the export has a version that is not known here: it knows those up to {VERSION}",
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
