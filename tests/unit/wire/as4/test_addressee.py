"""The addressee named in a message, whatever the fate of the rest of it."""

from __future__ import annotations

import os

import pytest

from samdrift.wire.as4 import As4Limits
from samdrift.wire.as4.usermessage import AddresseeReader
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.wire.as4.crafting import Crafted

RECEIVER = ParticipantIdentifier("0203:receiver.example")


def read(content_type: str, body: bytes, size: int = 1 << 20, **limits: int) -> tuple[AddresseeReader, int]:
    """Return the reader once it has enough data, and the number of bytes that it needed."""
    reader = AddresseeReader(content_type, As4Limits(**limits))
    taken = 0
    while not reader.enough:
        piece = body[taken : taken + size]
        taken += len(piece)
        reader.feed(piece)
    return reader, taken


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_the_recipient_is_known_before_the_payload_has_come(size: int) -> None:
    kind, body = Crafted(content=os.urandom(200_000)).build()
    reader, taken = read(kind, body, size)
    assert reader.recipient == RECEIVER
    assert size > 100 or taken < 20_000


def test_a_signature_that_does_not_hold_changes_nothing_here() -> None:
    kind, body = Crafted(with_signature=False).build()
    assert read(kind, body)[0].recipient == RECEIVER


@pytest.mark.parametrize(
    ("change", "content_type"),
    [
        (b"", None),
        (b"<", None),
        (b"", "text/xml"),
        (b"", "multipart/related"),
    ],
)
def test_what_cannot_be_read_is_for_nobody(change: bytes, content_type: str | None) -> None:
    kind, body = Crafted().build()
    body = body.replace(b"finalRecipient", b"finalRecipien" + change)
    assert read(content_type or kind, body)[0].recipient is None


def test_a_body_that_ends_early_or_never_begins_a_part_is_for_nobody() -> None:
    kind, body = Crafted().build()
    for part in (b"", body[:500], b"x" * 1_000_000):
        assert read(kind, part, 1000)[0].recipient is None


def test_no_more_is_kept_than_a_soap_part_may_have() -> None:
    kind, body = Crafted().build()
    body = body.replace(b"\r\n\r\n", b"\r\n\r\n" + b" " * 300_000, 1)
    reader, taken = read(kind, body, 1000)
    assert reader.recipient is None
    assert taken < 270_000
