"""Start of use and revocation of keys, stored as names of files and decided by the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.keystore.states import KeyStates, opening, usable

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNING, ENCRYPTION = KeyName.SIGNING, KeyName.ENCRYPTION


@pytest.fixture
def states(tmp_path: Path) -> KeyStates:
    return KeyStates(tmp_path / "v1")


def test_without_a_decision_the_newest_key_is_used_at_once(states: KeyStates) -> None:
    assert usable([1, 2, 3], states.of(SIGNING), NOW) == (3, 2, 1)


def test_until_its_time_comes_the_former_key_goes_on(states: KeyStates) -> None:
    states.activate(SIGNING, 2, NOW + HOUR)
    assert usable([1, 2], states.of(SIGNING), NOW) == (1, 2)
    assert usable([1, 2], states.of(SIGNING), NOW + HOUR) == (2, 1)
    assert opening([1, 2], states.of(SIGNING)) == (2, 1), "a planned key must decrypt immediately"
    assert usable([1, 2], states.of(ENCRYPTION), NOW) == (2, 1), (
        "a decision must not apply to keys of another name"
    )


def test_another_time_replaces_the_one_before(states: KeyStates) -> None:
    states.activate(SIGNING, 2, NOW + 2 * HOUR)
    states.activate(SIGNING, 2, NOW - HOUR)
    assert usable([1, 2], states.of(SIGNING), NOW) == (2, 1)


def test_of_two_times_that_a_crash_left_the_later_one_counts(states: KeyStates, tmp_path: Path) -> None:
    states.activate(SIGNING, 2, NOW + HOUR)
    (tmp_path / "v1/states/signing-0002.from-20260302T110000Z").touch()
    assert usable([1, 2], states.of(SIGNING), NOW) == (1, 2)


def test_a_revoked_key_is_used_for_nothing_new_but_opens_what_comes(states: KeyStates) -> None:
    states.revoke(SIGNING, 2, "the laptop was stolen", NOW, compromised=False)
    assert usable([1, 2], states.of(SIGNING), NOW) == (1,)
    assert opening([1, 2], states.of(SIGNING)) == (2, 1)
    assert states.reason(SIGNING, 2) == "the laptop was stolen"


def test_a_compromised_key_opens_nothing_either(states: KeyStates) -> None:
    states.revoke(ENCRYPTION, 2, "seen elsewhere", NOW, compromised=True)
    assert opening([1, 2], states.of(ENCRYPTION)) == (1,)
    assert usable([1, 2], states.of(ENCRYPTION), NOW) == (1,)


def test_where_every_key_is_revoked_or_planned_none_is_used(states: KeyStates) -> None:
    states.revoke(SIGNING, 1, "", NOW, compromised=False)
    states.activate(SIGNING, 2, NOW + HOUR)
    with pytest.raises(KeyStoreError) as caught:
        usable([1, 2], states.of(SIGNING), NOW)
    assert caught.value.fault is KeyFault.MISSING


def test_nothing_stays_of_a_key_that_is_gone(states: KeyStates, tmp_path: Path) -> None:
    states.revoke(SIGNING, 1, "", NOW, compromised=True)
    states.activate(SIGNING, 1, NOW)
    states.activate(SIGNING, 2, NOW + HOUR)
    states.forget(SIGNING, 1)
    assert [path.name for path in (tmp_path / "v1/states").iterdir()] == [
        "signing-0002.from-20260302T130000Z"
    ]
