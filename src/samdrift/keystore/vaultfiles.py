"""The files of one vault, opened with its secret: key files, data keys, passwords, access token and log keys.

They are in one numbered folder of :mod:`samdrift.keystore.vaultfolder`. Each is encrypted under a key
that is derived from the secret for its kind of file.

Keys that sign access tokens are made in place and replaced automatically (R7), since no other party certifies
them. A file's name contains the day on which it was made, and when the newest is too old another one is made.
An access token lives for minutes; an older key stays as long as any process could still sign with it, and a
while longer.

Keys that sign a log are made in place too. They are replaced when a vault gets a new lock or a person
requests it, and older ones stay: the older key announces the newer one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from nacl.utils import random

from samdrift.keystore import confined, vaultfolder
from samdrift.keystore.confined import remove, write_new
from samdrift.keystore.interface import DataKey, DataKeys
from samdrift.keystore.keyfiles import (
    KeyFault,
    KeyFile,
    KeyName,
    KeyStoreError,
    decode_certificate,
    decode_key,
    encode_certificates,
    encode_key,
    file_name,
)
from samdrift.keystore.vaultfolder import SECRET, key_files
from samdrift.keystore.wrapping import KEY_BYTES, Lock, LockedSecret, WrappingError, derive, unwrap, wrap
from samdrift.wire.crypto.softwarekeys import SoftwareLogKey, SoftwareTokenKey

_RENEW_AFTER = timedelta(days=90)
"""Age of the newest access token key at which another one is made."""

_STAYS = timedelta(days=2)
"""Time for which an older access token key stays after the newest one was made."""

_DATA_KEY = re.compile(r"data-key-([0-9]{4})")
_PASSWORD = re.compile(r"password-([0-9]{4})")
_LOG_KEY = re.compile(r"log-key-([0-9]{4})")
_TOKEN_KEY = re.compile(r"token-([0-9]{8})\.key")
_DATA_KEYS = "samdrift data key"
_TOKEN_KEYS = "samdrift token keys"  # noqa: S105
_PASSWORDS = "samdrift passwords"
_LOG_KEYS = "samdrift log keys"
_KEY_FILES = "samdrift key files"


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A private key with its certificate, in memory."""

    private_key: rsa.RSAPrivateKey
    certificate: x509.Certificate


