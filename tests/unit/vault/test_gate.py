"""The gate: permissions to open, one transaction and one log entry per opening, denials with a trace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Hashable
from errno import EACCES

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import verify_chain
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import LogEvent
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.keystore import vaultfolder
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.vault import moments
from samdrift.vault.errors import (
    SealBroken,
    VaultClosed,
    VaultDenied,
    VaultError,
    VaultSuspended,
    VaultUnavailable,
)
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.opening import Room
from samdrift.vault.records import Backlog
from samdrift.vault.registry import Registration, RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import sampled
from tests.vaults import ELSEWHERE, MINUTE, NOW, WORKER, Installation, body, submitted, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)
GRANTED, DENIED = VaultEvent.VAULT_OPENING_GRANTED, VaultEvent.VAULT_OPENING_DENIED


async def log_of(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> list[LogEntry]:
    """Return the entries since the log began, without the opening that reads it."""
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        first, *entries = await vault.log()
        assert verify_chain([first, *entries], vault.log_origin).intact
    assert first.event == LogEvent.LOG_TREE_BEGUN
    return entries


def of(organisation: ParticipantIdentifier, kind: PrincipalKind = PrincipalKind.SYSTEM) -> Principal:
    return Principal(kind, "journal", organisation.value)


async def test_what_an_opening_did_is_logged_with_who_and_why(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.gate.open(of(organisation), organisation, AP, Purpose.SUBMIT) as vault:
        transfer = await submitted(vault)
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=transfer.envelope.envelope_id, reason="none")
    (queued,) = await log_of(installation, organisation, AP)
    assert (queued.event, queued.principal, queued.purpose) == (
        "ap:transfer:queued",
        "system:journal",
        "submit",
    )
    assert queued.ids == {"envelope": transfer.envelope.envelope_id, "reason": "none"}


async def test_a_gate_of_one_worker_opens_its_role_alone_in_its_name_and_for_the_purpose(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    transfers, messages = installation.gate.worker("sender", AP), installation.gate.worker("inbox", MT)
    async with transfers.open(organisation, Purpose.SEND) as vault:
        assert await vault.waiting(1) == ()
    async with messages.open(organisation, Purpose.RECEIVE) as inbox:
        assert await inbox.messages() == ()
    (sent,) = await log_of(installation, organisation, AP)
    (received,) = await log_of(installation, organisation, MT)
    assert (sent.event, sent.principal, sent.purpose) == (GRANTED, "worker:sender", "send")
    assert (received.event, received.principal, received.purpose) == (GRANTED, "worker:inbox", "receive")
    with pytest.raises(VaultDenied):
        async with transfers.open(ELSEWHERE, Purpose.SEND):
            pass


async def test_an_opening_that_only_records_is_committed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_ENVELOPE_REFUSED, reason="NOT_SERVICED")
    (entry,) = await log_of(installation, organisation, AP)
    assert entry.event == "ap:envelope:refused"


async def test_an_opening_in_which_nothing_is_done_leaves_no_trace(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        vault.new_body()
    assert await log_of(installation, organisation, AP) == []


async def test_a_worker_that_finds_nothing_to_do_leaves_no_entry(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Nor does a message service that polls and finds nothing; any other client leaves an entry."""
    async with installation.open(organisation, AP) as vault:
        assert await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1) == ()
        assert await vault.next_due() is None
        assert await vault.backlog() == Backlog(0, None)
    async with installation.gate.open(of(organisation), organisation, AP, Purpose.DELIVER) as vault:
        assert (await vault.events(0, 1), await vault.inbox(1)) == ((), ())
    assert await log_of(installation, organisation, AP) == []
    async with installation.open(organisation, MT) as messages:
        assert await messages.claim_work(now=NOW, lease=MINUTE, limit=1) == ()
        await messages.set_cursor("events", await messages.cursor("events") + 1)
    assert await log_of(installation, organisation, MT) == []
    async with installation.gate.open(of(organisation), organisation, AP, Purpose.SUBMIT) as vault:
        assert await vault.backlog() == Backlog(0, None)
    *_, entry = await log_of(installation, organisation, AP)
    assert (entry.event, entry.principal, entry.purpose) == (GRANTED, "system:journal", "submit")


async def test_what_a_worker_sees_is_logged_although_it_records_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault)
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=transfer.envelope.envelope_id)
    async with installation.open(organisation, AP, Purpose.SEND) as vault:
        await vault.claim_transfers(now=NOW + MINUTE, lease=MINUTE, limit=1)
        await vault.outgoing_body(transfer.id)
    _, *seen = await log_of(installation, organisation, AP)
    assert [(each.event, each.principal, each.purpose) for each in seen] == [(GRANTED, "worker:test", "send")]


