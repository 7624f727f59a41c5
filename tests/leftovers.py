"""Clears up after a run of the tests, however it ends: also by SIGTERM or SIGKILL, when no fixture does.

Everything temporary is in one folder, the run's own. A process beside the run waits for its
end, ends what still works in that folder or for the run, and removes the folder.
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
"""Bytes that must be free there, several times what a run has at once."""


class Cleaner:
    """Makes the folder for everything temporary, and removes it when this process has ended."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="samdrift-", dir=_in_memory())
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None
        command = [sys.executable, "-P", __file__, folder]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/")

    def close(self) -> None:
        """Clear up now."""
        self._process.communicate()


def _in_memory() -> Path | None:
    """Return a folder that no disk is written for, where there is one with room and nothing else is named.

    Making the files of a database there takes a fifth of the processor time that a file system takes.
    Programs must be able to run there: tests write some.
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
                # SIGQUIT has PostgreSQL end at once, and leave no shared memory.
                process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)
        psutil.wait_procs(found, 1.0)
    for disk in psutil.disk_partitions(all=True):
        if Path(folder) in Path(disk.mountpoint).parents:
            subprocess.run(["umount", "--lazy", disk.mountpoint], check=False)
    # Trees of tests may be deeper than shutil.rmtree can go.
    subprocess.run(["rm", "-rf", folder], check=False)


def _left(folder: str) -> list[psutil.Process]:
    """Processes that were started with the folder in their command or as the one for temporary files."""
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
