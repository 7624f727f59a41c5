"""The files of one vault: each opens only as what it is."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from samdrift.keystore.interface import PlatformLogin
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from tests.vaults import key_store

VAULT = "v1"
FIRST = date(2026, 3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a vault's files, with three generations of its data key."""
    store = key_store(tmp_path / "keys")
    store.begin(VAULT)
    for _ in range(2):
        store.rotate_data_key(VAULT)
    return tmp_path / "keys" / VAULT / "0001"


@pytest.mark.parametrize(("one", "another"), [(1, 2), (2, 3), (1, 3), (3, 1)])
def test_a_data_key_opens_under_no_other_number(folder: Path, one: int, another: int) -> None:
    """An attacker who knows an old data key could put it in place of the newest, which seals new content."""
    known, place = (folder / f"data-key-{number:04d}" for number in (one, another))
    place.write_bytes(known.read_bytes())
    with pytest.raises(KeyStoreError) as caught:
        key_store(folder.parents[1]).data_keys(VAULT)
    assert caught.value.fault is KeyFault.DAMAGED


def test_an_older_token_key_stays_two_days_after_the_newest_was_made(tmp_path: Path) -> None:
    """Another process may still sign with it, and its signatures have to be verified."""
    store = key_store(tmp_path / "keys")
    store.begin(VAULT)
    (old,) = store.token_keys(VAULT, FIRST)
    renewed = FIRST + timedelta(days=90)
    new, kept = store.token_keys(VAULT, renewed)
    assert kept.public == old.public != new.public
    assert len(store.token_keys(VAULT, renewed + timedelta(days=1))) == 2
    (left,) = store.token_keys(VAULT, renewed + timedelta(days=2))
    assert left.public == new.public


def test_a_vault_that_is_locked_anew_signs_access_tokens_with_another_key(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    store.begin(VAULT)
    (old,) = store.token_keys(VAULT, FIRST)
    store.relock(VAULT, b"the officer's own words")
    assert old.public not in [key.public for key in store.token_keys(VAULT, FIRST)]


def test_a_key_that_waits_for_its_certificate_is_wrapped_anew_as_nothing_but_a_key(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    request = store.create_key(VAULT, KeyName.SIGNING, x509.Name([]), 2048)
    store.rewrap(VAULT)
    (file,) = (tmp_path / "keys" / VAULT).glob("*/signing-0001.key")
    assert file.read_bytes().endswith(b"-----END ENCRYPTED PRIVATE KEY-----\n")
    assert file.read_bytes().count(b"\n\n") == 0
    assert x509.load_pem_x509_csr(request).is_signature_valid


def test_the_password_of_a_login_without_a_vault_is_made_once_and_kept(tmp_path: Path) -> None:
    store, login = key_store(tmp_path / "keys"), PlatformLogin.REGISTRY
    assert store.login_passwords(login) == ()
    made = store.login_password(login)
    assert store.login_password(login) == made == key_store(tmp_path / "keys").login_password(login)
    store.keep_login_password(login, "another")
    assert store.login_passwords(login) == ("another", made)
