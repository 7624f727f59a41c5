"""A virtual environment that holds exactly what a lock file names.

Made on first use, brought up to date when the lock changes, repaired when an
earlier run was cut short, and left alone otherwise. One that somebody made by
hand is used and filled, never removed.

What has been done is recorded in files (see :mod:`samdrift.bootstrap.installed`), so that
a kill at any moment is seen by the next run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from samdrift.bootstrap.installed import UNFINISHED, holds, python_of, stamp

_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_INSTALL = ("install", "--require-hashes", "--no-user", "--progress-bar=off")


class EnvironmentFailure(Exception):
    """The environment could not be made; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder with a virtual environment, the lock file to install, and our own sources if it needs them."""

    folder: Path
    lock: Path
    sources: Path | None = None

    def ensure(self) -> None:
        """Install the lock; other runs that want the same wait for it meanwhile."""
        try:
            with self._alone() as held:
                if not holds(str(self.folder), str(self.lock)):
                    self._make(held)
                    self._install(held)
        except OSError as error:
            raise EnvironmentFailure(f"cannot make {self.folder}: {error.strerror}") from error

    @property
    def _python(self) -> str:
        return python_of(str(self.folder))

    @property
    def _ours(self) -> Path:
        """The mark of an environment that we made, so that we may make it again."""
        return self.folder / "made-by-samdrift"

    @property
    def _unfinished(self) -> Path:
        return self.folder / UNFINISHED

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the lock on this environment; returns the descriptor, for pip to inherit.

        So a pip that outlives a killed launcher still keeps others out.
        """
        with open(self.folder.with_name(f"{self.folder.name}.lock"), "w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say(f"waiting for another run that installs into {self.folder.name}")
                fcntl.flock(held, fcntl.LOCK_EX)
            yield held.fileno()

    def _make(self, held: int) -> None:
        """See to it that there is a virtual environment that works."""
        ours = self._ours.exists() or not self.folder.exists() or not any(self.folder.iterdir())
        works = os.access(self._python, os.X_OK)
        if works and not (ours and self._unfinished.exists()):
            return
        if not ours:
            raise EnvironmentFailure(f"{self.folder} does not work and was made by hand: mend or remove it")
        if find_spec("ensurepip") is None:
            raise EnvironmentFailure("this Python cannot make environments; Debian has python3-venv for that")
        _say(f"first use: making {self.folder.name}")
        self._discard()
        self.folder.mkdir()
        self._ours.touch()
        self._unfinished.touch()
        # The resolved path: a link like python3 may mean another version tomorrow.
        interpreter = os.path.realpath(sys.executable)
        if _run([interpreter, "-m", "venv", str(self.folder)], held):
            raise EnvironmentFailure(f"{self.folder} could not be made, see above")
        self._unfinished.unlink()

    def _discard(self) -> None:
        """Remove the folder, so that a kill half-way leaves nothing that looks like an environment."""
        old = self.folder.with_name(f"{self.folder.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
            shutil.rmtree(old)

    def _install(self, held: int) -> None:
        """Install the lock file, over what is there when an earlier run was cut short."""
        again = ("--ignore-installed",) if self._unfinished.exists() else ()
        packages = sum(line[:1].isalnum() for line in self.lock.read_text().splitlines())
        _say(f"installing {packages} packages into {self.folder.name}")
        self._unfinished.touch()
        self._require_pip(held)
        status = _run([self._python, *_PIP, *_INSTALL, *again, "-r", str(self.lock)], held, packages)
        if status > 0:
            # Pip gave up by itself, so what it installed is whole; killed (< 0), it may have left halves.
            self._unfinished.unlink()
        if status:
            raise EnvironmentFailure("the locked dependencies could not be installed, see above")
        if self.sources is not None:
            self._add_sources(self.sources)
        shutil.copyfile(self.lock, stamp(str(self.folder), str(self.lock)))
        self._unfinished.unlink()

    def _require_pip(self, held: int) -> None:
        """An environment made by other tools may come without pip."""
        asked = subprocess.run([self._python, "-c", "import pip"], stderr=subprocess.DEVNULL)
        if asked.returncode and _run([self._python, "-m", "ensurepip"], held):
            raise EnvironmentFailure(f"{self.folder} has no pip and cannot get one, see above")

    def _add_sources(self, sources: Path) -> None:
        """Make our own packages importable from where they lie, even when the checkout is moved."""
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.check_output([self._python, "-c", ask], text=True).strip()
        (Path(packages) / "samdrift-checkout.pth").write_text(os.path.relpath(sources, packages) + "\n")


def _run(command: list[str], held: int, packages: int = 0) -> int:
    """Run a step, quiet when it succeeds, its last words when it fails; the exit status."""
    fetched = 0
    last_words: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(held,),
    ) as process:
        for line in process.stdout or ():
            last_words = [*last_words[-9:], line]
            if line.startswith("Collecting "):
                fetched += 1
                _progress(f"fetching, {fetched} of {packages}")
            elif line.startswith("Installing "):
                _progress("installing")
    _progress("")
    if process.returncode:
        sys.stderr.writelines(last_words)
    return process.returncode


def _say(text: str) -> None:
    sys.stderr.write(f"samdrift: {text}\n")
    sys.stderr.flush()


def _progress(text: str) -> None:
    """Show ``text`` in place on a terminal; a log gets no such lines."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[Ksamdrift: {text}" if text else "\r\033[K")
        sys.stderr.flush()
