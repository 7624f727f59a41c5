"""A document whose long text is kept outside its tree has the same meaning as before."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.crypto import longtext
from samdrift.wire.crypto.longtext import LONG_FROM, PLACEHOLDER
from samdrift.wire.crypto.xmldsig import Canonicalization, HashSink, canonical_document
from samdrift.wire.errors import WireError
from samdrift.wire.xml import LARGE, XmlLimits, parse

LONG = base64.b64encode(random.Random(1).randbytes(LONG_FROM))
LINES = base64.encodebytes(random.Random(2).randbytes(LONG_FROM))

AROUND = [
    b"<a><b>%s</b><c>x</c></a>",
    b"<a>%s</a>",
    b"<a> <b/>%s<c/> </a>",
    b"<a><b>%s</b><b>QUJD</b></a>",
    b'<a x="&lt;" y=">"><b>%s</b></a>',
    b"<a><![CDATA[ > ]]>%s</a>",
    b"<a><![CDATA[>%s<]]></a>",
    b"<a><!-- > -->%s<!-- < --></a>",
    b"<a><!--x>%s<x--></a>",
    b"<?p >%s<?><a/>",
    b"<a><b>x<!-- -->%s</b></a>",
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<a xmlns="urn:a"><b xmlns="">%s</b></a>\n<!-- -->',
]
"""Every kind of place for a long text between ``>`` and ``<``."""


def digest(document: longtext.Document) -> bytes:
    sink = document.new_sink()
    canonical_document(document.root, Canonicalization.INCLUSIVE, (), sink)
    return sink.digest()


def whole_digest(data: bytes) -> bytes:
    sink = HashSink()
    canonical_document(parse(data, LARGE), Canonicalization.INCLUSIVE, (), sink)
    return sink.digest()


@pytest.mark.parametrize("text", [LONG, LINES, b" " * 100 + LONG])
@pytest.mark.parametrize("around", AROUND)
def test_the_canonical_form_is_that_of_the_whole_document(around: bytes, text: bytes) -> None:
    data = around % text
    document = longtext.parse(data, LARGE)
    assert document.long_text == text
    assert digest(document) == whole_digest(data)


@given(
    text=st.text(st.sampled_from("AZaz09+/= \t\n"), min_size=8, max_size=40), around=st.sampled_from(AROUND)
)
def test_any_base64_text_can_be_kept_aside(text: str, around: bytes) -> None:
    data = around % text.encode()
    document = longtext.parse(data, LARGE, long_from=8)
    assert digest(document) == whole_digest(data)
    assert longtext.restore(etree.tostring(document.root), document.long_text) == etree.tostring(
        parse(data, LARGE)
    )


@pytest.mark.parametrize("extra", [b"\r\n", b"&#65;", b"&amp;", "å".encode(), b"-", b"\x0b"])
def test_a_text_that_a_parser_would_change_stays_where_it_is(extra: bytes) -> None:
    data = b"<a>" + LONG[: LONG_FROM // 2] + extra + LONG + b"</a>"
    if extra == b"\x0b":
        with pytest.raises(WireError):
            longtext.parse(data, LARGE)
    else:
        document = longtext.parse(data, LARGE)
        assert not document.long_text
        assert digest(document) == whole_digest(data)


def test_a_text_that_opens_with_white_space_only_stays_where_it_is() -> None:
    """The beginning that is kept must show whether the text has any content."""
    assert not longtext.parse(b"<a>" + b" " * LONG_FROM + LONG + b"</a>", LARGE).long_text


def test_the_beginning_of_the_long_text_can_be_looked_at() -> None:
    document = longtext.parse(b"<a><b>x</b>" + LONG + b"</a>", LARGE)
    assert document.opening(PLACEHOLDER) == LONG[:LONG_FROM].decode()
    assert document.opening("x") == "x"


def test_a_shorter_text_stays_where_it_is() -> None:
    data = b"<a>" + LONG[: LONG_FROM - 1] + b"</a>"
    assert not longtext.parse(data, LARGE).long_text


def test_the_text_of_an_element_is_found_wherever_it_is() -> None:
    document = longtext.parse(b"<a><b>QUJD</b><c>" + LONG + b"</c></a>", LARGE)
    short, long = document.root
    assert document.text(short) == "QUJD"
    assert document.text(long) == LONG


def test_a_document_that_holds_the_place_holder_is_left_whole() -> None:
    data = b"<a><b>" + PLACEHOLDER.encode() + b"</b><c>" + LONG + b"</c></a>"
    document = longtext.parse(data, LARGE)
    assert not document.long_text
    assert document.text(document.root[0]) == PLACEHOLDER
    assert digest(document) == whole_digest(data)


def test_a_place_holder_spelt_with_references_cannot_take_the_long_text() -> None:
    data = b"<a><b>&#40;" + PLACEHOLDER[1:].encode() + b"</b><c>" + LONG + b"</c></a>"
    document = longtext.parse(data, LARGE)
    with pytest.raises(WireError):
        digest(document)
    with pytest.raises(WireError):
        longtext.restore(etree.tostring(document.root), document.long_text)


@pytest.mark.parametrize("piece", [b">", b"> ", b"<", b"<a>", b"<!-- >", b"a"])
def test_looking_for_the_long_text_takes_time_in_proportion(piece: bytes) -> None:
    """Invalid documents must not cost more than valid ones."""
    data = b"<a>" + piece * (8 << 20)
    with pytest.raises(WireError):
        longtext.parse(data, XmlLimits(max_bytes=len(data), max_markup=len(data)))


def test_the_rules_of_the_xml_door_hold_for_the_whole_document() -> None:
    for bad in (b"<!DOCTYPE a><a>" + LONG + b"</a>", b"<a>" + LONG, b"<a>" + LONG + b"</b>", LONG):
        with pytest.raises(WireError):
            longtext.parse(bad, LARGE)
