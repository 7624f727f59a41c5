"""A process as the kernel accounts for it."""

from __future__ import annotations

import re
from pathlib import Path

import psutil


class Process:
    """A running process, known by its id."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._folder = Path(f"/proc/{pid}")

    def cpu(self) -> float:
        """Return the seconds of CPU so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def resident(self) -> int:
        """Return the current resident memory in bytes."""
        return self._process.memory_info().rss

    def forget_peak(self) -> None:
        """Reset the peak memory."""
        (self._folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the peak memory in bytes since it was reset."""
        status = (self._folder / "status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        if match is None:
            raise RuntimeError("the kernel does not tell the largest memory")
        return int(match[1]) * 1024
