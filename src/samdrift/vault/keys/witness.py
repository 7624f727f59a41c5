"""The last mark of a session key that was kept, beside a vault's keys: what no backup of the database has.

A database that comes back from a backup does not know this mark, whatever way it came
back: restored from a dump, from files or to a moment, or replaced by a replica that had
not followed. So a witness tells of marks that are lost, without asking the database what
happened to it. It is written after each mark is durable, in one step and without waiting
for the disk: what a crash takes of it is an older witness, which is a witness still.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from samdrift.vault.files import give_as

_FILE = "last-mark"
MARK_BYTES = 32
"""Of a mark of a session key."""
_TIME_BYTES = 8
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Witness:
    """A mark that the vault's database had, and when."""

    mark: bytes
    at: datetime


def read_witness(vault_folder: Path) -> Witness | None:
    """Return the witness of a vault; ``None`` when there is none, or nothing that could be one."""
    try:
        descriptor = os.open(vault_folder / _FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        data = os.read(descriptor, MARK_BYTES + _TIME_BYTES)
    finally:
        os.close(descriptor)
    if len(data) < MARK_BYTES + _TIME_BYTES:
        return None
    at = int.from_bytes(data[MARK_BYTES:])
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return Witness(data[:MARK_BYTES], datetime.fromtimestamp(at / _MICROSECONDS, UTC))
    return None


def write_witness(vault_folder: Path, witness: Witness) -> None:
    """Replace the witness of a vault."""
    at = int(witness.at.timestamp() * _MICROSECONDS)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(vault_folder / _FILE, flags, 0o600)
    try:
        give_as(descriptor, vault_folder)
        os.pwrite(descriptor, witness.mark + at.to_bytes(_TIME_BYTES), 0)
    finally:
        os.close(descriptor)
