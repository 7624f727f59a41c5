"""What belongs to the Unix users of processes, and what they cannot have root give them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.app.isolated.users import Users
from samdrift.app.isolation import Isolation, IsolationConfig
from samdrift.vault.files import give_as

FIRST = 320_000
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")


class Place:
    """A key store with one vault, and something beside it that is root's."""

    def __init__(self, folder: Path) -> None:
        self.vault = folder / "secrets" / "vault"
        self.inner = self.vault / "0001"
        self.inner.mkdir(parents=True)
        (self.inner / "key").write_bytes(b"its own")
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.secret = self.elsewhere / "key"
        self.secret.write_bytes(b"root's")
        vaults = cast(Any, type("Vaults", (), {"secrets": folder / "secrets", "objects": folder / "objects"}))
        self.users = Users(IsolationConfig(Isolation.PROCESS, first_user=FIRST), vaults)

    def lead_elsewhere(self) -> None:
        """Do what the vault's own user can, at any moment."""
        self.inner.rename(self.vault / "away")
        self.inner.symlink_to(self.elsewhere)


def test_everything_in_the_folder_of_a_vault_belongs_to_its_user(tmp_path: Path) -> None:
    place = Place(tmp_path)
    user = place.users.of_vault("vault", access_point=False)
    assert user is not None
    owned = [place.vault, place.inner, place.inner / "key", tmp_path / "objects" / "vault"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in owned} == {(user.user, user.group)}
    assert place.users.of_vault("vault", access_point=False) == user


def test_a_link_that_is_put_in_the_way_leads_root_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of it: who has been taken over may still have a process that runs."""
    place = Place(tmp_path)
    calls, chown = 0, os.chown

    def meanwhile(*given: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        chown(*given, **named)
        if calls == 2:
            place.lead_elsewhere()

    monkeypatch.setattr(os, "chown", meanwhile)
    place.users.of_vault("vault", access_point=False)
    assert calls > 2
    assert place.inner.is_symlink()
    assert (place.elsewhere.stat().st_uid, place.secret.stat().st_uid) == (0, 0)


def test_what_root_makes_is_given_to_nobody_over_a_link(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.users.of_vault("vault", access_point=False)
    place.lead_elsewhere()
    give_as(place.inner, place.vault)
    assert place.elsewhere.stat().st_uid == 0
