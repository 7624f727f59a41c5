"""Sealed values: bound to vault and place, unreadable without the key, and findable by a keyed mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.vault.errors import SealBroken
from samdrift.vault.sealing import Sealer

KEY = bytes(range(32))
SEALER = Sealer("v1", KEY)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_opens_in_its_place(value: bytes, place: str) -> None:
    assert SEALER.open(SEALER.seal(value, place), place) == value


@pytest.mark.parametrize(
    "sealer",
    [Sealer("v2", KEY), Sealer("v1", bytes(32))],
    ids=["another vault with the same key", "another key"],
)
def test_a_sealed_value_opens_in_no_other_vault(sealer: Sealer) -> None:
    with pytest.raises(SealBroken):
        sealer.open(SEALER.seal(b"Orosanm\xe4lan", "message in 1"), "message in 1")


def test_a_sealed_value_opens_in_no_other_place() -> None:
    with pytest.raises(SealBroken):
        SEALER.open(SEALER.seal(b"value", "message in 1"), "message in 2")


def test_vault_and_place_cannot_be_shifted_into_each_other() -> None:
    assert Sealer("v", KEY).context("1place") != Sealer("v1", KEY).context("place")


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
    assert SEALER.mark("inkorg01") != Sealer("v2", bytes(32)).mark("inkorg01")


def test_each_use_has_a_key_of_its_own() -> None:
    assert len({SEALER.bodies, KEY, SEALER.mark("")}) == 3
