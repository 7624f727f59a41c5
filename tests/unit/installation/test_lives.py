"""A process lives as long as it holds its file, so that a later process knows which ones have ended."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.config.model import Config, Environment, FederationConfig, SocketAddress, VaultConfig
from samdrift.config.roles import AccessPointConfig
from samdrift.installation.lives import Life, Lives, living

_HOLDS = "import sys; sys.stdin.read()"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    vaults = VaultConfig(
        tmp_path / "database", tmp_path / "objects", tmp_path / "secrets", tmp_path / "seals"
    )
    return Config(
        Environment.TEST, FederationConfig("test", "sml.test", tmp_path), vaults, tmp_path / "issuers", ()
    )


def inherited(life: Life) -> subprocess.Popen[bytes]:
    """Start a process that has the file open; ours is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS], stdin=subprocess.PIPE, pass_fds=(life.fileno(),)
    )
    life.close()
    return process


def test_whoever_has_the_file_open_lives_and_has_ended_when_it_is_killed(config: Config) -> None:
    lives = Lives(config)
    life = lives.begin()
    process = inherited(life)
    assert lives.ended() == frozenset()
    process.kill()
    process.communicate()
    assert lives.ended() == {life.name}


def test_one_that_ends_by_itself_has_ended_too(config: Config) -> None:
    with living(config) as first:
        assert first.ended == frozenset()
        with living(config) as second:
            assert second.ended == frozenset(), "the first process is still alive"
    with living(config) as third:
        assert third.ended == {first.name, second.name}


def test_those_who_look_at_the_same_time_find_the_same(config: Config) -> None:
    """One process that looks does not hide from another that the owner has ended."""
    lives = Lives(config)
    life = lives.begin()
    life.close()
    (file,) = (config.vaults.secrets / ".lives").iterdir()
    looking = Life("another that looks", file.open("rb"))
    fcntl.flock(looking.file, fcntl.LOCK_SH)
    assert lives.ended() == {life.name}
    looking.close()


def test_an_ended_process_is_remembered_by_every_start_until_no_claim_of_it_can_last(config: Config) -> None:
    lives = Lives(config)
    life = lives.begin()
    life.close()
    assert lives.ended() == Lives(config).ended() == {life.name}
    (file,) = (config.vaults.secrets / ".lives").iterdir()
    long_ago = time.time() - 3600
    os.utime(file, (long_ago, long_ago))
    assert lives.ended() == frozenset()
    assert [*file.parent.iterdir()] == []


def test_one_that_began_long_ago_is_remembered_from_its_end_on(config: Config) -> None:
    lives = Lives(config)
    life = lives.begin()
    (file,) = (config.vaults.secrets / ".lives").iterdir()
    os.utime(file, (0, 0))
    life.close()
    assert lives.ended() == {life.name}


def test_a_lease_that_is_configured_longer_is_remembered_longer(config: Config) -> None:
    nowhere = SocketAddress("127.0.0.1", 0)
    own = AccessPointConfig("AP", "ap.test", nowhere, nowhere, lease_seconds=7200)
    lives = Lives(replace(config, access_point=own))
    life = lives.begin()
    life.close()
    assert lives.ended() == {life.name}
    (file,) = (config.vaults.secrets / ".lives").iterdir()
    long_ago = time.time() - 3600
    os.utime(file, (long_ago, long_ago))
    assert lives.ended() == {life.name}


def test_a_process_for_one_vault_has_left_nothing_in_another(config: Config) -> None:
    lives = Lives(config)
    of_one, of_all = lives.begin("v1"), lives.begin()
    of_one.close()
    of_all.close()
    assert lives.ended("v1") == lives.ended() == {of_one.name, of_all.name}
    assert lives.ended("v2") == {of_all.name}


def test_a_start_that_was_cut_short_leaves_no_file_for_ever(config: Config) -> None:
    folder = config.vaults.secrets / ".lives"
    folder.mkdir(parents=True)
    draft = folder / ".0123"
    draft.touch()
    os.utime(draft, (0, 0))
    assert Lives(config).ended() == frozenset()
    assert not draft.exists()
