"""Cleanup after a test run, however it ends: also by SIGTERM or SIGKILL, when fixtures do not run.

Everything temporary is in a folder of the run. A separate process waits for the end of the
run, kills all processes that still use that folder, and removes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

_WITHIN = 30.0
_SHARED_MEMORY = Path("/dev/shm")
_ROOM = 8 << 30
"""Minimum free bytes of the memory file system, several times the maximum that a run uses."""


class Cleaner:
    """The folder for everything temporary, and the process that removes it once this process has ended."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="samdrift-", dir=_in_memory())
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None
        command = [sys.executable, "-P", __file__, folder]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/")

    def close(self) -> None:
        """Clean up now."""
        self._process.communicate()


def _in_memory() -> Path | None:
    """Return a folder in memory, or ``None`` if there is none with enough room or ``TMPDIR`` is set.

    Creating the files of a database there takes a fifth of the processor time of a disk file system.
    Programs must be executable there, because tests write some.
    """
    if "TMPDIR" in os.environ or not os.access(_SHARED_MEMORY, os.W_OK):
        return None
    there = os.statvfs(_SHARED_MEMORY)
    free = min(there.f_bavail * there.f_frsize, psutil.virtual_memory().available)
    return None if there.f_flag & os.ST_NOEXEC or free < _ROOM else _SHARED_MEMORY


def _clear(folder: str) -> None:
    end = time.monotonic() + _WITHIN
    while (found := _left(folder)) and time.monotonic() < end:
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                # SIGQUIT stops PostgreSQL immediately, without leaving shared memory.
                process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)
        psutil.wait_procs(found, 1.0)
    for disk in psutil.disk_partitions(all=True):
        if Path(folder) in Path(disk.mountpoint).parents:
            subprocess.run(["umount", "--lazy", disk.mountpoint], check=False)
    # Tests may make trees too deep for shutil.rmtree.
    subprocess.run(["rm", "-rf", folder], check=False)


def _left(folder: str) -> list[psutil.Process]:
    """Return processes with the folder in their command line or as their ``TMPDIR``."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if process.pid != os.getpid()
        and (
            any(folder in word for word in process.info["cmdline"] or ())
            or (process.info["environ"] or {}).get("TMPDIR", "").startswith(folder)
        )
    ]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    _clear(sys.argv[1])