class VaultFiles:
    """The files of one vault; methods that write are called by one process at a time."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.folder = folder
        self._secret = secret

    @classmethod
    def new(cls, folder: Path, lock: Lock, key: bytes) -> VaultFiles:
        """Begin an empty folder with a new secret, which ``key`` will open."""
        secret = random(KEY_BYTES)
        write_new(folder / SECRET, LockedSecret.new(secret, lock, key).file())
        return cls(folder, secret)

    @property
    def password(self) -> str:
        """Return the password that encrypts the private keys in key files."""
        return derive(self._secret, _KEY_FILES).hex()

    def load(self, file: KeyFile) -> LoadedKey:
        """Return the key in a file that has its certificate."""
        data = confined.read(file.path)
        loaded = LoadedKey(decode_key(data, self.password.encode()), decode_certificate(data))
        if loaded.private_key.public_key() != loaded.certificate.public_key():
            raise KeyStoreError(KeyFault.DAMAGED, "a key file holds another key's certificate")
        return loaded

    def add(self, name: KeyName, private_key: rsa.RSAPrivateKey) -> None:
        """Store a key that waits for its certificate."""
        number = max((file.number for file in key_files(self.folder, name)), default=0) + 1
        write_new(self.folder / file_name(name, number), encode_key(private_key, self.password.encode()))

    def waiting(self, name: KeyName) -> tuple[rsa.RSAPublicKey, ...]:
        """Return the public halves of the keys that wait for their certificates."""
        return tuple(self._public(file) for file in key_files(self.folder, name) if not file.installed)

    def waiting_for(self, name: KeyName, certificate: x509.Certificate) -> KeyFile:
        """Return the waiting key to which the certificate belongs; ``MISMATCH`` if there is none."""
        for file in key_files(self.folder, name):
            if not file.installed and self._public(file) == certificate.public_key():
                return file
        raise KeyStoreError(KeyFault.MISMATCH, "no waiting key matches the certificate")

    def install(self, file: KeyFile, certificates: tuple[x509.Certificate, ...]) -> None:
        """Put a waiting key to use, with its certificate and those of its issuers."""
        write_new(file.path.with_suffix(".pem"), confined.read(file.path) + encode_certificates(certificates))
        confined.remove(file.path)

    def _public(self, file: KeyFile) -> rsa.RSAPublicKey:
        return decode_key(confined.read(file.path), self.password.encode()).public_key()

    def data_keys(self) -> DataKeys:
        """Return every generation of the data key; ``MISSING`` if there is none yet.

        A file is bound to its number, so that no generation can take another's place. Files of version 0.1
        are not bound: they open as long as no bound one is older, and become bound when they are wrapped
        again.
        """
        found, bound = list[DataKey](), True
        for number in reversed(data_key_numbers(self.folder)):
            wrapped = confined.read(self.folder / _data_key(number))
            key, is_bound = self._data_key(wrapped, number)
            if is_bound and not bound:
                raise KeyStoreError(
                    KeyFault.DAMAGED, "the number of a data key of the vault differs from its file's"
                )
            found.append(DataKey(number, key))
            bound = is_bound
        if not found:
            raise KeyStoreError(KeyFault.MISSING, "the vault has no data key")
        return DataKeys(tuple(found))

    def _data_key(self, wrapped: bytes, number: int) -> tuple[bytes, bool]:
        """Return the data key in a file, and whether it is bound to that file's number."""
        try:
            return unwrap(wrapped, derive(self._secret, _of_number(number))), True
        except WrappingError:
            return _opened(wrapped, derive(self._secret, _DATA_KEYS)), False

    def add_data_key(self) -> None:
        """Make another generation of the data key."""
        number = max(data_key_numbers(self.folder), default=0) + 1
        wrapped = wrap(random(KEY_BYTES), derive(self._secret, _of_number(number)))
        write_new(self.folder / _data_key(number), wrapped)

    def renew_own_keys(self) -> None:
        """Replace the keys that are made here: the data key and the keys of the log and of access tokens.

        Data key and log key get another generation if they exist. Keys of access tokens are removed, so that
        another one is made when needed.
        """
        if data_key_numbers(self.folder):
            self.add_data_key()
        if log_key_numbers(self.folder):
            self.add_log_key()
        for name in confined.names(self.folder):
            if _TOKEN_KEY.fullmatch(name):
                confined.remove(self.folder / name)

    def passwords(self) -> tuple[str, ...]:
        """Return the stored passwords, the newest first."""
        wrapping = derive(self._secret, _PASSWORDS)
        return tuple(
            _unwrapped(self.folder / _password(number), wrapping).decode()
            for number in reversed(_numbers(self.folder, _PASSWORD))
        )

    def add_password(self, password: str) -> None:
        """Store a password as the newest."""
        number = max(_numbers(self.folder, _PASSWORD), default=0) + 1
        wrapped = wrap(password.encode(), derive(self._secret, _PASSWORDS))
        write_new(self.folder / _password(number), wrapped)

    def log_keys(self) -> dict[int, SoftwareLogKey]:
        """Return the keys that sign the log, by number."""
        wrapping = derive(self._secret, _LOG_KEYS)
        return {
            number: SoftwareLogKey(_unwrapped(self.folder / log_key_file(number), wrapping))
            for number in log_key_numbers(self.folder)
        }

    def add_log_key(self) -> None:
        """Make another key that signs the log."""
        number = max(log_key_numbers(self.folder), default=0) + 1
        wrapped = wrap(random(KEY_BYTES), derive(self._secret, _LOG_KEYS))
        write_new(self.folder / log_key_file(number), wrapped)

    def token_keys(self) -> tuple[SoftwareTokenKey, ...]:
        """Return the keys that sign access tokens, the newest first."""
        return token_keys(self.folder, derive(self._secret, _TOKEN_KEYS))

    def renew_token_keys(self, today: date) -> None:
        """Make and remove keys that sign access tokens, as far as that is due."""
        _renew_token_keys(self.folder, derive(self._secret, _TOKEN_KEYS), today)

    def wrap_anew(self, other: VaultFiles) -> None:
        """Write everything to the new folder ``other``, wrapped under its secret."""
        for name in sorted(confined.names(self.folder)):
            if name != SECRET and not _DATA_KEY.fullmatch(name):
                data = self._rewrapped(name)(confined.read(self.folder / name), other)
                write_new(other.folder / name, data)
        for each in self.data_keys().generations if data_key_numbers(self.folder) else ():
            wrapped = wrap(each.key, derive(other._secret, _of_number(each.number)))
            write_new(other.folder / _data_key(each.number), wrapped)

    def _rewrapped(self, name: str) -> Callable[[bytes, VaultFiles], bytes]:
        kinds = ((_TOKEN_KEY, _TOKEN_KEYS), (_PASSWORD, _PASSWORDS), (_LOG_KEY, _LOG_KEYS))
        for pattern, purpose in kinds:
            if pattern.fullmatch(name):
                return lambda data, other: wrap(
                    _opened(data, derive(self._secret, purpose)), derive(other._secret, purpose)
                )
        return self._key_file

    def _key_file(self, data: bytes, other: VaultFiles) -> bytes:
        private_key = decode_key(data, self.password.encode())
        begin = data.find(b"-----BEGIN CERTIFICATE")
        certificates = b"" if begin < 0 else data[begin:]
        return encode_key(private_key, other.password.encode()) + certificates


