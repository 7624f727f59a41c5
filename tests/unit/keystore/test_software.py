"""The software key store: generation in place, protection at rest, rotation, destruction (R6, R7)."""

from __future__ import annotations

import shutil
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from samdrift.keystore import confined
from samdrift.keystore.software import KeyFault, KeyName, KeyStoreError, SoftwareKeyStore
from samdrift.wire.crypto.keys import Oaep
from tests.vaults import key_store

SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Habo kommun")])
ISSUER_KEY = rsa.generate_private_key(65537, 2048)
OAEP_SHA1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


@pytest.fixture
def store(tmp_path: Path) -> SoftwareKeyStore:
    return key_store(tmp_path / "keys")


def issue(request: bytes) -> x509.Certificate:
    csr = x509.load_pem_x509_csr(request)
    assert csr.is_signature_valid
    now = datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    builder = x509.CertificateBuilder(
        issuer, csr.subject, csr.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    return builder.sign(ISSUER_KEY, hashes.SHA256())


def add_key(store: SoftwareKeyStore, vault: str, name: str) -> x509.Certificate:
    certificate = issue(store.create_key(vault, name, SUBJECT, bits=2048))
    store.install_certificate(vault, name, certificate)
    return certificate


def use_everything(folder: Path) -> None:
    store = key_store(folder)
    store.data_keys("a1")
    store.signing_key("a1")


def public(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def expect(fault: KeyFault) -> pytest.RaisesExc[KeyStoreError]:
    return pytest.RaisesExc(KeyStoreError, check=lambda error: error.fault is fault)


def test_key_signs_once_its_certificate_is_installed(store: SoftwareKeyStore) -> None:
    request = store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    with expect(KeyFault.MISSING):
        store.signing_key("a1")
    certificate = issue(request)
    store.install_certificate("a1", KeyName.SIGNING, certificate)
    key = store.signing_key("a1")
    assert key.certificate == certificate
    assert certificate.subject == SUBJECT
    public(certificate).verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.usefixtures("product_keys")
def test_keys_have_3072_bits_unless_told(store: SoftwareKeyStore) -> None:
    request = x509.load_pem_x509_csr(store.create_key("a1", KeyName.SIGNING, SUBJECT))
    key = request.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
    with expect(KeyFault.WEAK):
        store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=1024)


def test_keys_survive_a_restart_and_open_only_with_the_passphrase(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = key_store(folder)
    certificate = add_key(first, "a1", KeyName.SIGNING)
    first.begin("a1")
    data_key = first.data_keys("a1")
    again = key_store(folder)
    assert again.signing_key("a1").certificate == certificate
    assert again.data_keys("a1") == data_key
    with expect(KeyFault.LOCKED):
        key_store(folder, b"guess")


def test_rotation_new_key_signs_and_old_keys_still_decrypt_until_retired(store: SoftwareKeyStore) -> None:
    old = add_key(store, "a1", KeyName.ENCRYPTION)
    new = add_key(store, "a1", KeyName.ENCRYPTION)
    keys = store.decryption_keys("a1")
    assert [key.certificate for key in keys] == [new, old]
    wrapped = public(old).encrypt(b"session key", OAEP_SHA1)
    assert keys[1].unwrap(wrapped, Oaep.SHA1) == b"session key"
    assert store.signing_key("a1", KeyName.ENCRYPTION).certificate == new
    with expect(KeyFault.ACTIVE):
        store.retire("a1", KeyName.ENCRYPTION, 2)
    store.retire("a1", KeyName.ENCRYPTION, 1)
    assert [key.certificate for key in store.decryption_keys("a1")] == [new]
    with expect(KeyFault.MISSING):
        store.retire("a1", KeyName.ENCRYPTION, 1)


def test_a_key_that_certifies_itself_is_used_as_any_other(store: SoftwareKeyStore) -> None:
    until = datetime(2049, 12, 31, tzinfo=UTC)
    names = KeyName.SIGN_IN_SIGNING, KeyName.SIGN_IN_ENCRYPTION
    signing, encryption = [
        store.create_certified_key("a1", name, SUBJECT, until, bits=2048) for name in names
    ]
    for certificate in (signing, encryption):
        certificate.verify_directly_issued_by(certificate)
        assert (certificate.subject, certificate.not_valid_after_utc) == (SUBJECT, until)
    key = store.signing_key("a1", KeyName.SIGN_IN_SIGNING)
    public(signing).verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())
    (opens,) = store.decryption_keys("a1", KeyName.SIGN_IN_ENCRYPTION)
    assert opens.unwrap(public(encryption).encrypt(b"session key", OAEP_SHA1), Oaep.SHA1) == b"session key"
    with expect(KeyFault.MISSING):
        store.signing_key("a1", KeyName.SIGNING)
    with expect(KeyFault.WEAK):
        store.create_certified_key("a1", names[0], SUBJECT, until, bits=1024)


def test_a_key_that_certifies_itself_is_used_from_a_day_on(store: SoftwareKeyStore) -> None:
    name, until = KeyName.SIGN_IN_SIGNING, datetime(2051, 1, 1, tzinfo=UTC)
    first = store.create_certified_key("a1", name, SUBJECT, until, bits=2048)
    later = datetime.now(UTC) + timedelta(days=1)
    second = store.create_certified_key("a1", name, SUBJECT, until, bits=2048, active_from=later)
    assert second.not_valid_after_utc == until
    assert [key.certificate for key in store.signing_keys("a1", name)] == [first, second]


def test_rotation_in_another_process_is_seen_at_once(tmp_path: Path) -> None:
    here, there = key_store(tmp_path / "keys"), key_store(tmp_path / "keys")
    add_key(here, "a1", KeyName.SIGNING)
    assert there.signing_key("a1").certificate == here.signing_key("a1").certificate
    new = add_key(there, "a1", KeyName.SIGNING)
    assert here.signing_key("a1").certificate == new


def test_certificate_is_matched_with_the_waiting_key_it_was_issued_for(store: SoftwareKeyStore) -> None:
    first = store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    store.create_key("a1", KeyName.SIGNING, SUBJECT, bits=2048)
    certificate = issue(first)
    with expect(KeyFault.MISMATCH):
        store.install_certificate("a1", KeyName.ENCRYPTION, certificate)
    with expect(KeyFault.MISMATCH):
        store.install_certificate("b2", KeyName.SIGNING, certificate)
    store.install_certificate("a1", KeyName.SIGNING, certificate)
    assert store.signing_key("a1").certificate == certificate
    assert [(key.number, key.certificate is None) for key in store.keys("a1")] == [(2, True), (1, False)]
    with expect(KeyFault.MISMATCH):
        store.install_certificate("a1", KeyName.SIGNING, certificate)


def test_key_files_are_encrypted_and_readable_by_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    store = key_store(folder)
    add_key(store, "a1", KeyName.SIGNING)
    store.create_key("a1", KeyName.ENCRYPTION, SUBJECT, bits=2048)
    store.begin("a1")
    data_key = store.data_keys("a1").newest.key
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        "root", "secret", "data-key-0001", "signing-0001.pem", "encryption-0001.key", "a1",
    }  # fmt: skip
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in folders)
    for path in files:
        data = path.read_bytes()
        assert data_key not in data
        assert b"BEGIN PRIVATE KEY" not in data
    for path in (folder / "a1" / "0001").glob("*-0001.*"):
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        # One wrong password in 256 leaves valid padding, but the decrypted bytes are not a key.
        with pytest.raises(ValueError, match=r"Incorrect password|Could not deserialize key data"):
            serialization.load_pem_private_key(path.read_bytes(), b"open sesame")


