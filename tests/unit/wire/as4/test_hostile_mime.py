"""Carefully crafted MIME bodies: refused with a type, in bounded memory."""

from __future__ import annotations

import pytest

from samdrift.wire.as4 import As4Fault, As4Limits, As4Reader, EbmsErrorCode, NeedData, read_message
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.parties import PAYLOAD, decryption, packed, receiver
from tests.unit.wire.as4.refusals import accepted, refusal

MIME = EbmsErrorCode.MIME_INCONSISTENCY
_PART = b"\r\n--B\r\nContent-Type: application/octet-stream\r\nContent-ID: <message>\r\n\r\nforged"


@pytest.mark.parametrize(
    "crafted",
    [
        Crafted(parts_after=_PART),
        Crafted(parts_after=_PART.replace(b"<message>", b"<other>")),
        Crafted(parts_before=_PART.replace(b"<message>", b"<other>")),
        Crafted(content_id="other"),
        Crafted(content_fields="Content-Transfer-Encoding: base64\r\n"),
        Crafted(content_fields="Content-ID: <message>\r\n"),
        Crafted(content_fields="no field\r\n"),
        Crafted(content_fields="X: \x00\r\n"),
        Crafted(content_fields=f"X: {'y' * 9000}\r\n"),
        Crafted(content_fields="".join(f"X-{number}: y\r\n" for number in range(2000))),
        Crafted(root_fields="Content-Type: text/xml\r\nContent-ID: <root>\r\n"),
        Crafted(root_fields="Content-Type: application/soap+xml; charset=utf-16\r\nContent-ID: <root>\r\n"),
        Crafted(root_fields="Content-ID: <root>\r\n"),
        Crafted(root_fields="Content-Type: application/soap+xml\r\nContent-ID: <other>\r\n"),
        Crafted(content_type="application/soap+xml"),
        Crafted(content_type="multipart/mixed; boundary=B"),
        Crafted(content_type='multipart/related; boundary=B; type="text/xml"'),
        Crafted(content_type="multipart/related"),
        Crafted(content_type="multipart/related; boundary=C"),
        Crafted(content_type="multipart/related; boundary=B; boundary=C"),
        Crafted(content_type='multipart/related; boundary="B\r\n--B"'),
        Crafted(content_type="multipart/related; boundary="),
        Crafted(content_type=f"multipart/related; boundary={'B' * 71}"),
        Crafted(content_type="multipart/related; boundary=B; x"),
        Crafted(content_type=""),
        Crafted(content_type="multipart/related; boundary=B; x=" + "y" * 3000),
    ],
)
def test_unclear_mime_is_refused(crafted: Crafted) -> None:
    assert refusal(crafted)[0] is MIME


def _edited(old: bytes, new: bytes, count: int = 1) -> tuple[str, bytes]:
    content_type, body = Crafted().build()
    assert old in body
    return content_type, body.replace(old, new, count)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        _edited(b"\r\n--B--\r\n", b"\r\n--B--\r\nGET / HTTP/1.1\r\n"),
        _edited(b"\r\n--B--\r\n", b"\r\n--B--\r\n--B\r\n\r\nx\r\n--B--"),
        _edited(b"\r\n--B--\r\n", b"\r\n--B--" + b"\r\n" * 5000),
        _edited(b"\r\n--B--\r\n", b"\r\n--Bx"),
        _edited(b"\r\n--B--\r\n", b"\r\n--B-"),
        _edited(b"\r\n--B\r\n", b"\r\n--B \t" + b" " * 9000 + b"\r\n"),
        _edited(b"\r\n", b"\n", -1),
        ("multipart/related; boundary=B", b"x" * 10_000),
        ("multipart/related; boundary=B", b""),
        ("multipart/related; boundary=B", b"--B--"),
        ("multipart/related; boundary=B", b"--B\r\n" * 1000),
    ],
)
def test_a_body_that_is_not_framed_as_announced_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(As4Fault) as caught:
        read_message(content_type, body, decryption(receiver()))
    assert caught.value.error in (MIME, EbmsErrorCode.INVALID_HEADER)


