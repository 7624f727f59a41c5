"""A message and its receipt, exchanged between two access points (transport-profile-as4 2.2)."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.as4 import (
    As4Reader,
    Complete,
    Compressor,
    NeedData,
    Payload,
    SignedHeader,
    new_message_id,
    pack,
    prepare,
    read_message,
)
from samdrift.wire.errors import WireError, WireFault
from tests.unit.wire.as4.parties import (
    NOW,
    PAYLOAD,
    decryption,
    message,
    packed,
    receiver,
    seeded,
    sender,
)


def test_what_was_packed_is_read() -> None:
    """Clauses: architecture-sad 6.2.2 sentence 1; transport-profile-as4 2.2 a."""
    sent = packed()
    received = read_message(sent.content_type, sent.body, decryption(receiver()))
    assert received.payload == PAYLOAD
    assert received.header.user_message == message()
    assert received.header.certificate == sender().certificate
    assert received.header.security_timestamp == NOW
    assert received.header.recipient.names(receiver().certificate)
    assert received.references == sent.references


def test_a_message_has_no_security_timestamp_unless_it_is_asked_for() -> None:
    """A Domibus under DIGG's p-mode refuses one with EBMS:0103: its policies lack IncludeTimestamp."""
    sent = packed(created=None)
    assert b"wsu:Timestamp" not in sent.body
    received = read_message(sent.content_type, sent.body, decryption(receiver()))
    assert (received.header.security_timestamp, received.header.security_expires) == (None, None)
    assert [reference.uri.partition("-")[0] for reference in received.references] == [
        "#Messaging",
        "#Body",
        "cid:message",
    ]


def test_without_a_timestamp_every_attempt_signs_the_same() -> None:
    """The receipt of any attempt therefore proves the transfer, whichever one the peer stored."""
    first, second = packed(created=None, seed=1), packed(created=None, seed=2)
    assert first.references == second.references
    assert first.body != second.body


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 9000), max_size=30), payload=st.binary(max_size=3000))
def test_it_does_not_matter_in_which_pieces_a_message_comes(cuts: list[int], payload: bytes) -> None:
    sent = packed(payload)
    edges = sorted({0, len(sent.body), *(cut for cut in cuts if cut < len(sent.body))})
    reader = As4Reader(sent.content_type)
    seen: list[object] = []
    for start, end in [*itertools.pairwise(edges), (len(sent.body), len(sent.body))]:
        reader.receive(sent.body[start:end])
        while not isinstance(event := reader.next_event(), NeedData | Complete):
            seen.append(event)
            if isinstance(event, SignedHeader):
                reader.decrypt_with(decryption(receiver()))
    assert isinstance(event, Complete)
    assert isinstance(seen[0], SignedHeader)
    assert b"".join(piece.data for piece in seen[1:] if isinstance(piece, Payload)) == payload
    assert event.size == len(payload)


def test_the_header_is_reported_before_the_payload_has_come() -> None:
    sent = packed()
    reader = As4Reader(sent.content_type)
    reader.receive(sent.body[: sent.body.index(b"</S12:Envelope>") + 200])
    assert isinstance(reader.next_event(), SignedHeader)


def test_nothing_is_decrypted_before_the_caller_says_with_what() -> None:
    sent = packed()
    reader = As4Reader(sent.content_type)
    with pytest.raises(RuntimeError):
        reader.decrypt_with(decryption(receiver()))
    reader.receive(sent.body)
    reader.next_event()
    with pytest.raises(RuntimeError):
        reader.next_event()
    reader.decrypt_with(decryption(receiver()))
    with pytest.raises(RuntimeError):
        reader.decrypt_with(decryption(receiver()))


def test_equal_inputs_give_equal_references() -> None:
    assert packed(seed=1).references == packed(seed=2).references
    assert packed(seed=1).body != packed(seed=2).body


def test_the_length_is_known_before_the_payload_is_encrypted() -> None:
    compressor = Compressor()
    chunks = [compressor.feed(PAYLOAD), compressor.finish()]
    prepared = prepare(
        message(),
        compressor.compressed,
        signer=sender().signing_key(),
        recipient=receiver().certificate,
        rng=seeded(),
        created=NOW,
    )
    assert prepared.content_length == len(b"".join(prepared.encode(chunks)))


def test_another_payload_than_the_signed_one_is_not_finished() -> None:
    compressor = Compressor()
    compressor.feed(PAYLOAD)
    compressor.finish()
    prepared = prepare(
        message(),
        compressor.compressed,
        signer=sender().signing_key(),
        recipient=receiver().certificate,
        rng=seeded(),
        created=NOW,
    )
    with pytest.raises(WireError) as caught:
        list(prepared.encode([b"something else"]))
    assert caught.value.fault is WireFault.SIGNATURE


def test_secrets_do_not_show() -> None:
    compressor = Compressor()
    prepared = prepare(
        message(),
        compressor.compressed,
        signer=sender().signing_key(),
        recipient=receiver().certificate,
        rng=lambda size: b"SECRET-KEY-1234567890"[:size],
        created=NOW,
    )
    assert "SECRET" not in repr(prepared)


@pytest.mark.parametrize("hrefs", [(), ("cid:a", "cid:b"), ("http://elsewhere.example/",), ("cid:",)])
def test_a_message_has_exactly_one_part(hrefs: tuple[str, ...]) -> None:
    (part,) = message().parts
    header = replace(message(), parts=tuple(replace(part, href=href) for href in hrefs))
    with pytest.raises(WireError):
        packed(header=header)


def test_message_ids_are_in_the_form_of_rfc_5322() -> None:
    first, second = (new_message_id(seeded(seed), "ap.example") for seed in (1, 2))
    assert re.fullmatch(r"[0-9a-f]{32}@ap\.example", first)
    assert first != second


@pytest.mark.parametrize("value", ["line\r\nbreak", "tab\tand <&>\"'", "åäö 🙂", "a\u00a0b"])
def test_any_text_that_xml_can_hold_survives_in_a_header(value: str) -> None:
    header = replace(message(), conversation_id=f"x{value}x")
    sent = packed(header=header)
    received = read_message(sent.content_type, sent.body, decryption(receiver()))
    assert received.header.user_message.conversation_id == f"x{value}x"


@pytest.mark.parametrize("value", ["\x00", "\x1f", "\ufffe", "\ud800"])
def test_text_that_xml_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(WireError) as caught:
        packed(header=replace(message(), conversation_id=value))
    assert caught.value.fault is WireFault.STRUCTURE


def test_an_empty_payload_is_a_payload() -> None:
    sent = pack(
        message(),
        b"",
        signer=sender().signing_key(),
        recipient=receiver().certificate,
        rng=seeded(),
        created=NOW,
    )
    assert read_message(sent.content_type, sent.body, decryption(receiver())).payload == b""
