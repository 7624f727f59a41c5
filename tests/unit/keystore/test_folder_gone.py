"""A key store whose folder is gone, such as one that is not mounted: no writer creates it again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from samdrift.keystore import vaultfolder
from samdrift.keystore.keyfiles import KeyFault, KeyStoreAway
from samdrift.keystore.witness import MARK_BYTES, Witness, marks_folder, read_witness, write_witness


def test_a_vaults_folder_is_not_made_in_a_key_store_that_is_gone(tmp_path: Path) -> None:
    """Files in a new folder would be hidden and lost once the key store is back; the write is tried later."""
    store = tmp_path / "secrets"
    with pytest.raises(KeyStoreAway) as caught, vaultfolder.writing(store / "vault"):
        pass
    assert caught.value.fault is KeyFault.MISSING
    assert not store.exists()
    store.mkdir(0o700)
    with vaultfolder.writing(store / "vault"):
        pass
    assert (store / "vault").is_dir()


def test_a_mark_is_not_written_in_a_key_store_that_is_gone(tmp_path: Path) -> None:
    store, mark = tmp_path / "secrets", Witness(bytes(MARK_BYTES), datetime.now(UTC))
    with pytest.raises(KeyStoreAway) as caught:
        write_witness(marks_folder(store, "vault"), mark)
    assert caught.value.fault is KeyFault.MISSING
    assert caught.value.cause == f"{store}: there is no such folder"
    assert str(store) not in str(caught.value), (
        "the text must not name the path, as peers and clients may read it"
    )
    assert not store.exists()
    store.mkdir(0o700)
    write_witness(marks_folder(store, "vault"), mark)
    assert read_witness(marks_folder(store, "vault")) == mark