class LoadedKeys:
    """The keys of a vault that this process has in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys: dict[KeyName, dict[int, LoadedKey]] = {}

    def take(
        self, name: KeyName, files: Mapping[int, KeyFile], opened: Callable[[], VaultFiles]
    ) -> Mapping[int, LoadedKey]:
        """Return the keys of one name, by number, after loading missing ones and dropping retired ones."""
        held = self._keys.get(name, {})
        if missing := [file for number, file in files.items() if number not in held]:
            vault = opened()
            held |= {file.number: vault.load(file) for file in missing}
        kept = self._keys[name] = {number: held[number] for number in files}
        return kept


def installed_files(folder: Path, name: KeyName) -> Mapping[int, KeyFile]:
    """Return the files of keys that have their certificates, by number."""
    return {file.number: file for file in key_files(folder, name) if file.installed}


def locked_secret(folder: Path) -> LockedSecret:
    """Return the locked secret of the vault with its files in ``folder``."""
    try:
        return LockedSecret.read(confined.read(folder / SECRET))
    except WrappingError:
        raise KeyStoreError(KeyFault.DAMAGED, "a secret of the vault is damaged") from None


def data_key_numbers(folder: Path) -> list[int]:
    """Return the generations of the data key in a folder, the oldest first, without opening any."""
    return _numbers(folder, _DATA_KEY)


def state(vault_folder: Path) -> Hashable:
    """Return a value that changes with a vault's data keys or lock; ``None`` if it has no keys."""
    current = vaultfolder.current(vault_folder)
    return None if current is None else (current.name, tuple(data_key_numbers(current)))


def log_key_numbers(folder: Path) -> list[int]:
    """Return the numbers of the keys that sign the log, the oldest first, without opening any."""
    return _numbers(folder, _LOG_KEY)


def log_key_file(number: int) -> str:
    """Return the name of the file of a log key, or of a reference to one."""
    return f"log-key-{number:04d}"


def _numbers(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    return sorted(int(match[1]) for name in confined.names(folder) if (match := pattern.fullmatch(name)))


def _of_number(number: int) -> str:
    return f"{_DATA_KEYS} {number}"


def _data_key(number: int) -> str:
    return f"data-key-{number:04d}"


def _password(number: int) -> str:
    return f"password-{number:04d}"


def _unwrapped(path: Path, key: bytes) -> bytes:
    return _opened(confined.read(path), key)


def _opened(wrapped: bytes, key: bytes) -> bytes:
    try:
        return unwrap(wrapped, key)
    except WrappingError:
        raise KeyStoreError(KeyFault.DAMAGED, "a secret of the vault cannot be decrypted") from None


def token_keys(folder: Path, wrapping: bytes) -> tuple[SoftwareTokenKey, ...]:
    """Return the access token keys in ``folder``, unwrapped with ``wrapping``, the newest first."""
    read = (_read(_path(folder, day), wrapping) for day in _made(folder))
    return tuple(key for key in read if key is not None)


def token_keys_due(folder: Path, today: date) -> bool:
    """Return whether :meth:`VaultFiles.renew_token_keys` has anything to do."""
    made = _made(folder)
    return not made or today - made[0] >= _RENEW_AFTER or (len(made) > 1 and today - made[0] >= _STAYS)


def _renew_token_keys(folder: Path, wrapping: bytes, today: date) -> None:
    """Make a key if there is none or the newest is too old, and remove those not needed any more.

    Two processes that make one on the same day get the same one.
    """
    made = _made(folder)
    if not made or today - made[0] >= _RENEW_AFTER:
        write_new(_path(folder, today), wrap(_new(), wrapping))
        made = _made(folder)
    newest, *older = made
    if today - newest >= _STAYS:
        for day in older:
            remove(_path(folder, day))


def _made(folder: Path) -> list[date]:
    """Return the days on which keys were made, the latest first."""
    found = (_TOKEN_KEY.fullmatch(name) for name in confined.names(folder))
    return sorted((datetime.strptime(match[1], "%Y%m%d").date() for match in found if match), reverse=True)


def _path(folder: Path, day: date) -> Path:
    return folder / f"token-{day:%Y%m%d}.key"


def _new() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path, wrapping: bytes) -> SoftwareTokenKey | None:
    """Return the key in a file; ``None`` if another process has just removed it."""
    try:
        key = serialization.load_der_private_key(unwrap(confined.read(path), wrapping), None)
    except FileNotFoundError:
        return None
    except (WrappingError, ValueError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyStoreError(KeyFault.DAMAGED, "a token key cannot be decrypted")
    return SoftwareTokenKey(key)
