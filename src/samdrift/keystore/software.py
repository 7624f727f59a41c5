"""Private keys and data keys in encrypted files: one folder per vault, with nothing shared between vaults.

Keys are generated in place and never leave (R6, R7): the store returns certificate requests, signatures and
unwrapped session keys. The one exception is a backup that its custodians ordered
(:mod:`samdrift.keystore.backup`). The folder of a vault has the vault's random id as its name, so that it
does not reveal the organisation.

A key has a name and a number. A new number waits until its certificate is installed. From then on, or from a
set time on, it is the one that signs (:mod:`samdrift.keystore.states`), and older ones still decrypt what was
encrypted for them until they are retired. The names of the files in a vault's folder are its state
(:mod:`samdrift.keystore.vaultfolder`), so another process's rotation is seen immediately.

A vault's secret is opened by the unlocker (:mod:`samdrift.keystore.unlocking`). Calls block on the
disk; making a key takes tenths of a second, as does an officer's passphrase.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from samdrift.keystore import confined, vaultfiles, vaultfolder
from samdrift.keystore.backup import VaultBackup
from samdrift.keystore.choice import KeyChoice, now
from samdrift.keystore.confined import BESIDE, is_made_here, remove, write_new
from samdrift.keystore.interface import DataKeys, HeldKey, LogKeyPlace, PlatformLogin
from samdrift.keystore.keyfiles import KeyFault, KeyFile, KeyName, KeyStoreError, decode_certificate, key_name
from samdrift.keystore.selfsigned import self_signed
from samdrift.keystore.unlocking import ROOT, Unlocker
from samdrift.keystore.vaultfiles import (
    LoadedKey,
    LoadedKeys,
    VaultFiles,
    data_key_numbers,
    installed_files,
    locked_secret,
)
from samdrift.keystore.vaultfolder import Values, key_files
from samdrift.keystore.wrapping import Lock, LockedSecret, WrappingError, sealed
from samdrift.wire.crypto.keys import DecryptionKey, LogKey, SigningKey
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey, SoftwareTokenKey
from samdrift.wire.identifiers import ParticipantIdentifier

MIN_BITS = 2048
"""Minimum size of an RSA key, in bits; the default is what the federation requires, 3072."""

_VAULT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
T = TypeVar("T")


def require_strong(bits: int) -> None:
    """Raise ``KeyStoreError`` (``WEAK``) for a key size that is too small."""
    if bits < MIN_BITS:
        raise KeyStoreError(KeyFault.WEAK, f"keys have at least {MIN_BITS} bits")


class SoftwareKeyStore(KeyChoice):
    """The keys of every vault in ``folder``, as far as the unlocker opens them."""

    def __init__(self, folder: Path, unlocker: Unlocker, clock: Callable[[], datetime] = now) -> None:
        """Open the store in ``folder``; ``clock`` is the time by which the key in use is chosen."""
        super().__init__(clock)
        self._folder = folder
        self._unlocker = unlocker
        self._loaded: dict[str, LoadedKeys] = {}
        self._vault_folders: dict[str, Path] = {}

    def create_key(
        self, vault: str, name: str, subject: x509.Name, bits: int = 3072, *, hosts: Sequence[str] = ()
    ) -> bytes:
        """Make a new RSA key and return its certificate request (PEM); the key waits for its certificate.

        ``hosts`` are names and addresses for the certificate of a server (RFC 6125).
        """
        require_strong(bits)
        self._vault_folder(vault)
        key, private_key = key_name(name), rsa.generate_private_key(65537, bits)
        with self._writing(vault) as files:
            files.add(key, private_key)
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(each) for each in hosts])
            request = request.add_extension(names, critical=False)
        return request.sign(private_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def create_certified_key(
        self,
        vault: str,
        name: str,
        subject: x509.Name,
        until: datetime,
        bits: int = 3072,
        *,
        active_from: datetime | None = None,
    ) -> x509.Certificate:
        """Make a new RSA key with a self-signed certificate, and put it to use."""
        require_strong(bits)
        self._vault_folder(vault)
        key, private_key = key_name(name), rsa.generate_private_key(65537, bits)

        def sign(data: bytes) -> bytes:
            return private_key.sign(data, PKCS1v15(), hashes.SHA256())

        own = partial(self_signed, subject, (self._clock(), until))
        certificate = x509.load_pem_x509_certificate(own(private_key.public_key(), sign))
        with self._writing(vault) as files:
            files.add(key, private_key)
        self.install_certificate(vault, name, certificate, (), active_from)
        return certificate

    def install_certificate(
        self,
        vault: str,
        name: str,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
        active_from: datetime | None = None,
    ) -> None:
        """Put a waiting key to use with its certificate; ``MISMATCH`` if it belongs to no waiting key.

        ``chain`` is what a TLS peer needs in addition: the issuers, without the root. Until ``active_from``
        the previous key continues to sign; the new one decrypts immediately.
        """
        key = key_name(name)
        if vaultfolder.current(self._vault_folder(vault)) is None:
            raise KeyStoreError(KeyFault.MISMATCH, "no key is waiting for a certificate")
        with self._writing(vault) as files:
            file = files.waiting_for(key, certificate)
            if active_from is not None:
                self._states(vault).activate(key, file.number, active_from)
            files.install(file, (certificate, *chain))

    def import_key(
        self,
        vault: str,
        name: str,
        private_key: rsa.RSAPrivateKey,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
    ) -> int:
        """Put a key to use that was made elsewhere, with its certificate, and return its number.

        ``MISMATCH`` if they do not belong together, ``WEAK`` for a small key, ``ACTIVE`` if the vault's keys
        are made in an HSM. A key that is already stored with that certificate stays unchanged; one that a
        crash left without it gets it.
        """
        require_strong(private_key.key_size)
        key = key_name(name)
        if private_key.public_key() != certificate.public_key():
            raise KeyStoreError(KeyFault.MISMATCH, "the key does not belong to the certificate")
        if self.in_token(vault):
            raise KeyStoreError(KeyFault.ACTIVE, "the keys of this vault are created in its token")
        with self._writing(vault) as files:
            for held in self._held(vault):
                if held.name is key and held.certificate == certificate:
                    return held.number
            if private_key.public_key() not in files.waiting(key):
                files.add(key, private_key)
            file = files.waiting_for(key, certificate)
            files.install(file, (certificate, *chain))
        return file.number

    def waiting(self, vault: str, name: str) -> tuple[rsa.RSAPublicKey, ...]:
        """Return the keys that wait for their certificates."""
        key = key_name(name)
        if not any(held.name is key and held.certificate is None for held in self._held(vault)):
            return ()
        return self._reading(vault, lambda folder: self._open(vault, folder).waiting(key))

    def tls_client(self, vault: str) -> tuple[Path, str]:
        """Return file (key and certificates) and password of the client's TLS key, for an SSL context."""
        return self._tls(vault, KeyName.TLS_CLIENT)[0]

    def tls_server(self, vault: str) -> tuple[Path, str]:
        """Return file (key and certificates) and password of the server's TLS key, for an SSL context."""
        return self._tls(vault, KeyName.TLS_SERVER)[0]

    def tls_servers(self, vault: str) -> tuple[tuple[Path, str], ...]:
        """Return the same as :meth:`tls_server` for every usable server key, the one in use first."""
        return self._tls(vault, KeyName.TLS_SERVER)

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """Make a vault's first data key; do nothing if there is one. ``organisation`` is not used here."""
        with self._writing(vault) as files:
            if not data_key_numbers(files.folder):
                files.add_data_key()

    def data_keys(self, vault: str) -> DataKeys:
        """Return the vault's data keys; ``MISSING`` before :meth:`begin`."""
        return self._reading(vault, lambda folder: self._open(vault, folder).data_keys())

    def rotate_data_key(self, vault: str) -> None:
        """Make a new generation of the data key, which seals everything from now on, in every process."""
        with self._writing(vault, new=False) as files:
            files.add_data_key()

    def has_data_key(self, vault: str) -> bool:
        """Return whether the vault's content can be read here, possibly only after it is unlocked.

        It cannot be read again once the vault's keys are destroyed.
        """
        folder = vaultfolder.current(self._vault_folder(vault))
        if folder is None or not data_key_numbers(folder):
            return False
        try:
            self._unlocker.key(vault)
        except KeyStoreError as error:
            return error.fault in (KeyFault.LOCKED, KeyFault.UNAVAILABLE)
        return True

    def pin(self, vault: str) -> str | None:
        """Return ``None``, because vaults with keys in files need no PIN."""
        return None

    def state(self, vault: str) -> Hashable:
        """Return a value that changes with the vault's data keys or lock; cheap enough for every opening."""
        return self._values(vault).of("state", partial(vaultfiles.state, self._vault_folder(vault)))

    def token_keys(self, vault: str, today: date) -> tuple[SoftwareTokenKey, ...]:
        """Return the keys that sign access tokens, the newest first.

        A process that was handed the vault's key makes none; ``MISSING`` if there are none.
        """
        if self._unlocker.makes_keys:
            self.renew_token_keys(vault, today)
        found = self._reading(vault, lambda folder: self._open(vault, folder).token_keys())
        if not found:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no key to sign access tokens")
        return found

    def renew_token_keys(self, vault: str, today: date) -> None:
        """Make and remove keys that sign access tokens, as far as that is due."""
        folder = vaultfolder.current(self._vault_folder(vault))
        if folder is None or vaultfiles.token_keys_due(folder, today):
            with self._writing(vault) as files:
                files.renew_token_keys(today)

    def log_keys(self, vault: str) -> tuple[LogKey, ...]:
        """Return the keys that sign the vault's log, the newest first; one is made on first use.

        A process that was handed the vault's key makes none; ``MISSING`` if there are none.
        """
        if self._unlocker.makes_keys:
            self.make_log_key(vault)
        found = self._log_keys(vault)
        if not found:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no key to sign its log")
        return tuple(found[number] for number in sorted(found, reverse=True))

    def make_log_key(self, vault: str) -> None:
        """Make the key that signs the vault's log, if there is none."""
        if not self._has_log_key(vault):
            with self._writing(vault) as files:
                if not self._has_log_key(vault):
                    self._add_log_key(vault, files)

    def renew_log_key(self, vault: str) -> None:
        """Make a new key that signs the vault's log from now on; the former key announces it."""
        with self._writing(vault, new=False) as files:
            self._add_log_key(vault, files)

    def log_key_place(self, vault: str) -> LogKeyPlace:
        """Return ``FILE``, because this store keeps all keys in files."""
        return LogKeyPlace.FILE

    def login_password(self, login: PlatformLogin) -> str:
        """Return the password of a login that belongs to no vault; a random one is made on first use."""
        if not self.login_passwords(login):
            with self._writing(login) as files:
                if not files.passwords():
                    files.add_password(secrets.token_hex(32))
        return self.login_passwords(login)[0]

    def login_passwords(self, login: PlatformLogin) -> tuple[str, ...]:
        """Return the passwords stored so far, the newest first, without making one."""
        if vaultfolder.current(self._vault_folder(login)) is None:
            return ()
        return self._reading(login, lambda folder: self._open(login, folder).passwords())

    def keep_login_password(self, login: PlatformLogin, password: str) -> None:
        """Store a password as the newest; older ones stay, in case the change is interrupted."""
        with self._writing(login) as files:
            files.add_password(password)

    def rewrap(self, vault: str) -> None:
        """Wrap everything of the vault again under a new secret, while other processes continue."""
        with vaultfolder.writing(self._vault_folder(vault)):
            lock, key = self._locked(vault).lock, self._unlocker.key(vault)
            self._wrap_anew(vault, lock, key)

    def relock(self, vault: str, officer: bytes | None) -> None:
        """Lock the vault with its officer's passphrase, or, without one, make it open without an officer.

        The vault gets a new seal, and the former one is destroyed. Copies that were made before open neither
        with the former lock nor with the new one. Opening a copy before that does not help to open what is
        written from now on, which a new generation seals.
        """
        with vaultfolder.writing(self._vault_folder(vault)):
            self._unlocker.key(vault)
            if self._locked(vault).lock.token:
                raise KeyStoreError(
                    KeyFault.ACTIVE, "the vault is locked with a token: unlock it with the token's PIN"
                )
            self._lock_anew(vault, *self._unlocker.new_lock(vault, officer))

    def in_token(self, vault: str) -> bool:
        """Return whether the vault opens with its organisation's HSM, in which its keys are made."""
        folder = vaultfolder.current(self._vault_folder(vault))
        return folder is not None and bool(self._locked(vault).lock.token)

    def use_hsm(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """Raise ``MISSING``, because no organisation has an HSM where this store is used."""
        raise KeyStoreError(KeyFault.MISSING, "no token is configured for the organisation")

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Accept the officer's passphrase; do nothing if the vault needs none."""
        self._unlocker.unlock(vault, passphrase)
        with vaultfolder.writing(self._vault_folder(vault)):
            # Finish what an interrupted relock may have left undone.
            self._unlocker.settle(vault, self._locked(vault).lock)

    def locked(self, vault: str) -> bool:
        """Return whether the vault waits for its organisation's officer."""
        try:
            self._unlocker.key(vault)
        except KeyStoreError as error:
            return error.fault is KeyFault.LOCKED
        return False

    def unlock_key(self, vault: str) -> bytes:
        """Return the key that opens this vault and no other, for a process that serves it alone.

        ``LOCKED`` while the vault waits for its officer.
        """
        return self._unlocker.key(vault)

    def back_up(self, vault: str) -> VaultBackup:
        """Return a backup of the vault, even while it waits for its officer."""
        folder = self._vault_folder(vault)
        with vaultfolder.writing(folder):
            return self._reading(vault, partial(backed_up, folder, self._unlocker))

    def restore(self, backup: VaultBackup, officer: bytes | None = None) -> None:
        """Restore a vault after the loss of its keys or its seal; ``ACTIVE`` if neither is lost.

        ``officer`` is the passphrase of its organisation's officer, if one unlocks it.
        """
        folder = self._vault_folder(backup.vault)
        with vaultfolder.writing(folder):
            restored(folder, self._unlocker, backup, officer)

    def forget(self, vault: str) -> None:
        """Remove the vault's keys from memory; if they still exist, they are read again when used."""
        self._loaded.pop(vault, None)
        self._unchanged.forget(self._vault_folder(vault))
        self._unlocker.forget(vault)

    def destroy(self, vault: str) -> None:
        """Make everything that the vault's keys protect unreadable, permanently, even in earlier copies.

        The seals are destroyed first, so that anything that a crash leaves after that cannot be opened.
        """
        folder = self._vault_folder(vault)
        self._loaded.pop(vault, None)
        self._unchanged.forget(folder)
        if not folder.is_dir():
            self._unlocker.destroy(vault)
            return
        with vaultfolder.writing(folder):
            self._unlocker.destroy(vault)
            vaultfolder.destroy(folder)

    def _vault_folder(self, vault: str) -> Path:
        if vault not in self._vault_folders:
            if not _VAULT.fullmatch(vault) or vault == ROOT:
                raise KeyStoreError(KeyFault.BAD_NAME, "not the id of a vault")
            self._vault_folders[vault] = self._folder / vault
        return self._vault_folders[vault]

    def _reading(self, vault: str, read: Callable[[Path], T]) -> T:
        """Return the result of ``read`` on the vault's folder, read again if the folder was replaced."""
        while True:
            folder = vaultfolder.current(self._vault_folder(vault))
            if folder is None:
                raise KeyStoreError(KeyFault.MISSING, "the vault has no keys")
            try:
                found = read(folder)
                if folder == vaultfolder.current(self._vault_folder(vault)):
                    return found
            except (KeyStoreError, FileNotFoundError) as error:
                if folder != vaultfolder.current(self._vault_folder(vault)):
                    continue
                if isinstance(error, KeyStoreError):
                    raise
                raise KeyStoreError(KeyFault.MISSING, "a key is no longer there") from None

    @contextlib.contextmanager
    def _writing(self, vault: str, *, new: bool = True) -> Iterator[VaultFiles]:
        """Lock the vault's files for writing by this process alone; create them if there are none."""
        path = self._vault_folder(vault)
        if not new and vaultfolder.current(path) is None:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no keys")
        with vaultfolder.writing(path):
            if vaultfolder.current(path) is None:
                self._new_files(vault, *self._unlocker.new_lock(vault))
            yield self._reading(vault, partial(self._open, vault))

    def _new_files(self, vault: str, lock: Lock, key: bytes) -> None:
        with vaultfolder.replacing(self._vault_folder(vault)) as draft:
            VaultFiles.new(draft, lock, key)

    def _lock_anew(self, vault: str, lock: Lock, key: bytes) -> None:
        """Wrap everything again under a new lock, add keys that no earlier copy has, and end the former lock.

        Those are the keys that can be made here: the data key for what is written from now on, and the keys
        of the log and of access tokens. Certified keys stay until others are certified.
        """
        self._wrap_anew(vault, lock, key, own_keys_too=True)
        self._unlocker.settle(vault, lock)

    def _wrap_anew(self, vault: str, lock: Lock, key: bytes, *, own_keys_too: bool = False) -> None:
        files = self._reading(vault, partial(self._open, vault))
        with vaultfolder.replacing(self._vault_folder(vault)) as draft:
            wrapped = VaultFiles.new(draft, lock, key)
            files.wrap_anew(wrapped)
            if own_keys_too:
                wrapped.renew_own_keys()

    def _locked(self, vault: str) -> LockedSecret:
        return self._reading(vault, locked_secret)

    def _open(self, vault: str, folder: Path) -> VaultFiles:
        try:
            return VaultFiles(folder, locked_secret(folder).open(self._unlocker.key(vault)))
        except WrappingError:
            raise KeyStoreError(KeyFault.DAMAGED, "a secret of the vault cannot be decrypted") from None

    def _tls(self, vault: str, name: KeyName) -> tuple[tuple[Path, str], ...]:
        def read(folder: Path) -> Mapping[int, tuple[Path, str]]:
            files, password = installed_files(folder, name), self._open(vault, folder).password
            for file in files.values():
                confined.read(file.path)  # The TLS library opens it by name: check it for links.
            return {number: (file.path, password) for number, file in files.items()}

        found = (values := self._values(vault)).of(("tls", name), partial(self._reading, vault, read))
        return tuple(found[number] for number in self._usable(vault, name, found, values))

    def _held(self, vault: str) -> list[HeldKey]:
        def held(file: KeyFile) -> HeldKey:
            certificate = decode_certificate(confined.read(file.path)) if file.installed else None
            return HeldKey(file.name, file.number, certificate)

        if vaultfolder.current(self._vault_folder(vault)) is None:
            return []
        return self._reading(
            vault, lambda folder: [held(file) for name in KeyName for file in key_files(folder, name)]
        )

    def _numbers(self, vault: str, name: KeyName, values: Values) -> list[int]:
        read = partial(self._reading, vault, partial(installed_files, name=name))
        return list(values.of(("installed", name), read))

    def _signing(self, vault: str, name: KeyName, values: Values) -> Mapping[int, SigningKey]:
        loaded = self._load(vault, name, values).items()
        return {number: SoftwareSigningKey(one.private_key, one.certificate) for number, one in loaded}

    def _has_log_key(self, vault: str) -> bool:
        folder = vaultfolder.current(self._vault_folder(vault))
        return folder is not None and bool(vaultfiles.log_key_numbers(folder))

    def _log_keys(self, vault: str) -> Mapping[int, LogKey]:
        """Return the keys that sign the vault's log, by number."""
        return self._reading(vault, lambda folder: self._open(vault, folder).log_keys())

    def _add_log_key(self, vault: str, files: VaultFiles) -> None:
        files.add_log_key()

    def _decrypting(self, vault: str, name: KeyName, values: Values) -> Mapping[int, DecryptionKey]:
        loaded = self._load(vault, name, values).items()
        return {number: SoftwareDecryptionKey(one.private_key, one.certificate) for number, one in loaded}

    def _finish_removals(self, vault: str) -> None:
        """Do nothing: a key can be retired again until its last file is removed."""

    def _remove(self, vault: str, name: KeyName, number: int) -> None:
        for file in self._reading(vault, partial(key_files, name=name)):
            if file.number == number:
                # A kill during the installation of the certificate may have left the .key file as well.
                remove(file.path.with_suffix(".key"))
                remove(file.path.with_suffix(".pem"))

    def _load(self, vault: str, name: KeyName, values: Values) -> Mapping[int, LoadedKey]:
        """Return every key with a certificate, by number."""

        def read(folder: Path) -> Mapping[int, LoadedKey]:
            files = installed_files(folder, name)
            known = self._loaded.get(vault)
            if known is None or known.folder != folder:
                # The keys were wrapped again, perhaps under another lock, so the vault's secret must be
                # opened again.
                known = self._loaded[vault] = LoadedKeys(folder)
            return known.take(name, files, lambda: self._open(vault, folder))

        return values.of(("loaded", name), partial(self._reading, vault, read))


def backed_up(vault_folder: Path, unlocker: Unlocker, folder: Path) -> VaultBackup:
    """Return the backup of a vault with its files in ``folder``."""
    files = {name: confined.read(folder / name) for name in confined.names(folder)}
    beside = {
        f"{inner}/{name}": confined.read(vault_folder / inner / name)
        for inner in BESIDE
        for name in confined.names(vault_folder / inner)
    }
    return VaultBackup(vault_folder.name, *unlocker.shares(vault_folder.name), files, beside)


def restored(vault_folder: Path, unlocker: Unlocker, backup: VaultBackup, officer: bytes | None) -> None:
    """Restore a vault, within :func:`~samdrift.keystore.vaultfolder.writing`.

    If only its seal is lost, the seal is written again and the files stay, since they may be newer than
    the backup. If the files are lost too, everything is restored under a new lock of this store, or under
    the old lock if that is in an HSM.
    """
    there = vaultfolder.current(vault_folder)
    locked = _locked(backup.files.get(vaultfolder.SECRET, b""))
    if there is not None:
        lock = _locked(confined.read(there / vaultfolder.SECRET)).lock
        if lock != locked.lock:
            text = "the vault's keys here have been locked again since the backup was made"
            raise KeyStoreError(KeyFault.MISMATCH, text)
        unlocker.put_back(backup.vault, lock, backup.root_share, backup.seal)
        return
    if locked.lock.token:
        unlocker.put_back(backup.vault, locked.lock, backup.root_share, backup.seal)
        _write(vault_folder, backup, locked)
        return
    secret = _opened(locked, backup, officer)
    lock, key = unlocker.new_lock(backup.vault, officer if locked.lock.officer else None)
    _write(vault_folder, backup, LockedSecret.new(secret, lock, key))
    unlocker.settle(backup.vault, lock)


def _write(vault_folder: Path, backup: VaultBackup, locked: LockedSecret) -> None:
    for name, data in backup.beside.items():
        place = vault_folder / name
        if place.parent.name in BESIDE and place.parent.parent == vault_folder and is_made_here(place):
            confined.make(place.parent)
            write_new(place, data)
    with vaultfolder.replacing(vault_folder) as draft:
        for name, data in backup.files.items():
            if is_made_here(draft / name) and (draft / name).parent == draft and name != vaultfolder.SECRET:
                write_new(draft / name, data)
        write_new(draft / vaultfolder.SECRET, locked.file())


def _opened(locked: LockedSecret, backup: VaultBackup, officer: bytes | None) -> bytes:
    """Return the vault's secret; ``LOCKED`` without its officer's passphrase, if it has an officer."""
    own = _of_officer(locked.lock, officer)
    try:
        return locked.open(sealed(backup.root_share + own, backup.seal, backup.vault))
    except WrappingError:
        fault = KeyFault.LOCKED if locked.lock.officer else KeyFault.DAMAGED
        raise KeyStoreError(
            fault, "the vault's secret cannot be decrypted: is it the officer's passphrase?"
        ) from None


def _of_officer(lock: Lock, officer: bytes | None) -> bytes:
    if lock.officer is None:
        return b""
    if officer is None:
        raise KeyStoreError(KeyFault.LOCKED, "only the organisation's officer can open the vault")
    return lock.officer.key(officer)


def _locked(file: bytes) -> LockedSecret:
    try:
        return LockedSecret.read(file)
    except WrappingError:
        raise KeyStoreError(KeyFault.DAMAGED, "a vault's secret is damaged") from None


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
