"""A small disk for a folder, to be filled; its failures are those of any full disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A folder on a disk of its own."""

    folder: Path

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Fill the disk to the last byte while the context lasts."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[Disk]:
    """Put ``folder`` on a disk of that size; the test is skipped unless root runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder.stat()
    options = f"size={size},mode={kept.st_mode & 0o7777:o}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk needs root, and a system that allows it")
    try:
        os.chown(folder, kept.st_uid, kept.st_gid)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