@pytest.mark.parametrize("role", [AP, MT], ids=str)
async def test_to_ask_when_something_is_due_leaves_no_trace(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> None:
    async with installation.open(organisation, role) as vault:
        assert await vault.next_due() is None
        assert await vault.next_due() is None
    assert await log_of(installation, organisation, role) == []


async def test_to_ask_that_and_more_is_in_the_log(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert await vault.next_due() is None
        await vault.messages()
    assert [entry.event for entry in await log_of(installation, organisation, MT)] == [GRANTED]


async def test_reading_is_logged_too(installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, MT, Purpose.READ) as vault:
        await vault.messages()
    (entry,) = await log_of(installation, organisation, MT)
    assert (entry.event, entry.purpose) == (GRANTED, "read")


async def test_what_raises_is_undone_with_its_log_entries(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def fail() -> None:
        async with installation.open(organisation, AP) as vault:
            await submitted(vault, os.urandom(300_000))
            vault.record(APEvent.AP_TRANSFER_QUEUED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await log_of(installation, organisation, AP) == []
    async with installation.open(organisation, AP) as vault:
        assert await vault.next_due() is None
    assert installation.objects(organisation) == set()


async def test_a_cancelled_opening_is_undone(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    reached = asyncio.Event()

    async def hang() -> None:
        async with installation.open(organisation, AP) as vault:
            await submitted(vault)
            reached.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hang())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await log_of(installation, organisation, AP) == []


async def test_a_body_that_nothing_stored_goes_away_with_its_opening(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await body(vault, os.urandom(300_000))
        unfinished = vault.new_body()
        await unfinished.write(os.urandom(3_000_000))
    assert installation.objects(organisation) == set()


async def test_a_vault_is_of_no_use_after_its_opening(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        pass
    with pytest.raises(VaultClosed):
        await vault.inbox(1)
    with pytest.raises(VaultClosed):
        vault.record(APEvent.AP_ENVELOPE_REFUSED)
    with pytest.raises(VaultClosed):
        vault.new_body()


async def test_entries_are_found_by_the_identifiers_they_name(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="e1", as4="a1", reason="e2")
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="e2", as4="a1")
    async with installation.open(organisation, AP) as vault:
        assert [entry.sequence for entry in await vault.find_log("e1")] == [2]
        assert [entry.sequence for entry in await vault.find_log("e2")] == [3], (
            "a reason must not be searched as an identifier"
        )
        assert [entry.sequence for entry in await vault.find_log("a1")] == [2, 3]
        assert await vault.find_log("unknown") == ()


async def test_many_openings_at_once_leave_one_unbroken_chain(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def once(number: int) -> None:
        async with installation.open(organisation, AP) as vault:
            if number % 3 == 0:
                await vault.inbox(1)
            vault.record(APEvent.AP_ENVELOPE_REFUSED, reason=str(number))

    await asyncio.gather(*map(once, range(40)))
    assert len(await log_of(installation, organisation, AP)) == 40


# --- denials --------------------------------------------------------------------------------------------


OTHERS = (
    Principal(PrincipalKind.SYSTEM, "journal", ELSEWHERE.value),
    Principal(PrincipalKind.USER, "kim", ELSEWHERE.value),
    Principal(PrincipalKind.WORKER, "worker", ELSEWHERE.value),
    Principal(PrincipalKind.SYSTEM, "journal"),
    Principal(PrincipalKind.USER, "kim"),
    Principal(PrincipalKind.OPERATOR, "staff"),
    Principal(PrincipalKind.OPERATOR, "staff", ELSEWHERE.value),
)


@pytest.mark.parametrize(
    ("principal", "role"),
    sampled([(principal, role) for principal in OTHERS for role in Role], every=len(Role)),
    ids=lambda one: one.value if isinstance(one, Role) else f"{one.kind}-of-{one.organisation}",
)
async def test_others_are_denied_and_the_denial_is_logged(
    installation: Installation, principal: Principal, role: Role
) -> None:
    organisation = await installation.organisation([role])
    before = installation.gate.denials
    with pytest.raises(VaultDenied):
        async with installation.gate.open(principal, organisation, role, Purpose.READ):  # type: ignore[call-overload]
            raise AssertionError("opened")
    assert installation.gate.denials == before + 1
    (entry,) = await log_of(installation, organisation, role)
    assert (entry.event, entry.purpose) == (DENIED, "read")
    assert entry.principal.startswith(principal.kind)
    assert ELSEWHERE.value not in f"{entry.principal} {entry.ids}", (
        "the log must not name the other organisation"
    )
    operators = [
        (known.ids["organisation"], known.ids["of"])
        for known in await all_operator_entries(installation)
        if known.ids == {**known.ids, **entry.ids}
    ]
    assert operators == [(organisation.value, principal.organisation or "")]


async def test_staff_of_the_operator_is_denied_also_in_the_name_of_the_organisation(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    with pytest.raises(VaultDenied):
        async with installation.gate.open(
            of(organisation, PrincipalKind.OPERATOR), organisation, MT, Purpose.MAINTAIN
        ):
            raise AssertionError("opened")


async def test_a_denial_tells_nothing_of_whether_the_organisation_is_hosted(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    texts = set()
    for asked in (organisation, ELSEWHERE):
        with pytest.raises(VaultDenied) as caught:
            async with installation.gate.open(
                of(ParticipantIdentifier("0203:x.se")), asked, AP, Purpose.READ
            ):
                raise AssertionError("opened")
        texts.add((str(caught.value), repr(caught.value), caught.value.args))
    assert len(texts) == 1


async def test_a_role_in_which_the_organisation_is_not_hosted_is_denied(installation: Installation) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    assert not installation.gate.registry.serves(organisation, MT)
    with pytest.raises(VaultDenied):
        async with installation.open(organisation, MT):
            raise AssertionError("opened")


async def test_a_gate_that_was_started_for_one_role_opens_no_other(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gate = await Gate.start(installation.settings, roles=[AP])
    try:
        async with gate.open(WORKER, organisation, AP, Purpose.SEND) as vault:
            assert await vault.inbox(1) == ()
        with pytest.raises(VaultDenied):
            async with gate.open(WORKER, organisation, MT, Purpose.SEND):
                raise AssertionError("opened")
    finally:
        await gate.close()


async def test_a_suspended_organisation_waits_until_it_is_active_again(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gate, registry = installation.gate, installation.gate.registry
    await installation.provisioner.set_state(organisation, AP, RegistrationState.SUSPENDED)
    await until(lambda: getattr(registry.find(organisation, AP), "state", "") == RegistrationState.SUSPENDED)
    assert not registry.serves(organisation, AP)
    assert organisation not in registry.organisations(AP)
    for who in (WORKER, of(organisation)):
        with pytest.raises(VaultSuspended):
            async with gate.open(who, organisation, AP, Purpose.PROCESS):
                raise AssertionError("opened")
    with pytest.raises(VaultDenied):
        async with gate.open(of(ELSEWHERE), organisation, AP, Purpose.PROCESS):
            raise AssertionError("opened")
    await installation.provisioner.set_state(organisation, AP, RegistrationState.ACTIVE)
    await installation.known(organisation, AP)
    assert [entry.event for entry in await log_of(installation, organisation, AP)] == [DENIED]


async def test_a_suspended_organisation_can_be_exported_and_ended_and_one_that_is_closing_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    registry = installation.gate.registry
    await installation.provisioner.set_state(organisation, AP, RegistrationState.SUSPENDED)
    await until(lambda: not registry.serves(organisation, AP))
    for purpose in (Purpose.EXPORT, Purpose.CLOSE):
        async with installation.open(organisation, AP, purpose) as vault:
            assert await vault.inbox(1) == ()
    await installation.provisioner.set_state(organisation, AP, RegistrationState.CLOSING)
    await until(lambda: registry.find(organisation, AP).state is RegistrationState.CLOSING)  # type: ignore[union-attr]
    for purpose in Purpose:
        with pytest.raises(VaultSuspended):
            async with installation.open(organisation, AP, purpose):
                raise AssertionError("opened")


async def test_no_error_of_the_gate_names_anything() -> None:
    texts = {error.text for error in (VaultError, VaultDenied, VaultClosed, VaultUnavailable)}
    assert all(character.islower() or character in " .'" for text in texts for character in text)


async def test_the_operators_log_takes_what_belongs_to_no_organisation(installation: Installation) -> None:
    await installation.gate.operator_log(APEvent.AP_ENVELOPE_REFUSED, as4="a@b", reason="NOT_SERVICED")
    entry = (await all_operator_entries(installation))[-1]
    assert (entry.event, entry.ids) == ("ap:envelope:refused", {"as4": "a@b", "reason": "NOT_SERVICED"})


async def all_operator_entries(installation: Installation) -> list[LogEntry]:
    return list(await installation.gate.read_operator_log(limit=100_000))


# --- upkeep ---------------------------------------------------------------------------------------------


async def test_a_sweep_removes_old_objects_that_no_row_knows(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, os.urandom(300_000), lease=MINUTE)
    objects = [*installation.objects(organisation)]
    assert len(objects) == 1
    known = objects[0]
    lost_old, lost_new = known.with_name("old"), known.with_name("new")
    for path in (lost_old, lost_new):
        path.write_bytes(b"x")
    for path in (known, lost_old):
        os.utime(path, (0, 0))
    async with installation.open(organisation, AP, Purpose.MAINTAIN) as vault:
        assert await vault.sweep() == 1
    assert known.exists()
    assert lost_new.exists()
    assert not lost_old.exists()
    lost_new.unlink()
    async with installation.open(organisation, AP) as vault:
        await vault.delivered(transfer.id, now=NOW, receipt=b"", peer="AP")


# --- faults of one organisation's keys --------------------------------------------------------------------


async def test_invariant_17_a_tampered_key_folder_stops_the_due_work_of_its_own_organisation_alone(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moments, "_AGAIN_AFTER", 0.0)
    good, bad = await installation.organisation([AP]), await installation.organisation([AP])
    gate = await Gate.start(installation.settings)
    try:
        registration = gate.registry.find(bad, AP)
        assert registration is not None
        folder = vaultfolder.current(installation.settings.secrets / registration.vault)
        assert folder is not None
        async with gate.open(WORKER, bad, AP, Purpose.PROCESS) as vault:
            await submitted(vault, lease=MINUTE)
        await gate.due(AP, NOW)
        link = folder / "data-key-0002"
        link.symlink_to("secret")
        gate._aftermath.ask()
        with pytest.raises((VaultError, KeyStoreError)) as caught:
            async with gate.open(WORKER, bad, AP, Purpose.PROCESS):
                pass
        assert isinstance(caught.value, VaultUnavailable)
        assert caught.value.cause.startswith("key store: a file or folder below a vault's folder")
        async with gate.open(WORKER, good, AP, Purpose.PROCESS) as vault:
            await submitted(vault, lease=MINUTE)
        await until(lambda: registration.vault in gate._moments._doubtful)
        due = dict(await gate.due(AP, NOW + MINUTE))
        assert (due[good], due[bad]) == (NOW + MINUTE, NOW + MINUTE)
        link.unlink()
        await until(lambda: not gate._moments._doubtful)
        async with gate.open(WORKER, bad, AP, Purpose.PROCESS) as vault:
            assert len(await vault.waiting(2)) == 1
    finally:
        await gate.close()
    alarms = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert alarms
    assert all(each.startswith("unexpected KeyStoreError in a vault's keys") for each in alarms)
    assert "a file or folder below a vault's folder" in alarms[0]


async def test_keys_that_cannot_be_read_are_an_outage_of_their_vault(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = await Gate.start(installation.settings)

    def denied(vault: str) -> Hashable:
        raise PermissionError(EACCES, "Permission denied", "/secrets/somewhere")

    try:
        for asked in ("state", "data_keys"):
            with monkeypatch.context() as patched:
                patched.setattr(gate._keys, asked, denied)
                with pytest.raises((VaultError, OSError)) as caught:
                    async with gate.open(WORKER, organisation, AP, Purpose.PROCESS):
                        pass
            assert isinstance(caught.value, VaultUnavailable)
            assert caught.value.cause == "key store: permission denied"
    finally:
        await gate.close()


async def test_a_vault_whose_moment_cannot_be_read_for_any_reason_stops_no_other(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moments, "_AGAIN_AFTER", 0.0)
    good, bad = await installation.organisation([AP]), await installation.organisation([AP])
    gate = await Gate.start(installation.settings)
    room, reads = gate._room, 0

    async def broken(registration: Registration) -> Room:
        nonlocal reads
        if registration.organisation == bad:
            reads += 1
            raise RuntimeError("with a text that must not be logged")
        return await room(registration)

    monkeypatch.setattr(gate, "_room", broken)
    try:
        gate._aftermath.ask()
        sending = gate._moments._task
        assert sending is not None
        await until(lambda: reads > 3 or sending.done())
        assert not sending.done()
        async with gate.open(WORKER, good, AP, Purpose.PROCESS) as vault:
            await submitted(vault, lease=MINUTE)
        (due,) = await asyncio.gather(gate.due(AP, NOW + MINUTE), return_exceptions=True)
        assert isinstance(due, list)
        assert dict(due)[good] == NOW + MINUTE
        monkeypatch.setattr(gate, "_room", room)
        await until(lambda: not gate._moments._doubtful)
    finally:
        monkeypatch.setattr(gate, "_room", room)
        await gate.close()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("unexpected RuntimeError in the news of what is due in vaults (broken:")
    assert "with a text" not in caplog.text


async def test_a_gate_that_closes_after_a_fault_leaves_no_connection_open(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, stopped = await Gate.start(installation.settings), 0
    async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
        assert await vault.waiting(1) == ()
    stop, stop_listening = gate.database.stop, gate._wakeups.stop

    async def counted() -> None:
        nonlocal stopped
        stopped += 1
        await stop()

    async def fault() -> None:
        await stop_listening()
        raise SealBroken

    monkeypatch.setattr(gate.database, "stop", counted)
    monkeypatch.setattr(gate._wakeups, "stop", fault)
    with pytest.raises(SealBroken):
        await gate.close()
    assert (gate._pool.open, stopped) == (0, 1)
