"""Private keys and data keys in encrypted files: one folder per vault, nothing shared between vaults.

Keys are generated in place and never leave (R6, R7): what comes out is a
certificate request, signatures and unwrapped session keys. The one other way out is a
backup that its custodians ordered (:mod:`samdrift.keystore.backup`). The folder of a
vault carries the vault's random id, so that it does not show whose it is.

A key has a name and a number. A new number waits until its certificate is
installed; from then on, or from a day on, it is the one that signs
(:mod:`samdrift.keystore.states`), and older ones still decrypt what was
encrypted for them until they are retired. The names in a vault's folder are its
state (:mod:`samdrift.keystore.vaultfolder`), and another process's rotation is
seen immediately.

Opening a vault's secret is the unlocker's business
(:mod:`samdrift.keystore.unlocking`). Calls block on the disk; making a key
takes tenths of a second, as does an officer's passphrase.
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
"""The smallest RSA key that is made; the default is what the federation asks for, 3072."""

_VAULT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
T = TypeVar("T")


def require_strong(bits: int) -> None:
    """Return for a size of keys that may be made; ``WEAK`` for any other."""
    if bits < MIN_BITS:
        raise KeyStoreError(KeyFault.WEAK, f"keys have at least {MIN_BITS} bits")


class SoftwareKeyStore(KeyChoice):
    """The keys of every vault in ``folder``, as far as the unlocker opens them."""

    def __init__(self, folder: Path, unlocker: Unlocker, clock: Callable[[], datetime] = now) -> None:
        """``clock`` tells from when which key is used."""
        super().__init__(clock)
        self._folder = folder
        self._unlocker = unlocker
        self._loaded: dict[str, LoadedKeys] = {}
        self._vault_folders: dict[str, Path] = {}

    def create_key(
        self, vault: str, name: str, subject: x509.Name, bits: int = 3072, *, hosts: Sequence[str] = ()
    ) -> bytes:
        """Make a new RSA key and return its certificate request (PEM); the key waits for its certificate.

        ``hosts`` are names and addresses that the certificate of a server is to have (RFC 6125).
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
        """Make a new RSA key with a certificate that it signs itself, and put it to use."""
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
        """Put a waiting key to use with its certificate; ``MISMATCH`` when no waiting key is its own.

        ``chain`` is what a TLS peer needs besides: the issuers, without the root.
        Until ``active_from`` the key before it goes on signing; it decrypts at once.
        """
        key = key_name(name)
        if vaultfolder.current(self._vault_folder(vault)) is None:
            raise KeyStoreError(KeyFault.MISMATCH, "there is no key that waits for a certificate")
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

        ``MISMATCH`` when they do not belong together, ``WEAK`` for a small key, ``ACTIVE`` where keys are
        made in a token. One that is there with that certificate already stays unchanged; one that a kill has
        left without it gets it.
        """
        require_strong(private_key.key_size)
        key = key_name(name)
        if private_key.public_key() != certificate.public_key():
            raise KeyStoreError(KeyFault.MISMATCH, "the key does not belong to the certificate")
        if self.in_token(vault):
            raise KeyStoreError(KeyFault.ACTIVE, "the keys of this vault are made in its token")
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
        """The keys that wait for their certificates."""
        key = key_name(name)
        if not any(held.name is key and held.certificate is None for held in self._held(vault)):
            return ()
        return self._reading(vault, lambda folder: self._open(vault, folder).waiting(key))

    def tls_client(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the client's key, for an SSL context."""
        return self._tls(vault, KeyName.TLS_CLIENT)[0]

    def tls_server(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the server's key, for an SSL context."""
        return self._tls(vault, KeyName.TLS_SERVER)[0]

    def tls_servers(self, vault: str) -> tuple[tuple[Path, str], ...]:
        """Return what :meth:`tls_server` does, for each server key that is used, the one in use first."""
        return self._tls(vault, KeyName.TLS_SERVER)

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """Make a vault's first data key; nothing happens when there is one. Whose it is does not matter."""
        with self._writing(vault) as files:
            if not data_key_numbers(files.folder):
                files.add_data_key()

    def data_keys(self, vault: str) -> DataKeys:
        """Return the vault's data keys; ``MISSING`` before :meth:`begin`."""
        return self._reading(vault, lambda folder: self._open(vault, folder).data_keys())

    def rotate_data_key(self, vault: str) -> None:
        """Make a new generation, by which everything is sealed from now on, in every process."""
        with self._writing(vault, new=False) as files:
            files.add_data_key()

    def has_data_key(self, vault: str) -> bool:
        """Return whether the vault's content can be read here, perhaps once it is unlocked.

        Never again once its keys are destroyed.
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
        """Vaults whose keys are in files need none."""
        return None

    def state(self, vault: str) -> Hashable:
        """Return a value that changes with the vault's data keys or lock; cheap enough for every opening."""
        return self._values(vault).of("state", partial(vaultfiles.state, self._vault_folder(vault)))

    def token_keys(self, vault: str, today: date) -> tuple[SoftwareTokenKey, ...]:
        """Return the keys that access tokens are signed with, the newest first.

        A process that was handed the vault's key makes none; ``MISSING`` when there are none.
        """
        if self._unlocker.makes_keys:
            self.renew_token_keys(vault, today)
        found = self._reading(vault, lambda folder: self._open(vault, folder).token_keys())
        if not found:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no key that access tokens are signed with")
        return found

    def renew_token_keys(self, vault: str, today: date) -> None:
        """Make and remove keys that access tokens are signed with, as far as that is due."""
        folder = vaultfolder.current(self._vault_folder(vault))
        if folder is None or vaultfiles.token_keys_due(folder, today):
            with self._writing(vault) as files:
                files.renew_token_keys(today)

    def log_keys(self, vault: str) -> tuple[LogKey, ...]:
        """Return the keys that the vault's log is signed with, the newest first; one is made on first use.

        A process that was handed the vault's key makes none; ``MISSING`` when there are none.
        """
        if self._unlocker.makes_keys:
            self.make_log_key(vault)
        found = self._log_keys(vault)
        if not found:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no key that its log is signed with")
        return tuple(found[number] for number in sorted(found, reverse=True))

    def make_log_key(self, vault: str) -> None:
        """Make the key that the vault's log is signed with, where there is none."""
        if not self._has_log_key(vault):
            with self._writing(vault) as files:
                if not self._has_log_key(vault):
                    self._add_log_key(vault, files)

    def renew_log_key(self, vault: str) -> None:
        """Make another key that the vault's log is signed with from now on; the former one announces it."""
        with self._writing(vault, new=False) as files:
            self._add_log_key(vault, files)

    def log_key_place(self, vault: str) -> LogKeyPlace:
        """In a file: where this store is used, no key is anywhere else."""
        return LogKeyPlace.FILE

    def login_password(self, login: PlatformLogin) -> str:
        """The password of a login that belongs to no vault; a random one is made on first use."""
        if not self.login_passwords(login):
            with self._writing(login) as files:
                if not files.passwords():
                    files.add_password(secrets.token_hex(32))
        return self.login_passwords(login)[0]

    def login_passwords(self, login: PlatformLogin) -> tuple[str, ...]:
        """Return the passwords that were kept so far, the newest first; make none."""
        if vaultfolder.current(self._vault_folder(login)) is None:
            return ()
        return self._reading(login, lambda folder: self._open(login, folder).passwords())

    def keep_login_password(self, login: PlatformLogin, password: str) -> None:
        """Keep a password as the newest; older ones stay, for a change that is cut short."""
        with self._writing(login) as files:
            files.add_password(password)

    def rewrap(self, vault: str) -> None:
        """Give the vault a new secret and wrap everything again under it, while other processes go on."""
        with vaultfolder.writing(self._vault_folder(vault)):
            lock, key = self._locked(vault).lock, self._unlocker.key(vault)
            self._wrap_anew(vault, lock, key)

    def relock(self, vault: str, officer: bytes | None) -> None:
        """Have the vault unlocked by its organisation's officer, with this passphrase, or by nobody.

        With a new seal; the former one is destroyed. Copies that were made before
        open neither with the former lock nor with the new one, and whoever opened one
        before opens nothing that is written from now on, which a new generation seals.
        """
        with vaultfolder.writing(self._vault_folder(vault)):
            self._unlocker.key(vault)
            if self._locked(vault).lock.token:
                raise KeyStoreError(KeyFault.ACTIVE, "the vault is locked with a token, and its PIN opens it")
            self._lock_anew(vault, *self._unlocker.new_lock(vault, officer))

    def in_token(self, vault: str) -> bool:
        """Return whether the vault opens with its organisation's token, in which its keys are made."""
        folder = vaultfolder.current(self._vault_folder(vault))
        return folder is not None and bool(self._locked(vault).lock.token)

    def use_hsm(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """``MISSING``: where this store is used, no organisation has a token."""
        raise KeyStoreError(KeyFault.MISSING, "the configuration names no token for the organisation")

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Take the officer's passphrase; nothing happens when the vault needs none."""
        self._unlocker.unlock(vault, passphrase)
        with vaultfolder.writing(self._vault_folder(vault)):
            # As relock would have done, had it not been cut short.
            self._unlocker.settle(vault, self._locked(vault).lock)

    def locked(self, vault: str) -> bool:
        """Return whether the vault waits for its organisation's officer."""
        try:
            self._unlocker.key(vault)
        except KeyStoreError as error:
            return error.fault is KeyFault.LOCKED
        return False

    def unlock_key(self, vault: str) -> bytes:
        """Return the key that opens this vault and no other, for a process that serves it alone;
        ``LOCKED``.
        """
        return self._unlocker.key(vault)

    def back_up(self, vault: str) -> VaultBackup:
        """Return a backup of the vault, even while it waits for its officer."""
        folder = self._vault_folder(vault)
        with vaultfolder.writing(folder):
            return self._reading(vault, partial(backed_up, folder, self._unlocker))

    def restore(self, backup: VaultBackup, officer: bytes | None = None) -> None:
        """Bring the vault back where its keys or its seal are lost; ``ACTIVE`` where they are not.

        ``officer`` is the passphrase of its organisation's officer, where one unlocks it.
        """
        folder = self._vault_folder(backup.vault)
        with vaultfolder.writing(folder):
            restored(folder, self._unlocker, backup, officer)

    def forget(self, vault: str) -> None:
        """Keep no key of the vault in memory; where it is still there, it is read again when it is used."""
        self._loaded.pop(vault, None)
        self._unchanged.forget(self._vault_folder(vault))
        self._unlocker.forget(vault)

    def destroy(self, vault: str) -> None:
        """Make everything that the vault's keys protect unreadable, permanently, even in copies made before.

        The seals go first: what a crash leaves after that opens for nobody.
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
        """Return what is read of the vault's files; read again when the folder no longer counts then."""
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
        """The vault's files, made when there are none, for this process alone to write."""
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
        """Wrap everything again under a new lock, with keys that no earlier copy has, and end the former one.

        Those are what can be made here: the data key of what is written from now on, and
        what access tokens are signed with. Certified keys stay until others are certified.
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
            raise KeyStoreError(KeyFault.DAMAGED, "a secret of the vault does not open") from None

    def _tls(self, vault: str, name: KeyName) -> tuple[tuple[Path, str], ...]:
        def read(folder: Path) -> Mapping[int, tuple[Path, str]]:
            files, password = installed_files(folder, name), self._open(vault, folder).password
            for file in files.values():
                confined.read(file.path)  # The TLS library opens it by its name.
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
        """Return the keys that the vault's log is signed with, by number."""
        return self._reading(vault, lambda folder: self._open(vault, folder).log_keys())

    def _add_log_key(self, vault: str, files: VaultFiles) -> None:
        files.add_log_key()

    def _decrypting(self, vault: str, name: KeyName, values: Values) -> Mapping[int, DecryptionKey]:
        loaded = self._load(vault, name, values).items()
        return {number: SoftwareDecryptionKey(one.private_key, one.certificate) for number, one in loaded}

    def _finish_removals(self, vault: str) -> None:
        """Accept what cannot be resumed: until its last file is removed, a key can be retired again."""

    def _remove(self, vault: str, name: KeyName, number: int) -> None:
        for file in self._reading(vault, partial(key_files, name=name)):
            if file.number == number:
                # Without its certificate it may be there too, left by a kill while that was installed.
                remove(file.path.with_suffix(".key"))
                remove(file.path.with_suffix(".pem"))

    def _load(self, vault: str, name: KeyName, values: Values) -> Mapping[int, LoadedKey]:
        """Every key with a certificate, by number."""

        def read(folder: Path) -> Mapping[int, LoadedKey]:
            files = installed_files(folder, name)
            known = self._loaded.get(vault)
            if known is None or known.folder != folder:
                # Wrapped anew: perhaps under another lock, so that what opens it is asked for again.
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

    Where only its seal is lost, the seal is written again and the files stay:
    they may be newer than the backup. Where the files are lost too, everything is
    restored under a new lock of this store, or under its old one where that is in
    an HSM.
    """
    there = vaultfolder.current(vault_folder)
    locked = _locked(backup.files.get(vaultfolder.SECRET, b""))
    if there is not None:
        lock = _locked(confined.read(there / vaultfolder.SECRET)).lock
        if lock != locked.lock:
            text = "the vault has keys here that were locked again since the backup was made"
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
    """The vault's secret; ``LOCKED`` without its officer, where there is one."""
    own = _of_officer(locked.lock, officer)
    try:
        return locked.open(sealed(backup.root_share + own, backup.seal, backup.vault))
    except WrappingError:
        fault = KeyFault.LOCKED if locked.lock.officer else KeyFault.DAMAGED
        raise KeyStoreError(
            fault, "the vault's secret does not open: is it the officer's passphrase?"
        ) from None


def _of_officer(lock: Lock, officer: bytes | None) -> bytes:
    if lock.officer is None:
        return b""
    if officer is None:
        raise KeyStoreError(KeyFault.LOCKED, "the vault opens with its organisation's officer only")
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
