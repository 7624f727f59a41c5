"""Retries of an access point: their causes, their number, and their end (component-accesspoint 3.2.5).

Every message is sent at the beginning, so that their retries run in parallel.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.events import VaultEvent
from samdrift.wire.as4 import EbmsErrorCode
from samdrift.wire.ebms import NOT_SERVICED
from tests.roles.member import AP
from tests.roles.peer import Peer
from tests.roles.resends import (
    NO_PROOF,
    Scene,
    Sent,
    always,
    answers,
    as_a_domibus,
    error,
    lost_receipt,
    silent,
    unreachable,
    unsigned,
    untrusted_tls,
)
from tests.roles.stage import ATTEMPTS, INTERVAL, Stage

BARE_STATUSES = (500, 502, 503, 404, 301)
_REFUSED = error(EbmsErrorCode.FAILED_DECRYPTION, "wrong key")
_REFUSED_UNSIGNED = error(EbmsErrorCode.FAILED_DECRYPTION, "wrong key", signed=False)

SCENES: dict[str, Scene] = {
    "unreachable": unreachable,
    "untrusted TLS": untrusted_tls,
    "lost receipt": lost_receipt,
    "twice nothing": answers(500, 500, Peer.receipt),
    "never proves": always(lambda peer: lambda message: unsigned(peer, message)),
    "refuses": always(_REFUSED),
    "refuses unsigned": always(_REFUSED_UNSIGNED),
    "refuses as a Domibus": always(as_a_domibus(EbmsErrorCode.POLICY_NONCOMPLIANCE, "wrong policy")),
    "not serviced, as a Domibus": always(as_a_domibus(EbmsErrorCode.OTHER, NOT_SERVICED)),
    "duplicate": always(error(EbmsErrorCode.DUPLICATE, "")),
    **{f"status {status}": answers(status, Peer.receipt) for status in BARE_STATUSES},
    **NO_PROOF,
}


async def test_a_peer_that_never_answers_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccessPointSettings, "patience", lambda settings, size: timedelta(seconds=2))
    peer = silent(stage)
    failure = await stage.habo.failure(await stage.habo.send(peer.address))
    peer.silent = False
    assert failure == "Transfer failed: peer-unreachable | no HTTP answer (timeout)"
    assert len(peer.received) == ATTEMPTS


@pytest_asyncio.fixture(scope="module")
async def sent(stage: Stage) -> dict[str, Sent]:
    peers = [make(stage) for make in SCENES.values()]
    messages = await asyncio.gather(*(stage.habo.send(peer.address) for peer in peers))
    return dict(zip(SCENES, map(Sent, peers, messages), strict=True))


async def test_3_2_5_attempts_at_a_constant_interval_then_the_sender_is_told(
    stage: Stage, sent: dict[str, Sent]
) -> None:
    """TF-05 of the test cases.

    Clauses: component-accesspoint 3.2.5 a, b.
    """
    habo, message_id = stage.habo, sent["unreachable"].message_id
    failure = await habo.failure(message_id)
    assert failure == "Transfer failed: peer-unreachable | no HTTP answer (connection refused)"
    assert await habo.transfer_events(message_id) == [
        *[(TransferState.QUEUED, TransferReason.PEER_UNREACHABLE)] * (ATTEMPTS - 1),
        (TransferState.FAILED, TransferReason.PEER_UNREACHABLE),
    ]
    tried = [entry for entry in await habo.log(AP, message_id) if "reason" in entry.ids]
    assert len(tried) == ATTEMPTS
    async with habo.open(AP) as vault:
        began = [attempt.at for attempt in await vault.attempts(tried[0].ids["transfer"])]
    assert len(began) == ATTEMPTS
    for before, after in pairwise(began):
        # The delay depends on the machine; tests/unit/accesspoint/test_settings.py checks due times.
        assert timedelta(seconds=INTERVAL * 0.85) < after - before < timedelta(seconds=30)
    statuses = [event.status for event in await habo.events(message_id)]
    assert statuses.count(MessageStatus.SCHEDULED_FOR_RESEND) == ATTEMPTS - 1


async def test_2_4_1_a_peer_whose_tls_certificate_is_not_trusted_gets_nothing(
    stage: Stage, sent: dict[str, Sent]
) -> None:
    """Clauses: transport-model-base 3.3.1 step 8, 3.3.2 step 8; transport-model-extended 3.3.1 step 11, 3.3.2
    step 12; transport-profile-as4 2.4.1 A1.
    """
    peer, message_id = sent["untrusted TLS"].peer, sent["untrusted TLS"].message_id
    assert (await stage.habo.failure(message_id)).startswith("Transfer failed: peer-unreachable")
    assert not peer.received


@pytest.mark.parametrize("status", BARE_STATUSES)
async def test_a_bare_http_status_is_tried_again(stage: Stage, sent: dict[str, Sent], status: int) -> None:
    case = sent[f"status {status}"]
    await stage.habo.reaches(case.message_id, MessageStatus.WAITING_FOR_RECEIPT)
    assert len(case.peer.received) == 2


async def test_every_attempt_is_the_same_message(stage: Stage, sent: dict[str, Sent]) -> None:
    """transport-profile-as4 2.2, reception awareness: same MessageId, payload and signed references.

    Clauses: transport-profile-as4 2.2 a.
    """
    case = sent["twice nothing"]
    await stage.habo.reaches(case.message_id, MessageStatus.WAITING_FOR_RECEIPT)
    assert len(case.peer.received) == 3
    for one, other in pairwise(case.peer.received):
        assert one.header.user_message == other.header.user_message
        assert one.payload == other.payload
        assert one.references == other.references
        assert one.header.security_timestamp is None


async def test_the_receipt_of_an_earlier_attempt_counts(stage: Stage, sent: dict[str, Sent]) -> None:
    """A peer that knows the message answers with the receipt of the first attempt."""
    case = sent["lost receipt"]
    await stage.habo.reaches(case.message_id, MessageStatus.WAITING_FOR_RECEIPT)
    assert len(case.peer.received) == 2


@pytest.mark.parametrize("kind", NO_PROOF)
async def test_an_answer_that_does_not_prove_delivery_is_tried_again(
    stage: Stage, sent: dict[str, Sent], kind: str
) -> None:
    message_id = sent[kind].message_id
    await stage.habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
    assert await stage.habo.transfer_events(message_id) == [
        (TransferState.QUEUED, TransferReason.RECEIPT_INVALID),
        (TransferState.DELIVERED, TransferReason.NONE),
    ]


async def test_answers_that_never_prove_delivery_end_in_failure(stage: Stage, sent: dict[str, Sent]) -> None:
    case = sent["never proves"]
    failure = await stage.habo.failure(case.message_id)
    assert failure == "Transfer failed: receipt-invalid | receipt: not-signed"
    assert len(case.peer.received) == ATTEMPTS


@pytest.mark.parametrize("kind", ["refuses", "refuses unsigned"])
async def test_the_peers_own_words_reach_the_sender(stage: Stage, sent: dict[str, Sent], kind: str) -> None:
    case = sent[kind]
    failure = await stage.habo.failure(case.message_id)
    assert failure == "Transfer failed: peer-refused | EBMS:0102 wrong key"
    entry = await stage.habo.logged(AP, case.message_id, VaultEvent.AP_TRANSFER_FAILED)
    assert (entry.ids["reason"], entry.ids["peer"]) == ("peer-refused", case.peer.party)


async def test_the_words_of_a_domibus_are_read_from_the_header_of_its_fault(
    stage: Stage, sent: dict[str, Sent]
) -> None:
    case = sent["refuses as a Domibus"]
    failure = await stage.habo.failure(case.message_id)
    assert failure == "Transfer failed: peer-refused | EBMS:0103 wrong policy"
    assert len(case.peer.received) == ATTEMPTS


async def test_2_5_c_not_serviced_in_a_fault_of_a_domibus_ends_the_transfer_at_once(
    stage: Stage, sent: dict[str, Sent]
) -> None:
    case = sent["not serviced, as a Domibus"]
    failure = await stage.habo.failure(case.message_id)
    assert failure == "Transfer failed: not-serviced | EBMS:0004 NOT_SERVICED"
    assert len(case.peer.received) == 1


async def test_a_duplicate_error_is_no_proof(stage: Stage, sent: dict[str, Sent]) -> None:
    """phase4 answers a resend with EBMS:4001: the message was probably delivered, but that is not proof."""
    failure = await stage.habo.failure(sent["duplicate"].message_id)
    assert failure.endswith("| probably delivered, but without a receipt: EBMS:4001 Duplicate")
