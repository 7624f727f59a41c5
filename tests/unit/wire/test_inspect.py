"""Verdicts on documents of any kind."""

from __future__ import annotations

import pytest

from samdrift.wire import receipt, sdkmessage
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.inspect import Inspection, Kind, inspect
from samdrift.wire.sdkmessage import MAX_BYTES
from tests.official import DIGG, requires_digg
from tests.unit.wire.receipt.samples import ACCEPTED
from tests.unit.wire.sdkmessage.samples import SMALL


@requires_digg
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("examples/messageWithAttachments3.xml", Kind.SDK_MESSAGE),
        ("testdata/min.xml", Kind.SDK_MESSAGE),
        ("examples/XHE-tm-base.xml", Kind.ENVELOPE),
        ("examples/XHE-tm-base-ext-sigenc.xml", Kind.ENVELOPE),
        ("examples/Kvittens_AP-Accepterat.xml", Kind.RECEIPT),
        ("examples/Kvittens_RE-AnnatFel.xml", Kind.RECEIPT),
        ("examples/Kvittens_RE-SIG.xml", Kind.RECEIPT),
    ],
)
def test_published_examples_are_told_and_valid(file: str, kind: Kind) -> None:
    assert inspect((DIGG / file).read_bytes()) == Inspection(kind, ())


@pytest.mark.parametrize(
    ("kind", "data"),
    [(Kind.SDK_MESSAGE, sdkmessage.build(SMALL)), (Kind.RECEIPT, receipt.build(ACCEPTED))],
    ids=["message", "receipt"],
)
def test_the_root_is_found_behind_much_else(kind: Kind, data: bytes) -> None:
    before, body = data.split(b"?>", 1)
    assert inspect(before + b"?><!--" + b"x" * 200_000 + b"-->" + body) == Inspection(kind, ())


def test_findings_are_those_of_the_kind() -> None:
    inspection = inspect(
        b'<m:messagePayload xmlns:m="urn:riv:infrastructure:messaging:MessageWithAttachments:3"/>'
    )
    assert inspection.kind is Kind.SDK_MESSAGE
    assert [finding.reason for finding in inspection.findings] == ["SV"]


def test_a_message_that_is_too_large_is_told() -> None:
    head = b'<m:messagePayload xmlns:m="urn:riv:infrastructure:messaging:MessageWithAttachments:3">'
    inspection = inspect(head + b" " * MAX_BYTES)
    assert [finding.detail for finding in inspection.findings] == ["too-long"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", WireFault.NOT_XML),
        (b"<", WireFault.NOT_XML),
        (b"<!-- only a comment -->", WireFault.NOT_XML),
        (b"<other/>", WireFault.UNKNOWN_ROOT),
        (b"<messagePayload/>", WireFault.UNKNOWN_ROOT),
        (b"<!DOCTYPE x><x/>", WireFault.FORBIDDEN_XML),
        (b'<?xml version="1.0" encoding="UTF-16"?><x/>', WireFault.FORBIDDEN_XML),
    ],
)
def test_what_cannot_be_used_is_a_typed_error(data: bytes, fault: WireFault) -> None:
    with pytest.raises(WireError) as caught:
        inspect(data)
    assert caught.value.fault is fault


def test_a_message_cut_short_is_a_typed_error() -> None:
    with pytest.raises(WireError) as caught:
        inspect(sdkmessage.build(SMALL)[:-5])
    assert caught.value.fault is WireFault.NOT_XML