def test_one_vaults_files_do_not_open_as_another_vaults(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    store = key_store(folder)
    add_key(store, "a1", KeyName.SIGNING)
    store.begin("a1")
    store.begin("b2")
    assert store.data_keys("a1") != store.data_keys("b2")
    shutil.copytree(folder / "a1", folder / "c3")
    shutil.copy(tmp_path / "keys-seals" / "a1.1", tmp_path / "keys-seals" / "c3.1")
    with expect(KeyFault.DAMAGED):
        store.data_keys("c3")
    with expect(KeyFault.DAMAGED):
        store.signing_key("c3")
    shutil.copy(folder / "a1" / "0001" / "signing-0001.pem", folder / "b2" / "0001")
    with expect(KeyFault.DAMAGED):
        store.signing_key("b2")


@pytest.mark.parametrize("name", ["root", "secret", "data-key-0001", "signing-0001.pem"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"x" * 100, b'{"n": -1}'])
def test_damaged_files_are_refused_with_a_typed_error(tmp_path: Path, name: str, damage: bytes) -> None:
    store = key_store(tmp_path / "keys")
    add_key(store, "a1", KeyName.SIGNING)
    store.begin("a1")
    folder = tmp_path / "keys"
    path = folder / name if name == "root" else folder / "a1" / "0001" / name
    path.write_bytes(damage)
    with expect(KeyFault.LOCKED if name == "root" else KeyFault.DAMAGED):
        use_everything(folder)


def test_key_file_with_another_keys_certificate_is_refused(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    add_key(store, "a1", KeyName.SIGNING)
    add_key(store, "a1", KeyName.SIGNING)
    first, second = (tmp_path / "keys" / "a1" / "0001" / f"signing-000{number}.pem" for number in (1, 2))
    key = second.read_bytes().partition(b"-----BEGIN CERTIFICATE")[0]
    certificate = first.read_bytes().partition(b"-----BEGIN CERTIFICATE")[2]
    second.write_bytes(key + b"-----BEGIN CERTIFICATE" + certificate)
    with expect(KeyFault.DAMAGED):
        key_store(tmp_path / "keys").signing_key("a1")


def test_destroy_leaves_nothing_that_opens(tmp_path: Path) -> None:
    store = key_store(tmp_path / "keys")
    certificate = add_key(store, "a1", KeyName.SIGNING)
    other = add_key(store, "b2", KeyName.SIGNING)
    assert store.signing_key("a1").certificate == certificate
    store.begin("a1")
    store.destroy("a1")
    assert not (tmp_path / "keys" / "a1").exists()
    assert not list((tmp_path / "keys-seals").glob("a1.*"))
    assert not store.has_data_key("a1")
    assert store.keys("a1") == ()
    with expect(KeyFault.MISSING):
        store.signing_key("a1")
    with expect(KeyFault.MISSING):
        store.data_keys("a1")
    assert store.signing_key("b2").certificate == other
    store.destroy("never-made")


def test_tls_client_file_loads_into_an_ssl_context(store: SoftwareKeyStore) -> None:
    with expect(KeyFault.MISSING):
        store.tls_client("a1")
    add_key(store, "a1", KeyName.TLS_CLIENT)
    add_key(store, "a1", KeyName.TLS_SERVER)
    for path, password in (store.tls_client("a1"), store.tls_server("a1")):
        ssl.create_default_context().load_cert_chain(path, password=password)
        with pytest.raises(ssl.SSLError):
            ssl.create_default_context().load_cert_chain(path, password="open sesame")


def test_every_key_of_a_server_that_is_used_is_there_for_the_hosts_that_it_names(
    store: SoftwareKeyStore,
) -> None:
    with expect(KeyFault.MISSING):
        store.tls_servers("a1")
    for _ in range(3):
        add_key(store, "a1", KeyName.TLS_SERVER)
    store.retire("a1", KeyName.TLS_SERVER, 1)
    newest, older = store.tls_servers("a1")
    assert newest == store.tls_server("a1")
    assert newest != older
    for path, password in (newest, older):
        ssl.create_default_context().load_cert_chain(path, password=password)


def test_a_key_that_is_installed_while_the_others_are_read_is_used_the_next_time(
    store: SoftwareKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During a rotation, the choice is made among the keys that were read, without any that came since."""
    add_key(store, "a1", KeyName.TLS_SERVER)
    (first,) = store.tls_servers("a1")
    read = confined.read

    def meanwhile(path: Path) -> bytes:
        if path == first[0]:
            monkeypatch.undo()
            add_key(store, "a1", KeyName.TLS_SERVER)
        return read(path)

    monkeypatch.setattr(confined, "read", meanwhile)
    assert store.tls_servers("a1") == (first,)
    newest, older = store.tls_servers("a1")
    assert older == first
    assert newest != first


@pytest.mark.parametrize("vault", ["", "..", "a/b", "root", "A", "a" * 64, "a\n", ".hidden"])
def test_names_that_could_leave_the_folder_are_refused(store: SoftwareKeyStore, vault: str) -> None:
    with expect(KeyFault.BAD_NAME):
        store.begin(vault)
    with expect(KeyFault.BAD_NAME):
        store.destroy(vault)
    with expect(KeyFault.BAD_NAME):
        store.create_key("a1", f"../{vault}", SUBJECT)
