"""A witness in its own folder, with its key and its memory, which belong together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from samdrift.audit.notes import Algorithm, VerifierKey, is_name
from samdrift.config.errors import Unusable, shown
from samdrift.keystore.durablefiles import NotPrivate, private_folder, read_private, write_new
from samdrift.net.clock import system_clock
from samdrift.transparency.witness import Witness
from samdrift.transparency.witnessstate import WitnessState

_KEY, _STATE = "key.pem", "state.sqlite"


@contextlib.contextmanager
def opened(folder: Path, name: str, logs: Mapping[str, Sequence[VerifierKey]]) -> Iterator[Witness]:
    """Open the witness in ``folder`` for ``logs`` (keys by origin), creating it on first use.

    :class:`Unusable`, or ``WitnessStateError`` where key and memory do not belong together.
    """
    private, new = _private(folder, name)
    key = VerifierKey(name, Algorithm.COSIGNATURE, private.public_key().public_bytes_raw())
    with WitnessState(folder / _STATE, key, new=new) as state:
        yield Witness(key, private.sign, logs, state, system_clock)


def _private(folder: Path, name: str) -> tuple[Ed25519PrivateKey, bool]:
    """Return the key of the witness, and whether it was newly created."""
    if not is_name(name):
        raise Unusable("--name: a name has no spaces and no +")
    private_folder(folder)
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    new = write_new(folder / _KEY, made)
    try:
        private = load_pem_private_key(read_private(folder / _KEY), None)
    except NotPrivate:
        raise Unusable(f"{shown(folder / _KEY)}: users other than its owner can read the key") from None
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise Unusable(f"{shown(folder / _KEY)}: this is not an Ed25519 key in PEM without a passphrase")
    return private, new
