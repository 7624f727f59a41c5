"""Passwords of logins that belong to no vault are kept like keys, and never in a clear file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from samdrift.keystore import vaultfolder
from samdrift.keystore.interface import PlatformLogin
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import HandedUnlocker
from samdrift.vault.database.server import Database
from samdrift.vault.openkeys import open_keys
from samdrift.vault.settings import VaultSettings
from tests.vaults import Installation, key_store, settings_in

ADMINISTRATOR, REGISTRY = PlatformLogin.ADMINISTRATOR, PlatformLogin.REGISTRY


def elsewhere(folder: Path) -> VaultSettings:
    return replace(settings_in(folder), database="postgresql://samdrift@127.0.0.1/samdrift")


async def test_no_file_of_an_installation_has_a_password_in_clear(installation: Installation) -> None:
    keys = open_keys(installation.settings)
    passwords = [keys.login_password(login).encode() for login in PlatformLogin]
    assert len(set(passwords)) == 2
    for folder in (installation.settings.secrets, installation.settings.seals):
        for file in (path for path in folder.rglob("*") if path.is_file()):
            assert not [password for password in passwords if password in file.read_bytes()], file


def test_a_password_is_made_once_and_stays(tmp_path: Path) -> None:
    one, other = key_store(tmp_path / "keys"), key_store(tmp_path / "keys")
    assert one.login_passwords(REGISTRY) == ()
    made = one.login_password(REGISTRY)
    assert (other.login_password(REGISTRY), other.login_passwords(REGISTRY)) == (made, (made,))
    one.rewrap(REGISTRY)
    assert key_store(tmp_path / "keys").login_password(REGISTRY) == made
    one.keep_login_password(REGISTRY, "a newer one")
    assert other.login_passwords(REGISTRY) == ("a newer one", made)


def test_who_is_handed_the_registrys_key_has_not_the_administrators(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    made = [store.login_password(login) for login in (ADMINISTRATOR, REGISTRY)]
    child = SoftwareKeyStore(tmp_path / "keys", HandedUnlocker({REGISTRY: store.unlock_key(REGISTRY)}))
    assert child.login_password(REGISTRY) == made[1]
    with pytest.raises(KeyStoreError) as caught:
        child.login_password(ADMINISTRATOR)
    assert caught.value.fault is KeyFault.LOCKED


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640)], ids=["owner", "group"])
def test_a_new_password_can_be_read_at_once_by_whom_its_folder_is_open_to(
    folder: int, file: int, tmp_path: Path
) -> None:
    """At isolation level ``process`` the reader is a group of the workers."""
    store = key_store(tmp_path / "keys")
    store.login_password(REGISTRY)
    counts = vaultfolder.current(tmp_path / "keys" / REGISTRY)
    assert counts is not None
    counts.chmod(folder)
    store.keep_login_password(REGISTRY, "a newer one")
    assert (counts / "password-0002").stat().st_mode & 0o777 == file


async def test_a_password_for_the_operators_own_cluster_is_handed_in_and_taken_away(tmp_path: Path) -> None:
    settings = elsewhere(tmp_path)
    handed_in = settings.secrets / "administrator"
    handed_in.write_text("of the cluster\n")
    database = await Database.start(settings)
    for _ in range(2):
        assert conninfo_to_dict(database.administrator())["password"] == "of the cluster"
        assert not handed_in.exists()


async def test_without_one_the_login_to_an_own_cluster_is_the_operators_affair(tmp_path: Path) -> None:
    database = await Database.start(elsewhere(tmp_path))
    assert "password" not in conninfo_to_dict(database.administrator())
