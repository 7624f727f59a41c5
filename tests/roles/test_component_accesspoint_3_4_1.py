"""component-accesspoint 3.4.1: every fact that the event log must have of sent and received messages."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.vault.events import VaultEvent
from samdrift.wire.as4 import As4Fault, build_error, new_message_id, read_response
from samdrift.wire.ebms import EbmsErrorCode
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED
from tests.official import DIGG, requires_digg
from tests.roles.letters import changed
from tests.roles.member import AP, Member
from tests.roles.peer import Peer
from tests.roles.stage import Stage

MINUTE = timedelta(minutes=1)
DS = "{http://www.w3.org/2000/09/xmldsig#}"


def just_now(text: str) -> bool:
    return abs(datetime.now(UTC) - datetime.fromisoformat(text)) < MINUTE


def fingerprint(peer: Peer) -> str:
    return peer.key.certificate.fingerprint(hashes.SHA256()).hex()


def signature_in(soap: bytes) -> bytes:
    """Return the signature value of a SOAP message, taken from its text."""
    (value,) = etree.fromstring(soap).iter(f"{DS}SignatureValue")
    return b64decode(value.text)


def soap_of(body: bytes) -> bytes:
    """Return the SOAP part of a multipart message."""
    begin = body.index(b"<S12:Envelope")
    return body[begin : body.index(b"</S12:Envelope>", begin) + len(b"</S12:Envelope>")]


async def kept(member: Member, peer: Peer) -> bytes | None:
    """Return the certificate in full, as the organisation's vault has it."""
    async with member.open(AP) as vault:
        return await vault.certificate(fingerprint(peer))


def itself(peer: Peer) -> bytes:
    return peer.key.certificate.public_bytes(Encoding.DER)


async def outgoing(sender: Member, peer: Peer, event: AuditEvent) -> LogEntry:
    return await sender.logged(AP, await sender.send(peer.address), event)


FIELDS = {
    "Identifierare för mottagande accesspunkt": ("peer",),
    "Identifierare för avsändande accesspunkt": ("peer",),
    "Mottagande accesspunkts certifikat och signatur på kvittens (AS4 signalmeddelande)": (
        "certificate",
        "signature",
    ),
    "Avsändande accesspunkts certifikat och signatur": ("certificate", "signature"),
    "Avsändningstidpunkt": ("sent",),
    "Mottagningstidpunkt": (),
    "Identifierare för avsändande och mottagande Deltagare": ("sender", "recipient"),
    "AS4 Message ID": ("as4",),
    "AS4 Conversation ID": ("conversation",),
    "Felorsak": ("reason",),
}
"""Facts of an entry by the names in DIGG's list; the time of reception is the entry's own time."""


def listed(event: str) -> list[str]:
    """Return the names in the list of the specification for an event, in their order."""
    text = (DIGG / "specs" / "component-accesspoint.txt").read_text()
    part = text.rpartition("Informationsmodell: Händelselogg\n")[2].partition("3.5  ")[0]
    names: list[str] = []
    for block in re.split(r"\n\s*\n", part):
        lines = [re.split(r"\s{3,}", line.strip()) for line in block.splitlines() if line.strip()]
        if lines and lines[0][1:] == [event]:
            names.append(" ".join(line[0] for line in lines))
    return names


@requires_digg
async def test_each_field_of_the_list_in_the_specification_is_a_fact_of_its_event(stage: Stage) -> None:
    """The list is read from the specification, so a field that is added there fails the test.

    Clauses: component-accesspoint 3.4.1 sentence 1, sentence 2.
    """
    peer = stage.peer()
    delivered = await outgoing(stage.habo, peer, APEvent.AP_TRANSFER_DELIVERED)
    posted = await peer.posts(peer.encloses(stage.habo), stage.habo)
    received = await stage.habo.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_RECEIVED)
    spoiled = changed(peer.encloses(stage.habo), b"edelivery:xhe:1<", b"edelivery:xhe:9<")
    posted = await peer.posts(spoiled, stage.habo)
    refused = await stage.habo.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_REFUSED)
    for event, entry in (("Utgående meddelande", delivered), ("Inkommet meddelande", received)):
        names = listed(event)
        assert len(names) == 7
        for name in names:
            facts = (refused if name == "Felorsak" else entry).ids
            assert all(facts[fact] for fact in FIELDS[name]), name


