"""Keys of logs in an HSM (Ed25519, made and used there), and the files that refer to them.

A reference is stored beside those to other keys (:class:`samdrift.keystore.hsm.store.References`) and has the
key's id and its public half, but no secret. Such a key is not certified: the log itself announces it. So a
reference has no other state, and stays, since an older key announces the newer one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from samdrift.keystore import confined
from samdrift.keystore.confined import write_new
from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import Token
from samdrift.keystore.hsm.objects import MadeLogKey
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.vaultfiles import log_key_file, log_key_numbers

_URI = re.compile(rb"pkcs11:id=((?:%[0-9A-F]{2}|[0-9A-Za-z._~-])+);type=private\n")


class HsmLogKey:
    """An Ed25519 key that signs checkpoints and promises of a log in an HSM."""

    remote = True

    def __init__(self, token: Token, key_id: bytes, public: bytes) -> None:
        self._token = token
        self._key_id = key_id
        self.public = public

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with Ed25519 (RFC 8032 5.1.6); ``KeyStoreError`` while the HSM is unavailable."""
        return objects.sign_log(self._token, self._key_id, data)


class LogReferences:
    """The references to keys of a vault's log, in ``folder``, which may be missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def numbers(self) -> list[int]:
        """Return the numbers of the keys, the oldest first."""
        return log_key_numbers(self._folder)

    def keys(self, token: Callable[[], Token]) -> dict[int, HsmLogKey]:
        """Return the keys by number; ``token`` returns the vault's HSM, and is called if there are any."""
        return {
            number: HsmLogKey(token(), *_read(confined.read(self._folder / log_key_file(number))))
            for number in self.numbers()
        }

    def add(self, made: MadeLogKey, after: int) -> None:
        """Store a reference to a new key, with a number above ``after``."""
        confined.make(self._folder)
        number = max([after, *self.numbers()]) + 1
        public = made.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        data = f"pkcs11:id={quote_from_bytes(made.key_id, safe='')};type=private\n".encode() + public
        write_new(self._folder / log_key_file(number), data)


def _read(data: bytes) -> tuple[bytes, bytes]:
    """Return the id and the public half of a key that a file refers to."""
    match = _URI.match(data)
    try:
        public = load_pem_public_key(data)
    except ValueError:
        public = None
    if match is None or not isinstance(public, Ed25519PublicKey):
        raise KeyStoreError(KeyFault.DAMAGED, "the file of a key in a token cannot be read")
    return unquote_to_bytes(match[1]), public.public_bytes_raw()
