"""An access point that receives: the messages it accepts, from which senders, and its answers.

Refusals are logged, and nothing of the message is kept (component-accesspoint 3.2.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from samdrift.accesspoint import inbound, refusals
from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.refusals import Refusals
from samdrift.audit.entries import LogEntry
from samdrift.messageservice.events import MTEvent
from samdrift.scheduling.shares import Shares
from samdrift.wire.as4 import As4Fault
from samdrift.wire.identifiers import FEDERATION_SDK, RECEIPT_EXTENDED, ProcessIdentifier
from samdrift.wire.profile import PROFILES, TransportProfile
from tests.roles import web
from tests.roles.letters import changed
from tests.roles.member import AP, MT, Member, until
from tests.roles.stage import Stage
from tests.roles.unapproved import UNAPPROVED


async def operators_log(member: Member, as4: str) -> LogEntry:
    """Return the entry about an AS4 message in the operator's own log."""

    async def look() -> LogEntry | None:
        entries = await member.operator.gate.read_operator_log(limit=10_000)
        return next((entry for entry in entries if entry.ids.get("as4") == as4), None)

    return await until(look, "an entry in the operator's log")


async def waiting_envelopes(member: Member) -> set[str]:
    return {item.envelope_id for item in await member.waiting()}


# --- transport-profile-as4 2.5, component-accesspoint 3.2.1: not for us ------------------------------------


async def test_2_5_c_a_recipient_that_is_not_served_here(stage: Stage) -> None:
    """Clauses: component-accesspoint 3.2.1 a, step 2, step 3; transport-profile-as4 2.5 b, c."""
    peer = stage.peer()
    not_here = stage.habo.organisation.value
    envelope = peer.encloses(stage.agency)
    posted = await peer.posts(envelope, stage.agency, {"final_recipient": not_here})
    assert posted.errors() == [("EBMS:0004", "NOT_SERVICED")]
    entry = await operators_log(stage.agency, posted.message_id)
    assert entry.event == APEvent.AP_ENVELOPE_REFUSED
    assert entry.ids["reason"] == "EBMS:0004: NOT_SERVICED"
    assert entry.ids["peer"] == peer.party
    assert entry.ids["recipient"] == not_here
    for member in (stage.agency, stage.habo):
        assert envelope.id not in await waiting_envelopes(member)


@pytest.mark.parametrize(
    "action", ["busdox-docid-qns::urn:okand::typ##1.0", f"other-scheme::{RECEIPT_EXTENDED.value}", "typ"]
)
async def test_2_5_a_a_type_of_message_that_is_not_served(stage: Stage, action: str) -> None:
    """Clauses: transport-profile-as4 2.5 a."""
    peer = stage.peer()
    posted = await peer.posts(peer.encloses(stage.agency), stage.agency, {"action": action})
    assert posted.errors() == [("EBMS:0004", "NOT_SERVICED")]
    assert (await operators_log(stage.agency, posted.message_id)).event == APEvent.AP_ENVELOPE_REFUSED


@pytest.mark.parametrize("recipient", ["", "habo.se", "0203:", "9999:habo.se", "0203:habo.se\n0203:habo.se"])
async def test_a_final_recipient_that_is_no_participant(stage: Stage, recipient: str) -> None:
    peer = stage.peer()
    posted = await peer.posts(peer.encloses(stage.agency), stage.agency, {"final_recipient": recipient})
    assert posted.errors()[0][0] in ("EBMS:0004", "EBMS:0009")
    assert not await stage.agency.waiting()


