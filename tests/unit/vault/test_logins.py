"""Passwords of the vaults' logins change while everything runs, completely or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from samdrift.audit.entries import Happening
from samdrift.cli.org.events import OrgEvent
from samdrift.contracts.principals import Purpose, Role
from samdrift.vault import logins
from samdrift.vault.errors import LoginRefused, UnknownRecord, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import ELSEWHERE, NOW, WORKER, Installation, submitted

ROTATED = Happening(NOW, OrgEvent.VAULT_LOGIN_ROTATED, "worker:administrator", Purpose.MAINTAIN, {})
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)


async def test_the_old_password_opens_nothing_more_and_the_new_one_does(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    before = await vault_login(installation, organisation, AP)
    other = await vault_login(installation, organisation, MT)
    with before.connect() as lives_on:
        await installation.provisioner.rotate_login(organisation, AP)
        with pytest.raises(psycopg.OperationalError):
            before.connect()
        with pytest.raises(psycopg.OperationalError):
            lives_on.execute("SELECT 1")
    after = await vault_login(installation, organisation, AP)
    assert after.login != before.login, "a holder of the former login could change its password"
    after.connect().close()
    assert await vault_login(installation, organisation, MT) == other


async def test_what_was_opened_before_connects_with_the_password_of_now(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The news that a password has changed comes later than the change."""
    async with installation.open(organisation, AP) as vault:
        await installation.provisioner.rotate_login(organisation, AP)
        await submitted(vault)
    async with installation.open(organisation, AP) as vault:
        assert len(await vault.log()) == 2


async def test_openings_come_again_and_lose_nothing_while_passwords_change(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The process keeps no connection, so that every opening needs the password.

    Each change ends the sessions, so that work in progress may have to be repeated.
    """
    gate = await Gate.start(replace(installation.settings, idle=timedelta(0)))
    over = asyncio.Event()

    async def traffic() -> int:
        done = 0
        while not over.is_set():
            try:
                async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
                    await submitted(vault)
            except LoginRefused:
                raise
            except VaultUnavailable:
                continue
            done += 1
        return done

    try:
        busy = [asyncio.create_task(traffic()) for _ in range(4)]
        for _ in range(20):
            await installation.provisioner.rotate_login(organisation, AP)
        over.set()
        done = sum(await asyncio.gather(*busy))
    finally:
        await gate.close()
    async with installation.open(organisation, AP) as vault:
        assert len(await vault.log(limit=10_000)) >= done > 0


async def test_an_interrupted_change_leaves_the_password_that_was(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await vault_login(installation, organisation, AP)

    async def stop(provisioner: Provisioner, *_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(Provisioner, "_note", stop)
        with pytest.raises(OSError, match="power cut"):
            await installation.provisioner.rotate_login(organisation, AP, ROTATED)
    assert await told(installation, organisation) == 0
    assert await vault_login(installation, organisation, AP) == before
    before.connect().close()


async def test_the_administrators_password_changes_too_and_an_interrupted_change_locks_nobody_out(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await superuser(installation)).address
    assert await installation.provisioner.rotate_administrator()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(before)

    async def stop(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(logins, "set_password", stop)
        with pytest.raises(OSError, match="power cut"):
            await installation.provisioner.rotate_administrator()
    later = await Provisioner.connect(installation.settings)
    try:
        await later.rotate_administrator()
    finally:
        await later.close()
    assert (await superuser(installation)).rows("SELECT 1") == [(1,)]


async def test_a_change_is_in_the_log_with_it_also_of_one_who_stands_still(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await installation.provisioner.set_state(organisation, AP, RegistrationState.SUSPENDED)
    await installation.provisioner.rotate_login(organisation, AP, ROTATED)
    assert await told(installation, organisation) == 1


async def told(installation: Installation, organisation: ParticipantIdentifier) -> int:
    """Return the number of entries in the organisation's log about a new password of its login."""
    async with installation.open(organisation, AP, Purpose.EXPORT) as vault:
        return [entry.event for entry in await vault.log()].count(OrgEvent.VAULT_LOGIN_ROTATED)


async def test_two_that_replace_logins_at_once_do_not_disturb_each_other(installation: Installation) -> None:
    """One is the command, the other the supervisor that gives workers their next login."""
    organisations = [await installation.organisation([AP]) for _ in range(3)]
    vaults = [one.vault for one in installation.gate.registry.all() if one.organisation in organisations]
    other = await Provisioner.connect(installation.settings)

    async def renew() -> None:
        for vault in vaults * 4:
            await other.new_reader(vault)

    renewing = asyncio.create_task(renew())
    try:
        while not renewing.done():
            await installation.provisioner.end_readers()
            await installation.provisioner.rotate_login(organisations[0], AP)
        await renewing
    finally:
        renewing.cancel()
        await other.close()
    async with installation.open(organisations[0], AP) as vault:
        await submitted(vault)


async def test_who_has_no_vault_has_no_login(installation: Installation) -> None:
    with pytest.raises(UnknownRecord):
        await installation.provisioner.rotate_login(ELSEWHERE, AP)


async def test_installing_again_gives_older_logins_the_limits_of_today(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    login = await vault_login(installation, organisation, AP)
    administrator = await superuser(installation)

    def limit() -> object:
        with login.connect() as connection:
            return connection.execute("SELECT current_setting('temp_file_limit')").fetchone()

    administrator.rows(f"ALTER ROLE {login.login} RESET temp_file_limit")
    assert limit() == ("-1",)
    await installation.provisioner.install()
    assert limit() == ("256MB",)
