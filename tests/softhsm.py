"""Tokens of SoftHSM in a folder of the run. A real HSM differs in speed and in the mechanisms it offers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from samdrift.keystore.hsm.module import Module, Token, module
from tests.programs import requires

requires_softhsm = requires("softhsm2-util", "softhsm2")
PIN = "728193"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
_SETTINGS = (
    "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
)


class SoftHsm:
    """SoftHSM, which creates tokens on request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = next(Path(path) for path in LIBRARIES if Path(path).exists())
        self._numbers = count()

    @property
    def module(self) -> Module:
        return module(self.library)

    def make(self, label: str) -> str:
        """Initialise another token, as its owner does; return its label."""
        setup = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"]
        subprocess.run(["softhsm2-util", *setup], check=True, capture_output=True)
        return label

    def unused(self) -> str:
        """Return the label of a new token, after reloading the library so that it sees it."""
        label = self.make(f"token-{next(self._numbers)}")
        self.begin_anew()
        return label

    def begin_anew(self) -> None:
        """Have the library search for tokens again, which ends every session in this process."""
        with self.module.calling() as library:
            self.module._begin_anew(library)

    def folder_of(self, label: str) -> Path:
        """Return the folder in which SoftHSM keeps a token."""
        tokens = (self.folder / "tokens").iterdir()
        return next(each for each in tokens if label.encode() in (each / "token.object").read_bytes())

    def pin_file(self, pin: str = PIN) -> Path:
        path = self.folder / f"pin-{next(self._numbers)}"
        path.write_text(f"{pin}\n")
        path.chmod(0o600)
        return path

    def token(self, label: str | None = None, pin: str = PIN) -> Token:
        """Return a token as a key store has it, not logged in."""
        return Token(self.module, label or self.unused(), self.pin_file(pin))


@contextmanager
def softhsm(folder: Path) -> Iterator[SoftHsm]:
    """Set up SoftHSM with its tokens in ``folder``, once per process: the library reads settings once."""
    tokens = folder / "tokens"
    tokens.mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(_SETTINGS.format(tokens))
    os.environ["SOFTHSM2_CONF"] = str(settings)
    yield SoftHsm(folder)
