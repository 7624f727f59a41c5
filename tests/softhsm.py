"""Tokens of SoftHSM in a folder of the run's own. A real HSM differs in speed, and in what it offers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from samdrift.vault.keys.hsm.module import Module, module
from samdrift.vault.keys.hsm.token import Token
from tests.programs import requires

requires_softhsm = requires("softhsm2-util", "softhsm2")
PIN = "728193"
_LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
_READY = 40
_SETTINGS = (
    "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
)


class SoftHsm:
    """SoftHSM with some tokens that nobody uses yet: its library sees no new ones until it begins anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = next(Path(path) for path in _LIBRARIES if Path(path).exists())
        self._made = [self.make(f"token-{number}") for number in range(_READY)]
        self._pins = count()

    @property
    def module(self) -> Module:
        return module(self.library)

    def make(self, label: str) -> str:
        """Another token, as its owner makes it."""
        setup = ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"]
        subprocess.run(["softhsm2-util", *setup], check=True, capture_output=True)
        return label

    def unused(self) -> str:
        """The label of a token that nobody has used."""
        return self._made.pop()

    def pin_file(self, pin: str = PIN) -> Path:
        path = self.folder / f"pin-{next(self._pins)}"
        path.write_text(f"{pin}\n")
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
