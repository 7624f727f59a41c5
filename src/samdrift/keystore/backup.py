"""Wrapped backups of an organisation's keys: a file that opens with the passphrases of two custodians.

A backup of the installation opens no vault without its seal, which no such backup contains. So an
organisation whose seals are lost has lost everything, unless it has such a file. The file contains
what the vaults' secrets are opened with, and the key files unchanged. For a vault that its
organisation's officer unlocks, it opens nothing without the officer either. ::

    each custodian's passphrase --scrypt--> together, with the file's header --HKDF--> opens the rest
    each custodian's key (:mod:`samdrift.keystore.custody`) signs all of it

Two passphrases that one person has invented wrap a file as well. So both custodians sign it, with the
keys by which the installation knows them, and only a file that two of its custodians have signed is
restored.

Each such file is another place that destroying the keys has to reach. So each has a number, which is
recorded in the organisation's log.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from samdrift.keystore.custody import Custodian, Custodians
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.wrapping import (
    KEY_BYTES,
    PERSONS_COST,
    ScryptCost,
    Stretching,
    WrappingError,
    unwrap,
    wrap,
)

FORMAT = "samdrift-key-backup-2"
UNSIGNED = "samdrift-key-backup-1"
"""Format of version 0.1, which has no signature."""

_SIGNED = b"samdrift key backup\0"


@dataclass(frozen=True, slots=True)
class VaultBackup:
    """The backup of one vault; with the root key's share and the seal, its secret can be opened."""

    vault: str
    root_share: bytes = field(repr=False)
    """The share derived from the installation's root key for this vault."""
    seal: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    """Files of the vault's folder, by name, including the locked secret."""
    beside: Mapping[str, bytes] = field(repr=False)
    """Further files, by folder and name: decisions about keys, references to keys in an HSM."""


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """The part of a backup in the clear, which identifies it."""

    number: str
    organisation: str
    at: str
    custodians: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Secret:
    """The passphrase of one of the two custodians."""

    name: str
    passphrase: bytes = field(repr=False)


def wrap_backup(
    header: BackupHeader,
    vaults: Sequence[VaultBackup],
    secrets: tuple[Secret, Secret],
    signers: tuple[Custodian, Custodian],
    cost: ScryptCost | None = None,
) -> bytes:
    """Return the backup file, signed by both custodians."""
    stretchings = {secret.name: Stretching.new(cost or PERSONS_COST) for secret in secrets}
    clear = {
        "format": FORMAT,
        "number": header.number,
        "organisation": header.organisation,
        "at": header.at,
        "custodians": {name: stretching.parts() for name, stretching in stretchings.items()},
        "not included": "keys in hardware tokens, which never leave them",
    }
    content = json.dumps([_plain(vault) for vault in vaults]).encode()
    key = _key(clear, stretchings, {secret.name: secret.passphrase for secret in secrets})
    document = clear | {"wrapped": _text(wrap(content, key))}
    signatures = {each.name: each.key.sign(_to_sign(document)).hex() for each in signers}
    return json.dumps(document | {"signatures": signatures}, ensure_ascii=False, indent=1).encode()


def signed_by(file: bytes, custodians: Custodians) -> bool:
    """Return whether both custodians of a backup have signed it, with the keys that they have here."""
    _parts(file)
    document = json.loads(file)
    signatures, data = document.pop("signatures", None), _to_sign(document)
    if not isinstance(signatures, dict) or signatures.keys() != document["custodians"].keys():
        return False
    try:
        return all(custodians.signed(name, data, bytes.fromhex(each)) for name, each in signatures.items())
    except (ValueError, TypeError):
        return False


def _to_sign(document: Mapping[str, Any]) -> bytes:
    plain = json.dumps({key: document[key] for key in document if key != "signatures"}, sort_keys=True)
    return _SIGNED + hashlib.sha256(plain.encode()).digest()


def read_header(file: bytes) -> BackupHeader:
    """Return the identity of a backup file; ``DAMAGED`` if it is not a backup."""
    clear, _ = _parts(file)
    first, second = clear["custodians"]
    return BackupHeader(str(clear["number"]), str(clear["organisation"]), str(clear["at"]), (first, second))


def unwrap_backup(file: bytes, passphrases: Mapping[str, bytes]) -> tuple[VaultBackup, ...]:
    """Return the content of the file; ``LOCKED`` unless the passphrases are those of its two custodians."""
    clear, wrapped = _parts(file)
    try:
        stretchings = {name: Stretching.read(parts) for name, parts in clear["custodians"].items()}
        if stretchings.keys() != passphrases.keys():
            raise KeyStoreError(KeyFault.LOCKED, "the backup needs the passphrases of both its custodians")
        content = unwrap(wrapped, _key(clear, stretchings, passphrases))
        return tuple(_vault(plain) for plain in json.loads(content))
    except WrappingError:
        text = "the backup cannot be opened: one of the passphrases is wrong, or the file was changed"
        raise KeyStoreError(KeyFault.LOCKED, text) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, KeyStoreError):
            raise
        raise _damaged() from None


def _key(
    clear: Mapping[str, Any], stretchings: Mapping[str, Stretching], passphrases: Mapping[str, bytes]
) -> bytes:
    """Derive the key from the header and both passphrases, neither of which suffices alone."""
    names = sorted(stretchings)
    if len(names) != 2:
        raise _damaged()
    both = b"".join(stretchings[name].key(passphrases[name]) for name in names)
    header = json.dumps(clear, sort_keys=True).encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, hashlib.sha256(header).digest(), b"samdrift key backup").derive(
        both
    )


def _parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a file into its clear and its wrapped part."""
    try:
        clear = json.loads(file)
        wrapped = _bytes(clear.pop("wrapped"))
        clear.pop("signatures", None)
        if (
            clear["format"] not in (FORMAT, UNSIGNED)
            or len({**clear["custodians"]}) != 2
            or not {"number", "organisation", "at"} <= {*clear}
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged() from None
    return clear, wrapped


def _plain(vault: VaultBackup) -> dict[str, Any]:
    return {
        "vault": vault.vault,
        "root": _text(vault.root_share),
        "seal": _text(vault.seal),
        "files": {name: _text(data) for name, data in vault.files.items()},
        "beside": {name: _text(data) for name, data in vault.beside.items()},
    }


def _vault(plain: Mapping[str, Any]) -> VaultBackup:
    files = {str(name): _bytes(data) for name, data in plain["files"].items()}
    beside = {str(name): _bytes(data) for name, data in plain["beside"].items()}
    return VaultBackup(str(plain["vault"]), _bytes(plain["root"]), _bytes(plain["seal"]), files, beside)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _damaged() -> KeyStoreError:
    text = "the file is not a backup of an organisation's keys, or is damaged"
    return KeyStoreError(KeyFault.DAMAGED, text)
