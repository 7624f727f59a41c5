"""A real S3 server over a folder whose files the tests inspect: Versity's gateway."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samdrift.vault.settings import S3Settings
from tests.interop.tlog.build import program
from tests.interop.tlog.witnesses import free_port, running

BUCKET = "bodies"
KEY, SECRET = "AKIAOFTHETESTS", "8Xw0pQ3kZr7LmVt2Ns5YbC9dFh1Jg4Ue"


@dataclass
class Gateway:
    """A store that can be stopped and started again over the same folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def bucket(self) -> Path:
        return self.folder / "root" / BUCKET

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, prefix: str = "", endpoint: str = "", secret: str = SECRET) -> S3Settings:
        """Return settings for the bucket, through another address if one is given."""
        return S3Settings(f"s3://{BUCKET}/{prefix}", KEY, secret, endpoint or self.address)

    def start(self, *options: object) -> None:
        for each in (self.bucket, self.folder / "attributes", self.folder / "iam"):
            each.mkdir(parents=True, exist_ok=True)
        own: list[object] = ["--port", f"127.0.0.1:{self.port}", "--access", KEY, "--secret", SECRET]
        place = ["posix", "--sidecar", self.folder / "attributes", self.folder / "root"]
        command = [program("versitygw"), *own, "--quiet", *options, *place]
        self._process = self._running.enter_context(running(command, self.folder / "log", self.port))

    def stop(self) -> None:
        self._running.close()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop listening during the context."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Accept connections but do not respond during the context."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Reject all writes during the context."""
        self.stop()
        self.start("--readonly")
        try:
            yield
        finally:
            self.stop()
            self.start()

    @contextlib.contextmanager
    def without_bucket(self) -> Iterator[None]:
        """Remove the bucket during the context."""
        away = self.bucket.rename(self.folder / "away")
        try:
            yield
        finally:
            away.rename(self.bucket)

    def files(self) -> list[Path]:
        """Return the files of all complete objects."""
        found = (each for each in self.bucket.rglob("*") if each.is_file())
        return sorted(each for each in found if ".sgwtmp" not in each.parts)

    def parts(self) -> list[Path]:
        """Return the files of multipart uploads that were not completed."""
        return sorted(each for each in self.bucket.glob(".sgwtmp/multipart/**/*") if each.is_file())


@contextlib.contextmanager
def gateway(folder: Path, *options: object) -> Iterator[Gateway]:
    """Run a gateway; raise :class:`~tests.interop.tools.Unavailable` without Go."""
    one = Gateway(folder)
    one.start(*options)
    try:
        yield one
    finally:
        one.stop()
