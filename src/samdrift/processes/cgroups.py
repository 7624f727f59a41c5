"""A control group for each process that is started, so that nothing it starts outlives it.

A process can leave its session and its process group, and one that runs as the same user as
others cannot be found by its user. It cannot leave its control group (cgroup v2): for that it would
have to write to files that belong to the supervisor's user. Where there is no such hierarchy, or
the supervisor may not make groups in it, processes are ended by their Unix user alone
(:mod:`samdrift.processes.survivors`). A unit of systemd needs ``Delegate=yes`` for a supervisor
that is not root.
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
"""Seconds in which all processes of a group are to be gone."""
_PAUSE = 0.02


class ControlGroup:
    """The group of one life of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def end(self) -> int:
        """Kill all remaining processes in the group, remove it, and return their number.

        In one step by the kernel, so that a process that starts others as fast as it can does not outrun it.
        An :class:`OSError` when they are not gone in ten seconds.
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
        """Put a process into the group; all that it starts from then on is in it, too."""
        (self._folder / "cgroup.procs").write_text(str(process))


class ControlGroups:
    """The groups of one installation's processes, below the supervisor's own."""

    def __init__(self, own: Path, secrets: Path) -> None:
        """``own`` is the supervisor's group; the folder ``secrets`` tells this installation from others."""
        self._own = own
        self._prefix = f"samdrift-{hashlib.sha256(str(secrets.resolve()).encode()).hexdigest()[:16]}-"

    def make(self) -> ControlGroup:
        """Make a group, without processes."""
        folder = self._own / f"{self._prefix}{os.urandom(8).hex()}"
        folder.mkdir()
        return ControlGroup(folder)

    def folders(self) -> list[Path]:
        """List the folders of the groups that are there."""
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
    """Find the folder of this process's own group in the hierarchy of version 2."""
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
    """Undo how the kernel writes spaces and the like in a list of mounts."""
    return os.fsdecode(path.encode().decode("unicode_escape").encode("latin-1"))
