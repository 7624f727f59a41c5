"""A backup as it lies on a disk: a folder with a file for each organisation, and a signed list of them.

The list, ``manifest.json``, is in clear, so that it can be seen without the recipient's key which
organisations a backup has, of when, and how large they are; nothing else can. Age does not say who has
encrypted a file, and whoever has the recipient's public key could make one: the list has the digest of
each, and is signed by the key of the operator's log.
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
"""The beginning of what is signed, so that the signature is never one of another kind."""
_LARGEST_MANIFEST = 1 << 24
_PIECE = 1 << 20
_SUFFIX = ".age"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A file of a backup."""

    file: str
    organisation: str
    """Empty for the registry."""
    taken_at: datetime
    """The moment as of which it is."""
    bytes: int
    sha256: str
    rows: int
    bodies: int
    lost: int
    """Bodies that the database names and the object store did not have when the backup was made."""


@dataclass(frozen=True, slots=True)
class Missing:
    """An organisation that is not in the backup, and why."""

    organisation: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of what a backup has."""

    id: str
    made_at: datetime
    made_by: str
    whole: bool
    """True where it is one of everything, with the registry."""
    recipients: tuple[str, ...]
    """SHA-256 of each recipient of age that it is encrypted for."""
    files: tuple[BackupFile, ...]
    missing: tuple[Missing, ...]

    def encode(self) -> bytes:
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(document, indent=1, default=datetime.isoformat).encode()

    def of(self, organisation: str) -> BackupFile:
        """Return the file of an organisation; :class:`BackupError` where there is none."""
        for each in self.files:
            if each.organisation == organisation:
                return each
        raise BackupError(BackupFault.ABSENT, f"{organisation} is not in the backup")


@dataclass(frozen=True, slots=True)
class BackupSet:
    """A backup, whose list is what was signed."""

    folder: Path
    manifest: Manifest
    sha256: str
    """SHA-256 of the list: names the backup in logs."""
    signer: str
    """The key that signed, in 64 hexadecimal digits."""

    async def check(self, file: BackupFile) -> None:
        """Read a file and compare its digest; :class:`BackupError` where it is another one."""
        found = await described(self.folder / file.file)
        if found != (file.bytes, file.sha256):
            raise damaged(f"{shown(self.folder / file.file)}: was changed, or is not whole")

    @asynccontextmanager
    async def opened(self, file: BackupFile, keys: Sequence[pyrage.x25519.Identity]) -> AsyncIterator[Source]:
        """Decrypt a file that was checked; when it has been read, it is the very file that the list names."""
        path = self.folder / file.file
        try:
            async with decrypting(path, keys, file.sha256) as source:
                yield source
        except MoveError as error:
            if error.fault is MoveFault.OTHER_RECIPIENT:
                text = f"{error}: --identity names the key of one of its recipients"
                raise BackupError(BackupFault.KEY, text) from None
            raise damaged(f"{shown(path)}: was changed, or is not whole") from None


def write(folder: Path, manifest: Manifest, key: LogKey) -> tuple[str, str]:
    """Write the list and its signature; returns the list's SHA-256, and the key that signed."""
    data = manifest.encode()
    signature = {"key": key.public.hex(), "signature": key.sign(_SIGNED_AS + data).hex()}
    for name, content in ((MANIFEST, data), (SIGNATURE, json.dumps(signature).encode())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return hashlib.sha256(data).hexdigest(), key.public.hex()


def read(folder: Path, signers: Iterable[str]) -> BackupSet:
    """Read the list of a backup, which one of ``signers`` must have signed; :class:`BackupError`."""
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
            f"{shown(folder)}: is signed by a key that is not this installation's ({signer}): --signer names"
            " the key of the installation that made it"
        )
        raise BackupError(BackupFault.SIGNATURE, text)
    return BackupSet(folder, _manifest(folder, data), hashlib.sha256(data).hexdigest(), signer)


def has_list(folder: Path) -> bool:
    """Return whether a folder has the list of a backup."""
    return (folder / MANIFEST).is_file()


def found_in(folder: Path) -> list[Path]:
    """Return the backups in a folder, the oldest first."""
    return sorted(each for each in folder.iterdir() if has_list(each) and each.name[0] != ".")


def _manifest(folder: Path, data: bytes) -> Manifest:
    try:
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise ValueError
        if said["version"] != VERSION:
            text = f"{shown(folder)}: is of another version of samdrift than this one can read"
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
            BackupFault.NOT_A_BACKUP, f"{shown(folder)}: its list of files is not one of a backup"
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
    """Return size and SHA-256 of a file, read in a thread."""

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
        raise damaged(f"{shown(path)}: is missing in the backup") from None
