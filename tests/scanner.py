"""A real clamd with a small signature database of its own.

No file of the project contains the test sample for scanners: it is assembled
when it is needed, and so is the signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from samdrift.net.clamd import eicar
from tests.programs import found, requires

SIGNATURE = "Test.Eicar.UNOFFICIAL"
"""Name that clamd reports for the sample: the name in the database with clamd's own suffix."""
_LIMITS = ("AlertExceedsMax yes", "StreamMaxLength 40M", "MaxFileSize 40M", "MaxScanSize 200M")

clamd = found("clamd")
requires_clamd = requires("clamd", "clamav-daemon")


@dataclass
class Clamd:
    """clamd in a folder; it can be stopped, killed and started again."""

    folder: Path
    settings: tuple[str, ...] = _LIMITS
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "clamd.sock"

    async def start(self) -> None:
        """Start the process, and wait until it answers."""
        self._write()
        assert clamd is not None, "clamd is not installed"
        command = [clamd, f"--config-file={self.folder / 'clamd.conf'}"]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        async with asyncio.timeout(60):
            while not await self._answers():
                assert self.process.poll() is None, (self.folder / "output").read_text("utf-8", "replace")
                await asyncio.sleep(0.02)

    def stop(self, how: int = signal.SIGKILL) -> None:
        """End the process; its socket file then leads nowhere."""
        if self.process is not None:
            self.process.send_signal(how)  # First, since one that was paused would answer in between.
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(60)
            self.process = None

    def pause(self) -> None:
        """Suspend the process: it does not answer, but connections to it still succeed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def has_company(self) -> bool:
        """Return whether a client is connected to it."""
        connected = Path("/proc/net/unix").read_text().splitlines()
        return sum(line.endswith(str(self.socket)) for line in connected) > 1

    def _write(self) -> None:
        database = self.folder / "signatures"
        database.mkdir(parents=True, exist_ok=True)
        (database / "test.ndb").write_text(f"Test.Eicar:0:*:{eicar().hex()}\n")
        lines = [
            f"LocalSocket {self.socket}",
            f"DatabaseDirectory {database}",
            f"TemporaryDirectory {self.folder}",
            "Foreground yes",
            "FixStaleSocket yes",
            *(["User root"] if os.geteuid() == 0 else []),
            *self.settings,
        ]
        (self.folder / "clamd.conf").write_text("\n".join(lines) + "\n")

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
            writer.write(b"zPING\0")
            said = await reader.read(100)
            writer.close()
            return said == b"PONG\0"
        return False


@contextlib.asynccontextmanager
async def running_clamd(folder: Path, *settings: str) -> AsyncIterator[Clamd]:
    """Run clamd while the context lasts, with sufficient limits or with ``settings`` instead."""
    one = Clamd(folder, settings or _LIMITS)
    try:
        await one.start()
        yield one
    finally:
        one.stop()
