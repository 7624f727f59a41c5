"""An access point that sends: its choice of recipients, its attempts, and the proof of delivery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.messageservice.events import MTEvent
from samdrift.wire.as4 import EbmsErrorCode
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0, AS4_1_2, TransportProfile
from tests.roles.letters import enclose_receipt
from tests.roles.member import MT, Member
from tests.roles.peer import Peer
from tests.roles.resends import error
from tests.roles.stage import Stage
from tests.roles.unapproved import UNAPPROVED


async def answers_message(peer: Peer, habo: Member, message_id: str) -> None:
    """Have the peer's organisation accept the message."""
    receipt = enclose_receipt(peer.address.organisation, habo.organisation, message_id, peer.signing)
    posted = await peer.posts(receipt, habo)
    assert posted.is_receipt_of(habo.certificate)


# --- transport-profile-as4 2.2: what is sent ----------------------------------------------------------------


async def test_2_3_1_the_header_is_the_profiles(stage: Stage) -> None:
    """Clauses: component-accesspoint 3.1.5 a; transport-model-extended 3.3.1 step 10, 3.3.2 step 11;
    transport-profile-as4 2.3.1 a, b, c, d, f, g, h, i, j, k, l, m, n, o, p, q, 2.7 a.
    """
    habo, peer = stage.habo, stage.peer()
    message_id = await habo.send(peer.address)
    (received,) = await peer.gets()
    message = received.header.user_message
    role = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/"
    assert (message.from_party, message.from_role) == (habo.access_point.party, f"{role}initiator")
    assert (message.to_party, message.to_role) == (peer.party, f"{role}responder")
    party_type = "urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap"
    assert message.from_party_type == message.to_party_type == party_type
    assert message.mpc is None, "the message must use the default channel"
    assert (message.service, message.service_type) == (
        "bdx:noprocess",
        "urn:fdc:digg.se:edelivery:process",
    )
    assert message.action == SDK_MESSAGE_EXTENDED.action
    assert message.property("originalSender") == habo.organisation.value
    assert message.property("finalRecipient") == peer.address.organisation.value
    assert message.conversation_id == message_id
    assert message.ref_to_message_id is None
    assert received.header.certificate == habo.certificate
    await answers_message(peer, habo, message_id)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED


@pytest.mark.parametrize(
    ("reachable", "elsewhere"), [(AS4_1_0, (AS4_1_2,)), (AS4_1_2, ())], ids=["both", "1.2 alone"]
)
async def test_2_3_1_e_the_endpoint_of_the_confirmed_profile_before_the_unconfirmed_one(
    stage: Stage, reachable: TransportProfile, elsewhere: tuple[TransportProfile, ...]
) -> None:
    """Clauses: transport-profile-as4 2.3.1 e."""
    peer, federation = stage.peer(), stage.federation
    for service in federation.smp.services(peer.address.organisation):
        here = next(one for one in service.endpoints if one.transport_profile == reachable.identifier)
        gone = replace(here, address=federation.unreachable_url)
        others = tuple(replace(gone, transport_profile=one.identifier) for one in elsewhere)
        federation.publish([replace(service, endpoints=(*others, here))])
    message_id = await stage.habo.send(peer.address)
    (received,) = await peer.gets()
    message = received.header.user_message
    assert (message.from_role, message.to_role) == (reachable.initiator_role, reachable.responder_role)
    assert {each.type for each in message.properties} == {reachable.property_type}
    await answers_message(peer, stage.habo, message_id)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED


# --- transport-profile-as4 2.10 a, b: to whom ---------------------------------------------------------------


