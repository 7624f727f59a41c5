"""The operator's staff act on transfers, never on content, and in their own name (invariant 10)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.accesspoint import Standing
from samdrift.vault.errors import VaultDenied
from samdrift.vault.events import VaultEvent
from samdrift.vault.records import Backlog, Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, Installation, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)
ANNA = Principal(PrincipalKind.OPERATOR, "anna")
DETAIL = "EBMS:0004 the disk is full"


def objects_of(installation: Installation) -> set[Path]:
    return {path for path in Path(installation.settings.objects).rglob("*") if path.is_file()}


async def postponed(installation: Installation, organisation: ParticipantIdentifier) -> Transfer:
    """Return a transfer that waits after its first attempt."""
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
        assert await vault.postpone(
            transfer.id,
            now=NOW,
            next_attempt=NOW + 4 * MINUTE,
            reason=TransferReason.PEER_REFUSED,
            detail=DETAIL,
            references=[b"signed"],
        )
        vault.record(APEvent.AP_TRANSFER_POSTPONED, envelope=transfer.envelope.envelope_id, detail=DETAIL)
    return transfer


async def claimed(installation: Installation, organisation: ParticipantIdentifier, minutes: int) -> list[str]:
    async with installation.open(organisation, AP) as vault:
        at = NOW + minutes * MINUTE
        return [one.id for one in await vault.claim_transfers(now=at, lease=MINUTE, limit=9)]


async def log_of(installation: Installation, organisation: ParticipantIdentifier) -> list[tuple[str, ...]]:
    async with installation.open(organisation, AP) as vault:
        return [(entry.event, entry.principal, entry.purpose) for entry in await vault.log()]


async def test_what_waits_is_shown_with_what_its_last_attempt_met(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    transfer = await postponed(installation, organisation)
    async with installation.open(organisation, AP) as vault:
        fresh = await submitted(vault)
    async with installation.gate.operate(ANNA, organisation) as desk:
        first, second = await desk.waiting(9)
        assert await desk.waiting(1) == (first,)
    assert (first.id, first.attempts, first.reason) == (fresh.id, 0, TransferReason.NONE)
    assert (second.id, second.envelope_id) == (transfer.id, transfer.envelope.envelope_id)
    assert (second.attempts, second.last_attempt, second.next_attempt) == (1, NOW, NOW + 4 * MINUTE)
    assert (second.reason, second.detail) == (TransferReason.PEER_REFUSED, DETAIL)
    async with installation.open(organisation, AP) as vault:
        assert await vault.backlog() == Backlog(2, NOW)


@pytest.mark.parametrize("named_by", ["transfer", "envelope"])
async def test_a_transfer_is_found_by_its_id_or_its_envelopes_with_all_that_was_tried(
    installation: Installation, organisation: ParticipantIdentifier, named_by: str
) -> None:
    transfer = await postponed(installation, organisation)
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_ENVELOPE_RECEIVED, envelope=transfer.envelope.envelope_id, detail="inbox")
    identifier = transfer.id if named_by == "transfer" else transfer.envelope.envelope_id
    assert await claimed(installation, organisation, minutes=5) == [transfer.id]
    async with installation.gate.operate(ANNA, organisation) as desk:
        history = await desk.history(identifier)
        assert await desk.history("another") is None
    assert history is not None
    tried = [(attempt.at, attempt.references, attempt.error) for attempt in history.attempts]
    assert tried == [(NOW, None, f"peer-refused: {DETAIL}"), (NOW + 5 * MINUTE, None, None)]
    assert [(entry.event, entry.ids["detail"]) for entry in history.log] == [
        ("ap:transfer:postponed", DETAIL)
    ], "the staff must not see other entries about the envelope"


async def test_a_retry_is_due_at_once_and_stands_in_the_organisations_log(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    transfer = await postponed(installation, organisation)
    assert await claimed(installation, organisation, minutes=1) == []
    async with installation.gate.operate(ANNA, organisation) as desk:
        assert await desk.retry(transfer.envelope.envelope_id, now=NOW + MINUTE) is Standing.WAITING
    assert await claimed(installation, organisation, minutes=1) == [transfer.id]
    hastened = ("ap:transfer:hastened", "operator:anna", "operate")
    assert (await log_of(installation, organisation))[-1] == hastened


async def test_giving_up_ends_a_transfer_and_tells_its_sender_why(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    transfer = await postponed(installation, organisation)
    async with installation.gate.operate(ANNA, organisation) as desk:
        assert await desk.give_up(transfer.id, now=NOW + MINUTE, why="asked for") is Standing.WAITING
        assert await desk.give_up(transfer.id, now=NOW + MINUTE, why="again") is Standing.FAILED
        assert await desk.retry(transfer.id, now=NOW + MINUTE) is Standing.FAILED
        history = await desk.history(transfer.id)
    assert history is not None
    assert (history.status.state, history.status.next_attempt) == (TransferState.FAILED, None)
    assert (history.status.reason, history.status.detail) == (TransferReason.PEER_REFUSED, DETAIL)
    async with installation.open(organisation, AP) as vault:
        told = (await vault.events(0, 9))[-1]
        assert await vault.backlog() == Backlog(0, None)
    assert (told.state, told.reason, told.detail) == (
        TransferState.FAILED,
        TransferReason.GIVEN_UP,
        "asked for",
    )
    entries = await log_of(installation, organisation)
    assert entries.count(("ap:transfer:failed", "operator:anna", "operate")) == 1


async def test_a_transfer_that_is_given_up_leaves_no_object(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    before = objects_of(installation)
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, b"x" * 300_000)
    assert objects_of(installation) > before
    async with installation.gate.operate(ANNA, organisation) as desk:
        await desk.give_up(transfer.id, now=NOW, why="")
    assert objects_of(installation) == before


async def test_an_attempt_that_is_under_way_is_left_alone_until_its_lease_runs_out(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
    later = NOW + MINUTE
    async with installation.gate.operate(ANNA, organisation) as desk:
        for now, stood in ((later - timedelta(seconds=1), Standing.UNDER_WAY), (later, Standing.WAITING)):
            assert await desk.retry(transfer.id, now=now) is stood
    async with installation.gate.operate(ANNA, organisation) as desk:
        assert await desk.give_up("another", now=NOW, why="") is Standing.UNKNOWN
        assert await desk.retry("another", now=NOW) is Standing.UNKNOWN


async def test_refusals_are_found_the_latest_first_whatever_a_peer_writes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    forged = '"event":"ap:envelope:refused"'
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_ENVELOPE_REFUSED, as4="one", reason=forged)
        vault.record(APEvent.AP_ENVELOPE_RECEIVED, as4="two", conversation=forged)
        vault.record(APEvent.AP_ENVELOPE_REFUSED, as4="three")
    async with installation.gate.operate(ANNA, organisation) as desk:
        assert [entry.ids["as4"] for entry in await desk.refused(9)] == ["three", "one"]
        assert [entry.ids["as4"] for entry in await desk.refused(1)] == ["three"]


async def test_what_was_refused_for_nobody_is_in_the_operators_log(installation: Installation) -> None:
    await installation.gate.operator_log(APEvent.AP_ENVELOPE_REFUSED, as4="nobody's")
    await installation.gate.operator_log(VaultEvent.VAULT_OPENING_GRANTED)
    latest, *_ = await installation.gate.refused(9)
    assert (latest.event, latest.ids["as4"]) == ("ap:envelope:refused", "nobody's")


@pytest.mark.parametrize("role", list(Role))
async def test_invariant_10_the_operator_opens_no_vault(installation: Installation, role: Role) -> None:
    organisation = await installation.organisation([role])
    for principal in (ANNA, Principal(PrincipalKind.OPERATOR, "anna", organisation.value)):
        for purpose in Purpose:
            with pytest.raises(VaultDenied):
                async with installation.gate.open(principal, organisation, role, purpose):
                    pass


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if kind is not PrincipalKind.OPERATOR])
async def test_nobody_but_the_operator_gets_the_desk(
    installation: Installation, organisation: ParticipantIdentifier, kind: PrincipalKind
) -> None:
    with pytest.raises(VaultDenied):
        async with installation.gate.operate(Principal(kind, "x", organisation.value), organisation):
            pass
    assert ("vault:opening:denied", f"{kind}:x", "operate") in await log_of(installation, organisation)


async def test_the_desk_opens_for_access_points_that_are_served_alone(installation: Installation) -> None:
    organisation = await installation.organisation([MT])
    for asked in (organisation, ParticipantIdentifier("0203:nowhere.se")):
        with pytest.raises(VaultDenied):
            async with installation.gate.operate(ANNA, asked):
                pass


async def test_the_receipt_of_a_delivery_is_kept_as_evidence_when_the_envelope_is_gone(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        delivered, waiting = await submitted(vault), await submitted(vault)
        assert await vault.delivered(delivered.id, now=NOW, receipt=b"signed", peer="AP0002-SDK-TEST")
    async with installation.open(organisation, AP) as vault:
        assert await vault.proof(delivered.id) == b"signed"
        assert await vault.proof(waiting.id) is None