async def test_a_stranger_is_answered_no_faster_than_its_share(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer is signed, so unlimited strangers would use the time of legitimate senders."""
    charged: list[Shares] = []
    charge = Shares.charge

    def noting(self: Shares, source: Hashable, seconds: float) -> None:
        charged.append(self)
        charge(self, source, seconds)

    monkeypatch.setattr(Shares, "charge", noting)
    monkeypatch.setattr(inbound, "_COST_OF_REFUSAL", 3.0)
    headers = {"content-type": "multipart/related"}
    junk = asyncio.create_task(web.call(stage.tls, "POST", stage.agency.as4_address, b"junk", headers))
    await asyncio.wait({junk}, timeout=1)
    assert not junk.done()
    junk.cancel()
    peer = stage.peer()
    assert (await peer.posts(peer.encloses(stage.agency), stage.agency)).is_receipt_of(
        stage.agency.certificate
    )
    for shares in charged:
        shares._paid_until.clear()


async def test_strangers_do_not_fill_the_operators_log(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Junk at interface A is logged individually up to a limit, and only counted from then on."""
    flooded: list[Refusals] = []
    add = Refusals.add

    async def noting(self: Refusals, peer: str, facts: Mapping[str, str], fault: As4Fault) -> None:
        flooded.append(self)
        await add(self, peer, facts, fault)

    monkeypatch.setattr(refusals, "_AT_ONCE", 5)
    monkeypatch.setattr(Refusals, "add", noting)
    log = stage.agency.operator.gate.read_operator_log
    before = await log(limit=10_000)
    for _ in range(30):
        headers = {"content-type": "multipart/related"}
        await web.call(stage.tls, "POST", stage.agency.as4_address, b"junk", headers)
    await flooded[0].summarise()
    flooded[0]._allowances.clear()
    events = [entry.event for entry in await log(before[-1].sequence if before else 0)]
    assert 5 <= events.count(APEvent.AP_ENVELOPE_REFUSED) <= 8
    assert APEvent.AP_REFUSALS_COUNTED in events


# --- transport-profile-as4 2.3.1: which version of the profile ----------------------------------------------


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.identifier)
async def test_2_3_1_roles_and_property_types_of_each_profile_are_accepted_and_logged(
    stage: Stage, profile: TransportProfile
) -> None:
    peer = stage.peer()
    peer.profile = profile
    envelope = peer.encloses(stage.habo)
    posted = await peer.posts(envelope, stage.habo)
    assert posted.is_receipt_of(stage.habo.certificate)
    entry = await stage.habo.logged(AP, envelope.id, APEvent.AP_ENVELOPE_RECEIVED)
    assert entry.ids["roles"] == entry.ids["property_types"] == profile.identifier


# --- transport-profile-as4 2.10 c, d: who sends -------------------------------------------------------------


@pytest.mark.parametrize("kind", UNAPPROVED)
async def test_2_10_c_d_a_sender_that_is_not_an_approved_access_point(stage: Stage, kind: str) -> None:
    """Clauses: accesspoint-test-cases 4.3.1 TF-03; transport-model-base 3.3.1 step 9, step 18, 3.3.2 step 9,
    step 18; transport-model-extended 3.3.1 step 12, step 24, 3.3.2 step 13, step 24; transport-profile-as4
    2.10 c, d.
    """
    certify, reason = UNAPPROVED[kind]
    peer = stage.peer(certify=lambda party: certify(stage, party))
    envelope = peer.encloses(stage.agency)
    posted = await peer.posts(envelope, stage.agency)
    assert posted.errors() == [("EBMS:0101", f"certificate of the sending access point: {reason}")]
    entry = await operators_log(stage.agency, posted.message_id)
    assert reason in entry.ids["reason"]
    assert not await stage.agency.log(AP, envelope.id)


async def test_3_1_5_a_from_party_is_not_the_name_in_the_certificate(stage: Stage) -> None:
    """Clauses: component-accesspoint 3.1.5 a."""
    peer = stage.peer()
    posted = await peer.posts(peer.encloses(stage.agency), stage.agency, {"from_party": "AP9999-SDK-DEMO"})
    assert posted.errors() == [("EBMS:0101", "From/PartyId is not the name in the signing certificate")]
    assert (await operators_log(stage.agency, posted.message_id)).ids["peer"] == peer.party


async def test_3_1_5_b_to_party_is_another_access_point(stage: Stage) -> None:
    peer = stage.peer()
    posted = await peer.posts(
        peer.encloses(stage.agency), stage.agency, {"to_party": stage.habo.access_point.party}
    )
    assert posted.errors() == [("EBMS:0003", "To/PartyId is another access point")]


async def test_encrypted_for_another_access_point(stage: Stage) -> None:
    """A message that cannot be decrypted is refused with an error, and nothing is stored."""
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    for_another = replace(stage.agency, certificate=stage.habo.certificate)
    posted = await peer.posts(envelope, for_another)
    ((code, _),) = posted.errors()
    assert code == "EBMS:0102"
    entry = await stage.agency.logged(AP, posted.message_id, APEvent.AP_ENVELOPE_REFUSED)
    assert code in entry.ids["reason"]
    assert envelope.id not in await waiting_envelopes(stage.agency)


