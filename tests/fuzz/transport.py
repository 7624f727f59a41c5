"""Judges of data from another access point: MIME, SOAP with WS-Security, the payload, the response."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable

from samdrift.wire.as4 import (
    As4Fault,
    As4Limits,
    As4Reader,
    Complete,
    NeedData,
    Payload,
    ReceiptSignal,
    SignedHeader,
    SignerWanted,
    build_receipt,
    read_response,
    verify_receipt,
)
from samdrift.wire.as4.header import VerifiedHeader, read_header
from samdrift.wire.as4.reader import PayloadReader
from samdrift.wire.errors import WireError
from samdrift.wire.gzip import Decompressor, ExpansionLimits
from samdrift.wire.mime import BodyEnd, ContentType, MultipartReader, PartData, PartEnd, boundary_of
from tests.fuzz.pieces import cut, split, whole
from tests.fuzz.seeds import SESSION_KEY
from tests.unit.wire.as4.parties import NOW, PAYLOAD, decryption, message, receiver, sender

_MIB = 1 << 20
_LIMITS = As4Limits(max_payload_bytes=_MIB, max_ratio=50, ratio_free_bytes=_MIB // 16)


def mime(data: bytes) -> None:
    """A multipart body has the same parts when it arrives in pieces, or is refused."""
    content_type, body = split(data)
    try:
        boundary = boundary_of(ContentType.parse(content_type))
    except WireError:
        return
    assert _parts(boundary, whole(body)) == _parts(boundary, cut(body)), (
        "the result depends on how the input is split"
    )


def _parts(boundary: str, pieces: Iterable[bytes]) -> list[object] | None:
    """Return the header and content of each part, or ``None`` if the body is refused."""
    reader = MultipartReader(boundary)
    found: list[object] = []
    content = b""
    try:
        for piece in (*pieces, b""):
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                if isinstance(event, BodyEnd):
                    return found
                if isinstance(event, PartData):
                    content += event.data
                elif isinstance(event, PartEnd):
                    found.append(content)
                    content = b""
                else:
                    found.append(event)
    except WireError:
        return None
    raise AssertionError("neither an end nor a refusal")


def as4(data: bytes) -> None:
    """A message is refused or is the one that its sender signed, even when it arrives in pieces."""
    content_type, body = split(data)
    received = _received(content_type, whole(body))
    assert received == _received(content_type, cut(body)), "the result depends on how the input is split"
    assert received in (None, (message(), sender().certificate.public_key(), PAYLOAD)), (
        "a message was accepted that its sender did not sign"
    )


def _received(content_type: str, pieces: Iterable[bytes]) -> object:
    """Return header, signing key and payload of an accepted message, or ``None`` if it is refused.

    Readers do not decide whether the certificate of that key is trusted.
    """
    header: SignedHeader | None = None
    payload = b""
    try:
        reader = As4Reader(content_type, _LIMITS, [sender().certificate])
        for piece in (*pieces, b""):
            reader.receive(piece)
            while not isinstance(event := reader.next_event(), NeedData):
                if isinstance(event, SignerWanted):
                    event = reader.signed_by(())
                if isinstance(event, SignedHeader):
                    header = event
                    reader.decrypt_with(decryption(receiver()))
                elif isinstance(event, Payload):
                    payload += event.data
                elif isinstance(event, Complete):
                    assert header is not None
                    return header.user_message, header.certificate.public_key(), payload
    except As4Fault:
        return None
    raise AssertionError("neither whole nor refused")


def soap(data: bytes) -> None:
    """An accepted SOAP part of a message can be answered with a receipt, which is read back correctly."""
    try:
        header = read_header(data, _LIMITS.max_soap_bytes, [sender().certificate])
    except As4Fault as fault:
        fault.as_error()
        return
    if not isinstance(header, VerifiedHeader):
        return
    about = header.event.user_message
    receipt = build_receipt(
        user_message=about,
        references=header.references,
        message_id="receipt",
        now=NOW,
        signer=receiver().signing_key(),
    )
    signal = read_response(receipt.content_type, receipt.body)
    assert isinstance(signal, ReceiptSignal)
    assert signal.info.ref_to_message_id == about.message_id, "the receipt is about another message"
    assert signal.references == header.references, "the receipt does not repeat the signed references"


def answer(data: bytes) -> None:
    """A peer's response is a signal, which gets a verdict if it is a receipt, or is refused."""
    content_type, body = split(data)
    expected = receiver().certificate
    with contextlib.suppress(As4Fault):
        signal = read_response(content_type or None, body, [expected])
        if isinstance(signal, ReceiptSignal):
            verify_receipt(signal, message_id="m-1@ap.example", sent=[signal.references], expected=expected)


_EXPANSION = ExpansionLimits(_LIMITS.max_payload_bytes, _LIMITS.max_ratio, _LIMITS.ratio_free_bytes)


def gzip(data: bytes) -> None:
    """Decompressed data equals zlib's output and stays within the limits, however the input is split."""
    expanded = _expanded(whole(data))
    assert expanded == _expanded(cut(data)), "the result depends on how the input is split"
    assert expanded is None or expanded == zlib.decompress(data, wbits=31), "the output differs from zlib's"


def _expanded(pieces: Iterable[bytes]) -> bytes | None:
    decompressor = Decompressor(_EXPANSION)
    found = bytearray()
    try:
        for piece in pieces:
            for expanded in decompressor.feed(piece):
                found += expanded
                assert len(found) <= _EXPANSION.max_bytes, "there is more output than the limit allows"
        decompressor.finish()
    except WireError:
        return None
    return bytes(found)


def attachment(data: bytes) -> None:
    """A digest and an attachment encrypted with a known key are read without empty pieces, or refused."""
    digest, ciphertext = data[:32], data[32:]
    for with_headers in (False, True):
        reader = PayloadReader(SESSION_KEY, digest, _LIMITS, with_headers=with_headers)
        with contextlib.suppress(WireError):
            for piece in cut(ciphertext):
                for expanded in reader.feed(piece):
                    assert expanded, "an empty piece"
            reader.finish()
