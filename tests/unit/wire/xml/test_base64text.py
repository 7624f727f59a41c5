"""Base64 in XML: white space anywhere, everything else strict (RFC 4648, xsd:base64Binary)."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import base64text

MEBIBYTE = 1 << 20


@given(data=st.binary(max_size=200), breaks=st.lists(st.integers(0, 300), max_size=5))
def test_white_space_means_nothing(data: bytes, breaks: list[int]) -> None:
    text = base64.b64encode(data).decode()
    for position in breaks:
        text = text[:position] + " \t\r\n"[position % 4] + text[position:]
    assert base64text.decode(text) == data
    assert base64text.encode(data) == base64.b64encode(data)


@pytest.mark.parametrize(
    "text",
    ["A", "AA", "AAA", "AAAAA", "=", "A===", "AA=A", "AA==AAAA", "AAA=AAA=", "AAAA=", "AAAA====", "====",
     "AA-_", "AA!A", "ÅAAA", "AAAA\x00", "AAAA\u00a0", "٣AAA"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(WireError) as refused:
        base64text.decode(text, "here")
    assert (refused.value.fault, refused.value.where) == (WireFault.STRUCTURE, "here")
    assert text not in str(refused.value)


@given(st.lists(st.binary(max_size=9)))
def test_pieces_are_encoded_as_the_whole_is(pieces: list[bytes]) -> None:
    assert b"".join(base64text.encode_pieces(pieces)) == base64.b64encode(b"".join(pieces))


@pytest.mark.parametrize("size", [MEBIBYTE // 4 * 3, MEBIBYTE // 4 * 3 + 1, 2 * MEBIBYTE + 5])
@pytest.mark.parametrize("line_length", [None, 76])
def test_a_long_text_is_decoded_in_pieces(size: int, line_length: int | None) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    text = base64.b64encode(data) if line_length is None else base64.encodebytes(data)
    pieces = list(base64text.decode_pieces(memoryview(text)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= MEBIBYTE


@settings(max_examples=20)
@given(where=st.integers(0, 2 * MEBIBYTE // 4 - 2))
def test_padding_inside_a_long_text_is_refused(where: int) -> None:
    text = b"AAAA" * where + b"AA==" + b"AAAA" * (2 * MEBIBYTE // 4 - where - 1)
    with pytest.raises(WireError):
        list(base64text.decode_pieces(memoryview(text)))
