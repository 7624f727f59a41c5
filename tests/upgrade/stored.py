"""Stored installations of earlier versions, unpacked for use in tests."""

from __future__ import annotations

import json
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.config.model import Config
from samdrift.config.reader import load
from tests.archives import unpack

VERSION_0_1 = Path(__file__).with_name("installation-0.1.tar.xz")
PROGRAM_0_1 = Path(__file__).with_name("program-0.1.tar.xz")
"""The source of version 0.1 from the repository's history, which runs with the dependencies locked then."""


@dataclass(frozen=True)
class Stored:
    """An unpacked installation, in the state in which it stopped."""

    folder: Path
    facts: dict[str, Any]
    """Its content: see :mod:`tests.upgrade.make`."""

    @property
    def config_file(self) -> Path:
        return self.folder / "operator" / "samdrift.toml"

    @property
    def config(self) -> Config:
        return load(self.config_file)


def unpacked(archive: Path, folder: Path) -> Stored:
    """Unpack an installation in ``folder``, which is empty and accessible to the database server's user."""
    unpack(archive, folder)
    stored = Stored(folder, json.loads((folder / "facts.json").read_text("utf-8")))
    if os.geteuid() == 0:
        _give_to_the_servers_user(folder / "operator" / "database")
    return stored


def bring_tokens(stored: Stored, tokens: Path) -> None:
    """Add the installation's tokens to those of this run's SoftHSM in ``tokens``."""
    for token in (stored.folder / "hsm" / "tokens").iterdir():
        shutil.copytree(token, tokens / token.name, dirs_exist_ok=True)


def _give_to_the_servers_user(database: Path) -> None:
    """Make the server's user the owner of the cluster's files, because the archive does not record owners."""
    user = pwd.getpwnam("pgserver")
    for path in (
        each for own in ("data", "socket") for each in (database / own, *(database / own).rglob("*"))
    ):
        os.chown(path, user.pw_uid, user.pw_gid)