@pytest.mark.parametrize("where", ["header", "payload", "tag"])
async def test_a_message_that_was_changed_on_its_way(stage: Stage, where: str) -> None:
    """Clauses: transport-model-base 3.3.1 step 9, step 18, 3.3.2 step 9, step 18; transport-model-extended
    3.3.1 step 12, step 24, 3.3.2 step 13, step 24.
    """
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    message_id, packed = peer.packs(envelope, stage.agency)
    body = bytearray(packed.body)
    place = {
        "header": body.index(b"responder"),
        "payload": body.index(b"octet-stream") + 200,
        "tag": body.rindex(b"\r\n--") - 1,
    }[where]
    body[place] ^= 1
    posted = await peer.repeats(message_id, replace(packed, body=bytes(body)), stage.agency)
    ((code, _),) = posted.errors()
    assert code in ("EBMS:0101", "EBMS:0102")
    assert envelope.id not in await waiting_envelopes(stage.agency)
    assert not await stage.agency.happened(MT, envelope.id)


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/related", "application/soap+xml"])
async def test_what_is_no_as4_message_gets_an_error_signal(stage: Stage, content_type: str) -> None:
    answer = await web.call(
        stage.tls, "POST", stage.agency.as4_address, b"hello", {"content-type": content_type}
    )
    assert answer.status == 200
    assert b"eb:Error" in answer.body


async def test_what_never_ends_is_answered_and_hung_up_on(stage: Stage) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * (1 << 20)

    headers = {"content-type": "text/plain"}
    answer = await web.call(stage.tls, "POST", stage.agency.as4_address, endless(), headers)
    assert b"eb:Error" in answer.body


# --- the same message again ---------------------------------------------------------------------------------


async def test_a_message_again_gets_the_same_receipt_and_is_stored_once(stage: Stage) -> None:
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    first = await peer.posts(envelope, stage.agency)
    assert first.is_receipt_of(stage.agency.certificate)
    again = await peer.repeats(first.message_id, first.packed, stage.agency)
    assert again.answer == first.answer
    await peer.message_receipts(envelope.id)
    late = await peer.repeats(first.message_id, first.packed, stage.agency)
    assert late.answer == first.answer
    assert (await stage.agency.happened(AP, envelope.id)).count(APEvent.AP_ENVELOPE_RECEIVED) == 1
    assert (await stage.agency.happened(AP, envelope.id)).count(APEvent.AP_ENVELOPE_DUPLICATE) == 2
    assert (await stage.agency.happened(MT, envelope.id)).count(MTEvent.MT_MESSAGE_RETRIEVED) == 1


async def test_a_message_many_times_at_once_is_stored_once(stage: Stage) -> None:
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    message_id, packed = peer.packs(envelope, stage.agency)
    posted = await asyncio.gather(*(peer.repeats(message_id, packed, stage.agency) for _ in range(4)))
    assert len({one.answer for one in posted}) == 1
    assert posted[0].is_receipt_of(stage.agency.certificate)
    await peer.message_receipts(envelope.id)
    assert (await stage.agency.happened(AP, envelope.id)).count(APEvent.AP_ENVELOPE_RECEIVED) == 1


async def test_a_message_id_again_with_something_else_does_not_get_a_proof_of_it(stage: Stage) -> None:
    peer = stage.peer()
    first = await peer.posts(peer.encloses(stage.agency), stage.agency)
    other = peer.encloses(stage.agency)
    second = await peer.posts(other, stage.agency, {"message_id": first.message_id})
    assert second.answer == first.answer
    assert not second.is_receipt_of(stage.agency.certificate)
    assert other.id not in await waiting_envelopes(stage.agency)


async def test_the_message_id_of_another_access_point_is_not_taken_for_a_duplicate(stage: Stage) -> None:
    one, other = stage.peer(), stage.peer()
    first = await one.posts(one.encloses(stage.agency), stage.agency)
    envelope = other.encloses(stage.agency)
    second = await other.posts(envelope, stage.agency, {"message_id": first.message_id})
    assert second.is_receipt_of(stage.agency.certificate)
    (receipt,) = await other.message_receipts(envelope.id)
    assert not receipt.findings


# --- component-accesspoint 3.1.6, 3.2.2: header and envelope ------------------------------------------------


