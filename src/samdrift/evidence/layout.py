"""Which files evidence about a message has."""

from __future__ import annotations

import re
from collections.abc import Mapping

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role

FORMAT = "samdrift evidence"
VERSION = 4
"""Since 2 a message receipt is named after the entry that speaks of it, and there are digests; since 3
the certificates of peers that entries name; since 4 entries may be leaves of a tree.
"""
KNOWN = (1, 2, 3, VERSION)
STATEMENT_FILE = "evidence.json"
SIGNATURE_FILE = "evidence.json.sig"
SIGNER_FILE = "certificate.pem"
TRANSPORT_RECEIPTS = "transport-receipts"
MESSAGE_RECEIPTS = "message-receipts"
PEER_CERTIFICATES = "peer-certificates"
DIGESTS_FILE = "digests.jsonl"
"""The digests that entries commit to, one JSON object a line."""
COMMITTED = ("message", "envelope", "receipt")
"""Objects that entries commit to: the fact has that name and ``_commitment``."""

_RECEIPTS: Mapping[str, tuple[str, frozenset[str], str]] = {
    AuditEvent.AP_TRANSFER_DELIVERED: (TRANSPORT_RECEIPTS, frozenset({"transfer"}), "got.soap"),
    AuditEvent.AP_ENVELOPE_RECEIVED: (TRANSPORT_RECEIPTS, frozenset({"as4", "peer"}), "given.soap"),
    AuditEvent.MT_RECEIPT_RECEIVED: (MESSAGE_RECEIPTS, frozenset({"envelope", "message"}), "got.xml"),
    AuditEvent.MT_RECEIPT_QUEUED: (MESSAGE_RECEIPTS, frozenset({"envelope", "message"}), "given.xml"),
}
"""Entries that speak of a receipt: where it is, which facts name it, and how the file's name ends."""


def receipt_file(event: str, ids: Mapping[str, str], entry: bytes) -> str | None:
    """The file of the receipt that an entry with that hash speaks of, if it speaks of one."""
    folder, names, ending = _RECEIPTS.get(event, ("", frozenset[str](), ""))
    return f"{folder}/{entry.hex()[:16]}-{ending}" if folder and names <= ids.keys() else None


def certificate_file(sha256: str) -> str:
    """The certificate, in DER, of a peer that an entry names by its SHA-256."""
    return f"{PEER_CERTIFICATES}/{sha256}.der"


def named_certificate(ids: Mapping[str, str]) -> str | None:
    """The SHA-256 of the certificate that is kept with an entry.

    Entries that say the type of message have one (component-accesspoint 3.4.1); older ones name a
    certificate that nobody kept.
    """
    return ids.get("certificate") if "message_type" in ids else None


def log_file(role: Role, *, former: bool) -> str:
    """Entries of a log that are about the message, one JSON object a line."""
    return f"log/{role.value}{'-former' if former else ''}.jsonl"


def before_file(role: Role) -> str:
    """The tree before the section, where that begins in it: its size and the roots of its full subtrees."""
    return f"section/{role.value}-before.json"


def section_file(role: Role, number: int) -> str:
    """All entries from the first one about the message up to the last of the log, page by page."""
    return f"section/{role.value}-{number:06}.jsonl"


def role_of(name: str) -> Role:
    """The role whose log a file is of."""
    match = re.match(r"[a-z]+/([a-z]+)", name)
    return Role(match[1] if match else "")