class TestOutgoing:
    """Utgående meddelande."""

    @pytest.fixture
    async def peer(self, stage: Stage) -> Peer:
        return stage.peer()

    async def test_every_fact_of_a_delivery_is_logged(self, stage: Stage, peer: Peer) -> None:
        """Clauses: component-accesspoint 3.1.7 a, 3.4.1 sentence 1; transport-model-base 2.9.2 sentence 1,
        3.3.1 step 11, step 20, 3.3.2 step 11, step 20; transport-model-extended 3.3.1 step 14, step 26,
        3.3.2 step 15, step 26.
        """
        entry = await outgoing(stage.habo, peer, APEvent.AP_TRANSFER_DELIVERED)
        (received,) = peer.received
        message, facts = received.header.user_message, entry.ids
        assert facts["peer"] == peer.party, "Identifierare för mottagande accesspunkt"
        assert facts["certificate"] == fingerprint(peer), "Mottagande accesspunkts certifikat"
        assert await kept(stage.habo, peer) == itself(peer), "Mottagande accesspunkts certifikat"
        assert facts["message_type"] == message.action == SDK_MESSAGE_EXTENDED.action, "Meddelandetyp"
        assert just_now(facts["sent"]), "Avsändningstidpunkt"
        assert just_now(entry.at.isoformat())
        assert facts["sender"] == stage.habo.organisation.value, "Identifierare för avsändande Deltagare"
        assert facts["recipient"] == peer.address.organisation.value, "och mottagande Deltagare"
        assert facts["as4"] == message.message_id, "AS4 Message ID"
        assert facts["conversation"] == message.conversation_id, "AS4 Conversation ID"
        assert "reason" not in facts

    async def test_the_receipt_is_kept_with_the_signature_that_is_logged(
        self, stage: Stage, peer: Peer
    ) -> None:
        entry = await outgoing(stage.habo, peer, APEvent.AP_TRANSFER_DELIVERED)
        async with stage.habo.open(AP) as vault:
            receipt = await vault.proof(entry.ids["transfer"])
        assert receipt is not None
        assert b64decode(entry.ids["signature"]) == signature_in(receipt)
        assert read_response("application/soap+xml", receipt).info.ref_to_message_id == entry.ids["as4"]

    async def test_every_fact_of_a_failure_is_logged_with_the_peers_own_words(
        self, stage: Stage, peer: Peer
    ) -> None:
        """Clauses: component-accesspoint 3.1.7 a."""
        fault = As4Fault(EbmsErrorCode.OTHER, "the disk is full")

        def refuse(*_: object) -> object:
            now = datetime.now(UTC)
            message_id = new_message_id(lambda size: b"0" * size, "peer.test")
            return build_error(fault.as_error(), message_id=message_id, now=now, signer=peer.key)

        peer.answers(refuse, refuse, refuse)  # type: ignore[arg-type]
        entry = await outgoing(stage.habo, peer, VaultEvent.AP_TRANSFER_FAILED)
        facts = entry.ids
        assert (facts["reason"], facts["detail"]) == ("peer-refused", "EBMS:0004 the disk is full"), (
            "Felorsak"
        )
        assert (facts["peer"], facts["certificate"]) == (peer.party, fingerprint(peer))
        assert await kept(stage.habo, peer) == itself(peer)
        assert just_now(facts["sent"])
        for name in ("sender", "recipient", "as4", "conversation", "message_type"):
            assert facts[name]


class TestIncoming:
    """Inkommet meddelande."""

    async def test_every_fact_of_a_reception_is_logged(self, stage: Stage) -> None:
        """Clauses: component-accesspoint 3.1.7 b, 3.4.1 sentence 2; transport-model-base 3.3.1 step 11, step
        20, 3.3.2 step 11, step 20; transport-model-extended 3.3.1 step 14, step 26, 3.3.2 step 15, step
        26.
        """
        peer = stage.peer()
        posted = await peer.posts(peer.encloses(stage.habo), stage.habo)
        entry = await stage.habo.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_RECEIVED)
        facts = entry.ids
        assert facts["peer"] == peer.party, "Identifierare för avsändande accesspunkt"
        assert facts["certificate"] == fingerprint(peer), "Avsändande accesspunkts certifikat"
        assert await kept(stage.habo, peer) == itself(peer), "Avsändande accesspunkts certifikat"
        assert facts["message_type"] == SDK_MESSAGE_EXTENDED.action, "Meddelandetyp"
        assert just_now(entry.at.isoformat()), "Mottagningstidpunkt"
        assert facts["sender"] == peer.address.organisation.value, "Identifierare för avsändande Deltagare"
        assert facts["recipient"] == stage.habo.organisation.value, "och mottagande Deltagare"
        assert facts["as4"] == posted.message_id, "AS4 Message ID"
        assert facts["conversation"] == facts["envelope"], "AS4 Conversation ID"

    async def test_the_signature_that_is_logged_is_the_senders(self, stage: Stage) -> None:
        peer = stage.peer()
        posted = await peer.posts(peer.encloses(stage.habo), stage.habo)
        entry = await stage.habo.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_RECEIVED)
        logged, soap = b64decode(entry.ids["signature"]), soap_of(posted.packed.body)
        assert logged == signature_in(soap)
        (signed,) = etree.fromstring(soap).iter(f"{DS}SignedInfo")
        key = peer.key.certificate.public_key()
        assert isinstance(key, RSAPublicKey)
        key.verify(logged, etree.tostring(signed, method="c14n", exclusive=True), PKCS1v15(), hashes.SHA256())

    async def test_every_fact_of_a_refusal_is_logged(self, stage: Stage) -> None:
        """A malformed envelope is in the organisation's log, a message for nobody here in the operator's.

        Clauses: component-accesspoint 3.1.7 b, 3.2.1 step 1.
        """
        peer = stage.peer()
        whole = peer.encloses(stage.habo)
        envelope = changed(whole, b"edelivery:xhe:1<", b"edelivery:xhe:9<")
        posted = await peer.posts(envelope, stage.habo)
        entry = await stage.habo.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_REFUSED)
        elsewhere = await peer.posts(whole, stage.habo, {"final_recipient": "0203:okand.example.se"})
        operators = await stage.habo.operator.gate.refused(50)
        (of_nobody,) = [one for one in operators if one.ids.get("as4") == elsewhere.message_id]
        assert "CustomizationID" in entry.ids["reason"], "Felorsak"
        assert of_nobody.ids["reason"] == "EBMS:0004: NOT_SERVICED"
        assert of_nobody.ids["recipient"] == "0203:okand.example.se"
        for facts in (entry.ids, of_nobody.ids):
            assert (facts["peer"], facts["certificate"]) == (peer.party, fingerprint(peer))
            for name in ("signature", "sender", "recipient", "conversation", "message_type"):
                assert facts[name]
        assert await kept(stage.habo, peer) == itself(peer)
