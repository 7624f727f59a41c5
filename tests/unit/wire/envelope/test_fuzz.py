"""Any bytes get a verdict, findings or a WireError, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.envelope import HeaderScanner, read, validate, verify
from samdrift.wire.errors import WireError
from tests.unit.wire.envelope.samples import sealed

ENVELOPES = (sealed(), sealed(encrypted=False), sealed(signed=False, encrypted=False))
BITS = (b"<", b">", b"&", b'"', b"\x00", b"\xff", b"</xha:Header>", b"<!--", b"-->", b"<![CDATA[", b"]]>",
        b"&#0;", b"&lt;", b"<?x", b' xmlns="urn:a"', b"<!DOCTYPE a>", b"</x:XHE>", "å".encode())  # fmt: skip


@st.composite
def spoilt_envelopes(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(ENVELOPES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 40))
        data = data[:start] + draw(st.sampled_from(BITS) | st.binary(max_size=6)) + data[end:]
    return data


def outcome(data: bytes) -> tuple[object, object]:
    """Return the results of reading and scanning: the header, or None if it is refused."""
    try:
        read_header = read(data).header
    except WireError:
        read_header = None
    try:
        scanner = HeaderScanner()
        scanner.feed(data)
        scanned_header = scanner.close()
    except WireError:
        scanned_header = None
    return read_header, scanned_header


def judge(data: bytes) -> None:
    read_header, scanned_header = outcome(data)
    if read_header is not None and scanned_header is not None:
        assert read_header == scanned_header
    try:
        findings = validate(data)
    except WireError:
        assert read_header is None
    else:
        assert (read_header is None) is bool(findings)
    verdict = verify(data)
    assert verdict.header == read_header
    assert verdict.valid is (verdict.envelope is not None)


@settings(max_examples=400, deadline=None)
@given(spoilt_envelopes())
def test_spoilt_envelopes(data: bytes) -> None:
    judge(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    judge(data)
