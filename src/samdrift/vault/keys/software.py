"""Private keys and data keys in encrypted files: one folder per vault, nothing shared between vaults.

Keys are generated in place and never leave (R6, R7): what comes out is a
certificate request, signatures and unwrapped session keys. The folder of a
vault carries the vault's random id, so that it does not tell whose it is.

A key has a name and a number. A new number waits until its certificate is
installed; from then on it is the one that signs, and older ones still decrypt
what was encrypted for them until they are retired. Files never change once
written, so the list of names in a folder is its state, and another process's
rotation is seen at once.

Calls block on the disk; making a key takes tenths of a second.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from nacl.utils import random

from samdrift.vault.files import private_folder, remove, write_new
from samdrift.vault.keys.files import (
    KeyFault,
    KeyFile,
    KeyName,
    KeyStoreError,
    decode_certificate,
    decode_key,
    encode_certificates,
    encode_key,
    file_name,
    key_files,
    key_name,
)
from samdrift.vault.keys.store import HeldKey
from samdrift.vault.keys.tokenkeys import token_keys
from samdrift.vault.keys.wrapping import (
    KEY_BYTES,
    ScryptCost,
    WrappingError,
    derive,
    new_root,
    open_root,
    unwrap,
    wrap,
)
from samdrift.wire.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey, SoftwareTokenKey

__all__ = ["MIN_BITS", "HeldKey", "KeyFault", "KeyName", "KeyStoreError", "ScryptCost", "SoftwareKeyStore"]

MIN_BITS = 2048
"""The smallest RSA key that is made; the default is what the federation asks for, 3072."""

_ROOT = "root"
_SECRET = "secret"  # noqa: S105
_DATA_KEY = "data-key"
_VAULT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class _Loaded:
    private_key: rsa.RSAPrivateKey
    certificate: x509.Certificate


class SoftwareKeyStore:
    """The keys of every vault, under one passphrase; opened, or created when the folder is new."""

    def __init__(self, folder: Path, passphrase: bytes, *, cost: ScryptCost | None = None) -> None:
        """Open the store; :class:`KeyStoreError` (``LOCKED``) when the passphrase is not its own.

        ``cost`` is for a new store; an existing one keeps its own.
        """
        self._folder = private_folder(folder)
        self._loaded: dict[tuple[str, KeyName], dict[int, _Loaded]] = {}
        root = folder / _ROOT
        if not root.exists():
            write_new(root, new_root(passphrase, cost or ScryptCost()))
        try:
            self._root = open_root(root.read_bytes(), passphrase)
        except WrappingError:
            raise KeyStoreError(KeyFault.LOCKED, "the passphrase does not open the key store") from None

    def create_key(self, vault: str, name: str, subject: x509.Name, bits: int = 3072) -> bytes:
        """Make a new RSA key and return its certificate request (PEM); the key waits for its certificate."""
        if bits < MIN_BITS:
            raise KeyStoreError(KeyFault.WEAK, f"keys have at least {MIN_BITS} bits")
        folder, key = self._vault_folder(vault), key_name(name)
        password = self._password(vault)
        private_key = rsa.generate_private_key(65537, bits)
        data = encode_key(private_key, password)
        number = max((file.number for file in key_files(folder, key)), default=0) + 1
        while not write_new(folder / file_name(key, number), data):
            number += 1
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return request.sign(private_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def install_certificate(
        self, vault: str, name: str, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...] = ()
    ) -> None:
        """Put a waiting key to use with its certificate; ``MISMATCH`` when no waiting key is its own.

        ``chain`` is what a TLS peer needs besides: the issuers, without the root.
        """
        for file in key_files(self._vault_folder(vault), key_name(name)):
            if file.installed:
                continue
            data = file.path.read_bytes()
            if decode_key(data, self._password(vault)).public_key() == certificate.public_key():
                write_new(file.path.with_suffix(".pem"), data + encode_certificates((certificate, *chain)))
                remove(file.path)
                return
        raise KeyStoreError(KeyFault.MISMATCH, "the certificate belongs to no key that waits for one")

    def installed(self, vault: str, name: str) -> tuple[int, ...]:
        """The numbers of the keys with certificates, without opening any: they change with each rotation."""
        return tuple(file.number for file in self._installed(vault, name))

    def signing_key(self, vault: str, name: str = KeyName.SIGNING) -> SoftwareSigningKey:
        """The newest key with a certificate."""
        loaded = self._load(vault, self._installed(vault, name)[0])
        return SoftwareSigningKey(loaded.private_key, loaded.certificate)

    def signing_keys(self, vault: str, name: str = KeyName.SIGNING) -> tuple[SoftwareSigningKey, ...]:
        """Every key with a certificate that is not retired, the newest first."""
        loaded = [self._load(vault, file) for file in self._installed(vault, name)]
        return tuple(SoftwareSigningKey(one.private_key, one.certificate) for one in loaded)

    def decryption_keys(
        self, vault: str, name: str = KeyName.ENCRYPTION
    ) -> tuple[SoftwareDecryptionKey, ...]:
        """Every key with a certificate that is not retired, the newest first."""
        loaded = [self._load(vault, file) for file in self._installed(vault, name)]
        return tuple(SoftwareDecryptionKey(one.private_key, one.certificate) for one in loaded)

    def tls_client(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the client's key, for an SSL context."""
        return self._installed(vault, KeyName.TLS_CLIENT)[0].path, self._password(vault).decode()

    def tls_server(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the server's key, for an SSL context."""
        return self._installed(vault, KeyName.TLS_SERVER)[0].path, self._password(vault).decode()

    def data_key(self, vault: str) -> bytes:
        """The key, 32 bytes, that the vault's content is encrypted with; made on first use."""
        secret = self._secret(vault)
        return _kept(self._vault_folder(vault) / _DATA_KEY, derive(secret, "samdrift data key"))

    def token_keys(self, vault: str, today: date) -> tuple[SoftwareTokenKey, ...]:
        """What access tokens are signed with, the newest first; made and replaced by themselves."""
        wrapping = derive(self._secret(vault), "samdrift token keys")
        return token_keys(self._vault_folder(vault), wrapping, today)

    def has_data_key(self, vault: str) -> bool:
        """Whether the vault's content can be read here; never again once its keys are destroyed."""
        return (self._vault_folder(vault) / _DATA_KEY).exists()

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        """What the vault holds, for people: by name, the newest first."""
        folder = self._vault_folder(vault)
        return tuple(
            HeldKey(name, file.number, self._load(vault, file).certificate if file.installed else None)
            for name in KeyName
            for file in key_files(folder, name)
        )

    def retire(self, vault: str, name: str, number: int) -> None:
        """Remove an older key for good; the active one stays (``ACTIVE``)."""
        active, *older = self._installed(vault, name)
        if active.number == number:
            raise KeyStoreError(KeyFault.ACTIVE, "the active key is replaced, not retired")
        for file in older:
            if file.number == number:
                self._loaded.get((vault, file.name), {}).pop(number, None)
                remove(file.path)
                return
        raise KeyStoreError(KeyFault.MISSING, "no such key")

    def destroy(self, vault: str) -> None:
        """Make everything that the vault's keys protect unreadable, for good.

        The vault's secret goes first: what a crash leaves after that opens for nobody.
        """
        folder = self._vault_folder(vault)
        for name in KeyName:
            self._loaded.pop((vault, name), None)
        if folder.is_dir():
            remove(folder / _SECRET)
            shutil.rmtree(folder)

    def _vault_folder(self, vault: str) -> Path:
        if not _VAULT.fullmatch(vault) or vault == _ROOT:
            raise KeyStoreError(KeyFault.BAD_NAME, "not the id of a vault")
        return self._folder / vault

    def _secret(self, vault: str) -> bytes:
        folder = private_folder(self._vault_folder(vault))
        return _kept(folder / _SECRET, derive(self._root, f"samdrift vault {vault}"))

    def _password(self, vault: str) -> bytes:
        return derive(self._secret(vault), "samdrift key files").hex().encode()

    def _installed(self, vault: str, name: str) -> list[KeyFile]:
        """The key files with certificates, the active one first; never empty."""
        files = [file for file in key_files(self._vault_folder(vault), key_name(name)) if file.installed]
        held = self._loaded.get((vault, key_name(name)), {})
        for number in held.keys() - {file.number for file in files}:
            del held[number]  # Retired by another process.
        if not files:
            raise KeyStoreError(KeyFault.MISSING, f"the vault has no {name} key with a certificate")
        return files

    def _load(self, vault: str, file: KeyFile) -> _Loaded:
        held = self._loaded.setdefault((vault, file.name), {})
        loaded = held.get(file.number)
        if loaded is None:
            data = file.path.read_bytes()
            loaded = _Loaded(decode_key(data, self._password(vault)), decode_certificate(data))
            if loaded.private_key.public_key() != loaded.certificate.public_key():
                raise KeyStoreError(KeyFault.DAMAGED, "a key file holds another key's certificate")
            held[file.number] = loaded
        return loaded


def _kept(path: Path, key: bytes) -> bytes:
    """The random secret that ``path`` keeps wrapped under ``key``, made when it is missing."""
    if not path.exists():
        write_new(path, wrap(random(KEY_BYTES), key))
    try:
        return unwrap(path.read_bytes(), key)
    except WrappingError:
        raise KeyStoreError(KeyFault.DAMAGED, "a secret of the vault does not open") from None
