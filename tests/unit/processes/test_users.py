"""Files of the Unix users of processes, and tricks that must not make root give them more."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.config.isolation import USERS, Isolation, IsolationConfig
from samdrift.config.toml import ConfigError
from samdrift.keystore.durablefiles import give_as
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.processes.child import UnixUser
from samdrift.processes.users import Users

FIRST = 320_000
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")


class Place:
    """A key store with a vault, and a neighbouring file of root's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.vault = self.made("vault")
        self.inner = self.vault / "0001"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.secret = self.elsewhere / "secret"
        self.secret.write_bytes(b"root's")
        self.objects = folder / "objects"
        self.objects.mkdir()
        self.users = self.started()

    def made(self, name: str) -> Path:
        """Make a vault as ``org add`` does."""
        inner = self.secrets / name / "0001"
        inner.mkdir(parents=True, mode=0o700)
        (inner / "secret").write_bytes(b"its own")
        return inner.parent

    def started(self) -> Users:
        places = {"secrets": self.secrets, "objects": self.objects}
        return Users(
            IsolationConfig(Isolation.PROCESS, first_user=FIRST), cast(Any, type("Vaults", (), places))
        )

    def user(self, vault: str = "vault") -> UnixUser:
        user = self.started().of_vault(vault, access_point=False)
        assert user is not None
        return user

    def lead_elsewhere(self) -> None:
        """Do what the vault's own user could while its folder was still its own."""
        self.inner.rename(self.vault / "away")
        self.inner.symlink_to(self.elsewhere)


def owned(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def test_the_user_of_a_vault_reads_its_keys_writes_none_and_owns_its_objects(tmp_path: Path) -> None:
    place = Place(tmp_path)
    user = place.user()
    keys = [place.vault, place.inner, place.inner / "secret"]
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o750, 0o750, 0o640]
    assert {owned(path) for path in keys} == {(0, user.user)}
    assert user.user in {user.group, *user.groups}
    assert owned(tmp_path / "objects" / "vault") == (user.user, user.group)
    assert place.user() == user


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Its file system may not be mounted, and every reader must find that it is gone."""
    place = Place(tmp_path)
    place.user()
    place.users.let_in(place.made("operator"))
    for folder in (place.objects, place.secrets):
        aside = folder.rename(tmp_path / "aside")
        with contextlib.suppress(FileNotFoundError):
            place.users.let_in(place.secrets / "operator")
        assert not folder.exists()
        aside.rename(folder)
    place.objects.rename(tmp_path / "aside")
    place.user()
    assert not place.objects.exists()


def test_keys_that_were_a_users_own_are_taken_from_it(tmp_path: Path) -> None:
    """An earlier version gave the user its keys; the number stays."""
    place = Place(tmp_path)
    for path in (place.vault, place.inner, place.inner / "secret"):
        os.chown(path, FIRST + 7, FIRST + 7)
    assert place.user().user == FIRST + 7
    assert owned(place.inner / "secret") == (0, FIRST + 7)
    place.made("another")
    assert place.user("another").user == FIRST + 8


def test_a_link_that_is_put_in_the_way_leads_root_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds in the middle of the work too, since a worker that was taken over may still run."""
    place = Place(tmp_path)
    chown = os.chown

    def meanwhile(*given: Any, **named: Any) -> None:
        if "dir_fd" in named and not place.inner.is_symlink():
            place.lead_elsewhere()
        chown(*given, **named)

    monkeypatch.setattr(os, "chown", meanwhile)
    place.user()
    assert place.inner.is_symlink()
    assert (owned(place.elsewhere), owned(place.secret)) == ((0, 0), (0, 0))


def test_a_link_in_place_of_keys_is_an_error_of_that_vault(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.lead_elsewhere()
    with pytest.raises(KeyStoreError):
        place.user()
    assert (owned(place.elsewhere), owned(place.secret)) == ((0, 0), (0, 0))
    place.made("another")
    assert place.user("another")


def test_the_objects_of_a_vault_are_given_once_whatever_its_user_puts_there(tmp_path: Path) -> None:
    """Thousands of nested folders and links are not looked at again."""
    place = Place(tmp_path)
    user, objects = place.user(), tmp_path / "objects" / "vault"
    (objects / "link").symlink_to(place.secret)
    descriptor = os.open(objects, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("x", dir_fd=descriptor)
        inner = os.open("x", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    assert place.user() == user
    assert owned(place.secret) == (0, 0)


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    """A closed organisation may have left files, or processes that still run."""
    place = Place(tmp_path)
    first = place.user().user
    shutil.rmtree(place.vault)
    shutil.rmtree(tmp_path / "objects" / "vault")
    place.made("vault")
    place.made("next")
    assert len({first, place.user("next").user, place.user().user}) == 3


def test_the_users_of_closed_vaults_are_known(tmp_path: Path) -> None:
    """It must be possible to end processes that they left running."""
    place = Place(tmp_path)
    closed = place.user()
    place.made("next")
    place.user("next")
    assert [user.user for user in place.users.closed(["next"])] == [closed.user]


def test_when_all_numbers_have_been_given_nobody_gets_another_ones(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.user()
    (place.secrets / "users" / f"{USERS - 1:04d}").write_text("closed long ago")
    place.made("next")
    with pytest.raises(ConfigError, match="are taken"):
        place.user("next")


def test_what_root_makes_is_given_to_nobody_over_a_link(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.user()
    place.lead_elsewhere()
    give_as(place.inner, place.vault)
    assert owned(place.elsewhere) == (0, 0)
