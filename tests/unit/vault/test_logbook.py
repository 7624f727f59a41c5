"""Searches in a log use an index, however long the log is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import link, origin
from samdrift.audit.entries import Happening
from samdrift.contracts.principals import Role
from samdrift.messageservice.events import MTEvent
from samdrift.vault import logbook
from samdrift.vault.errors import TooManyEntries
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import Installation

AP = Role.ACCESS_POINT
ROLES = (AP,)


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (logbook.NAMING.replace("$1", "1").replace("$2", "9").replace("$3", "'event'"), "log_traces"),
        (logbook.REFUSED.replace("$1", "9"), "log_refused"),
        (logbook.AFTER.replace("$1", "1").replace("$2", "9"), "log_pkey"),
    ],
    ids=["naming", "refused", "after"],
)
async def test_the_planner_takes_the_index_that_is_meant(
    installation: Installation, organisation: ParticipantIdentifier, question: str, index: str
) -> None:
    async with installation.open(organisation, AP) as vault:
        for number in range(500):
            vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=f"e{number}")
    login = await vault_login(installation, organisation, AP)
    with login.connect() as connection:
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {question}".encode()).fetchall())
    assert f" {index} " in plan


async def test_all_entries_that_name_a_message_are_found_however_often_it_was_read(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        for _ in range(2100):
            vault.record(MTEvent.MT_MESSAGE_READ, message="m1")
            vault.record(MTEvent.MT_MESSAGE_READ, message="m2")
        vault.record(MTEvent.MT_MESSAGE_DELETED, message="m1")
    async with installation.open(organisation, AP) as vault:
        found = await vault.find_log("m1")
        with pytest.raises(TooManyEntries):
            await vault.find_log("m1", 2100)
        assert await vault.find_log("m1", 2101) == found
    assert [entry.ids for entry in found] == [{"message": "m1"}] * 2101
    assert [entry.sequence for entry in found] == [*range(2, 4202, 2), 4202], "each of them once, in order"
    assert found[-1].event == MTEvent.MT_MESSAGE_DELETED


async def test_entries_of_other_events_that_name_an_envelope_are_not_read(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer can send an envelope of ours back any number of times, with texts that look like an event."""
    read = []
    entry = logbook.entry
    monkeypatch.setattr(logbook, "entry", lambda row: read.append(row) or entry(row))
    async with installation.open(organisation, AP) as vault:
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="e1")
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="e2")
        for _ in range(50):
            vault.record(APEvent.AP_ENVELOPE_DUPLICATE, envelope="e1", detail='"event":"ap:transfer:queued"')
        vault.record(APEvent.AP_TRANSFER_POSTPONED, envelope="e1")
    async with installation.open(organisation, AP) as vault:
        found = await vault.find_log("e1", event="ap:transfer:")
        assert len(await vault.find_log("e1", event=APEvent.AP_TRANSFER_POSTPONED)) == 1
    events = [APEvent.AP_TRANSFER_QUEUED, APEvent.AP_TRANSFER_POSTPONED]
    assert ([each.event for each in found], len(read)) == (events, 3)


async def test_all_entries_of_all_former_logs_are_found(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Numbers begin at 1 in each former log."""
    numbers = {"a": 1000, "b": 1200, "c": 7}
    schema = (await vault_login(installation, organisation, AP)).schema
    rows = []
    for log, last in numbers.items():
        previous = origin(log).hash
        for number in range(1, last + 1):
            at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
            ids = {"message": "m1", "reason": log}
            content = Happening(at, MTEvent.MT_MESSAGE_READ, "system:x", "read", ids).content()
            hashed = link(previous, number, content)
            rows.append((log, number, content, previous, hashed, [logbook.trace("m1")]))
            previous = hashed
    with (await superuser(installation)).connect(schema) as connection:
        insert = f"INSERT INTO {schema}.former_log VALUES (%s, %s, %s, %s, %s, %s)"
        connection.cursor().executemany(insert.encode(), rows)
    async with installation.open(organisation, AP) as vault:
        found = await vault.find_former_log("m1")
        with pytest.raises(TooManyEntries):
            await vault.find_former_log("m1", 2206)
    assert [(entry.ids["reason"], entry.sequence) for entry in found] == [row[:2] for row in rows]
    assert [entry.hash for entry in found] == [row[4] for row in rows]
