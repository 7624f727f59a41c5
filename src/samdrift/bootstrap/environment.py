"""A virtual environment that holds exactly the packages in a lock file.

It is created on first use, updated when the lock changes, repaired when an earlier run was interrupted, and
otherwise left unchanged. An environment that was made by hand is used and filled, but never removed.

Progress is recorded in files (see :mod:`samdrift.bootstrap.installed`), so that the next run notices an
earlier one that was killed at any moment.
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
    """The environment could not be created; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder with a virtual environment, the lock file to install, and our own sources if needed there."""

    folder: Path
    lock: Path
    sources: Path | None = None

    def ensure(self) -> None:
        """Install the lock file; other runs that want the same environment wait meanwhile."""
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
        """Return the file that marks an environment as ours, which we may therefore recreate."""
        return self.folder / "made-by-samdrift"

    @property
    def _unfinished(self) -> Path:
        return self.folder / UNFINISHED

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the lock on this environment, and yield its descriptor for pip to inherit.

        A pip that outlives a killed launcher thus keeps other runs out.
        """
        with open(self.folder.with_name(f"{self.folder.name}.lock"), "w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say(f"waiting for another run that installs into {self.folder.name}")
                fcntl.flock(held, fcntl.LOCK_EX)
            yield held.fileno()

    def _make(self, held: int) -> None:
        """Ensure that there is a working virtual environment."""
        ours = self._ours.exists() or not self.folder.exists() or not any(self.folder.iterdir())
        works = os.access(self._python, os.X_OK)
        if works and not (ours and self._unfinished.exists()):
            return
        if not ours:
            raise EnvironmentFailure(f"{self.folder} does not work and was made by hand: repair or remove it")
        if find_spec("ensurepip") is None:
            raise EnvironmentFailure("this Python cannot make environments; Debian has python3-venv for that")
        _say(f"first use: making {self.folder.name}")
        self._discard()
        self.folder.mkdir()
        self._ours.touch()
        self._unfinished.touch()
        # The resolved path: a link such as python3 may point to another version tomorrow.
        interpreter = os.path.realpath(sys.executable)
        if _run([interpreter, "-m", "venv", str(self.folder)], held):
            raise EnvironmentFailure(f"{self.folder} could not be made, see above")
        self._unfinished.unlink()

    def _discard(self) -> None:
        """Remove the folder such that a kill half-way leaves nothing that looks like an environment."""
        old = self.folder.with_name(f"{self.folder.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
            shutil.rmtree(old)

    def _install(self, held: int) -> None:
        """Install the lock file, overwriting existing packages if an earlier run was interrupted."""
        again = ("--ignore-installed",) if self._unfinished.exists() else ()
        packages = sum(line[:1].isalnum() for line in self.lock.read_text().splitlines())
        _say(f"installing {packages} packages into {self.folder.name}")
        self._unfinished.touch()
        self._require_pip(held)
        status = _run([self._python, *_PIP, *_INSTALL, *again, "-r", str(self.lock)], held, packages)
        if status > 0:
            # Pip stopped by itself, so every installed package is complete; a killed pip (< 0) may leave
            # partial ones.
            self._unfinished.unlink()
        if status:
            raise EnvironmentFailure("the locked dependencies could not be installed, see above")
        if self.sources is not None:
            self._add_sources(self.sources)
        shutil.copyfile(self.lock, stamp(str(self.folder), str(self.lock)))
        self._unfinished.unlink()

    def _require_pip(self, held: int) -> None:
        """Install pip if it is missing, as in environments made by some other tools."""
        asked = subprocess.run([self._python, "-c", "import pip"], stderr=subprocess.DEVNULL)
        if asked.returncode and _run([self._python, "-m", "ensurepip"], held):
            raise EnvironmentFailure(f"{self.folder} has no pip and cannot get one, see above")

    def _add_sources(self, sources: Path) -> None:
        """Make our own packages importable from the checkout, even if the checkout is moved."""
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.check_output([self._python, "-c", ask], text=True).strip()
        (Path(packages) / "samdrift-checkout.pth").write_text(os.path.relpath(sources, packages) + "\n")


def _run(command: list[str], held: int, packages: int = 0) -> int:
    """Run a step and return its exit status; print its last lines of output only if it fails."""
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
    """Show ``text`` in place if standard error is a terminal; otherwise print nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[Ksamdrift: {text}" if text else "\r\033[K")
        sys.stderr.flush()
