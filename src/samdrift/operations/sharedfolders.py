"""Checks that the file systems of folders shared by several hosts meet the needs of keys and objects.

Processes use file locks to write to the key store one at a time. On one host the kernel enforces these; for a
mounted folder the server must do so, and mount options can prevent that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from samdrift.config.errors import shown
from samdrift.config.model import Config
from samdrift.operations.findings import Finding, Subject

MOUNTS = Path("/proc/self/mountinfo")
_LOCKS = Subject(
    "files.locks", "two hosts that write at the same time may create two keys for one log, or lose one"
)
_WRITES = Subject("files.shared", "data confirmed as stored may be gone, or refused data may be present")
_NFS = frozenset({"nfs", "nfs4"})
_LOCAL_LOCKS = frozenset({"nolock", "local_lock=all", "local_lock=flock"})
_GIVES_UP = frozenset({"soft", "softerr"})
_UNKNOWN = re.compile(r"fuse(\..*)?|9p|cifs|smb3|virtiofs|vboxsf")
"""File systems on which locks of one host may not be visible to others."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system."""

    kind: str
    options: frozenset[str]


def check_shared(config: Config, mounts: Path | None = None) -> Iterator[Finding]:
    """Check the folders that are on network file systems; local ones need no check."""
    vaults = config.vaults
    try:
        text = (mounts or MOUNTS).read_text()
    except OSError:  # Not Linux, or not readable, so the mounts are unknown.
        return
    for folder in (vaults.secrets, vaults.seals):
        found = mount_of(folder.resolve(), text)
        if found is not None:
            yield from _locks(folder, found)
    for place in (vaults.secrets, vaults.seals, vaults.objects):
        if not isinstance(place, Path):
            continue
        found = mount_of(place.resolve(), text)
        if found is not None and found.kind in _NFS and (gives_up := found.options & _GIVES_UP):
            yield _WRITES.fail(
                f"{shown(place)} is mounted with {', '.join(sorted(gives_up))}: a write with a late"
                " response counts as failed",
                "mount it with hard",
            )


def _locks(folder: Path, mount: Mount) -> Iterator[Finding]:
    name = shown(folder)
    if mount.kind in _NFS:
        if local := mount.options & _LOCAL_LOCKS:
            yield _LOCKS.fail(
                f"{name} is mounted with {', '.join(sorted(local))}: file locks are local to this host",
                "mount it as NFS 4, with hard and without that option",
            )
        else:
            yield _LOCKS.ok(f"{name} is on {mount.kind}, whose server keeps file locks for all hosts")
    elif _UNKNOWN.fullmatch(mount.kind):
        yield _LOCKS.warn(
            f"{name} is on {mount.kind}, whose file locks may be local to this host",
            f"with several hosts: run flock {name} sleep 60 on one of them, and see flock -n {name} true"
            " fail on another; or mount it as NFS 4",
        )


def mount_of(path: Path, text: str) -> Mount | None:
    """Find the mount of a path in the kernel's list (proc_pid_mountinfo(5)); the latest mount counts."""
    best: tuple[int, Mount] | None = None
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        where, own = fields.split()[4:6]
        kind, _, others = rest.split()[:3]
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), where))
        if path.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = len(point.parts), Mount(kind, frozenset([*own.split(","), *others.split(",")]))
    return best[1] if best is not None else None
