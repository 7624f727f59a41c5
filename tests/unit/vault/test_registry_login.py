"""The registry's login, which every process has, gets another password without disturbance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from samdrift.contracts.principals import Role
from samdrift.keystore.interface import PlatformLogin
from samdrift.vault import logins
from samdrift.vault.crossing import Crossings
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Session
from samdrift.vault.errors import LoginRefused, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import registry_login, superuser
from tests.sizes import whole
from tests.vaults import Installation, until

AP = Role.ACCESS_POINT
ROLES = (AP,)


@whole
async def test_whoever_logs_in_as_the_registry_comes_again_while_its_password_changes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Examples are the operator's log, reading the registry, the isolation check, and starting processes."""
    before = await registry_login(installation)
    settings = replace(installation.settings, idle=timedelta(0))
    keys = open_keys(settings)
    gate, over = await Gate.start(settings, keys=keys), asyncio.Event()

    async def repeated(once: Callable[[], Awaitable[object]]) -> int:
        done = 0
        while not over.is_set():
            try:
                await once()
            except LoginRefused:
                raise
            except VaultUnavailable:  # The change has ended its session; repeat.
                continue
            done += 1
        return done

    async def a_start() -> None:
        await (await Gate.start(settings, keys=keys)).close()

    async with Crossings.of(settings, keys) as crossings:
        everything: tuple[Callable[[], Awaitable[object]], ...] = (
            gate.read_operator_log,
            gate._wakeups.look_again,
            partial(crossings.find, organisation, AP),
            a_start,
        )
        busy = [asyncio.create_task(repeated(once)) for once in everything]
        for _ in range(20):
            await installation.provisioner.rotate_registry()
        over.set()
        assert all(await asyncio.gather(*busy))
    await gate.close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(before)
    psycopg.connect(await registry_login(installation)).close()


async def test_who_hears_the_news_comes_back_with_the_registrys_new_password(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gate = await Gate.start(installation.settings)
    try:
        heard = gate._wakeups._session
        assert heard is not None
        await installation.provisioner.rotate_registry()
        (await superuser(installation)).rows("SELECT pg_terminate_backend(%s)", heard.backend)
        await until(lambda: gate._wakeups._session not in (None, heard))
        added = await installation.organisation()
        await until(lambda: gate.registry.serves(added, AP))
    finally:
        await gate.close()


@pytest.mark.parametrize("already_set", [False, True], ids=["before it is set", "before it is committed"])
async def test_an_interrupted_change_of_the_registrys_password_locks_nobody_out(
    installation: Installation, already_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, set_password = await registry_login(installation), logins.set_password

    async def stop(*given: Any) -> None:
        if already_set:
            await set_password(*given)
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(logins, "set_password", stop)
        with pytest.raises(OSError, match="power cut"):
            await installation.provisioner.rotate_registry()
    assert await registry_login(installation) != before, "the new password must have been stored"
    psycopg.connect(before).close()
    gate = await Gate.start(replace(installation.settings, idle=timedelta(0)))
    try:
        await gate.read_operator_log()
        await installation.provisioner.rotate_registry()
        await gate.read_operator_log()
    finally:
        await gate.close()
    psycopg.connect(await registry_login(installation)).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(before)


class Changing:
    """A key store and a server whose passwords change after a number of attempts to log in."""

    def __init__(self, *changes: tuple[int, tuple[str, ...], str]) -> None:
        self._changes = list(changes)
        self._opens = ""
        self._kept: tuple[str, ...] = ()
        self.tried: list[str] = []
        self._now()

    def _now(self) -> None:
        while self._changes and self._changes[0][0] <= len(self.tried):
            _, self._kept, self._opens = self._changes.pop(0)

    def login_passwords(self, login: PlatformLogin) -> tuple[str, ...]:
        return self._kept

    async def connect(self, address: str) -> str:
        if conninfo_to_dict(address)["dbname"] != "samdrift":
            raise VaultUnavailable  # The gate of other tests reconnects by this, too.
        self.tried.append(str(conninfo_to_dict(address)["password"]))
        opened = self.tried[-1] == self._opens
        self._now()
        if not opened:
            raise LoginRefused
        return "a session"


@pytest.mark.parametrize(
    ("changes", "tried"),
    [
        (((0, ("new", "old"), "new"),), ["new"]),
        (((0, ("new", "old"), "old"),), ["new", "old"]),
        (((0, ("new", "old"), "old"), (1, ("new", "old"), "new")), ["new", "old", "new"]),
        (
            ((0, ("b", "a"), "a"), (1, ("b", "a"), "b"), (2, ("c", "b", "a"), "c")),
            ["b", "a", "b", "c"],
        ),
    ],
    ids=["done", "kept", "set meanwhile", "changed twice"],
)
async def test_whichever_password_opens_is_found(
    changes: tuple[Any, ...], tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = Changing(*changes)
    monkeypatch.setattr(Session, "connect", changing.connect)
    database = Database("dbname=samdrift", cast(Any, changing), Path(), None)
    assert await database.registry_session() == cast(Any, "a session")
    assert changing.tried == tried


async def test_when_none_opens_it_is_said_and_a_server_that_is_away_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changing = Changing((0, ("b", "a"), ""))
    database = Database("dbname=samdrift", cast(Any, changing), Path(), None)
    monkeypatch.setattr(Session, "connect", changing.connect)
    with pytest.raises(LoginRefused):
        await database.registry_session()
    asked: list[str] = []

    async def away(address: str) -> None:
        if conninfo_to_dict(address)["dbname"] == "samdrift":
            asked.append(address)
        raise VaultUnavailable

    monkeypatch.setattr(Session, "connect", away)
    with pytest.raises(VaultUnavailable):
        await database.registry_session()
    assert len(asked) == 1
