"""Examination of captured messages: a signature is valid only if every reference was checked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.as4 import EbmsError, EbmsErrorCode, build_error, build_receipt, read_message
from samdrift.wire.as4.inspection import (
    As4Inspection,
    CaptureKind,
    KeyDoesNotFit,
    SignatureState,
    Unwrap,
    inspect_capture,
    read_capture,
)
from samdrift.wire.crypto.softwarekeys import unwrap
from samdrift.wire.errors import WireError
from samdrift.wire.wssec import names
from tests.captures import (
    DOMIBUS_ERROR,
    DOMIBUS_MESSAGES,
    DOMIBUS_RECEIPT_CUT_OFF,
    HOLODECK_MESSAGE,
    HOLODECK_RECEIPTS,
    requires_captures,
)
from tests.pki import Certified
from tests.unit.wire.as4.crafting import Crafted, gzipped
from tests.unit.wire.as4.parties import NOW, PAYLOAD, decryption, packed, receiver, sender, stranger
from tests.unit.wire.as4.test_signer import naming

SENT = packed(created=None)


def key(identity: Certified) -> Unwrap:
    return partial(unwrap, identity.private_key)


def inspected(data: bytes, *keys: Unwrap) -> As4Inspection:
    captured, *_ = read_capture(data)
    return inspect_capture(captured, keys)


def as_mime(body: bytes = SENT.body) -> bytes:
    return f"Content-Type: {SENT.content_type}\r\n\r\n".encode() + body


def crafted(made: Crafted) -> bytes:
    content_type, body = made.build()
    return f"Content-Type: {content_type}\r\n\r\n".encode() + body


def receipt() -> bytes:
    received = read_message(SENT.content_type, SENT.body, decryption(receiver()))
    return build_receipt(
        user_message=received.header.user_message,
        references=received.references,
        message_id="r-1@ap.example",
        now=NOW,
        signer=receiver().signing_key(),
    ).body


def error(signer: Certified | None = None) -> bytes:
    what = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", "m-1@ap.example")
    signing = None if signer is None else signer.signing_key()
    return build_error(what, message_id="e-1@ap.example", now=NOW, signer=signing).body


# --- the signature -----------------------------------------------------------------------------------------


def test_a_message_without_its_key_is_valid_in_part_and_says_what_is_unchecked() -> None:
    found = inspected(as_mime())
    assert (found.kind, found.signature.state) == (CaptureKind.USER_MESSAGE, SignatureState.PARTIAL)
    assert found.signature.unchecked == ("cid:message",)
    assert found.signature.signer == sender().certificate
    assert (found.info.message_id, found.payloads) == ("m-1@ap.example", ())


def test_with_its_key_every_reference_is_checked_and_the_payload_is_opened() -> None:
    found = inspected(as_mime(), key(stranger()), key(receiver()))
    assert (found.signature.state, found.signature.unchecked) == (SignatureState.VALID, ())
    assert [(each.content_id, each.content) for each in found.payloads] == [("message", PAYLOAD)]


@pytest.mark.parametrize("header", [b"Content-Type: application/gzip\r\n\r\n", b"\r\n"])
def test_a_payload_that_is_encrypted_with_its_mime_header_is_opened(header: bytes) -> None:
    content = gzipped(PAYLOAD)
    made = Crafted(
        content=header + content,
        signed_content=content,
        encryption=lambda markup: markup.replace(names.CONTENT_ONLY, names.COMPLETE),
    )
    assert inspected(crafted(made), key(receiver())).signature.state is SignatureState.VALID


def test_a_key_that_opens_nothing_is_an_error_and_no_verdict() -> None:
    with pytest.raises(KeyDoesNotFit):
        inspected(as_mime(), key(stranger()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0203:receiver.example", b"0203:stranger.example"),
        (b"conversation-1", b"conversation-2"),
        (b"></S12:Body>", b">x</S12:Body>"),
    ],
)
def test_a_changed_header_or_body_is_invalid_also_where_the_attachment_is_unchecked(
    old: bytes, new: bytes
) -> None:
    changed = SENT.body.replace(old, new)
    assert changed != SENT.body
    for keys in ((), (key(receiver()),)):
        found = inspected(as_mime(changed), *keys)
        assert (found.signature.state, found.signature.signer) == (SignatureState.INVALID, None)
        assert found.signature.reason
        assert not found.payloads


def test_a_changed_attachment_is_invalid_once_it_can_be_read() -> None:
    at = len(SENT.body) - 100
    changed = SENT.body[:at] + bytes([SENT.body[at] ^ 1]) + SENT.body[at + 1 :]
    assert inspected(as_mime(changed)).signature.state is SignatureState.PARTIAL
    found = inspected(as_mime(changed), key(receiver()))
    assert (found.signature.state, found.payloads) == (SignatureState.INVALID, ())


def test_an_attachment_that_is_encrypted_well_and_signed_by_nobody_is_invalid() -> None:
    found = inspected(crafted(Crafted(signed_content=b"another")), key(receiver()))
    assert found.signature.state is SignatureState.INVALID
    assert "not the one that was signed" in found.signature.reason


def test_an_attachment_that_is_missing_is_invalid() -> None:
    start = SENT.body.rindex(b"\r\n--", 0, SENT.body.rindex(b"\r\n--"))
    without = SENT.body[:start] + SENT.body[SENT.body.rindex(b"\r\n--") :]
    found = inspected(as_mime(without))
    assert found.signature.state is SignatureState.INVALID
    assert "the attachment is missing" in found.signature.reason


def test_the_soap_part_alone_is_valid_in_part() -> None:
    soap = SENT.body[SENT.body.index(b"<S12:Envelope") : SENT.body.index(b"</S12:Envelope>") + 15]
    found = inspected(soap)
    assert (found.signature.state, found.signature.unchecked) == (SignatureState.PARTIAL, ("cid:message",))


def test_a_payload_that_is_not_signed_is_invalid() -> None:
    found = inspected(crafted(Crafted(attachment_signed=False)))
    assert found.signature.state is SignatureState.INVALID
    assert "does not cover the payload" in found.signature.reason


@pytest.mark.parametrize("signed", [("body", "timestamp"), ("messaging", "timestamp"), ("messaging", "body")])
def test_a_header_that_is_not_signed_whole_is_invalid(signed: tuple[str, ...]) -> None:
    found = inspected(crafted(Crafted(signed=signed)))
    assert found.signature.state is SignatureState.INVALID
    assert "does not cover the header" in found.signature.reason


def test_a_signature_that_only_names_its_certificate_is_verified_with_those_of_the_caller() -> None:
    captured, *_ = read_capture(crafted(naming(sender().certificate)))
    for candidates in ((), (stranger().certificate,)):
        found = inspect_capture(captured, (), candidates)
        assert (found.signature.state, found.signature.signer) == (SignatureState.INVALID, None)
        assert "names a certificate" in found.signature.reason
    found = inspect_capture(captured, (), (stranger().certificate, sender().certificate))
    assert (found.signature.state, found.signature.signer) == (SignatureState.PARTIAL, sender().certificate)


def test_an_unsigned_message_is_absent_and_not_valid() -> None:
    found = inspected(crafted(Crafted(with_signature=False)))
    assert (found.signature.state, found.signature.signer) == (SignatureState.ABSENT, None)


# --- receipts and errors -----------------------------------------------------------------------------------


def test_a_receipt_names_what_it_acknowledges() -> None:
    found = inspected(receipt())
    assert (found.kind, found.signature.state) == (CaptureKind.RECEIPT, SignatureState.VALID)
    assert found.signature.signer == receiver().certificate
    assert found.info.ref_to_message_id == "m-1@ap.example"
    assert found.acknowledged == SENT.references


def test_a_receipt_that_was_changed_is_invalid() -> None:
    found = inspected(receipt().replace(b"m-1@ap.example", b"m-2@ap.example"))
    assert found.signature.state is SignatureState.INVALID


@pytest.mark.parametrize(
    ("signer", "state"), [(None, SignatureState.ABSENT), (receiver(), SignatureState.VALID)]
)
def test_an_error_is_shown_with_its_code_and_detail(signer: Certified | None, state: SignatureState) -> None:
    found = inspected(error(signer))
    assert (found.kind, found.signature.state) == (CaptureKind.ERROR, state)
    assert [(each.code, each.detail) for each in found.errors] == [("EBMS:0004", "NOT_SERVICED")]


# --- the forms of a capture --------------------------------------------------------------------------------


def _chunked(body: bytes) -> bytes:
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


FORMS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "a response": lambda kind, body: b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n" + body,
    "a response of HTTP/2 as curl prints it": lambda kind, body: (
        b"HTTP/2 500 \r\ncontent-type: " + kind + b"\r\n\r\n" + body
    ),
    "a request with a length": lambda kind, body: (
        b"POST /as4 HTTP/1.1\r\nHost: ap.example\r\nContent-Type: "
        + kind
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
        + b"\r\n"
    ),
    "in chunks": lambda kind, body: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
        + kind
        + b"\r\n\r\n"
        + _chunked(body)
    ),
    "chunks that a tool joined": lambda kind, body: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + kind + b"\r\n\r\n" + body
    ),
    "after 100 Continue": lambda kind, body: (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n" + body
    ),
    "fields with bare line feeds": lambda kind, body: (
        b"Date: now\nContent-Type: " + kind.replace(b"; ", b";\n ") + b"\n\n" + body
    ),
    "its content type alone": lambda kind, body: kind + b"\n\n" + body,
    "a byte order mark": lambda kind, body: b"\xef\xbb\xbfContent-Type: " + kind + b"\r\n\r\n" + body,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_capture_is_read_in_each_form_that_tools_leave(form: str) -> None:
    for kind, body, expected in (
        (SENT.content_type.encode(), SENT.body, CaptureKind.USER_MESSAGE),
        (b"application/soap+xml; charset=UTF-8", receipt(), CaptureKind.RECEIPT),
    ):
        found = inspected(FORMS[form](kind, body), key(receiver()))
        assert (found.kind, found.signature.state) == (expected, SignatureState.VALID)


def test_mime_is_read_without_any_header_before_it() -> None:
    assert inspected(SENT.body, key(receiver())).signature.state is SignatureState.VALID
    assert inspected(b"\r\n" + SENT.body).signature.state is SignatureState.PARTIAL


def test_a_request_and_its_response_are_two_messages() -> None:
    request = FORMS["a request with a length"](SENT.content_type.encode(), SENT.body)
    response = FORMS["a response"](b"application/soap+xml", error())
    kinds = [inspect_capture(each).kind for each in read_capture(request + response)]
    assert kinds == [CaptureKind.USER_MESSAGE, CaptureKind.ERROR]


HEAD = b"HTTP/1.1 200 OK\r\n"
UNUSABLE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "another XML document": b"<html/>",
    "SOAP with nothing of AS4": (
        b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header/><e:Body/></e:Envelope>'
    ),
    "a page of a proxy": HEAD + b"Content-Type: text/html\r\n\r\n<html>502</html>",
    "a head alone": HEAD + b"Content-Type: application/soap+xml\r\n\r\n",
    "a head without end": HEAD + b"Content-Type: application/soap+xml\r\n",
    "a line that is no field": HEAD + b"nonsense\r\n\r\n<a/>",
    "less than its length": HEAD + b"Content-Length: 999\r\n\r\n<a/>",
    "chunks that are cut off": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n<a/>",
    "compressed for HTTP": HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b",
    "something after a message": HEAD + b"Content-Length: 4\r\n\r\n<a/>something",
    "MIME without an end": as_mime(SENT.body[:-20]),
    "MIME with other line ends": as_mime(SENT.body.replace(b"\r\n", b"\n")),
    "parts in base64": as_mime(SENT.body.replace(b"Encoding: binary", b"Encoding: base64")),
    "a message twice in one": as_mime(
        re.sub(rb"(<eb:Messaging .*</eb:Messaging>)", rb"\1\1", SENT.body, flags=re.DOTALL)
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_read_is_a_clear_error(case: str) -> None:
    with pytest.raises(WireError) as caught:
        inspected(UNUSABLE[case])
    assert caught.value.text


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(
        [b"", HEAD, HEAD + b"\r\n", b"--b\r\n", b"multipart/related; boundary=b\n\n", b"<"]
    ),
    rest=st.binary(max_size=200),
)
def test_whatever_is_given_there_is_a_verdict_or_an_error(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(WireError):
        inspected(start + rest)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, len(as_mime()) - 1), bit=st.integers(0, 7))
def test_one_changed_bit_never_makes_more_of_a_message_valid(place: int, bit: int) -> None:
    changed = bytearray(as_mime())
    changed[place] ^= 1 << bit
    try:
        found = inspected(bytes(changed), key(receiver()))
    except WireError:
        return
    if found.signature.state is SignatureState.VALID:
        assert found.payloads[0].content == PAYLOAD
        assert found.user_message == inspected(as_mime()).user_message


def name_of(file: Path) -> str:
    return file.name


# --- what others wrote -------------------------------------------------------------------------------------


@requires_captures
@pytest.mark.parametrize("file", [*DOMIBUS_MESSAGES, HOLODECK_MESSAGE], ids=name_of)
def test_a_message_of_a_domibus_is_verified_but_for_its_attachment(file: Path) -> None:
    found = inspected(file.read_bytes())
    assert (found.kind, found.signature.state) == (CaptureKind.USER_MESSAGE, SignatureState.PARTIAL)
    assert found.signature.unchecked == ("cid:message",)
    assert found.user_message is not None
    assert found.user_message.from_party == "AP0002-SDK-DEMO"


@requires_captures
@pytest.mark.parametrize("file", DOMIBUS_MESSAGES, ids=name_of)
def test_a_changed_message_of_a_domibus_is_invalid(file: Path) -> None:
    data = file.read_bytes().replace(b"0203:habo.se", b"0203:hebo.se")
    assert inspected(data).signature.state is SignatureState.INVALID


@requires_captures
def test_the_receipts_of_a_holodeck_on_one_connection_are_valid() -> None:
    found = [inspect_capture(each) for each in read_capture(HOLODECK_RECEIPTS.read_bytes())]
    assert [each.kind for each in found] == [CaptureKind.RECEIPT] * 3
    assert [each.signature.state for each in found] == [SignatureState.VALID] * 3
    assert all(each.acknowledged for each in found)


@requires_captures
def test_the_error_of_a_domibus_is_shown_although_its_body_holds_a_fault() -> None:
    found = inspected(DOMIBUS_ERROR.read_bytes())
    assert (found.kind, found.signature.state) == (CaptureKind.ERROR, SignatureState.ABSENT)
    ((code, detail),) = [(each.code, each.detail) for each in found.errors]
    assert code == "EBMS:0103"
    assert "Received Timestamp does not match the requirements" in detail


@requires_captures
def test_a_receipt_that_was_cut_off_cannot_be_used() -> None:
    with pytest.raises(WireError):
        inspected(DOMIBUS_RECEIPT_CUT_OFF.read_bytes())
