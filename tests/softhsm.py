"""Tokens of SoftHSM in a folder of the run's own. A real HSM differs in speed, and in what it offers."""

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
    """SoftHSM, and tokens in it for whoever wants one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = next(Path(path) for path in LIBRARIES if Path(path).exists())
        self._numbers = count()

    @property
    def module(self) -> Module:
        return module(self.library)

    def make(self, label: str) -> str:
        """Another token, as its owner makes it."""
        setup = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"]
        subprocess.run(["softhsm2-util", *setup], check=True, capture_output=True)
        return label

    def unused(self) -> str:
        """The label of a token that nobody has used. The library learns of it by beginning anew."""
        label = self.make(f"token-{next(self._numbers)}")
        self.begin_anew()
        return label

    def begin_anew(self) -> None:
        """Have the library look for tokens; every session in this process ends."""
        with self.module.calling() as library:
            self.module._begin_anew(library)

    def folder_of(self, label: str) -> Path:
        """Where SoftHSM keeps a token."""
        tokens = (self.folder / "tokens").iterdir()
        return next(each for each in tokens if label.encode() in (each / "token.object").read_bytes())

    def pin_file(self, pin: str = PIN) -> Path:
        path = self.folder / f"pin-{next(self._numbers)}"
        path.write_text(f"{pin}\n")
        path.chmod(0o600)
        return path

    def token(self, label: str | None = None, pin: str = PIN) -> Token:
        """A token as a store has it, not logged in."""
        return Token(self.module, label or self.unused(), self.pin_file(pin))


@contextmanager
def softhsm(folder: Path) -> Iterator[SoftHsm]:
    """SoftHSM with its tokens in ``folder``; once in a process, whose library reads its settings once."""
    tokens = folder / "tokens"
    tokens.mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(_SETTINGS.format(tokens))
    os.environ["SOFTHSM2_CONF"] = str(settings)
    yield SoftHsm(folder)
