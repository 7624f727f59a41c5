"""An operator's earlier copy of the key store opens nothing that arrives after `org lock`.

An operator who copied key store, seals and passphrase while the vaults could be opened has the data keys
of that time, the password of the database login, and the private keys.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from samdrift.cli.org.events import OrgEvent
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.interface import DataKeys
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.vault.errors import SealBroken
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import LOGIN_SECRET
from samdrift.vault.sealing import Sealer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.pki import name
from tests.secretfiles import secret_file
from tests.separation.vaultlogin import VaultLogin, superuser, vault_login
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import CHEAP, WORKER, Installation, body, message

MT = Role.MESSAGE_SERVICE
OFFICER = "what the officer alone knows"


@dataclass(frozen=True)
class Copy:
    """The operator's earlier copy, opened at that time."""

    keys: DataKeys
    login: VaultLogin
    token_keys: set[int]


async def copied(installation: Installation, organisation: ParticipantIdentifier, folder: Path) -> Copy:
    """Copy key store and seals, and open them while that is possible."""
    settings = installation.settings
    for place, copy in ((settings.secrets, "secrets"), (settings.seals, "seals")):
        shutil.copytree(place, folder / copy)
    unlocker = RootUnlocker(folder / "secrets", folder / "seals", settings.passphrase, cost=CHEAP)
    login = await vault_login(installation, organisation, MT)
    store = SoftwareKeyStore(folder / "secrets", unlocker)
    tokens = {
        key.public.public_numbers().x
        for key in open_keys(settings).token_keys(login.vault, datetime.now(UTC).date())
    }
    return Copy(store.data_keys(login.vault), login, tokens)


async def locked(installation: Installation, organisation: ParticipantIdentifier, folder: Path) -> Ended:
    """Run the command `org lock`."""
    settings = installation.settings
    secret_file(folder / "passphrase", settings.passphrase)
    secret_file(folder / "officer", OFFICER)
    text = GOOD.partition("[[organisations]]")[0]
    for key, was, place in (
        ("database", "postgresql://db.example/samdrift", settings.database),
        ("objects", "objects", settings.objects),
        ("secrets", "secrets", settings.secrets),
    ):
        text = text.replace(f'{key} = "{was}"', f'{key} = "{place}"')
    config = write(folder, text.replace("[vaults]", f'[vaults]\nseals = "{settings.seals}"'))
    command = ("org", "lock", organisation.value, "--passphrase-file", folder / "officer", "--config", config)
    return await asyncio.to_thread(in_process, *command)


async def test_what_arrives_after_the_lock_opens_with_no_earlier_copy(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    before = await copied(installation, organisation, tmp_path / "copy")
    administrator = await superuser(installation)
    vault = before.login.vault
    ended = await locked(installation, organisation, tmp_path)
    assert ended.status == 0, ended.complaints

    store = open_keys(installation.settings)
    store.unlock(vault, OFFICER.encode())
    gate = await Gate.start(installation.settings, keys=store)
    record = message()
    try:
        async with gate.open(WORKER, organisation, MT, Purpose.PROCESS) as opened:
            await opened.create_outgoing(record, await body(opened), now=record.created_at, lease=None)
            events = [entry.event for entry in await opened.log()]
    finally:
        await gate.close()
    assert {OrgEvent.VAULT_LOCK_CHANGED, OrgEvent.VAULT_LOGIN_ROTATED} <= set(events)

    ((details, sealed),) = administrator.rows(
        f"SELECT m.details, b.sealed FROM {before.login.schema}.messages m"
        f" JOIN {before.login.schema}.bodies b ON b.id = m.body WHERE m.id = %s",
        record.id,
    )
    ((secret,),) = administrator.rows("SELECT secret FROM registry.registrations WHERE vault = %s", vault)
    known = {generation.number for generation in before.keys.generations}
    for stored in (details, sealed, secret):
        assert int.from_bytes(stored[:2], "big") not in known, (
            "sealed with a key generation that the copy has"
        )
    with pytest.raises(SealBroken):
        Sealer(vault, before.keys).open(secret, LOGIN_SECRET)
    assert not opens(before.login)
    today = datetime.now(UTC).date()
    assert not before.token_keys & {key.public.public_numbers().x for key in store.token_keys(vault, today)}


def opens(login: VaultLogin) -> bool:
    try:
        login.connect().close()
    except psycopg.OperationalError:
        return False
    return True


async def test_the_private_keys_that_an_earlier_copy_has_are_named(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    registration = installation.gate.registry.find(organisation, MT)
    assert registration is not None
    store = open_keys(installation.settings)
    for kind in (KeyName.SIGNING, KeyName.ENCRYPTION):
        store.create_key(registration.vault, kind, name("Habo kommun"), bits=2048)
    ended = await locked(installation, organisation, tmp_path)
    assert "older than this lock, and so in copies from before it, are these private keys:" in ended.output
    assert "  mt: signing 1\n" in ended.output
    assert "  mt: encryption 1\n" in ended.output


async def test_the_database_of_then_is_not_reached_either(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    """The password is refused, and the session that the copy's holder has open is ended."""
    before = await copied(installation, organisation, tmp_path / "copy")
    with before.login.connect() as stays:
        assert (await locked(installation, organisation, tmp_path)).status == 0
        with pytest.raises(psycopg.OperationalError):
            stays.execute(b"SELECT 1")
