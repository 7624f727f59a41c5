"""Which files evidence about a message has."""

from __future__ import annotations

import re

from samdrift.contracts.principals import Role

FORMAT = "samdrift evidence"
VERSION = 1
STATEMENT_FILE = "evidence.json"
SIGNATURE_FILE = "evidence.json.sig"
SIGNER_FILE = "certificate.pem"
TRANSPORT_RECEIPTS = "transport-receipts"
MESSAGE_RECEIPTS = "message-receipts"


def log_file(role: Role, *, former: bool) -> str:
    """Entries of a log that are about the message, one JSON object a line."""
    return f"log/{role.value}{'-former' if former else ''}.jsonl"


def section_file(role: Role, number: int) -> str:
    """All entries from the first one about the message up to the last of the log, page by page."""
    return f"section/{role.value}-{number:06}.jsonl"


def role_of(name: str) -> Role:
    """The role whose log a file is of."""
    match = re.match(r"[a-z]+/([a-z]+)", name)
    return Role(match[1] if match else "")