def test_what_may_stand_round_the_parts_is_read_over() -> None:
    for old, new in (
        (b"--B\r\n", b"This is a message in several parts.\r\n--B\r\n"),
        (b"\r\n--B\r\n", b"\r\n--B \t\r\n"),
        (b"\r\n--B--\r\n", b"\r\n--B--"),
        (b"\r\n--B--\r\n", b"\r\n--B--\r\n\r\n"),
    ):
        content_type, body = _edited(old, new)
        assert read_message(content_type, body, decryption(receiver())).payload == PAYLOAD


def test_a_boundary_that_looks_like_the_content_is_told_from_it() -> None:
    """Content ends in pieces of a delimiter, of every length."""
    for tail in (b"\r", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--A", b"--B", b"\r\n--b"):
        sent = packed(PAYLOAD + tail)
        assert read_message(sent.content_type, sent.body, decryption(receiver())).payload == PAYLOAD + tail


def test_a_message_that_was_cut_off_anywhere_is_refused() -> None:
    content_type, body = Crafted(content=gzipped(b"short")).build()
    end = len(body) - len(b"\r\n")
    for size in [*range(0, end, 97), *range(end - 60, end)]:
        with pytest.raises(As4Fault):
            read_message(content_type, body[:size], decryption(receiver()))


def _fed(reader: As4Reader, piece: bytes, times: int) -> None:
    for _ in range(times):
        reader.receive(piece)
        assert isinstance(reader.next_event(), NeedData)


def test_a_large_soap_part_is_refused_while_it_comes() -> None:
    reader = As4Reader("multipart/related; boundary=B", As4Limits(max_soap_bytes=10_000))
    reader.receive(b"--B\r\nContent-Type: application/soap+xml\r\n\r\n")
    _fed(reader, b"<" * 1000, 10)
    with pytest.raises(As4Fault) as caught:
        _fed(reader, b"<" * 1000, 1)
    assert caught.value.error is EbmsErrorCode.OTHER


def test_a_long_preamble_is_refused_while_it_comes() -> None:
    reader = As4Reader("multipart/related; boundary=B")
    _fed(reader, b"x" * 1000, 4)
    with pytest.raises(As4Fault):
        _fed(reader, b"x" * 1000, 1)


def test_an_attachment_in_front_of_the_signed_one_is_taken_for_it_and_fails() -> None:
    assert refusal(Crafted(parts_before=_PART))[0] is EbmsErrorCode.FAILED_DECRYPTION


def test_a_refusal_is_final() -> None:
    reader = As4Reader("multipart/related; boundary=B")
    reader.receive(b"x" * 10_000)
    for _ in range(2):
        with pytest.raises(As4Fault):
            reader.next_event()


@pytest.mark.parametrize(
    "soap",
    [
        "",
        "not xml",
        "<S12:Envelope",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        '<!DOCTYPE x SYSTEM "http://elsewhere.example/x.dtd"><x/>',
        "<x/>",
        '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>',
        '<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"/>',
        '<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Header/><S:Body/></S:Envelope>',
        "<a>" * 40 + "</a>" * 40,
        "<a>" + "<b/>" * 5000 + "</a>",
        '<?xml version="1.0" encoding="UTF-16"?><x/>',
    ],
)
def test_a_soap_part_that_is_no_message_header_is_refused(soap: str) -> None:
    code, _ = refusal(Crafted(soap=lambda _: soap))
    assert code in (EbmsErrorCode.INVALID_HEADER, EbmsErrorCode.OTHER)


def test_a_relative_namespace_has_no_canonical_form() -> None:
    crafted = Crafted(
        messaging=lambda markup: markup.replace("<eb:UserMessage", '<eb:UserMessage xmlns:x="y"')
    )
    assert refusal(crafted)[0] is EbmsErrorCode.INVALID_HEADER


def test_a_good_message_shows_that_the_others_fail_for_their_fault() -> None:
    assert accepted(Crafted()).payload == PAYLOAD
