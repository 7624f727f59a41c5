"""A backup on disk: a folder with a file for each organisation, and a signed list of them.

The list, ``manifest.json``, is not encrypted: without the recipient's key it shows which organisations a
backup contains, from when and how large, but nothing else. Age does not authenticate the sender of a file,
and anyone with the recipient's public key could make one. The list therefore has the digest of each file, and
is signed with the key of the operator's log.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyrage
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samdrift.attestation.agefile import Source, decrypting
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.attestation.signatures import time_of
from samdrift.config.errors import shown
from samdrift.operations.backupformat import FORMAT, VERSION, BackupError, BackupFault, damaged
from samdrift.wire.crypto.keys import LogKey

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
REGISTRY_FILE = "registry.age"
_SIGNED_AS = b"samdrift backup manifest v1\n"
"""Prefix of the signed data, so that no other kind of signature can be mistaken for this one."""
_LARGEST_MANIFEST = 1 << 24
_PIECE = 1 << 20
_SUFFIX = ".age"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A file of a backup, as described in the list."""

    file: str
    organisation: str
    """Participant identifier; empty for the registry."""
    taken_at: datetime
    """Time of the snapshot."""
    bytes: int
    sha256: str
    rows: int
    bodies: int
    lost: int
    """Number of bodies that the database referred to but the object store did not have during the backup."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An organisation that could not be backed up, and the reason."""

    organisation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of a backup's contents."""

    id: str
    made_at: datetime
    made_by: str
    whole: bool
    """True for a backup of all organisations and the registry."""
    recipients: tuple[str, ...]
    """SHA-256 of each age recipient that the backup is encrypted for."""
    files: tuple[BackupFile, ...]
    missing: tuple[Missing, ...]

    def encode(self) -> bytes:
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(document, indent=1, default=datetime.isoformat).encode()

    def of(self, organisation: str) -> BackupFile:
        """Return the file of an organisation; raise :class:`BackupError` if there is none."""
        for each in self.files:
            if each.organisation == organisation:
                return each
        raise BackupError(BackupFault.ABSENT, f"{organisation} is not in the backup")


@dataclass(frozen=True, slots=True)
class BackupSet:
    """A backup whose list has a verified signature."""

    folder: Path
    manifest: Manifest
    sha256: str
    """SHA-256 of the list, which identifies the backup in logs."""
    signer: str
    """The public key of the signer, in 64 hexadecimal digits."""

    async def check(self, file: BackupFile) -> None:
        """Compare a file's size and digest with the list; raise :class:`BackupError` when they differ."""
        found = await described(self.folder / file.file)
        if found != (file.bytes, file.sha256):
            raise damaged(f"{shown(self.folder / file.file)}: was changed, or is incomplete")

    @asynccontextmanager
    async def opened(self, file: BackupFile, keys: Sequence[pyrage.x25519.Identity]) -> AsyncIterator[Source]:
        """Decrypt a checked file, comparing its digest with the list once more while it is read."""
        path = self.folder / file.file
        try:
            async with decrypting(path, keys, file.sha256) as source:
                yield source
        except MoveError as error:
            if error.fault is MoveFault.OTHER_RECIPIENT:
                text = f"{error}: --identity names the key of one of its recipients"
                raise BackupError(BackupFault.KEY, text) from None
            raise damaged(f"{shown(path)}: was changed, or is incomplete") from None


def write(folder: Path, manifest: Manifest, key: LogKey) -> tuple[str, str]:
    """Write the list and its signature; return the list's SHA-256 and the signing key."""
    data = manifest.encode()
    signature = {"key": key.public.hex(), "signature": key.sign(_SIGNED_AS + data).hex()}
    for name, content in ((MANIFEST, data), (SIGNATURE, json.dumps(signature).encode())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return hashlib.sha256(data).hexdigest(), key.public.hex()


def read(folder: Path, signers: Iterable[str]) -> BackupSet:
    """Read a backup's list; raise :class:`BackupError` unless it is signed by one of ``signers``."""
    data, signature = _read(folder / MANIFEST), _read(folder / SIGNATURE)
    try:
        said = json.loads(signature)
        signer = str(said["key"])
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer))
        key.verify(bytes.fromhex(said["signature"]), _SIGNED_AS + data)
    except (InvalidSignature, ValueError, KeyError, TypeError):
        text = f"{shown(folder)}: its list of files was changed, or its signature: use another backup"
        raise BackupError(BackupFault.SIGNATURE, text) from None
    if signer not in signers:
        text = (
            f"{shown(folder)}: is not signed by this installation's key ({signer}): --signer names"
            " the key of the installation that made it"
        )
        raise BackupError(BackupFault.SIGNATURE, text)
    return BackupSet(folder, _manifest(folder, data), hashlib.sha256(data).hexdigest(), signer)


def has_list(folder: Path) -> bool:
    """Return whether a folder contains the list of a backup."""
    return (folder / MANIFEST).is_file()


def found_in(folder: Path) -> list[Path]:
    """Return the backups in a folder, oldest first."""
    return sorted(each for each in folder.iterdir() if has_list(each) and each.name[0] != ".")


def _manifest(folder: Path, data: bytes) -> Manifest:
    try:
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise ValueError
        if said["version"] != VERSION:
            text = f"{shown(folder)}: is from a version of samdrift that this one cannot read"
            raise BackupError(BackupFault.VERSION, text)
        return Manifest(
            id=str(said["id"]),
            made_at=time_of(said["made_at"]),
            made_by=str(said["made_by"]),
            whole=bool(said["whole"]),
            recipients=tuple(map(str, said["recipients"])),
            files=tuple(map(_file, said["files"])),
            missing=tuple(Missing(str(one["organisation"]), str(one["reason"])) for one in said["missing"]),
        )
    except (ValueError, KeyError, TypeError):
        raise BackupError(
            BackupFault.NOT_A_BACKUP, f"{shown(folder)}: its list of files is not that of a backup"
        ) from None


def _file(said: dict[str, Any]) -> BackupFile:
    name = str(said["file"])
    if Path(name).name != name or not name.endswith(_SUFFIX):
        raise ValueError
    return BackupFile(
        file=name,
        organisation=str(said["organisation"]),
        taken_at=time_of(said["taken_at"]),
        bytes=int(said["bytes"]),
        sha256=str(said["sha256"]),
        rows=int(said["rows"]),
        bodies=int(said["bodies"]),
        lost=int(said["lost"]),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        text = f"{shown(path.parent)}: is not a backup: it has no {path.name}"
        raise BackupError(BackupFault.NOT_A_BACKUP, text) from None


async def described(path: Path) -> tuple[int, str]:
    """Return the size and SHA-256 of a file, read in a thread."""

    def read_all() -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
        return size, digest.hexdigest()

    try:
        return await asyncio.to_thread(read_all)
    except FileNotFoundError:
        raise damaged(f"{shown(path)}: is missing from the backup") from None
