"""Vaults move into a database of their organisation and back, completely or not at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from samdrift.audit.entries import LogEntry
from samdrift.contracts.messages import WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.vault import databases, relocation
from samdrift.vault.events import VaultEvent
from samdrift.vault.provision import Provisioner
from samdrift.vault.relocation import MoveFailed
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import Row, Superuser, vault_login
from tests.sizes import sampled, whole
from tests.vaults import (
    MINUTE,
    NOW,
    Installation,
    body,
    installed,
    message,
    server_folder,
    settings_in,
    submitted,
)

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
Content = dict[str, dict[str, Row]]

STEPS = {
    "nobody is let in": (relocation, "_shut_out", "after"),
    "the database is to be made": (databases, "make", "before"),
    "the database is made": (databases, "make", "after"),
    "one vault is copied": (relocation, "copy", "after"),
    "all is copied": (relocation, "_decide", "before"),
    "it is decided": (relocation, "_decide", "after"),
    "it is committed": (relocation, "_let_in", "before"),
    "what is left behind is dropped": (databases, "drop_unused", "after"),
}
OUT = [step for step in STEPS if step != "what is left behind is dropped"]
BACK = [step for step in STEPS if not step.startswith("the database")]


class Killed(BaseException):
    """Raised as an error that no code expects or repairs."""


@pytest_asyncio.fixture(scope="module")
async def own() -> AsyncIterator[Installation]:
    """Yield an installation with two organisations that have content."""
    with server_folder() as folder:
        async with installed(settings_in(folder)) as running:
            for _ in range(2):
                await filled(running)
            yield running


async def filled(own: Installation) -> ParticipantIdentifier:
    organisation = await own.organisation([AP, MT])
    async with own.open(organisation, AP) as access_point:
        await submitted(access_point, lease=MINUTE)
    async with own.open(organisation, MT) as messages:
        record = message()
        await messages.create_outgoing(record, await body(messages), now=NOW, lease=MINUTE)
        await messages.schedule(WorkKind.DEADLINE, record.id, NOW + MINUTE)
    return organisation


async def content(own: Installation) -> Content:
    """Return the content of every table of every vault."""
    administrator = seen_by(own)
    schemas = administrator.rows("SELECT schema FROM registry.registrations")
    return administrator.snapshots([schema for (schema,) in schemas])


async def provisioned(own: Installation, what: Callable[[Provisioner], Any]) -> None:
    provisioner = await Provisioner.connect(own.settings, keys=own.provisioner._keys)
    try:
        await what(provisioner)
    finally:
        await provisioner.close()


def kill_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Make a step raise, which leaves to the server only open transactions, as a killed process would."""
    module, name, moment = STEPS[step]
    really = getattr(module, name)

    async def killed(*arguments: Any, **named: Any) -> Any:
        if moment == "after":
            await really(*arguments, **named)
        raise Killed

    monkeypatch.setattr(module, name, killed)


def places(administrator: Superuser) -> list[str]:
    """Return the databases of organisations."""
    return [
        name
        for (name,) in administrator.rows("SELECT datname FROM pg_database WHERE datname ~ '^d[0-9a-f]{32}$'")
    ]


async def assert_apart(own: Installation, before: Content) -> None:
    """Check that each organisation has its own database, with everything it had, and works."""
    administrator = seen_by(own)
    assert await content(own) == before
    kept = administrator.rows("SELECT DISTINCT organisation, database FROM registry.registrations")
    assert sorted(places(administrator)) == sorted(name for _, name in kept)
    assert len({organisation for organisation, _ in kept}) == len(kept)
    assert administrator.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ '^s[0-9a-f]{32}$'") == []
    due = await own.gate.due(AP, NOW + MINUTE)
    assert {organisation.value for organisation, _ in due} == {organisation for organisation, _ in kept}
    for organisation in own.gate.registry.organisations(AP):
        async with own.open(organisation, AP, Purpose.TRACE) as vault:
            assert len(await vault.waiting(10)) == 1


def seen_by(own: Installation) -> Superuser:
    return Superuser(own.provisioner.database.administrator())


async def test_a_move_back_and_out_again_changes_nothing(own: Installation) -> None:
    before = await content(own)
    await provisioned(own, Provisioner.move_back)
    administrator = seen_by(own)
    assert await content(own) == before
    assert places(administrator) == []
    assert administrator.rows("SELECT DISTINCT database FROM registry.registrations") == [(None,)]
    for organisation in own.gate.registry.organisations(MT):
        with (await vault_login(own, organisation, MT)).connect() as connection:
            assert connection.info.dbname == "postgres", "version 0.1 logs in to this database"
            assert connection.execute("SELECT count(*) FROM work").fetchone() == (2,)
    await provisioned(own, Provisioner.install)
    await assert_apart(own, before)


