"""References in a vault's folder to its keys in an HSM: id, public key, and certificate once there is one.

No secret is in these files. They are named like the files of software keys, and
like those never change once written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from samdrift.keystore import confined
from samdrift.keystore.confined import remove, write_new
from samdrift.keystore.hsm.objects import MadeKey
from samdrift.keystore.keyfiles import (
    KeyFault,
    KeyFile,
    KeyName,
    KeyStoreError,
    decode_certificate,
    encode_certificates,
    file_name,
)
from samdrift.keystore.vaultfolder import key_files

_URI = re.compile(rb"pkcs11:id=((?:%[0-9A-F]{2}|[0-9A-Za-z._~-])+);type=private\n")
_RETIRED = ".retired"


@dataclass(frozen=True, slots=True)
class Reference:
    """A key in the token that has its certificate."""

    file: KeyFile
    key_id: bytes
    certificate: x509.Certificate


class References:
    """The files in ``folder``, which need not be there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, Reference] = {}

    def numbers(self, name: KeyName) -> list[int]:
        """Of every key, the newest first, with or without a certificate."""
        return [file.number for file in key_files(self._folder, name)]

    def waiting(self, name: KeyName) -> dict[int, rsa.RSAPublicKey]:
        """The keys without a certificate, by number."""
        files = [file for file in key_files(self._folder, name) if not file.installed]
        return {file.number: _public_key(confined.read(file.path)) for file in files}

    def installed(self, name: KeyName) -> list[Reference]:
        """The keys with certificates, the newest first."""
        files = [file for file in key_files(self._folder, name) if file.installed]
        for file in files:
            if file.path not in self._known:
                self._known[file.path] = _read(file)
        return [self._known[file.path] for file in files]

    def add(self, name: KeyName, made: MadeKey, after: int) -> None:
        """Keep a key that waits for its certificate, with a number above ``after``."""
        confined.make(self._folder)
        data = (
            f"pkcs11:id={quote_from_bytes(made.key_id, safe='')};type=private\n".encode()
            + made.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        number = max([after, *self.numbers(name)]) + 1
        while not write_new(self._folder / file_name(name, number), data):
            number += 1

    def install(self, name: KeyName, number: int, certificates: tuple[x509.Certificate, ...]) -> None:
        """Put a waiting key to use with its certificate, and its issuers."""
        path = self._folder / file_name(name, number)
        write_new(path.with_suffix(".pem"), confined.read(path) + encode_certificates(certificates))
        remove(path)

    def set_aside(self, name: KeyName, number: int) -> None:
        """Use a key no longer; it stays in :meth:`aside` until it is destroyed in the token."""
        for file in key_files(self._folder, name):
            if file.number == number:
                if file.installed:  # Without its certificate it may be there too, left by a kill.
                    remove(file.path.with_suffix(".key"))
                confined.rename(file.path, file.path.with_suffix(_RETIRED).name)

    def aside(self) -> list[tuple[Path, bytes]]:
        """List references that were set aside, each with its key's id, to be removed when the key is
        destroyed.
        """
        paths = [self._folder / name for name in confined.names(self._folder) if name.endswith(_RETIRED)]
        return [(path, _key_id(confined.read(path))) for path in paths]


def _read(file: KeyFile) -> Reference:
    data = confined.read(file.path)
    certificate = decode_certificate(data)
    if _public_key(data) != certificate.public_key():
        raise _damaged()
    return Reference(file, _key_id(data), certificate)


def _key_id(data: bytes) -> bytes:
    match = _URI.match(data)
    if match is None:
        raise _damaged()
    return unquote_to_bytes(match[1])


def _public_key(data: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(data)
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise _damaged()
    return key


def _damaged() -> KeyStoreError:
    return KeyStoreError(KeyFault.DAMAGED, "the file of a key in a token cannot be read")
