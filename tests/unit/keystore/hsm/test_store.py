"""A key store in which some organisations have a token and others do not, against SoftHSM."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.hsm.unlocking import HsmUnlocker
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.keystore.unlocking import HandedUnlocker
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.softhsm import PIN, SoftHsm, requires_softhsm
from tests.unit.keystore.hsm.test_module import count, expect
from tests.unit.keystore.test_software import SUBJECT, issue
from tests.vaults import CHEAP

pytestmark = requires_softhsm

HABO = ParticipantIdentifier("0203:habo.se")
MULLSJO = ParticipantIdentifier("0203:mullsjo.se")
SESSION_KEY = bytes(32)


class Site:
    """A key store's folder and an organisation's token, which can be opened any number of times."""

    def __init__(self, hsm: SoftHsm, folder: Path) -> None:
        self.hsm = hsm
        self.folder = folder
        self.label = hsm.unused()
        self.pin_file: Path | None = hsm.pin_file()

    def open(self, *, folder: Path | None = None, configured: bool = True) -> HsmKeyStore:
        """Return the store as another process has it."""
        access = {HABO: HsmAccess(self.label, self.pin_file)} if configured else {}
        tokens = Hsm(HsmSettings(self.hsm.library, access))
        at, seals = folder or self.folder / "keys", self.folder / "seals"
        return HsmKeyStore(at, HsmUnlocker(at, seals, b"open sesame", tokens, cost=CHEAP), tokens)

    def objects(self, vault: str) -> int:
        """Return the number of objects in the token that belong to a vault."""
        return count(self.hsm.token(self.label), vault)


@pytest.fixture
def site(hsm: SoftHsm, tmp_path: Path) -> Site:
    return Site(hsm, tmp_path)


@pytest.fixture(scope="module")
def used(hsm: SoftHsm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, HsmKeyStore]:
    """Return a store that several tests share, with vault ``a1`` in a token."""
    site = Site(hsm, tmp_path_factory.mktemp("used"))
    store = site.open()
    store.begin("a1", HABO)
    return site, store


def add(store: HsmKeyStore, vault: str, name: str = KeyName.SIGNING) -> x509.Certificate:
    certificate = issue(store.create_key(vault, name, SUBJECT, bits=2048))
    store.install_certificate(vault, name, certificate)
    return certificate


def public(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def signs(store: HsmKeyStore, vault: str, certificate: x509.Certificate) -> None:
    key = store.signing_key(vault)
    assert key.certificate == certificate
    public(certificate).verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())


def test_keys_of_an_organisation_with_a_token_live_there(used: tuple[Site, HsmKeyStore]) -> None:
    site, store = used
    signing, encryption = add(store, "a1"), add(store, "a1", KeyName.ENCRYPTION)
    signs(site.open(), "a1", signing)
    (key,) = site.open().decryption_keys("a1")
    assert key.unwrap(public(encryption).encrypt(SESSION_KEY, Oaep.SHA1.padding), Oaep.SHA1) == SESSION_KEY
    assert key.remote
    assert not [path for path in (site.folder / "keys" / "a1").rglob("*") if b"PRIVATE" in content(path)]


def test_a_key_that_certifies_itself_lives_in_the_token(used: tuple[Site, HsmKeyStore]) -> None:
    site, store = used
    until = datetime(2031, 1, 1, tzinfo=UTC)
    names = KeyName.SIGN_IN_SIGNING, KeyName.SIGN_IN_ENCRYPTION
    signing, encryption = [
        store.create_certified_key("a1", name, SUBJECT, until, bits=2048) for name in names
    ]
    for certificate in (signing, encryption):
        certificate.verify_directly_issued_by(certificate)
    key = site.open().signing_key("a1", KeyName.SIGN_IN_SIGNING)
    assert (key.certificate, key.remote) == (signing, True)
    public(signing).verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())
    (opens,) = site.open().decryption_keys("a1", KeyName.SIGN_IN_ENCRYPTION)
    assert opens.unwrap(public(encryption).encrypt(SESSION_KEY, Oaep.SHA1.padding), Oaep.SHA1) == SESSION_KEY


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_an_organisation_without_a_token_has_its_keys_in_files_beside_it(
    used: tuple[Site, HsmKeyStore],
) -> None:
    _, store = used
    store.begin("b2", MULLSJO)
    certificate = add(store, "b2")
    signs(store, "b2", certificate)
    assert isinstance(store.signing_key("b2"), SoftwareSigningKey)
    assert not store.signing_key("b2").remote


def test_keys_of_tls_stay_in_files_that_only_the_token_opens(used: tuple[Site, HsmKeyStore]) -> None:
    _, store = used
    add(store, "a1", KeyName.TLS_CLIENT)
    file, password = store.tls_client("a1")
    assert b"ENCRYPTED PRIVATE KEY" in file.read_bytes()
    assert password


def test_a_key_store_without_the_token_opens_nothing_of_the_vault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passphrase, root key, seal and every file of the installation are there, but do not suffice."""
    site.open().begin("a1", HABO)
    assert site.open().data_keys("a1").newest.number == 1
    site.open().begin("b2", MULLSJO)
    unconfigured = site.open(configured=False)
    with expect(KeyFault.UNAVAILABLE):
        unconfigured.data_keys("a1")
    assert unconfigured.data_keys("b2")
    assert unconfigured.has_data_key("a1")
    monkeypatch.setattr(HsmUnlocker, "_with_token", lambda self, vault, lock, key: key)
    with expect(KeyFault.DAMAGED):
        site.open().data_keys("a1")


