"""Receipts and errors: what they prove, to whom, about which message (ebms3-core 6, as4-profile 5.1.8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from samdrift.wire.as4 import (
    As4Fault,
    EbmsError,
    EbmsErrorCode,
    ErrorSignal,
    PackedMessage,
    ReceiptReason,
    ReceiptSignal,
    ReceiptVerdict,
    SignedReference,
    build_error,
    build_receipt,
    read_message,
    read_response,
    verify_receipt,
)
from samdrift.wire.ebms import NOT_SERVICED, Severity
from samdrift.wire.wssec import Part, build_body, build_envelope, build_signature
from samdrift.wire.xml import Namespace
from tests.unit.wire.as4.parties import NOW, decryption, message, packed, receiver, sender, stranger

_SOAP = "application/soap+xml; charset=UTF-8"
_PART = re.compile(r"<ebbp:MessagePartNRInformation>.*?</ebbp:MessagePartNRInformation>")
Edit = Callable[[str], str]


def _receipt(sent: PackedMessage) -> bytes:
    received = read_message(sent.content_type, sent.body, decryption(receiver()))
    answer = build_receipt(
        user_message=received.header.user_message,
        references=received.references,
        message_id="r-1@ap.example",
        now=NOW,
        signer=receiver().signing_key(),
    )
    assert answer.content_type == _SOAP
    return answer.body


def _resigned(edit: Edit, signer: Callable[[], object] = receiver) -> bytes:
    """Return a receipt signed in another form than ours."""
    soap = _receipt(packed()).decode()
    found = re.search(r"<eb:Messaging .*</eb:Messaging>", soap)
    assert found is not None
    wsu_id = re.search(r'wsu:Id="(Messaging-[0-9a-f]+)"', found[0])
    assert wsu_id is not None
    messaging, body = Part(wsu_id[1], edit(found[0])), build_body("Body")
    signed = build_signature((messaging, body), None, signer().signing_key(), "Signer")  # type: ignore[attr-defined]
    return build_envelope([signed.markup], messaging, body)


def _verdict(body: bytes, message_id: str = "m-1@ap.example", sent: object = None) -> ReceiptVerdict:
    signal = read_response(_SOAP, body)
    assert isinstance(signal, ReceiptSignal)
    attempts = [packed().references] if sent is None else sent
    return verify_receipt(
        signal,
        message_id=message_id,
        sent=attempts,
        expected=receiver().certificate,  # type: ignore[arg-type]
    )


def test_a_receipt_proves_delivery() -> None:
    """Clauses: transport-profile-as4 2.2 a."""
    verdict = _verdict(_receipt(packed()))
    assert (verdict.reason, verdict.certificate) == (ReceiptReason.VALID, receiver().certificate)
    assert verdict.valid
    assert verdict.signature


def test_a_receipt_holds_one_child_with_every_reference() -> None:
    """Domibus insists on exactly one child; every signed part is acknowledged."""
    signal = read_response(_SOAP, _receipt(packed()))
    assert isinstance(signal, ReceiptSignal)
    (receipt,) = signal.document.messaging.iter(f"{{{Namespace.EBMS3}}}Receipt")
    assert len(receipt) == 1
    assert signal.references == packed().references
    assert {reference.uri[:5] for reference in signal.references} == {"#Mess", "#Body", "#Time", "cid:m"}


def test_a_receipt_has_no_timestamp_that_could_expire() -> None:
    """The same receipt answers every resend, even months later."""
    assert b"<wsu:Timestamp" not in _receipt(packed())


def test_a_receipt_may_answer_an_earlier_attempt() -> None:
    first, second = packed(), packed(header=replace(message(), timestamp=NOW.replace(year=2027)))
    assert first.references != second.references
    assert _verdict(_receipt(first), sent=[second.references, first.references]).valid
    assert _verdict(_receipt(first), sent=[second.references]).reason is ReceiptReason.OTHER_REFERENCES
    assert _verdict(_receipt(first), sent=[]).reason is ReceiptReason.OTHER_REFERENCES
    assert _verdict(_receipt(first), sent=[()]).reason is ReceiptReason.OTHER_REFERENCES


def test_references_that_were_kept_are_as_good_as_those_at_hand() -> None:
    kept = [SignedReference.from_xml(reference.xml) for reference in packed().references]
    assert _verdict(_receipt(packed()), sent=[kept]).valid


def test_the_order_of_references_does_not_matter() -> None:
    def turn_round(markup: str) -> str:
        parts = _PART.findall(markup)
        return markup.replace("".join(parts), "".join(reversed(parts)))

    assert _verdict(_resigned(turn_round)).valid


def test_a_receipt_for_another_message_proves_nothing() -> None:
    assert _verdict(_receipt(packed()), message_id="m-2@ap.example").reason is ReceiptReason.OTHER_MESSAGE


def test_a_receipt_of_somebody_else_proves_nothing() -> None:
    verdict = _verdict(_resigned(lambda markup: markup, stranger))
    assert verdict == ReceiptVerdict(ReceiptReason.WRONG_SIGNER, stranger().certificate)


@pytest.mark.parametrize(
    "edit",
    [
        lambda markup: _PART.sub("", markup, count=1),
        lambda markup: _PART.sub("", markup),
        lambda markup: re.sub(r"<ebbp:NonRep.*</ebbp:NonRepudiationInformation>", "", markup),
        lambda markup: markup.replace('URI="cid:message"', 'URI="cid:other"'),
        lambda markup: re.sub(r"(<ds:DigestValue>)....", r"\1AAAA", markup, count=1),
    ],
)
def test_a_receipt_for_other_content_proves_nothing(edit: Edit) -> None:
    assert _verdict(_resigned(edit)).reason is ReceiptReason.OTHER_REFERENCES


def test_a_receipt_without_signature_proves_nothing() -> None:
    soap = re.sub(rb"<wsse:Security .*</wsse:Security>", b"", _receipt(packed()))
    assert _verdict(soap).reason is ReceiptReason.NOT_SIGNED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"r-1@ap.example", b"r-2@ap.example"),
        (b"12:00:00", b"13:00:00"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"),
    ],
)
def test_a_changed_receipt_proves_nothing(old: bytes, new: bytes) -> None:
    body = _receipt(packed())
    assert old in body
    assert _verdict(body.replace(old, new, 1)).reason is ReceiptReason.SIGNATURE


def test_a_signature_over_something_else_proves_nothing() -> None:
    """The signature is valid and by the right peer, but does not cover the header."""
    soap = _receipt(packed()).decode()
    found = re.search(r"<eb:Messaging .*</eb:Messaging>", soap)
    assert found is not None
    body = build_body("Body")
    signed = build_signature([body], None, receiver().signing_key(), "Signer")
    forged = build_envelope([signed.markup], Part("unused", found[0]), body)
    assert _verdict(forged).reason is ReceiptReason.SIGNATURE


def test_other_children_of_a_receipt_are_read_over() -> None:
    """phase4 adds a child of its own."""

    def add(markup: str) -> str:
        return markup.replace("<eb:Receipt>", '<eb:Receipt><x:Extra xmlns:x="urn:x"></x:Extra>')

    assert _verdict(_resigned(add)).valid


@pytest.mark.parametrize(
    "content_type",
    ['multipart/related; boundary="R"; type="application/soap+xml"', "Multipart/Related;boundary=R"],
)
def test_an_answer_in_multipart_is_read(content_type: str) -> None:
    soap = _receipt(packed())
    body = b"--R\r\nContent-Type: application/soap+xml\r\n\r\n" + soap + b"\r\n--R--\r\n"
    assert isinstance(read_response(content_type, body), ReceiptSignal)


def test_an_answer_without_content_type_is_taken_for_soap() -> None:
    assert isinstance(read_response(None, _receipt(packed())), ReceiptSignal)


def test_not_serviced_is_told_as_the_profile_says() -> None:
    """transport-profile-as4 2.5 c: EBMS:0004, failure, NOT_SERVICED."""
    error = EbmsError.of(EbmsErrorCode.OTHER, NOT_SERVICED, "m-1@ap.example")
    answer = build_error(error, message_id="e-1@ap.example", now=NOW, signer=receiver().signing_key())
    signal = read_response(answer.content_type, answer.body)
    assert isinstance(signal, ErrorSignal)
    assert signal.signed_by == receiver().certificate
    assert signal.errors == (error,)
    assert (error.code, error.severity, error.detail) == ("EBMS:0004", Severity.FAILURE, "NOT_SERVICED")
    assert signal.info.ref_to_message_id == "m-1@ap.example"


def test_an_error_without_signature_is_read_and_says_so() -> None:
    error = EbmsError.of(EbmsErrorCode.MIME_INCONSISTENCY, "something & <else>")
    answer = build_error(error, message_id="e-1@ap.example", now=NOW, signer=None)
    signal = read_response(answer.content_type, answer.body)
    assert isinstance(signal, ErrorSignal)
    assert (signal.errors, signal.signed_by) == ((error,), None)
    assert signal.info.ref_to_message_id is None


def test_an_error_whose_signature_does_not_hold_counts_as_unsigned() -> None:
    error = EbmsError.of(EbmsErrorCode.OTHER, "detail", "m-1@ap.example")
    answer = build_error(error, message_id="e-1@ap.example", now=NOW, signer=sender().signing_key())
    signal = read_response(answer.content_type, answer.body.replace(b"detail", b"liated"))
    assert isinstance(signal, ErrorSignal)
    assert (signal.errors[0].detail, signal.signed_by) == ("liated", None)


def test_errors_of_peers_are_read_tolerantly() -> None:
    def edit(soap: str) -> str:
        soap = soap.replace("EBMS:0004", "EBMS:9999").replace('severity="failure"', 'severity="Warning"')
        return soap.replace("</eb:Error>", '</eb:Error><eb:Error errorCode="EBMS:4001"/>')

    error = EbmsError.of(EbmsErrorCode.OTHER, "x" * 5000, "m-1@ap.example")
    answer = build_error(error, message_id="e-1@ap.example", now=NOW, signer=None)
    signal = read_response(answer.content_type, edit(answer.body.decode()).encode())
    assert isinstance(signal, ErrorSignal)
    first, second = signal.errors
    assert (first.code, first.severity, len(first.detail)) == ("EBMS:9999", Severity.WARNING, 1024)
    assert (second.code, second.severity, second.detail) == (EbmsErrorCode.DUPLICATE, Severity.FAILURE, "")


def test_an_error_beside_a_receipt_makes_it_an_error() -> None:
    both = _resigned(
        lambda markup: markup.replace(
            "<eb:Receipt>", '<eb:Error errorCode="EBMS:0004"></eb:Error><eb:Receipt>'
        )
    )
    assert isinstance(read_response(_SOAP, both), ErrorSignal)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html><body>Bad gateway</body></html>"),
        (_SOAP, b"<html/>"),
        (_SOAP, b""),
        (None, b""),
        ("nonsense", b"x"),
        ("multipart/related", b"--R\r\n\r\n\r\n--R--"),
        ("multipart/related; boundary=R", b"--R--\r\n"),
        ("multipart/related; boundary=R", b"--R\r\nContent-Type: application/soap+xml\r\n\r\n<x/>"),
        (_SOAP, packed().body),
        (_SOAP, _receipt(packed()).replace(b"eb:Receipt>", b"eb:PullRequest>")),
        (_SOAP, b"<" * (1 << 19)),
    ],
)
def test_what_is_neither_receipt_nor_error_is_refused(content_type: str | None, body: bytes) -> None:
    with pytest.raises(As4Fault):
        read_response(content_type, body)


def test_a_user_message_is_no_answer() -> None:
    sent = packed()
    soap = sent.body[sent.body.index(b"<S12:Envelope") : sent.body.index(b"</S12:Envelope>") + 15]
    with pytest.raises(As4Fault):
        read_response(_SOAP, soap)
