"""Sealed values: bound to vault and place, unreadable without the key, and found by a keyed mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.keystore.interface import DataKey, DataKeys
from samdrift.vault.errors import SealBroken
from samdrift.vault.sealing import Sealer

KEYS = DataKeys((DataKey(1, bytes(range(32))),))
SEALER = Sealer("v1", KEYS)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_opens_in_its_place(value: bytes, place: str) -> None:
    assert SEALER.open(SEALER.seal(value, place), place) == value


@pytest.mark.parametrize(
    "sealer",
    [Sealer("v2", KEYS), Sealer("v1", DataKeys((DataKey(1, bytes(32)),)))],
    ids=["another vault with the same key", "another key"],
)
def test_a_sealed_value_opens_in_no_other_vault(sealer: Sealer) -> None:
    with pytest.raises(SealBroken):
        sealer.open(SEALER.seal(b"Orosanm\xe4lan", "message in 1"), "message in 1")


def test_a_sealed_value_opens_in_no_other_place() -> None:
    with pytest.raises(SealBroken):
        SEALER.open(SEALER.seal(b"value", "message in 1"), "message in 2")


def test_vault_and_place_cannot_be_shifted_into_each_other() -> None:
    assert Sealer("v", KEYS).context("1place") != Sealer("v1", KEYS).context("place")


@given(st.integers(0, 44), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, change: int) -> None:
    sealed = bytearray(SEALER.seal(b"value", "place"))
    sealed[position] ^= change
    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed), "place")


@given(st.binary(max_size=60))
def test_garbage_is_a_typed_error(garbage: bytes) -> None:
    with pytest.raises(SealBroken):
        SEALER.open(garbage, "place")


def test_equal_values_are_sealed_differently_and_marked_alike_within_a_vault_only() -> None:
    assert SEALER.seal(b"value", "place") != SEALER.seal(b"value", "place")
    assert SEALER.mark("inkorg01") == SEALER.mark("inkorg01") != SEALER.mark("inkorg02")
    assert SEALER.mark("inkorg01") != Sealer("v2", DataKeys((DataKey(1, bytes(32)),))).mark("inkorg01")


def test_each_use_has_a_key_of_its_own() -> None:
    assert len({SEALER.newest.bodies, SEALER.newest.values, KEYS.newest.key, SEALER.mark("")}) == 4


def generations(*numbers: int) -> DataKeys:
    return DataKeys(tuple(DataKey(number, bytes([number]) * 32) for number in numbers))


def test_what_an_older_generation_sealed_still_opens_and_new_values_are_sealed_by_the_newest() -> None:
    old, new = Sealer("v1", generations(1)), Sealer("v1", generations(2, 1))
    assert new.open(old.seal(b"value", "place"), "place") == b"value"
    sealed = new.seal(b"value", "place")
    with pytest.raises(SealBroken):
        old.open(sealed, "place")
    with pytest.raises(SealBroken):
        Sealer("v1", generations(1)).open(b"\x00\x01" + sealed[2:], "place")
    assert new.mark("inkorg01") == old.mark("inkorg01")


def test_a_generation_that_came_meanwhile_is_asked_for_and_used_from_then_on() -> None:
    running = Sealer("v1", generations(1), lambda: generations(2, 1))
    sealed = Sealer("v1", generations(2, 1)).seal(b"value", "place")
    assert running.seal(b"x", "place").startswith(b"\x00\x01")
    assert running.open(sealed, "place") == b"value"
    assert running.seal(b"x", "place").startswith(b"\x00\x02")
    with pytest.raises(SealBroken):
        running.open(b"\x00\x03" + sealed[2:], "place")
