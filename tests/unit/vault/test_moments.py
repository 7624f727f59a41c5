"""The registry knows exactly when something becomes due in a vault, despite other writers and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samdrift.contracts.messages import WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.scheduling import dispatch
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.scheduling.rounds import Rounds
from samdrift.vault import moments
from samdrift.vault.announcing import notify
from samdrift.vault.database.session import Row, Statement
from samdrift.vault.errors import EndedByDatabase, VaultLocked, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.moments import Moment, Moments, keep
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, message, outgoing, submitted, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)
OFFICER = b"the officer's own"
EVER = NOW + timedelta(days=36500)
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
TABLES = {AP: "transfers WHERE due_at IS NOT NULL", MT: "work"}


async def moment(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> datetime | None:
    """Return the registry's moment for a vault."""
    return dict(await installation.gate.due(role, EVER)).get(organisation)


async def truth(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> datetime | None:
    """Return what is due in the vault itself, as the database's superuser sees it."""
    login = await vault_login(installation, organisation, role)
    administrator = await superuser(installation)
    ((due,),) = administrator.rows(f"SELECT min(due_at) FROM {login.schema}.{TABLES[role]}")
    return due if due is None else due.astimezone(NOW.tzinfo)


async def kept(installation: Installation, organisation: ParticipantIdentifier) -> datetime | None:
    """Return the moment that the message service's vault itself stores."""
    login = await vault_login(installation, organisation, MT)
    ((due,),) = (await superuser(installation)).rows(f"SELECT due_at FROM {login.schema}.moment")
    return due if due is None else due.astimezone(NOW.tzinfo)


async def test_a_vault_in_which_nothing_waits_has_no_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    for role in (AP, MT):
        assert await moment(installation, organisation, role) is None


async def test_the_life_of_a_transfer_moves_its_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
    assert await moment(installation, organisation, AP) == NOW + MINUTE, (
        "it must be due when the lease ends, as the process may crash"
    )
    async with installation.open(organisation, AP) as vault:
        await vault.claim_transfers(now=NOW + MINUTE, lease=MINUTE, limit=4)
    assert await moment(installation, organisation, AP) == NOW + 2 * MINUTE
    async with installation.open(organisation, AP) as vault:
        await vault.postpone(
            transfer.id,
            now=NOW,
            next_attempt=NOW + timedelta(hours=1),
            reason=TransferReason.PEER_UNREACHABLE,
            detail="",
        )
    assert await moment(installation, organisation, AP) == NOW + timedelta(hours=1)
    async with installation.open(organisation, AP) as vault:
        await vault.failed(transfer.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    assert await moment(installation, organisation, AP) is None


async def test_work_of_the_message_service_moves_its_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message()
    async with installation.open(organisation, MT) as vault:
        await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    assert await moment(installation, organisation, MT) == NOW + MINUTE
    async with installation.open(organisation, MT) as vault:
        await vault.schedule(WorkKind.DEADLINE, record.id, NOW + timedelta(seconds=5))
    assert await moment(installation, organisation, MT) == NOW + timedelta(seconds=5)
    async with installation.open(organisation, MT) as vault:
        await vault.finish_work(WorkKind.DEADLINE, record.id)
        await vault.finish_work(WorkKind.MESSAGE, record.id)
    assert await moment(installation, organisation, MT) is None


async def test_what_is_rolled_back_moves_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:

    async def fail() -> None:
        async with installation.open(organisation, AP) as vault:
            await submitted(vault, lease=MINUTE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await moment(installation, organisation, AP) is None


async def test_only_what_is_due_until_then_is_named(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=MINUTE)
    before = await installation.gate.due(AP, NOW + MINUTE / 2)
    assert organisation not in dict(before)
    assert dict(await installation.gate.due(AP, NOW + MINUTE))[organisation] == NOW + MINUTE
    assert organisation not in dict(await installation.gate.due(MT, EVER))


async def test_one_that_is_suspended_is_not_named_and_keeps_its_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=MINUTE)
    await installation.provisioner.set_state(organisation, AP, RegistrationState.SUSPENDED)
    async with asyncio.timeout(60):
        while installation.gate.registry.serves(organisation, AP):
            await asyncio.sleep(0.01)
    assert await moment(installation, organisation, AP) is None
    await installation.provisioner.set_state(organisation, AP, RegistrationState.ACTIVE)
    await installation.known(organisation, AP)
    assert await moment(installation, organisation, AP) == NOW + MINUTE


async def test_one_that_is_locked_keeps_its_moment_and_gets_its_turn_when_it_is_unlocked(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_AFTER_FAILURE", timedelta(milliseconds=1))
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
    assert await moment(installation, organisation, AP) == NOW + MINUTE
    registration = installation.gate.registry.find(organisation, AP)
    assert registration is not None
    open_keys(installation.settings).relock(registration.vault, OFFICER)
    keys = open_keys(installation.settings)
    gate = await Gate.start(installation.settings, keys=keys)
    refused, claimed, failures = 0, list[str](), list[Exception]()

    async def turn(organisation: ParticipantIdentifier) -> None:
        nonlocal refused
        try:
            async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
                due = await vault.claim_transfers(now=NOW + MINUTE, lease=MINUTE, limit=4)
        except VaultLocked:
            refused += 1
            raise
        claimed.extend(one.id for one in due)

    def clock() -> datetime:
        return NOW + MINUTE

    rounds = Rounds(partial(gate.due, AP), lambda: [organisation], clock)
    dispatcher = Dispatcher(turn, lambda: datetime.now(UTC), on_failure=failures.append)
    working = asyncio.create_task(dispatcher.run(lambda _: rounds.due(NOW + MINUTE)))
    try:
        await until(lambda: refused >= 2)
        assert (claimed, dict(await gate.due(AP, EVER))[organisation]) == ([], NOW + MINUTE)
        await asyncio.to_thread(keys.unlock, registration.vault, OFFICER)
        await until(lambda: bool(claimed))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await gate.close()
    assert (claimed, failures) == ([transfer.id], [])
    assert await moment(installation, organisation, AP) == NOW + 2 * MINUTE


async def test_a_vault_whose_login_is_replaced_keeps_its_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
    await installation.provisioner.rotate_login(organisation, AP)
    assert await moment(installation, organisation, AP) == NOW + MINUTE
    async with installation.open(organisation, AP) as vault:
        await vault.failed(transfer.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    assert await moment(installation, organisation, AP) is None


async def test_the_moment_of_a_vault_that_is_dropped_goes_with_it(installation: Installation) -> None:
    organisation = await installation.organisation([AP])
    login = await vault_login(installation, organisation, AP)
    administrator = await superuser(installation)
    question = "SELECT count(*) FROM registry.moments WHERE vault = %s"
    assert administrator.rows(question, login.vault) == [(1,)]
    await installation.provisioner.drop(organisation, AP)
    assert administrator.rows(question, login.vault) == [(0,)]


async def test_nothing_can_become_due_in_a_vault_without_a_moment(installation: Installation) -> None:
    """The change is refused rather than stored and forgotten."""
    organisation = await installation.organisation([AP])
    login = await vault_login(installation, organisation, AP)
    administrator = await superuser(installation)
    administrator.rows(f"DELETE FROM {login.schema}.moment")
    with pytest.raises(VaultUnavailable):
        async with installation.open(organisation, AP) as vault:
            await submitted(vault, lease=MINUTE)
    async with installation.open(organisation, AP) as vault:
        assert await vault.waiting(10) == ()
    await installation.provisioner.drop(organisation, AP)


async def test_who_commits_last_sees_what_the_other_has_stored(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """One transaction ends the only work, while an earlier one stores some that is due sooner."""
    async with installation.open(organisation, AP) as vault:
        old = await submitted(vault, lease=2 * MINUTE)
    stored, ended = asyncio.Event(), asyncio.Event()

    async def store() -> None:
        async with installation.open(organisation, AP) as vault:
            await submitted(vault, lease=MINUTE)
            stored.set()
            await ended.wait()

    async def end() -> None:
        async with installation.open(organisation, AP) as vault:
            await stored.wait()
            await vault.failed(old.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
        ended.set()

    await asyncio.gather(store(), end())
    assert await moment(installation, organisation, AP) == NOW + MINUTE


async def test_of_two_moments_the_later_one_stays_whichever_comes_last(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Two processes commit one after the other, and the first one's news arrives late."""
    login = await vault_login(installation, organisation, AP)
    late, early = Moment(8, (NOW + MINUTE).isoformat()), Moment(7, NOW.isoformat())
    for each in (late, early):
        await installation.gate._run(installation.gate._operator, [keep({login.vault: each})])
    assert await moment(installation, organisation, AP) == NOW + MINUTE


async def test_a_start_reads_from_the_vault_what_was_not_sent(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does a lone worker, whose login to the registry is another at each start."""
    gate = installation.gate
    vault = (await vault_login(installation, organisation, AP)).vault
    starts = (installation.provisioner.install, lambda: installation.provisioner.new_reader(vault))
    for number, start in enumerate(starts, 1):
        async with installation.open(organisation, AP) as access_point:
            await submitted(access_point, lease=-number * MINUTE)
            monkeypatch.setattr(gate._moments, "committed", lambda *_: None)
            access_point._work._due = gate._moments.committed
        monkeypatch.undo()
        assert await moment(installation, organisation, AP) != NOW - number * MINUTE
        await start()
        assert await moment(installation, organisation, AP) == NOW - number * MINUTE


async def test_a_vault_that_was_put_back_from_a_copy_has_its_moment_read(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Its numbers are old, and the registry has seen higher ones."""
    login = await vault_login(installation, organisation, AP)
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=MINUTE)
    assert await moment(installation, organisation, AP) == NOW + MINUTE
    administrator = await superuser(installation)
    administrator.rows("UPDATE registry.moments SET number = 99, due_at = NULL WHERE vault = %s", login.vault)
    await installation.provisioner.install()
    assert await moment(installation, organisation, AP) == NOW + MINUTE
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, lease=MINUTE / 2)
    assert await moment(installation, organisation, AP) == NOW + MINUTE / 2


async def test_a_commit_whose_answer_is_lost_is_looked_for_in_the_vault(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:

    async def store() -> None:
        async with installation.open(organisation, AP) as vault:
            await submitted(vault, lease=MINUTE)
            await vault.waiting(1)
            session = vault._work._session
            assert session is not None
            run = session.run

            async def lost(statements: Sequence[Statement]) -> list[list[Row]]:
                await run(statements)
                session.close()
                raise VaultUnavailable

            session.run = lost  # type: ignore[method-assign]

    with pytest.raises(VaultUnavailable):
        await store()
    assert await truth(installation, organisation, AP) == NOW + MINUTE
    assert await moment(installation, organisation, AP) == NOW + MINUTE


async def test_what_the_registry_does_not_take_is_sent_later_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moments, "_TOGETHER", 0.0)
    monkeypatch.setattr(moments, "_AGAIN_AFTER", 0.0)
    sent: list[Statement] = []
    refusals = 3

    async def run(statements: Sequence[Statement]) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise EndedByDatabase
        sent.extend(statements)

    async def read(vault: str) -> Moment | None:
        return None if vault == "gone" else Moment(3, None)

    sending = Moments(run, read)
    sending.start()
    with caplog.at_level("INFO", "samdrift"):
        sending.committed("a", Moment(1, "1999-01-01"))
        sending.committed("a", Moment(2, None))
        sending.committed("b", None)
        sending.committed("gone", None)
        await until(lambda: bool(sent))
        await sending.stop()
    assert sent == [keep({"a": Moment(2, None), "b": Moment(3, None)})]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_while_the_database_is_away_its_own_line_says_so_and_moments_are_sent_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moments, "_TOGETHER", 0.0)
    monkeypatch.setattr(moments, "_AGAIN_AFTER", 0.0)
    failures, sent = [VaultUnavailable("connection refused at 192.0.2.1:5432")] * 3, list[Statement]()

    async def run(statements: Sequence[Statement]) -> None:
        if failures:
            raise failures.pop()
        sent.extend(statements)

    async def read(vault: str) -> Moment | None:
        return None

    sending = Moments(run, read)
    sending.start()
    with caplog.at_level("INFO", "samdrift"):
        sending.committed("a", Moment(2, None))
        await until(lambda: bool(sent))
        await sending.stop()
    assert sent == [keep({"a": Moment(2, None)})]
    assert not caplog.messages


async def test_after_a_fault_that_nobody_foresaw_moments_are_sent_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moments, "_TOGETHER", 0.0)
    monkeypatch.setattr(moments, "_AGAIN_AFTER", 0.0)
    faults, sent = 3, list[Statement]()

    async def run(statements: Sequence[Statement]) -> None:
        nonlocal faults
        faults -= 1
        if faults >= 0:
            raise RuntimeError("with a text that must not be logged")
        sent.extend(statements)

    async def read(vault: str) -> Moment | None:
        return None

    sending = Moments(run, read)
    sending.start()
    sending.committed("a", Moment(2, None))
    task = sending._task
    assert task is not None
    await until(lambda: bool(sent) or task.done())
    assert sent == [keep({"a": Moment(2, None)})]
    await sending.stop()
    (line,) = caplog.messages
    assert line.startswith("unexpected RuntimeError in the news of what is due in vaults (run:")


async def test_moments_travel_with_a_notification_and_by_themselves_where_that_is_refused() -> None:
    """Any login can fill the queue of notifications, but that keeps no moment from the registry."""
    sent: list[list[str]] = []
    refused = True

    async def run(statements: Sequence[Statement]) -> None:
        sent.append([sql for sql, _ in statements])
        if refused and len(statements) > 1:
            raise VaultUnavailable

    async def read(vault: str) -> Moment | None:
        return None

    sending = Moments(run, read)
    both, (one, *_) = notify(["c"]), keep({})
    sending.committed("v", Moment(1, None))
    with pytest.raises(VaultUnavailable):
        await sending.run_with(both)
    await sending.bring()
    alone = [sql for sql, _ in both]
    assert sent == [[one, *alone], alone, [one]]
    refused = False
    sent.clear()
    sending.committed("v", Moment(2, None))
    await sending.run_with(both)
    await sending.bring()
    await sending.run_with(both)
    assert sent == [[one, *alone], alone], "a moment that was sent must not be sent again"


async def test_a_notification_whose_moments_another_task_sends_meanwhile_is_sent() -> None:
    ran: list[list[str]] = []
    first = asyncio.Event()

    async def run(statements: Sequence[Statement]) -> None:
        ran.append([sql for sql, _ in statements])
        if len(ran) == 1:
            await first.wait()

    async def read(vault: str) -> Moment | None:
        return None

    sending, told = Moments(run, read), notify(["c"])
    sending.committed("v1", Moment(1, None))
    under_way = asyncio.create_task(sending.bring())
    await asyncio.sleep(0)
    asked = asyncio.create_task(sending.bring())

    async def announce() -> None:
        await first.wait()
        await sending.run_with(told)

    announced = asyncio.create_task(announce())
    await asyncio.sleep(0)
    sending.committed("v2", Moment(1, None))
    first.set()
    await asyncio.gather(under_way, asked, announced)
    keeping = keep({})[0]
    assert ran == [[keeping], [keeping], [sql for sql, _ in told]]


async def test_what_waits_is_sent_before_the_process_ends(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gate = await Gate.start(installation.settings)
    async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
        await submitted(vault, lease=MINUTE)
    await gate.close()
    assert await moment(installation, organisation, AP) == NOW + MINUTE


OFFSETS = st.integers(min_value=-5, max_value=5).map(lambda minutes: NOW + minutes * MINUTE)
KINDS = st.sampled_from(list(WorkKind))
STEP = st.one_of(
    st.tuples(st.just("schedule"), KINDS, st.integers(0, 3), OFFSETS),
    st.tuples(st.just("reschedule"), KINDS, st.integers(0, 3), OFFSETS),
    st.tuples(st.just("finish"), KINDS, st.integers(0, 3), OFFSETS),
    st.tuples(st.just("claim"), KINDS, st.integers(1, 3), OFFSETS),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.lists(STEP, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=4))
async def test_a_moment_is_what_the_vault_holds_whatever_happened(
    installation: Installation, transactions: list[tuple[list[tuple[str, WorkKind, int, datetime]], bool]]
) -> None:
    """Several transactions run at the same time, some of them rolled back."""
    organisation = await installation.organisation([MT])

    async def run(steps: list[tuple[str, WorkKind, int, datetime]], kept: bool) -> None:
        try:
            async with installation.open(organisation, MT) as vault:
                for what, kind, number, at in steps:
                    await _step(vault, what, kind, number, at)
                if not kept:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    await asyncio.gather(*(run(steps, kept) for steps, kept in transactions))
    assert await moment(installation, organisation, MT) == await truth(installation, organisation, MT)
    await installation.provisioner.drop(organisation, MT)


async def _step(vault: MessageServiceVault, what: str, kind: WorkKind, number: int, at: datetime) -> None:
    match what:
        case "schedule":
            await vault.schedule(kind, f"m{number}", at)
        case "reschedule":
            await vault.reschedule(kind, f"m{number}", next_attempt=at)
        case "finish":
            await vault.finish_work(kind, f"m{number}")
        case "claim":
            await vault.claim_work(now=at, lease=MINUTE, limit=number)


async def test_a_backend_that_is_killed_before_the_commit_leaves_both_or_neither(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    administrator = await superuser(installation)
    login = await vault_login(installation, organisation, AP)

    async def cut_short() -> None:
        async with installation.open(organisation, AP) as vault:
            await vault.submit(outgoing(), await body(vault), as4_message_id="a@b", now=NOW, lease=MINUTE)
            administrator.rows(END, login.login)
            await asyncio.sleep(0.05)

    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            await cut_short()
        assert await moment(installation, organisation, AP) == await truth(installation, organisation, AP)


async def test_who_commits_at_the_same_time_waits_and_then_looks(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """One ends the only work, while the other, about to commit, has stored some."""
    async with installation.open(organisation, MT) as vault:
        await vault.schedule(WorkKind.MESSAGE, "old", NOW)
    login = await vault_login(installation, organisation, MT)
    plan = "SELECT plan_work('message', 'new', %s, 0)"

    def end() -> None:
        with login.connect() as other, other.transaction():
            other.execute("SELECT finish_work('message', 'old')")

    with login.connect() as connection:
        with connection.transaction():
            connection.execute(plan, (NOW + MINUTE,))
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            ending = asyncio.create_task(asyncio.to_thread(end))
            done, _ = await asyncio.wait([ending], timeout=0.5)
            assert not done
        await ending
    assert await kept(installation, organisation) == NOW + MINUTE


async def test_a_moment_is_kept_at_the_very_end_of_a_transaction(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Its row is not locked until then, so two transactions with more to do never deadlock."""
    login = await vault_login(installation, organisation, MT)
    plan = "SELECT plan_work('message', %s, %s, 0)"
    with login.connect() as one, login.connect() as other:
        one.execute("SET statement_timeout = '5s'")
        other.execute("SET statement_timeout = '5s'")
        with one.transaction(), other.transaction():
            one.execute(plan, ("a", NOW + MINUTE))
            try:
                other.execute(plan, ("b", NOW))
            except psycopg.errors.QueryCanceled:
                pytest.fail("one transaction waited for the commit of the other")
            one.execute(plan, ("c", NOW + 2 * MINUTE))
    assert await kept(installation, organisation) == NOW
