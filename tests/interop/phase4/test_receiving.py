"""phase4 sends to our access point, which passes the messages on to its message service."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.wire.identifiers import RECEIPT_EXTENDED
from samdrift.wire.sdkmessage import SdkMessage
from tests.interop.phase4.letters import LARGEST, SHORT, long
from tests.interop.phase4.neighbours import Packed
from tests.interop.phase4.relay import relaying
from tests.interop.phase4.scene import THEIRS, Scene, properties

_REFERENCES = (
    "bst",
    "ski-key-id",
    "x509-key-id",
    "issuer-serial",
    "issuer-serial-quote-format",
    "thumbprint-id",
)
_DELIVERED: dict[str, Any] = {
    "result": "success",
    "failure": None,
    "signed": True,
    "signer": "AP0001-SDK-DEMO",
    "matches": True,
    "mismatches": [],
    "errors": [],
}
"""Outcome if phase4 got a receipt, verified its signature, and found every reference of its own in it."""


def _refused(outcome: dict[str, Any]) -> tuple[str, str]:
    """Return code and detail of the only error that phase4 got, after checking that we signed it."""
    assert outcome["result"] == "as4-error-msg-received"
    assert (outcome["signed"], outcome["signer"]) == (True, "AP0001-SDK-DEMO")
    (error,) = outcome["errors"]
    return error["code"], error["detail"]


async def _read(interop: Scene, envelope: Packed) -> SdkMessage:
    """Return the message as Habo reads it, once it has been accepted."""
    status, _ = await interop.status(envelope.id, Direction.IN)
    assert status is MessageStatus.NEW
    habo = interop.habo
    message = await habo.operator.messages.read(habo.principal, habo.organisation, envelope.id, Direction.IN)
    assert message is not None
    return message


@pytest.mark.parametrize("reference", _REFERENCES)
async def test_each_kind_of_key_reference_is_understood(interop: Scene, reference: str) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    assert await interop.phase4_sends(envelope, key_reference=reference) == _DELIVERED
    message = await _read(interop, envelope)
    assert message.documents[0].files[0].data() == SHORT.attachments[0].data


async def test_who_sent_is_written_down(interop: Scene) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    as4_id = f"{uuid4()}@phase4.test"
    assert await interop.phase4_sends(envelope, message_id=as4_id) == _DELIVERED
    received = next(
        one for one in await interop.logged(envelope.id) if one.event == APEvent.AP_ENVELOPE_RECEIVED
    )
    certificate = interop.phase4_identity.certificate
    facts = {
        "as4": as4_id,
        "conversation": envelope.id,
        "envelope": envelope.id,
        "peer": THEIRS,
        "certificate": certificate.fingerprint(hashes.SHA256()).hex(),
        "sender": interop.agency.identifier.value,
        "recipient": interop.habo.organisation.value,
    }
    assert {fact: received.ids.get(fact) for fact in facts} == facts


async def test_a_message_of_30_mb(interop: Scene) -> None:
    draft = long()
    envelope = await interop.agency.message(draft, interop.habo.address)
    assert len(envelope.data) > LARGEST
    assert await interop.phase4_sends(envelope) == _DELIVERED
    message = await _read(interop, envelope)
    (file,) = message.documents[0].files
    assert _digest(file.data()) == _digest(draft.attachments[0].data)


@pytest.mark.parametrize(("missing", "detail"), [("sign", "not signed"), ("encrypt", "not encrypted")])
async def test_a_message_without_protection_is_refused(interop: Scene, missing: str, detail: str) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    without: dict[str, Any] = {missing: False}
    assert _refused(await interop.phase4_sends(envelope, **without)) == ("EBMS:0103", detail)
    assert not await interop.logged(envelope.id)


async def test_phase4_is_told_that_a_recipient_is_not_served(interop: Scene) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    sent = interop.phase4_sends(
        envelope, properties=properties(interop.agency.identifier.value, "0203:jonkoping.se")
    )
    assert _refused(await sent) == ("EBMS:0004", "NOT_SERVICED")


async def test_phase4_is_told_that_a_type_of_message_is_not_served(interop: Scene) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    assert _refused(await interop.phase4_sends(envelope, action="urn:x")) == ("EBMS:0004", "NOT_SERVICED")


async def test_when_our_answer_is_lost_phase4_gets_the_receipt_again(interop: Scene) -> None:
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    as4_id = f"{uuid4()}@phase4.test"
    port = int(interop.as4_address.rpartition(":")[2].partition("/")[0])
    async with relaying(interop.federation, port, interop.folder) as relay:
        outcome = await interop.phase4_sends(envelope, address=relay.address, message_id=as4_id, retries=1)
        assert (relay.lost, relay.requests) == (1, 2)
    assert outcome == _DELIVERED
    await _read(interop, envelope)
    events = [one.event for one in await interop.logged(as4_id)]
    assert events.count(APEvent.AP_ENVELOPE_RECEIVED) == 1
    assert events.count(APEvent.AP_ENVELOPE_DUPLICATE) == 1


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_message_id_that_was_used_before_delivers_nothing_again(interop: Scene) -> None:
    """phase4 signs a new message under the same id, so the receipt of the first does not match it."""
    as4_id = f"{uuid4()}@phase4.test"
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    assert await interop.phase4_sends(envelope, message_id=as4_id) == _DELIVERED
    again = await interop.phase4_sends(envelope, message_id=as4_id)
    assert (again["result"], again["matches"]) == ("success", False)
    events = [one.event for one in await interop.logged(as4_id)]
    assert events.count(APEvent.AP_ENVELOPE_RECEIVED) == 1


async def test_an_envelope_that_contradicts_the_header_gets_a_receipt_and_goes_nowhere(
    interop: Scene,
) -> None:
    """The response concerns the transfer only (transport-profile-as4 2.9)."""
    envelope = await interop.agency.message(SHORT, interop.habo.address)
    as4_id = f"{uuid4()}@phase4.test"
    assert await interop.phase4_sends(envelope, document=RECEIPT_EXTENDED, message_id=as4_id) == _DELIVERED
    (entry,) = await interop.logged(as4_id)
    assert entry.event == APEvent.AP_ENVELOPE_REFUSED
    assert entry.ids["reason"].startswith("Action differs")