async def logged_and_deleted(member: Member, as4: str, envelope_id: str, reason: str) -> None:
    """3.2.2: the log has the reason, the message is deleted, and no recipient was notified."""
    entry = await member.logged(AP, as4, APEvent.AP_ENVELOPE_REFUSED)
    assert reason in entry.ids["reason"]
    assert envelope_id not in await waiting_envelopes(member)
    assert not await member.happened(MT, envelope_id)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"final_recipient": "0203:mullsjo.se"}, "finalRecipient differs"),
        ({"original_sender": "0203:mullsjo.se"}, "originalSender differs"),
        ({"original_sender": "somebody"}, "originalSender differs"),
        ({"action": RECEIPT_EXTENDED.action}, "Action differs"),
        ({"service": "bdx:another"}, "Service differs"),
        ({"service_type": "urn:another"}, "Service differs"),
    ],
)
async def test_3_1_6_as4_and_envelope_differ(stage: Stage, says: dict[str, str], reason: str) -> None:
    """Clauses: component-accesspoint 3.1.6 a, b, c, d."""
    peer = stage.peer()
    envelope = peer.encloses(stage.habo)
    posted = await peer.posts(envelope, stage.habo, says)
    assert posted.is_receipt_of(stage.habo.certificate)
    reader = stage.mullsjo if "final_recipient" in says else stage.habo
    await logged_and_deleted(reader, posted.message_id, envelope.id, reason)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"federation": FEDERATION_SDK}, "another federation"),
        ({"process": ProcessIdentifier("bdx:another")}, "Service differs"),
    ],
)
async def test_2_6_the_envelope_names_another_federation_or_process(
    stage: Stage, says: dict[str, Any], reason: str
) -> None:
    peer = stage.peer()
    envelope = peer.seals(peer.letter(stage.habo), stage.habo, **says)
    posted = await peer.posts(envelope, stage.habo, {"service": "bdx:noprocess"})
    assert posted.is_receipt_of(stage.habo.certificate)
    await logged_and_deleted(stage.habo, posted.message_id, envelope.id, reason)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<xhb:XHEVersionID>1.0<", b"<xhb:XHEVersionID>1.1<"),
        (b"<xhb:CustomizationID>urn:fdc:digg.se:edelivery:xhe:1<", b"<xhb:CustomizationID>urn:x<"),
        (b"</x:XHE>", b""),
        (b"<xha:Header>", b"<!DOCTYPE a><xha:Header>"),
        (b"</xha:Payloads>", b"<xha:Payload></xha:Payload></xha:Payloads>"),
    ],
)
async def test_3_2_2_an_envelope_that_breaks_the_profile(stage: Stage, old: bytes, new: bytes) -> None:
    """TF-09 of the test cases: not handed on, and not reported in the synchronous answer (profile-as4 2.9).

    Clauses: component-accesspoint 3.2.2 a, step 1, step 2; transport-profile-as4 2.6 a, 2.9 sentence 1.
    """
    peer = stage.peer()
    envelope = changed(peer.encloses(stage.habo), old, new)
    posted = await peer.posts(envelope, stage.habo)
    assert posted.is_receipt_of(stage.habo.certificate)
    await logged_and_deleted(stage.habo, posted.message_id, envelope.id, "")


async def test_a_conversation_id_of_its_own_is_taken(stage: Stage) -> None:
    """content-specification 4.3.2 and transport-profile-as4 2.7 a differ: either is accepted.

    Clauses: component-accesspoint 3.1.2 b.
    """
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    await peer.posts(envelope, stage.agency, {"conversation_id": str(uuid4())})
    (receipt,) = await peer.message_receipts(envelope.id)
    assert not receipt.findings


async def test_properties_with_and_without_type_are_taken(stage: Stage) -> None:
    """facts of DIGG's own example: ``type="iso6523-actorid-upis"`` is optional.

    Clauses: component-accesspoint 3.1.2 b.
    """
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    posted = await peer.posts(envelope, stage.agency, typed=False)
    assert posted.is_receipt_of(stage.agency.certificate)
    (receipt,) = await peer.message_receipts(envelope.id)
    assert not receipt.findings


async def test_the_message_receipt_comes_back_in_the_conversation_of_the_message(stage: Stage) -> None:
    peer = stage.peer()
    envelope = peer.encloses(stage.agency)
    conversation = str(uuid4())
    await peer.posts(envelope, stage.agency, {"conversation_id": conversation})
    await peer.message_receipts(envelope.id)
    assert peer.received[0].header.user_message.conversation_id == conversation
