"""A control group for each process that is started, so that nothing it starts outlives it.

A process can leave its session and its process group, and the Unix user does not identify a process that
shares its user with others. A process cannot leave its control group (cgroup v2), because it would have to
write to files that belong to the supervisor's user. Without such a hierarchy, or when the supervisor may not
create groups in it, processes are ended by their Unix user alone (:mod:`samdrift.processes.survivors`). A
systemd unit needs ``Delegate=yes`` for a supervisor that is not root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")
_PATIENCE = 10.0
"""Seconds within which all processes of a group must be gone."""
_PAUSE = 0.02


class ControlGroup:
    """The control group of a process, from one start until its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def end(self) -> int:
        """Kill all remaining processes in the group, remove it, and return their number.

        The kernel kills them in one step, so that a process that keeps starting others cannot outrun it.
        Raises :class:`OSError` when they are not gone in ten seconds.
        """
        left = (self._folder / "cgroup.procs").read_text().split()
        (self._folder / "cgroup.kill").write_text("1")
        until = time.monotonic() + _PATIENCE
        while "populated 1" in (self._folder / "cgroup.events").read_text():
            if time.monotonic() > until:
                raise TimeoutError(0, "processes of a control group do not end")
            time.sleep(_PAUSE)
        for inner in sorted(self._folder.rglob("*/"), reverse=True):
            inner.rmdir()
        self._folder.rmdir()
        return len(left)

    def take(self, process: int) -> None:
        """Put a process into the group; everything that it starts from then on is in the group as well."""
        (self._folder / "cgroup.procs").write_text(str(process))


class ControlGroups:
    """The control groups of one installation's processes, below the supervisor's own group."""

    def __init__(self, own: Path, secrets: Path) -> None:
        """Create groups below ``own``, the supervisor's group, named after the key store folder ``secrets``.

        The name distinguishes this installation's groups from those of others.
        """
        self._own = own
        self._prefix = f"samdrift-{hashlib.sha256(str(secrets.resolve()).encode()).hexdigest()[:16]}-"

    def make(self) -> ControlGroup:
        """Create a group without processes."""
        folder = self._own / f"{self._prefix}{os.urandom(8).hex()}"
        folder.mkdir()
        return ControlGroup(folder)

    def folders(self) -> list[Path]:
        """List the folders of the existing groups."""
        return sorted(self._own.glob(f"{self._prefix}*/"))

    def end_all(self) -> int:
        """End the processes left by a killed supervisor, and return their number."""
        ended = 0
        for folder in self.folders():
            with contextlib.suppress(FileNotFoundError):
                ended += ControlGroup(folder).end()
        return ended


def control_groups(secrets: Path) -> ControlGroups | None:
    """Return the groups of the installation with the key store ``secrets``; ``None`` if none can be made."""
    own = own_group()
    if own is None:
        return None
    groups = ControlGroups(own, secrets)
    try:
        groups.make().end()
    except OSError:
        return None
    return groups


def own_group() -> Path | None:
    """Find the folder of this process's own group in the cgroup v2 hierarchy; ``None`` without one."""
    if sys.platform != "linux":
        return None
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
        groups = [line.split(":", 2) for line in _OWN.read_text().splitlines()]
    except OSError:
        return None
    roots = [Path(_unescaped(fields[4])) for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    paths = [path for number, controllers, path in groups if number == "0" and not controllers]
    if not roots or not paths:
        return None
    return roots[0] / paths[0].lstrip("/")


def _unescaped(path: str) -> str:
    """Decode the escapes by which the kernel writes spaces and similar characters in the list of mounts."""
    return os.fsdecode(path.encode().decode("unicode_escape").encode("latin-1"))
