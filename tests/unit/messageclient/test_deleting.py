"""Deleting at the message service: permitted deletions, their time, and each once (api-mt-mk 4.1, 4.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.client.errors import Unreachable
from samdrift.client.keys import ClientKey
from samdrift.contracts.principals import Role
from samdrift.messageclient import working
from samdrift.messageclient.deleting import Deleting, DeletionRule
from samdrift.messageclient.disposal.running import dispose_agreed
from samdrift.messageclient.mail import Folder
from samdrift.messageclient.working import ServiceSettings, Working
from samdrift.net.clock import system_clock
from samdrift.vault.maildeletion import DeletionCounts
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.messageclient.desks import ADDRESS, OTHER_ADDRESS
from tests.unit.messageclient.test_disposal import Archive
from tests.unit.messageclient.test_sending import sending, sent
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
MK = Role.MESSAGE_CLIENT
DAYS = 30
SERVICE = "https://mt.example.se/v1"


def nobody(address: str) -> Sequence[str]:
    return ()


class Deletes(Archive):
    """An office with our own message service and no other reader there, unless a test changes that."""

    rule = DeletionRule(timedelta(days=DAYS), SERVICE, nobody)

    async def backed_up(self, taken_at: datetime | None = None) -> None:
        async with self.vault() as vault:
            vault.note_backup(taken_at or self.now, {"by": "kim", "reason": "restored"}, now=self.now)

    async def turn(self) -> int:
        vaults = self.installation.gate.worker("deletion", MK)
        async with self.service.running() as client:
            return await Deleting(vaults, self.organisation, client, self.rule, self.clock).turn()

    async def read(self, **message: object) -> str:
        """Let a message arrive and be opened; return its conversation."""
        await self.receives(**message)
        (line,) = (await self.desk().lines(Folder.UNREAD, "box")).lines
        await self.desk().conversation(line.id)
        return line.id

    async def counts(self) -> DeletionCounts:
        async with self.vault() as vault:
            return await vault.deletion_counts()

    async def deletions(self) -> list[str]:
        """Return the events of deletion in the log, in order."""
        found = ("mk:message:delet", "mk:message:undeleted")
        return [event for event, _ in await self.events() if event.startswith(found)]

    @property
    def there(self) -> int:  # type: ignore[override]
        return len(self.service.messages)


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Deletes]:
    opened = Deletes(installation, organisation)
    await opened.opened()
    yield opened


async def test_what_is_stored_read_and_backed_up_is_deleted_there_and_stays_here(office: Deletes) -> None:
    conversation = await office.read(label="Ansökan")
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    assert await office.turn() == 1
    assert office.there == 0
    assert await office.turn() == 0
    assert (await office.desk().conversation(conversation)).subject == "Ansökan"
    assert await office.counts() == DeletionCounts(1, 0, 0, 0)
    assert await office.deletions() == ["mk:message:deleting", "mk:message:deleted"]
    assert len([each for each in office.service.asked if each.startswith("DELETE")]) == 1


@pytest.mark.parametrize(
    "kept",
    ["no backup", "older backup", "backup while it came", "too early", "unread", "held", "other address"],
)
async def test_nothing_is_deleted_that_is_not_safe_here(office: Deletes, kept: str) -> None:
    if kept == "unread":
        await office.receives()
    else:
        conversation = await office.read()
    if kept == "held":
        anna = office.desk()
        version = (await anna.conversation(conversation)).version
        await anna.hold(conversation, version, "Begärd som bevis")
    came = office.now
    office.pass_by(DAYS * 86_400 + (-3600 if kept == "too early" else 60))
    taken = {"older backup": came - timedelta(days=1), "backup while it came": came + timedelta(minutes=30)}
    if kept == "other address":
        office.rule = DeletionRule(
            office.rule.after, SERVICE, lambda one: ("journal",) if one == ADDRESS else ()
        )
    if kept != "no backup":
        await office.backed_up(taken.get(kept))
    assert await office.turn() == 0
    assert office.there == 1
    assert await office.deletions() == []


async def test_what_was_sent_is_deleted_once_it_is_final(office: Deletes) -> None:
    await sent(office)
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()
        office.pass_by(DAYS * 86_400)
        await office.backed_up()
        assert await office.turn() == 0, "the message still waits for its receipt"
        office.service.messages["resource-1"]["messageStatus"] = "ACCEPTED"
        await sending(office, client).turn()
    assert await office.turn() == 0, "the final status is not in a backup yet"
    office.pass_by(2 * 3600)
    await office.backed_up()
    assert await office.turn() == 1
    assert office.there == 0


async def test_at_anothers_service_an_administrator_confirms_each_address_and_may_take_it_back(
    office: Deletes,
) -> None:
    office.rule = DeletionRule(office.rule.after, SERVICE, None)
    await office.read()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    assert await office.turn() == 0, "no administrator has confirmed that only this client reads it"
    said = {"text": "Endast Samdrift hämtar.", "interface": "https://another.example.se/v1"}
    async with office.vault() as vault:
        vault.keep_sole_reader("box", "eva", said, now=office.now)
    assert await office.turn() == 0, "the confirmation is for another message service"
    async with office.vault() as vault:
        vault.keep_sole_reader("other", "eva", said | {"interface": SERVICE}, now=office.now)
    assert await office.turn() == 0, "the confirmation is for another address"
    for said_now in (said | {"interface": SERVICE}, None, said | {"interface": SERVICE}):
        async with office.vault() as vault:
            vault.keep_sole_reader("box", "eva", said_now, now=office.now)
        if said_now is None:
            assert await office.turn() == 0
    assert await office.turn() == 1


@pytest.mark.parametrize("lost", ["answer", "process"])
async def test_who_is_killed_after_the_deletion_finds_it_gone_and_the_log_whole(
    office: Deletes, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.read()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    if lost == "answer":
        office.service.lost = 1
        with pytest.raises(Unreachable):
            await office.turn()
    else:
        with monkeypatch.context() as patched:
            patched.setattr("samdrift.vault.maildeletion.MailDeletion.end_deletion", _killed)
            with pytest.raises(KeyboardInterrupt):
                await office.turn()
    assert office.there == 0
    assert await office.deletions() == ["mk:message:deleting"]
    assert await office.turn() == 0, "the killed process still has the lease"
    office.pass_by(3 * 3600)
    assert await office.turn() == 1
    assert await office.deletions() == ["mk:message:deleting", "mk:message:deleted"]
    assert await office.counts() == DeletionCounts(1, 0, 0, 0)


async def _killed(*_: object, **__: object) -> bool:
    raise KeyboardInterrupt


async def test_a_hold_that_comes_after_a_lost_attempt_keeps_the_message(office: Deletes) -> None:
    conversation = await office.read()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    office.service.down = True
    with pytest.raises(Unreachable):
        await office.turn()
    anna = office.desk()
    await anna.hold(conversation, (await anna.conversation(conversation)).version, "Begärd som bevis")
    office.service.down = False
    office.pass_by(86_400)
    assert await office.turn() == 0
    assert office.there == 1


async def test_a_service_that_refuses_is_asked_a_few_times_and_the_log_has_it_twice(office: Deletes) -> None:
    await office.read()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    office.service.keeps = 409
    for _ in range(8):
        assert await office.turn() == 0
        office.pass_by(86_400 + 60)
    assert len([each for each in office.service.asked if each.startswith("DELETE")]) == 5
    assert await office.counts() == DeletionCounts(0, 1, 0, 0)
    assert await office.deletions() == ["mk:message:deleting", *["mk:message:undeleted"] * 2]


async def test_a_refusal_of_the_moment_does_not_count(office: Deletes) -> None:
    await office.read()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    office.service.keeps = 403
    for _ in range(8):
        assert await office.turn() == 0
        office.pass_by(86_400 + 60)
    office.service.keeps = 0
    assert await office.turn() == 1
    assert await office.deletions() == ["mk:message:deleting", "mk:message:deleted"]


async def test_what_is_deleted_there_is_disposed_of_here_by_the_rules_of_here(office: Deletes) -> None:
    conversation = await office.old()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    assert await office.turn() == 1
    await office.agreed()
    await dispose_agreed(office.installation.gate.worker("disposal", MK), office.organisation, office.clock)
    async with office.vault() as vault:
        assert await vault.conversations_by_id([conversation]) == ()
        assert await vault.deletion_counts() == DeletionCounts(0, 0, 0, 0)


async def disposed(office: Deletes, **message: object) -> str:
    """Dispose of a conversation here, whose message the message service still has."""
    conversation = await office.old(**message)
    await office.agreed()
    await dispose_agreed(office.installation.gate.worker("disposal", MK), office.organisation, office.clock)
    async with office.vault() as vault:
        assert await vault.conversations_by_id([conversation]) == ()
    assert office.there == 1
    return conversation


async def test_what_is_disposed_of_here_goes_there_too_without_waiting_for_days(office: Deletes) -> None:
    office.rule = DeletionRule(timedelta(days=36_500), SERVICE, nobody)
    await disposed(office)
    await office.backed_up()
    assert await office.counts() == DeletionCounts(0, 0, 0, 1)
    assert await office.turn() == 1
    assert office.there == 0
    assert await office.turn() == 0
    assert await office.counts() == DeletionCounts(1, 0, 0, 0)
    assert await office.deletions() == ["mk:message:deleting", "mk:message:deleted"]


@pytest.mark.parametrize("kept", ["no backup", "older backup", "other reader", "other address confirmed"])
async def test_what_is_disposed_of_stays_there_where_deletion_is_not_safe(office: Deletes, kept: str) -> None:
    came = office.now
    await disposed(office)
    if kept != "no backup":
        await office.backed_up(came - timedelta(days=1) if kept == "older backup" else None)
    if kept == "other reader":
        office.rule = DeletionRule(office.rule.after, SERVICE, lambda _: ("journal",))
    if kept == "other address confirmed":
        office.rule = DeletionRule(office.rule.after, SERVICE, None)
        async with office.vault() as vault:
            vault.keep_sole_reader("other", "eva", {"text": "-", "interface": SERVICE}, now=office.now)
    assert await office.turn() == 0
    assert office.there == 1
    assert await office.deletions() == []
    assert await office.counts() == DeletionCounts(0, 0, 0, 1)


async def test_the_sealed_record_says_at_which_address_it_lies_there(office: Deletes) -> None:
    await disposed(office)
    await office.backed_up()
    seen_by = await superuser(office.installation)
    login = await vault_login(office.installation, office.organisation, MK)
    seen_by.rows(f"UPDATE {login.schema}.disposed_deletions SET home = 'other'")
    office.rule = DeletionRule(office.rule.after, SERVICE, lambda one: ("journal",) if one == ADDRESS else ())
    assert await office.turn() == 0
    assert office.there == 1


async def test_a_lost_answer_about_what_was_disposed_of_is_asked_again_and_ends(office: Deletes) -> None:
    await disposed(office)
    await office.backed_up()
    office.service.lost = 1
    with pytest.raises(Unreachable):
        await office.turn()
    assert office.there == 0
    assert await office.turn() == 0, "the next attempt must be postponed"
    office.pass_by(3 * 3600)
    assert await office.turn() == 1
    assert await office.deletions() == ["mk:message:deleting", "mk:message:deleted"]


async def test_a_service_that_keeps_what_was_disposed_of_is_asked_a_few_times(office: Deletes) -> None:
    await disposed(office)
    await office.backed_up()
    office.service.keeps = 409
    for _ in range(8):
        assert await office.turn() == 0
        office.pass_by(86_400 + 60)
    assert len([each for each in office.service.asked if each.startswith("DELETE")]) == 5
    assert await office.counts() == DeletionCounts(0, 1, 0, 0)


async def test_what_was_deleted_there_before_its_disposal_is_not_asked_for_again(office: Deletes) -> None:
    await office.old()
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    assert await office.turn() == 1
    await office.agreed()
    await dispose_agreed(office.installation.gate.worker("disposal", MK), office.organisation, office.clock)
    assert await office.turn() == 0
    assert len([each for each in office.service.asked if each.startswith("DELETE")]) == 1


async def test_more_than_a_batch_goes_in_one_turn(office: Deletes) -> None:
    for number in range(60):
        office.service.receives(to=OTHER_ADDRESS, label=f"Nr {number}")
    await office.receives(to=OTHER_ADDRESS)
    bo = office.desk("bo")
    for line in (await bo.lines(Folder.UNREAD, "other", limit=100)).lines:
        await bo.conversation(line.id)
    office.pass_by(DAYS * 86_400 + 60)
    await office.backed_up()
    assert await office.turn() == 61
    assert office.there == 0


async def test_a_message_service_that_takes_its_time_holds_up_no_other_organisation(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An organisation's own service may answer each of a thousand deletions just before the time-out."""
    monkeypatch.setattr(working, "_DELETE_APART", 0.0)
    monkeypatch.setattr(working, "_DELETE_EVERY", 0.01)
    slow, other = await installation.organisation(), await installation.organisation()
    turns, failures = list[ParticipantIdentifier](), list[BaseException]()

    async def turn(self: Deleting) -> int:
        turns.append(self.organisation)
        if self.organisation == slow:
            await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(Deleting, "turn", turn)
    rule = DeletionRule(timedelta(days=DAYS), SERVICE, nobody)
    ClientKey.new().write(tmp_path / "key.pem")
    key, gone = (tmp_path / "key.pem").read_bytes(), "http://127.0.0.1:9/v1"
    services = [
        ServiceSettings(one, gone, gone, "client", key, public_only=False, deletion=rule)
        for one in (slow, other)
    ]
    run = Working(installation.gate, services, system_clock, 3600)
    async with run.running(failures.append):
        for _ in range(1_000):
            if turns.count(other) >= 3:
                break
            await asyncio.sleep(0.01)
    assert turns.count(slow) == 1
    assert turns.count(other) >= 3
