"""The envelope as an access point reads it: a stream (component-accesspoint 3.1.4, 3.1.6, 3.2.2)."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner, read, seal
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import XmlLimits
from tests.unit.wire.envelope.samples import HEADER, PAYLOAD, RECIPIENT, SENDER, sealed

KIB = 1 << 10
MIB = 1 << 20


def scan(*chunks: bytes, limits: XmlLimits | None = None) -> EnvelopeHeader:
    scanner = HeaderScanner() if limits is None else HeaderScanner(limits)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.close()


def refusal(*chunks: bytes, limits: XmlLimits | None = None) -> WireError:
    with pytest.raises(WireError) as refused:
        scan(*chunks, limits=limits)
    return refused.value


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, len(sealed())), max_size=20))
def test_the_header_is_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    data = sealed()
    ends = [*sorted(cuts), len(data)]
    assert scan(*(data[start:end] for start, end in zip([0, *ends], ends, strict=False))) == HEADER


def test_byte_by_byte() -> None:
    data = sealed()
    assert scan(*(data[at : at + 1] for at in range(len(data)))) == HEADER


def test_the_header_is_there_as_soon_as_the_payload_begins() -> None:
    data, scanner = sealed(), HeaderScanner()
    payload = data.index(b"<xha:PayloadContent>")
    scanner.feed(data[:payload])
    assert scanner.header is None
    scanner.feed(data[payload : payload + 20])
    assert scanner.header == HEADER


def test_what_breaks_the_profile_is_refused_as_soon_as_it_is_seen() -> None:
    data = sealed().replace(b'schemeID="iso', b'schemeID="xiso')
    end = data.index(b"</xha:PayloadContent>")
    error = refusal(data[: end - 100])
    assert error.fault is WireFault.STRUCTURE
    assert error.text.startswith("R10-XHE")


def test_an_envelope_that_ends_early_is_refused() -> None:
    data = sealed()
    for end in (0, 1, len(data) // 2, len(data) - 1):
        assert refusal(data[:end]).fault is WireFault.NOT_XML


def test_anything_after_the_envelope_is_refused() -> None:
    assert refusal(sealed(), sealed()).fault is WireFault.NOT_XML


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>', WireFault.FORBIDDEN_XML),
        (b'<!DOCTYPE x SYSTEM "http://example.org/x.dtd"><x/>', WireFault.FORBIDDEN_XML),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><x/>', WireFault.FORBIDDEN_XML),
        (sealed().partition(b"?>")[2].decode().encode("utf-16-le"), WireFault.FORBIDDEN_XML),
        (sealed().partition(b"?>")[2].strip().decode().encode("utf-16-be"), WireFault.FORBIDDEN_XML),
        (sealed().partition(b"?>")[2].decode().encode("utf-16"), WireFault.FORBIDDEN_XML),
        (sealed().replace(b"1.0</xhb", b"&unknown;</xhb"), WireFault.NOT_XML),
        (sealed().replace(b"1.0</xhb", b"\xff</xhb"), WireFault.NOT_XML),
        (b"<other/>", WireFault.STRUCTURE),
        (b"", WireFault.NOT_XML),
    ],
)
def test_hostile_and_useless_input_is_refused(data: bytes, fault: WireFault) -> None:
    assert refusal(data).fault is fault


def with_payload(payload: bytes) -> bytes:
    return seal(HEADER, payload, signer=None, recipient=None, rng=os.urandom)


def test_nesting_is_bounded() -> None:
    """PayloadContent is the fourth level."""
    limits = XmlLimits(max_depth=20)
    assert scan(with_payload(b"<a xmlns='urn:a'>" * 16 + b"</a>" * 16), limits=limits).id == HEADER.id
    deep = with_payload(b"<a xmlns='urn:a'>" * 17 + b"</a>" * 17)
    assert refusal(deep, limits=limits).fault is WireFault.TOO_DEEP


def test_markup_and_size_are_bounded() -> None:
    data = with_payload(b"<a xmlns='urn:a'>" + b"<b/>" * 500 + b"</a>")
    assert refusal(data, limits=XmlLimits(max_markup=500)).fault is WireFault.TOO_LARGE
    assert refusal(data, limits=XmlLimits(max_bytes=len(data) - 1)).fault is WireFault.TOO_LARGE


@pytest.mark.parametrize("start", [b"<!-- ", b"<?p ", b'<x a="', b"<", b"</"])
def test_markup_that_does_not_end_is_not_collected(start: bytes) -> None:
    opening = sealed()[: sealed().index(b"<xhb:XHEVersionID>")]
    error = refusal(opening, start, *[b"x" * 64 * KIB] * 64)
    assert error.fault is WireFault.TOO_LARGE


@pytest.mark.parametrize("start", [b"<!-- ", b"<?p ", b'<x a="', b"<", b"</"])
def test_nor_is_markup_in_the_payload(start: bytes) -> None:
    """In the payload only pieces of plain text are skipped, unless they are in such markup."""
    data = sealed()
    opening = data[: data.rindex(b"</xenc:CipherValue>")]
    assert refusal(opening, start, *[b"x" * 64 * KIB] * 64).fault is WireFault.TOO_LARGE


_IN_A_PAYLOAD = [
    b"<!--QUJD QUJD-->",
    b"<!--QUJD--QUJD-->",
    b"<![CDATA[QUJDQUJD]]>",
    b"<![CDATA[QUJDQUJD",
    b"<?p QUJD QUJD?>",
    b'<b c="QUJDQUJD">QUJDQUJD</b>',
    b'<b c="QUJDQUJD" c="QUJDQUJD"/>',
    b"QUJD]]>QUJD",
    b"QUJD&amp;QUJD",
    b"QUJD&QUJD;QUJD",
    b"QUJD\rQUJD\n",
    "QUJDåäöQUJD".encode(),
    b"QUJD\xffQUJD",
    b"QUJD\x00QUJD",
    b"</QUJD>",
]


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 60), max_size=10))
@pytest.mark.parametrize("content", _IN_A_PAYLOAD)
def test_what_stands_in_a_payload_is_judged_the_same_however_the_stream_is_cut(
    content: bytes, cuts: list[int]
) -> None:
    before, end, after = with_payload(b"<a xmlns='urn:a'>QUJD</a>").partition(b"</a>")
    data = before + content + end + after
    ends = [*sorted(len(before) + cut for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert verdict(*pieces) == verdict(data)


def verdict(*pieces: bytes) -> str | None:
    try:
        scan(*pieces)
    except WireError as error:
        return str(error)
    return None


def large_envelope(mebibytes: int) -> Iterator[bytes]:
    data = seal(HEADER, PAYLOAD, signer=SENDER.signing_key(), recipient=RECIPIENT.certificate, rng=os.urandom)
    middle = data.rindex(b"</xenc:CipherValue>")
    yield data[:middle]
    for _ in range(mebibytes * 16):
        yield b"QUJD" * 16 * KIB
    yield data[middle:]


def test_memory_does_not_grow_with_the_envelope() -> None:
    tracemalloc.start()
    try:
        scanner = HeaderScanner()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for chunk in large_envelope(20):
            scanner.feed(chunk)
        header = scanner.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header == HEADER
    assert peak - before < MIB


def test_it_says_what_reading_the_tree_says() -> None:
    """The differential test does this for thousands of documents; here it is the header of accepted ones."""
    for signed in (True, False):
        for encrypted in (True, False):
            data = sealed(signed=signed, encrypted=encrypted)
            assert scan(data) == read(data).header
