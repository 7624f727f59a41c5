"""The files of one vault: each opens as what it is, and as nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from tests.vaults import key_store

VAULT = "v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a vault's files, with three generations of its data key."""
    store = key_store(tmp_path / "keys")
    store.begin(VAULT)
    for _ in range(2):
        store.rotate_data_key(VAULT)
    return tmp_path / "keys" / VAULT / "0001"


@pytest.mark.parametrize(("one", "another"), [(1, 2), (2, 3), (1, 3), (3, 1)])
def test_a_data_key_opens_under_no_other_number(folder: Path, one: int, another: int) -> None:
    """Whoever knows an old data key puts it in the place of the newest, which seals what comes."""
    known, place = (folder / f"data-key-{number:04d}" for number in (one, another))
    place.write_bytes(known.read_bytes())
    with pytest.raises(KeyStoreError) as caught:
        key_store(folder.parents[1]).data_keys(VAULT)
    assert caught.value.fault is KeyFault.DAMAGED
