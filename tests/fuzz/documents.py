"""Judges of the documents that organisations exchange: envelopes, messages and message receipts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from samdrift.wire import envelope, inspect, receipt, sdkmessage
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from tests.fuzz.pieces import cut
from tests.unit.wire.envelope.samples import decryption_key
from tests.unit.wire.envelope.test_fuzz import judge


def envelopes(data: bytes) -> None:
    """Reader, validator, verifier and scanner agree on an envelope, even when it arrives in pieces."""
    judge(data)
    with contextlib.suppress(WireError):
        scanned = _scanned(data)
        assert scanned == envelope.read(data).header, "the result depends on how the input is split"


def _scanned(data: bytes) -> EnvelopeHeader:
    scanner = HeaderScanner()
    for piece in cut(data):
        scanner.feed(piece)
    return scanner.close()


def sealed(data: bytes) -> None:
    """An envelope whose signature verifies is decrypted, and its payload is inspected."""
    verdict = envelope.verify(data)
    if verdict.envelope is not None:
        with contextlib.suppress(WireError):
            inspect.inspect(verdict.envelope.payload([decryption_key()]))


def message(data: bytes) -> None:
    """A valid message can be parsed; if it can be built again, parsing returns the same message."""
    try:
        found = sdkmessage.parse(data)
    except WireError:
        assert _refused(sdkmessage.validate, data), "a valid document cannot be parsed"
        return
    sdkmessage.validate(data)
    with contextlib.suppress(WireError):
        written = sdkmessage.build(found)
        assert sdkmessage.parse(written) == found, "the rebuilt message is another one"


def message_receipt(data: bytes) -> None:
    """A valid receipt can be parsed; if it can be built again, it refers to the same message."""
    try:
        found = receipt.parse(data)
    except WireError:
        assert _refused(receipt.validate, data), "a valid document cannot be parsed"
        return
    receipt.validate(data)
    with contextlib.suppress(WireError):
        written = receipt.build(found)
        assert receipt.parse(written).message_id == found.message_id, (
            "the rebuilt receipt is about another message"
        )


def _refused(validate: Callable[[bytes], Sequence[Finding]], data: bytes) -> bool:
    try:
        return bool(validate(data))
    except WireError:
        return True
