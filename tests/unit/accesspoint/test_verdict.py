"""Verdicts on a peer's response to a transfer; only a receipt that proves delivery counts as delivery."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.accesspoint.verdict import Answer, judge
from samdrift.contracts.transfer import TransferReason
from samdrift.wire.as4 import (
    EbmsError,
    EbmsErrorCode,
    PackedMessage,
    Response,
    SignedReference,
    build_error,
    build_receipt,
    pack,
    user_message,
)
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.profile import AS4_1_2
from tests import pki
from tests.captures import DOMIBUS_ERROR, DOMIBUS_RECEIPT_CUT_OFF, requires_captures

NOW = datetime.now(UTC)
ISSUER = pki.root("Issuer", 0)
OWN = ISSUER.issue("AP0001-SDK-TEST", private_key=pki.key(1))
PEER = ISSUER.issue("AP0002-SDK-TEST", private_key=pki.key(2))
STRANGER = ISSUER.issue("AP0003-SDK-TEST", private_key=pki.key(3))
MESSAGE = user_message(
    AS4_1_2,
    message_id="m@own.test",
    timestamp=NOW,
    from_party="AP0001-SDK-TEST",
    to_party="AP0002-SDK-TEST",
    action="a",
    service="s",
    service_type="t",
    conversation_id="c",
    original_sender="0203:a.se",
    final_recipient="0203:b.se",
)


def packed(created: datetime) -> PackedMessage:
    return pack(
        MESSAGE,
        b"<xhe/>",
        signer=OWN.signing_key(),
        recipient=PEER.certificate,
        rng=os.urandom,
        created=created,
    )


FIRST, SECOND = packed(NOW.replace(microsecond=0)), packed(NOW.replace(microsecond=500_000))
FAULT = b"""<S12:Fault><S12:Code><S12:Value>S12:Receiver</S12:Value></S12:Code><S12:Reason>
<S12:Text xml:lang="en">An error occurred.</S12:Text></S12:Reason></S12:Fault>"""
"""Content of the Body in every error response of a Domibus."""


def receipt(references: tuple[SignedReference, ...], signer: SigningKey) -> Response:
    return build_receipt(
        user_message=MESSAGE, references=references, message_id="r@peer.test", now=NOW, signer=signer
    )


def judged(answer: Response, message_id: str = "m@own.test") -> Answer:
    """Return the verdict on a response to the second attempt."""
    return judge(
        answer.content_type,
        answer.body,
        message_id=message_id,
        sent=[SECOND.references, FIRST.references],
        peer=PEER.certificate,
    )


@pytest.mark.parametrize("attempt", [FIRST, SECOND])
def test_a_receipt_over_any_attempt_is_delivery(attempt: PackedMessage) -> None:
    answer = receipt(attempt.references, PEER.signing_key())
    verdict = judged(answer)
    assert verdict.delivered
    assert verdict.receipt == answer.body
    assert verdict.signature


@pytest.mark.parametrize(
    "references", [(), SECOND.references[:-1], (*SECOND.references, *FIRST.references)], ids=len
)
def test_a_receipt_over_less_or_more_than_one_attempt_is_not(references: tuple[SignedReference, ...]) -> None:
    verdict = judged(receipt(references, PEER.signing_key()))
    assert (verdict.delivered, verdict.reason) == (False, TransferReason.RECEIPT_INVALID)


def test_a_receipt_of_somebody_else_is_not() -> None:
    verdict = judged(receipt(SECOND.references, STRANGER.signing_key()))
    assert (verdict.delivered, verdict.reason, verdict.final) == (
        False,
        TransferReason.RECEIPT_INVALID,
        False,
    )


def test_a_receipt_about_another_message_is_not() -> None:
    verdict = judged(receipt(SECOND.references, PEER.signing_key()), message_id="other@own.test")
    assert (verdict.delivered, verdict.reason) == (False, TransferReason.RECEIPT_INVALID)


@pytest.mark.parametrize("signer", [None, PEER, STRANGER])
@pytest.mark.parametrize(
    ("code", "detail", "reason", "final"),
    [
        (EbmsErrorCode.OTHER, "NOT_SERVICED", TransferReason.NOT_SERVICED, True),
        (EbmsErrorCode.OTHER, " NOT_SERVICED\n", TransferReason.NOT_SERVICED, True),
        (EbmsErrorCode.OTHER, "something else", TransferReason.PEER_REFUSED, False),
        # Oxalis also sends this for an invalid signature, so the message is sent again.
        (EbmsErrorCode.OTHER, "PEPPOL:NOT_SERVICED", TransferReason.PEER_REFUSED, False),
        (EbmsErrorCode.FAILED_DECRYPTION, "wrong key", TransferReason.PEER_REFUSED, False),
        (EbmsErrorCode.DUPLICATE, "", TransferReason.RECEIPT_INVALID, False),
    ],
)
def test_an_error_is_information_signed_or_not(
    code: EbmsErrorCode, detail: str, reason: TransferReason, final: bool, signer: pki.Certified | None
) -> None:
    answer = build_error(
        EbmsError.of(code, detail, "m@own.test"),
        message_id="e@peer.test",
        now=NOW,
        signer=None if signer is None else signer.signing_key(),
    )
    verdict = judged(answer)
    assert (verdict.delivered, verdict.reason, verdict.final) == (False, reason, final)
    assert code in verdict.detail
    assert detail.strip() in verdict.detail


def several(details: list[str]) -> Response:
    """Return one signal with an error for each of these details."""
    errors = [EbmsError.of(EbmsErrorCode.OTHER, detail, "m@own.test") for detail in details]
    each = [build_error(error, message_id="e@peer.test", now=NOW, signer=None).body for error in errors]
    begin, end = each[0].index(b"<eb:Error "), each[0].index(b"</eb:Error>") + len(b"</eb:Error>")
    inner = [
        body[body.index(b"<eb:Error ") : body.index(b"</eb:Error>") + len(b"</eb:Error>")] for body in each
    ]
    answer = build_error(errors[0], message_id="e@peer.test", now=NOW, signer=None)
    return Response(answer.content_type, each[0][:begin] + b"".join(inner) + each[0][end:])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_not_serviced_among_several_errors_ends_the_transfer(place: int) -> None:
    """ebms3-core 6.2: a signal has one error or more."""
    details = ["something else"] * 3
    details[place] = "NOT_SERVICED"
    verdict = judged(several(details))
    assert (verdict.reason, verdict.final) == (TransferReason.NOT_SERVICED, True)
    assert verdict.detail.count("something else") == 2


def with_fault(answer: Response) -> Response:
    """Return the response as a Domibus writes it, with a SOAP Fault in the Body."""
    body = answer.body.replace(b"></S12:Body>", b">" + FAULT + b"</S12:Body>")
    assert body != answer.body
    return Response(answer.content_type, body)


@pytest.mark.parametrize(
    ("code", "detail", "reason", "final"),
    [
        (EbmsErrorCode.OTHER, "NOT_SERVICED", TransferReason.NOT_SERVICED, True),
        (EbmsErrorCode.POLICY_NONCOMPLIANCE, "Received Timestamp", TransferReason.PEER_REFUSED, False),
        (EbmsErrorCode.PROCESSING_MODE_MISMATCH, "PMode not found", TransferReason.PEER_REFUSED, False),
    ],
)
def test_ebms3_core_6_an_error_is_read_from_the_header_and_the_body_is_ignored(
    code: EbmsErrorCode, detail: str, reason: TransferReason, final: bool
) -> None:
    error = EbmsError.of(code, detail, "m@own.test")
    verdict = judged(with_fault(build_error(error, message_id="e@peer.test", now=NOW, signer=None)))
    assert (verdict.reason, verdict.detail, verdict.final) == (reason, f"{code.value} {detail}", final)


def test_a_receipt_whose_body_was_filled_after_it_was_signed_is_not_delivery() -> None:
    verdict = judged(with_fault(receipt(SECOND.references, PEER.signing_key())))
    assert (verdict.delivered, verdict.detail) == (False, "receipt: signature")


def test_the_words_of_a_peer_are_one_line_that_steers_no_terminal() -> None:
    error = EbmsError.of(EbmsErrorCode.OTHER, "first\n  second\u202e\u0085 third", "m@own.test")
    verdict = judged(build_error(error, message_id="e@peer.test", now=NOW, signer=None))
    assert verdict.detail == "EBMS:0004 first second\ufffd third"


def test_of_the_words_of_a_peer_2000_characters_are_kept() -> None:
    """A peer's very long error fills neither the log nor the text shown to the sender."""
    verdict = judged(several(["x" * 1000] * 3))
    assert verdict.detail == ("EBMS:0004 " + "x" * 1000 + "; EBMS:0004 ").ljust(2000, "x")