def test_with_a_wrong_pin_the_vault_is_locked_and_its_neighbours_are_not(site: Site) -> None:
    """The test uses another process, because the token may already be logged in to in this one."""
    site.open().begin("a1", HABO)
    site.open().begin("b2", MULLSJO)
    assert site.pin_file is not None
    site.pin_file.write_text("9999")
    script = f"""
from pathlib import Path
from types import SimpleNamespace
from tests.unit.keystore.hsm.test_store import *
site = Site.__new__(Site)
site.hsm = SimpleNamespace(library=Path({str(site.hsm.library)!r}))
site.folder, site.label = Path({str(site.folder)!r}), {site.label!r}
site.pin_file = Path({str(site.pin_file)!r})
store = site.open()
for _ in range(2):
    with expect(KeyFault.LOCKED):
        store.data_keys("a1")
assert store.locked("a1") and not store.locked("b2")
assert store.data_keys("b2")
site.pin_file.write_text({PIN!r})
assert store.data_keys("a1") and not store.locked("a1")
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[4], env=os.environ)


def test_a_pin_that_is_told_opens_the_vault_until_the_process_ends(site: Site) -> None:
    site.pin_file = None
    store = site.open()
    with expect(KeyFault.LOCKED):
        store.begin("a1", HABO)
    store._tokens._tokens[site.label].unlock(PIN)
    store.begin("a1", HABO)
    again = site.open()
    assert again.locked("a1")
    with expect(KeyFault.LOCKED):
        again.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    again.unlock("a1", PIN.encode())
    assert not again.locked("a1")
    assert again.data_keys("a1") == store.data_keys("a1")


def test_rotation_in_a_token_is_seen_at_once_and_old_keys_decrypt_until_they_are_retired(site: Site) -> None:
    store, other = site.open(), site.open()
    store.begin("a1", HABO)
    first, second = add(store, "a1", KeyName.ENCRYPTION), add(store, "a1", KeyName.ENCRYPTION)
    assert [key.certificate for key in other.decryption_keys("a1")] == [second, first]
    assert other.installed("a1", KeyName.ENCRYPTION) == (2, 1)
    with expect(KeyFault.ACTIVE):
        store.retire("a1", KeyName.ENCRYPTION, 2)
    before = site.objects("a1")
    store.retire("a1", KeyName.ENCRYPTION, 1)
    assert site.objects("a1") == before - 2  # The private and the public key.
    assert [key.certificate for key in other.decryption_keys("a1")] == [second]
    assert not list((site.folder / "keys").rglob("*.retired"))
    with expect(KeyFault.MISSING):
        store.retire("a1", KeyName.ENCRYPTION, 1)


def test_a_retired_key_is_destroyed_also_when_the_process_was_killed_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = site.open()
    store.begin("a1", HABO)
    add(store, "a1"), add(store, "a1")
    with monkeypatch.context() as killing:
        killing.setattr("samdrift.keystore.hsm.objects.destroy", killed)
        with pytest.raises(Killed):
            store.retire("a1", KeyName.SIGNING, 1)
    assert len(site.open().signing_keys("a1")) == 1
    before = site.objects("a1")
    with expect(KeyFault.MISSING):
        site.open().retire("a1", KeyName.SIGNING, 1)
    assert site.objects("a1") == before - 2


def test_nothing_stays_of_a_retired_key_whose_certification_was_cut_short(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    add(store, "a1"), add(store, "a1")
    certified = site.folder / "keys" / "a1" / "token" / "signing-0001.pem"
    shutil.copy(certified, certified.with_suffix(".key"))  # A kill during the installation leaves both files.
    store.retire("a1", KeyName.SIGNING, 1)
    assert not list(certified.parent.glob("signing-0001.*"))
    assert [key.number for key in site.open().keys("a1")] == [2]


class Killed(Exception):
    """Raised in place of the end of the process."""


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_a_certificate_of_another_key_is_refused(used: tuple[Site, HsmKeyStore]) -> None:
    _, store = used
    store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    store.begin("b3", MULLSJO)
    stranger = issue(store.create_key("b3", KeyName.SIGNING, SUBJECT, bits=2048))
    with expect(KeyFault.MISMATCH):
        store.install_certificate("a1", KeyName.SIGNING, stranger)


def test_weak_keys_are_not_made_in_a_token_either(used: tuple[Site, HsmKeyStore]) -> None:
    with expect(KeyFault.WEAK):
        used[1].create_key("a1", KeyName.SIGNING, SUBJECT, bits=1024)


def test_what_a_vault_holds_is_listed_without_asking_the_token(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    certificate = add(store, "a1")
    store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    add(store, "a1", KeyName.TLS_CLIENT)
    held = site.open(configured=False).keys("a1")
    assert [(one.name, one.number) for one in held] == [("signing", 2), ("signing", 1), ("tls-client", 1)]
    assert held[0].certificate is None
    assert held[1].certificate == certificate


def test_a_vault_whose_organisation_gets_a_token_later_makes_its_next_keys_there(site: Site) -> None:
    unconfigured = site.open(configured=False)
    unconfigured.begin("a1", HABO)
    old = add(unconfigured, "a1", KeyName.ENCRYPTION)
    known = unconfigured.data_keys("a1")
    backup = Path(shutil.copytree(site.folder / "keys", site.folder / "backup"))
    with expect(KeyFault.MISSING):
        unconfigured.use_hsm("a1", HABO)
    store = site.open()
    store.use_hsm("a1", HABO)
    store.use_hsm("a1", HABO)
    assert store.data_keys("a1").generations[1:] == known.generations
    known = store.data_keys("a1")
    with expect(KeyFault.UNAVAILABLE):
        site.open(configured=False).data_keys("a1")
    with expect(KeyFault.MISSING):
        site.open(folder=backup).data_keys("a1")
    new = add(store, "a1", KeyName.ENCRYPTION)
    in_token, in_file = store.decryption_keys("a1")
    assert (in_token.certificate, in_file.certificate) == (new, old)
    assert isinstance(in_file, SoftwareDecryptionKey)
    assert store.installed("a1", KeyName.ENCRYPTION) == (2, 1)
    store.retire("a1", KeyName.ENCRYPTION, 1)
    assert len(store.decryption_keys("a1")) == 1


def test_copies_from_before_do_not_open_also_when_a_kill_came_before_the_former_seal_went(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.open(configured=False).begin("a1", HABO)
    backup = Path(shutil.copytree(site.folder / "keys", site.folder / "backup"))
    with monkeypatch.context() as killing:
        killing.setattr(HsmUnlocker, "settle", killed)
        with pytest.raises(Killed):
            site.open().use_hsm("a1", HABO)
    site.open().use_hsm("a1", HABO)
    with expect(KeyFault.MISSING):
        site.open(folder=backup).data_keys("a1")
    assert len(list((site.folder / "seals").iterdir())) == 1


def test_everything_is_wrapped_anew_behind_the_same_token(site: Site) -> None:
    store, other = site.open(), site.open()
    store.begin("a1", HABO)
    certificate, known = add(store, "a1"), store.data_keys("a1")
    store.rewrap("a1")
    store.rotate_data_key("a1")
    assert other.data_keys("a1").first == known.first
    signs(other, "a1", certificate)
    with expect(KeyFault.ACTIVE):
        store.relock("a1", b"officer")


def test_destroying_a_vault_destroys_it_in_the_token_and_leaves_the_other_one(
    site: Site,
) -> None:
    store = site.open()
    store.begin("a1", HABO)
    store.begin("a2", HABO)
    add(store, "a1")
    kept = add(store, "a2")
    store.destroy("a1")
    assert (site.objects("a1"), site.objects("a2")) == (0, 3)
    assert not (site.folder / "keys" / "a1").exists()
    with expect(KeyFault.MISSING):
        store.signing_key("a1")
    signs(store, "a2", kept)
    store.destroy("a1")


def test_what_a_token_has_computed_is_forgotten_and_asked_for_again(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    known, opened = store.data_keys("a1"), store._locking()._opened
    assert "a1" in opened
    store.forget("a1")
    assert "a1" not in opened
    assert store.data_keys("a1") == known


def test_a_vault_is_not_destroyed_by_half_while_its_token_is_away(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    certificate = add(store, "a1")
    with expect(KeyFault.UNAVAILABLE):
        site.open(configured=False).destroy("a1")
    signs(site.open(), "a1", certificate)


def test_a_process_that_was_handed_a_vaults_key_uses_its_token_and_makes_nothing(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    certificate = add(store, "a1")
    tokens = Hsm(HsmSettings(site.hsm.library, {HABO: HsmAccess(site.label, site.pin_file)}))
    handed = HandedUnlocker({"a1": store.unlock_key("a1")})
    worker = HsmKeyStore(site.folder / "keys", handed, tokens)
    signs(worker, "a1", certificate)
    assert worker.data_keys("a1") == store.data_keys("a1")
    with expect(KeyFault.LOCKED):
        worker.begin("a9", HABO)


@pytest.mark.parametrize("data", [b"", b"pkcs11:id=%01;type=private\n", b"-----BEGIN CERTIFICATE-----"])
def test_a_damaged_file_of_a_key_is_told(site: Site, data: bytes) -> None:
    store = site.open()
    store.begin("a1", HABO)
    add(store, "a1")
    (file,) = (site.folder / "keys" / "a1" / "token").iterdir()
    file.write_bytes(data)
    with pytest.raises(KeyStoreError) as raised:
        site.open().signing_keys("a1")
    assert raised.value.fault is KeyFault.DAMAGED


def test_a_key_in_a_token_is_used_from_a_day_on_and_not_when_it_is_revoked(site: Site) -> None:
    store, soon, now = site.open(), datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC)
    store.begin("a1", HABO)
    old = add(store, "a1")
    new = issue(store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048))
    assert store.waiting("a1", KeyName.SIGNING) == (public(new),)
    store.install_certificate("a1", KeyName.SIGNING, new, active_from=soon)
    signs(site.open(), "a1", old)
    store.activate("a1", KeyName.SIGNING, 2, now)
    signs(site.open(), "a1", new)
    store.revoke("a1", KeyName.SIGNING, 2, "lost", at=now, compromised=True)
    signs(site.open(), "a1", old)
    assert [key.certificate for key in site.open().decryption_keys("a1", KeyName.SIGNING)] == [old]
    before = site.objects("a1")
    site.open().retire("a1", KeyName.SIGNING, 2)
    assert site.objects("a1") == before - 2


def test_a_vault_with_a_token_is_restored_from_a_backup_and_its_token(site: Site) -> None:
    store = site.open()
    store.begin("a1", HABO)
    certificate, backup, keys = add(store, "a1"), store.back_up("a1"), store.data_keys("a1")
    for seal in (site.folder / "seals").iterdir():
        seal.unlink()
    site.open().restore(backup)
    assert site.open().data_keys("a1") == keys
    shutil.rmtree(site.folder / "keys" / "a1")
    for seal in (site.folder / "seals").iterdir():
        seal.unlink()
    site.open().restore(backup)
    signs(site.open(), "a1", certificate)
    assert site.open().data_keys("a1") == keys