@pytest.mark.parametrize("kind", UNAPPROVED)
async def test_2_10_a_b_a_recipient_that_is_not_an_approved_access_point(stage: Stage, kind: str) -> None:
    """TF-02 of the test cases; nothing is sent, and there is no second attempt.

    Clauses: accesspoint-test-cases 4.2.2 TF-02; transport-model-base 3.3.1 step 6, 3.3.2 step 6;
    transport-model-extended 3.3.1 step 9, 3.3.2 step 10; transport-profile-as4 2.10 a, b.
    """
    certify, reason = UNAPPROVED[kind]
    habo, peer = stage.habo, stage.peer(certify=lambda party: certify(stage, party))
    message_id = await habo.send(peer.address)
    told = await habo.failure(message_id)
    assert told == (f"Transfer failed: peer-untrusted | certificate of the receiving access point: {reason}")
    assert await habo.transfer_events(message_id) == [(TransferState.FAILED, TransferReason.PEER_UNTRUSTED)]
    assert not peer.received


async def test_3_2_4_the_recipient_is_not_registered(stage: Stage) -> None:
    """The recipient was registered when the message was sealed, but no longer when the access point looks.

    Clauses: component-accesspoint 3.1.3 b, 3.2.4 a.
    """
    habo, peer = stage.habo, stage.peer()
    envelope = await habo.encloses(peer.address, peer.encryption)
    stage.federation.smp.remove(peer.address.organisation)
    await habo.submit(envelope)
    assert await habo.failure(envelope.id) == (
        "Transfer failed: recipient-not-registered"
        " | the participant has not registered this type of message in SMP"
    )
    assert not peer.received


async def test_3_2_c_the_sender_is_not_registered(stage: Stage) -> None:
    """transport-model-extended 3.2 c, transport-profile-as4 2.6 b: refused with a reason, nothing leaves.

    The envelope comes from another supplier's message service, which has not checked the registration.
    """
    habo, peer = stage.habo, stage.peer()
    envelope = await habo.encloses(peer.address, peer.encryption)
    with unregistered(stage, habo):
        await habo.submit(envelope)
        failure = await habo.failure(envelope.id)
    assert failure.startswith("Transfer failed: sender-not-registered | the sender is not registered in SMP")
    assert await habo.transfer_events(envelope.id) == [
        (TransferState.FAILED, TransferReason.SENDER_NOT_REGISTERED)
    ]
    assert not peer.received


async def test_3_2_c_a_message_of_an_unregistered_sender_ends_at_once(stage: Stage) -> None:
    """transport-model-extended 3.2 c: its own message service refuses it before sealing anything."""
    habo, peer = stage.habo, stage.peer()
    with unregistered(stage, habo):
        message_id = await habo.send(peer.address)
        failure = await habo.failure(message_id)
    assert failure.startswith("Message could not be handed over | the sender is not registered in SMP")
    assert not await habo.transfer_events(message_id)
    assert not peer.received


@contextmanager
def unregistered(stage: Stage, member: Member) -> Iterator[None]:
    """Remove an organisation from SMP while the context lasts, and clear what was cached about it."""
    smp = stage.federation.smp
    services = smp.services(member.organisation)
    smp.remove(member.organisation)
    try:
        yield
    finally:
        smp.put(services)


# --- errors of the peer -------------------------------------------------------------------------------------


async def test_2_5_c_not_serviced_is_final(stage: Stage) -> None:
    habo, peer = stage.habo, stage.peer()
    peer.respond = error(EbmsErrorCode.OTHER, "NOT_SERVICED")(peer)
    message_id = await habo.send(peer.address)
    assert await habo.failure(message_id) == "Transfer failed: not-serviced | EBMS:0004 NOT_SERVICED"
    assert len(peer.received) == 1


async def test_a_message_that_failed_stays_failed_when_its_receipt_comes_late(stage: Stage) -> None:
    habo, peer = stage.habo, stage.peer()
    peer.respond = error(EbmsErrorCode.OTHER, "NOT_SERVICED")(peer)
    message_id = await habo.send(peer.address)
    await habo.failure(message_id)
    await answers_message(peer, habo, message_id)
    await habo.logged(MT, message_id, MTEvent.MT_MESSAGE_LATE)
    assert await habo.ends(message_id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
