"""Texts of messages in these tests: a few words, or the maximum that a message may hold."""

from __future__ import annotations

import os

from samdrift.messageservice.outgoing.compose import Attachment, Draft

LARGEST = 30 * 1024 * 1024
_TEXT = "Ett meddelande till en annan operatör, med åäö."

SHORT = Draft("Prov", _TEXT, (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(3000)),))


def long() -> Draft:
    """Return a message of just under 30 MB, most of it noise that does not compress."""
    room = LARGEST * 3 // 4 - 50_000
    return Draft("Stort", _TEXT, (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(room)),))