async def operator_log(own: Installation) -> list[LogEntry]:
    """Return the operator's log entries about moves."""
    return [one for one in await own.gate.read_operator_log() if one.event.startswith("org:database:")]


async def test_each_move_is_in_the_operators_log_with_its_organisation(own: Installation) -> None:
    before = len(await operator_log(own))
    await provisioned(own, Provisioner.move_back)
    await provisioned(own, Provisioner.install)
    await provisioned(own, Provisioner.install)
    organisations = sorted(one.value for one in own.gate.registry.organisations(MT))
    told = (await operator_log(own))[before:]
    assert sorted((one.event, one.ids["organisation"]) for one in told) == sorted(
        (event, organisation)
        for event in (VaultEvent.ORGANISATION_MOVED_BACK, VaultEvent.ORGANISATION_MOVED_OUT)
        for organisation in organisations
    )
    assert {(one.principal, one.purpose, one.ids["vaults"]) for one in told} == {
        ("worker:administrator", "maintain", "2")
    }


@whole
async def test_a_process_that_runs_follows_a_vault_into_the_other_database(own: Installation) -> None:
    """It holds sessions in the database that the vault leaves, and knows its login there."""
    (organisation, *_) = own.gate.registry.organisations(AP)
    for move in (Provisioner.move_back, Provisioner.install):
        async with own.open(organisation, AP) as vault:
            await vault.waiting(1)
        await provisioned(own, move)
        async with own.open(organisation, AP, Purpose.TRACE) as vault:
            assert len(await vault.waiting(10)) == 1


@pytest.mark.parametrize("step", sampled(OUT, every=8))
async def test_a_move_out_that_is_killed_goes_on(
    own: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = await content(own)
    await provisioned(own, Provisioner.move_back)
    told = len(await operator_log(own))
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            await provisioned(own, Provisioner.install)
    assert await content(own) == before
    decided = step == "it is committed"
    moved = [one.event for one in (await operator_log(own))[told:]]
    assert moved.count(VaultEvent.ORGANISATION_MOVED_OUT) == decided
    if step == "all is copied":
        (organisation, *_) = own.gate.registry.organisations(AP)
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            (await vault_login(own, organisation, AP)).connect()
    await provisioned(own, Provisioner.install)
    await assert_apart(own, before)


@pytest.mark.parametrize("step", sampled(BACK))
async def test_a_move_back_that_is_killed_can_be_done_again_or_undone(
    own: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = await content(own)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            await provisioned(own, Provisioner.move_back)
    assert await content(own) == before
    if step == "one vault is copied":
        await provisioned(own, Provisioner.move_back)
        assert await content(own) == before
    await provisioned(own, Provisioner.install)
    await assert_apart(own, before)


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from samdrift.vault import relocation
from samdrift.vault.provision import Provisioner
from tests.vaults import settings_in

really, left = relocation._copy_table, int(sys.argv[2])

async def copy_table(*arguments):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    await really(*arguments)

async def main():
    relocation._copy_table = copy_table
    provisioner = await Provisioner.connect(settings_in(Path(sys.argv[1])))
    await provisioner.install()

asyncio.run(main())
"""


@whole
async def test_a_process_that_is_killed_within_a_copy_leaves_the_vault_where_it_was(
    own: Installation,
) -> None:
    before = await content(own)
    await provisioned(own, Provisioner.move_back)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    folder = str(own.settings.secrets.parent)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, folder, "20", env=environment)
    assert await process.wait() == -signal.SIGKILL
    assert await content(own) == before
    await provisioned(own, Provisioner.install)
    await assert_apart(own, before)


async def test_what_does_not_arrive_as_it_was_is_not_moved(
    own: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await content(own)
    await provisioned(own, Provisioner.move_back)
    really = psycopg.AsyncCopy.write
    pieces = 0

    async def lossy(copy: psycopg.AsyncCopy, data: Any) -> None:
        """Drop the second row of each table."""
        nonlocal pieces
        pieces = 0 if bytes(data).startswith(b"PGCOPY") else pieces + 1
        if pieces != 2:
            await really(copy, data)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCopy, "write", lossy)
        with pytest.raises(MoveFailed):
            await provisioned(own, Provisioner.install)
    assert await content(own) == before
    assert seen_by(own).rows("SELECT DISTINCT database FROM registry.registrations") == [(None,)]
    await provisioned(own, Provisioner.install)
    await assert_apart(own, before)
