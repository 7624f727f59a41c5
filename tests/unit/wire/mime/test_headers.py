"""Header fields that can be read in one way only (RFC 2045 5.1, RFC 5322 2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.mime import ContentType, content_id, opening, parse_fields

_TOKEN = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)
_QUOTED = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


@settings(max_examples=100, deadline=None)
@given(_TOKEN, _TOKEN, st.dictionaries(_TOKEN, _QUOTED, max_size=4))
def test_a_content_type_is_read_as_it_was_written(
    kind: str, subtype: str, parameters: dict[str, str]
) -> None:
    escaped = {key: value.replace("\\", r"\\").replace('"', r"\"") for key, value in parameters.items()}
    spelt = f"{kind}/{subtype}" + "".join(f'; {key}="{value}"' for key, value in escaped.items())
    read = ContentType.parse(spelt)
    assert read.media_type == f"{kind}/{subtype}"
    assert dict(read.parameters) == parameters


def test_names_are_compared_without_regard_to_case() -> None:
    read = ContentType.parse(
        "Multipart/Related ; BOUNDARY=aB;Type=text/xml".replace("text/xml", '"text/xml"')
    )
    assert (read.media_type, read.parameters["boundary"], read.parameters["type"]) == (
        "multipart/related",
        "aB",
        "text/xml",
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/xml",
        "text/xml;",
        "text/xml; a",
        "text/xml; a=",
        "text/xml; a=b c",
        'text/xml; a="b',
        "text/xml; a=b; A=c",
        'text/xml; a="b\r\nc"',
        "text/xml\r\nX: y",
        "text/xml; a=b" + "c" * 3000,
    ],
)
def test_a_malformed_content_type_is_refused(value: str) -> None:
    with pytest.raises(WireError) as caught:
        ContentType.parse(value)
    assert caught.value.fault is WireFault.MIME


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_content_type_is_read_or_refused(value: str) -> None:
    try:
        assert "/" in ContentType.parse(value).media_type
    except WireError as error:
        assert error.fault is WireFault.MIME  # noqa: PT017


def test_fields_are_read_by_name_and_unfolded() -> None:
    fields = parse_fields(b"Content-ID: <a@b>\r\nX-Long: one\r\n two\r\n\tthree\r\nEmpty:")
    assert dict(fields) == {"content-id": "<a@b>", "x-long": "one two three", "empty": ""}
    assert content_id(fields) == "a@b"
    assert content_id({}) is None
    assert content_id({"content-id": "bare"}) == "bare"
    assert dict(parse_fields(b"")) == {}


@pytest.mark.parametrize(
    "block",
    [
        b"no colon",
        b": no name",
        b"a b: c",
        b"A: 1\r\na: 2",
        b"A: \x00",
        b"A: \xff",
        b"A: b\nB: c",
        b"A: b\rB: c",
        b"A: b\r\n\r\nB: c",
        b" folded: first",
    ],
)
def test_a_malformed_header_block_is_refused(block: bytes) -> None:
    with pytest.raises(WireError) as caught:
        parse_fields(block)
    assert caught.value.fault is WireFault.MIME


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_header_block_is_read_or_refused(block: bytes) -> None:
    try:
        parse_fields(block)
    except WireError as error:
        assert error.fault is WireFault.MIME  # noqa: PT017


@pytest.mark.parametrize("value", ["a\r\nX: y", "å", "\x7f", "\n"])
def test_a_value_cannot_break_out_of_its_field(value: str) -> None:
    with pytest.raises(WireError) as caught:
        opening("B", [("Content-ID", value)])
    assert caught.value.fault is WireFault.MIME