@requires_captures
def test_the_error_of_a_domibus_reaches_the_operator_in_its_words() -> None:
    verdict = judged(Response("application/soap+xml;charset=UTF-8", DOMIBUS_ERROR.read_bytes()))
    assert (verdict.reason, verdict.final) == (TransferReason.PEER_REFUSED, False)
    assert verdict.detail.startswith("EBMS:0103 These policy alternatives can not be satisfied: {http://")
    assert "AsymmetricBinding: Received Timestamp does not match the requirements" in verdict.detail


@requires_captures
def test_not_serviced_from_a_domibus_ends_the_transfer() -> None:
    """transport-profile-as4 2.5 c, in the form that a Domibus uses."""
    body, edits = re.subn(
        rb"<eb:ErrorDetail>.*</eb:ErrorDetail>",
        b"<eb:ErrorDetail>NOT_SERVICED</eb:ErrorDetail>",
        DOMIBUS_ERROR.read_bytes().replace(b"EBMS:0103", b"EBMS:0004"),
        flags=re.DOTALL,
    )
    assert edits == 1
    verdict = judged(Response("application/soap+xml;charset=UTF-8", body))
    assert (verdict.reason, verdict.final) == (TransferReason.NOT_SERVICED, True)


@requires_captures
def test_a_receipt_that_was_cut_off_is_not_delivery() -> None:
    verdict = judged(Response("application/soap+xml", DOMIBUS_RECEIPT_CUT_OFF.read_bytes()))
    assert (verdict.delivered, verdict.reason) == (False, TransferReason.RECEIPT_INVALID)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["", "text/html", "application/soap+xml", "multipart/related"]), st.binary(max_size=80)
)
def test_whatever_a_peer_answers_there_is_a_verdict(content_type: str, body: bytes) -> None:
    verdict = judged(Response(content_type, body))
    assert (verdict.delivered, verdict.reason, verdict.final) == (
        False,
        TransferReason.RECEIPT_INVALID,
        False,
    )


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_receipt_with_one_bit_changed_is_delivery_only_where_nothing_signed_changed(
    place: int, bit: int
) -> None:
    answer = receipt(SECOND.references, PEER.signing_key())
    body = bytearray(answer.body)
    body[place % len(body)] ^= 1 << bit
    verdict = judged(Response(answer.content_type, bytes(body)))
    if verdict.delivered:
        assert verdict.signature == judged(answer).signature
