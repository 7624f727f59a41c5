"""Judges of what organisations exchange: envelopes, messages and message receipts."""

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
    """Reader, validator, verifier and scanner agree on an envelope, also when it comes in pieces."""
    judge(data)
    with contextlib.suppress(WireError):
        scanned = _scanned(data)
        assert scanned == envelope.read(data).header, "pieces make a difference"


def _scanned(data: bytes) -> EnvelopeHeader:
    scanner = HeaderScanner()
    for piece in cut(data):
        scanner.feed(piece)
    return scanner.close()


def sealed(data: bytes) -> None:
    """An envelope whose signature holds is decrypted, and what was in it is looked at."""
    verdict = envelope.verify(data)
    if verdict.envelope is not None:
        with contextlib.suppress(WireError):
            inspect.inspect(verdict.envelope.payload([decryption_key()]))


def message(data: bytes) -> None:
    """A message that is valid is read; what was read and may be written is read back the same."""
    try:
        found = sdkmessage.parse(data)
    except WireError:
        assert _refused(sdkmessage.validate, data), "valid, and cannot be read"
        return
    sdkmessage.validate(data)
    with contextlib.suppress(WireError):
        written = sdkmessage.build(found)
        assert sdkmessage.parse(written) == found, "another message than was read"


def message_receipt(data: bytes) -> None:
    """A receipt that is valid is read; what was read and may be written is read back the same."""
    try:
        found = receipt.parse(data)
    except WireError:
        assert _refused(receipt.validate, data), "valid, and cannot be read"
        return
    receipt.validate(data)
    with contextlib.suppress(WireError):
        written = receipt.build(found)
        assert receipt.parse(written).message_id == found.message_id, "about another message"


def _refused(validate: Callable[[bytes], Sequence[Finding]], data: bytes) -> bool:
    try:
        return bool(validate(data))
    except WireError:
        return True
