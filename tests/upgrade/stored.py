"""Stored installations of earlier versions, unpacked where a test can go on with them."""

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
"""The source of version 0.1, as the repository's history has it; what it imports is locked as it was then."""


@dataclass(frozen=True)
class Stored:
    """An unpacked installation, as it was when it stopped."""

    folder: Path
    facts: dict[str, Any]
    """What was in it: see :mod:`tests.upgrade.make`."""

    @property
    def config_file(self) -> Path:
        return self.folder / "operator" / "samdrift.toml"

    @property
    def config(self) -> Config:
        return load(self.config_file)


def unpacked(archive: Path, folder: Path) -> Stored:
    """Unpack an installation in ``folder``, an empty one that a server's own user can reach."""
    unpack(archive, folder)
    stored = Stored(folder, json.loads((folder / "facts.json").read_text("utf-8")))
    if os.geteuid() == 0:
        _give_to_the_servers_user(folder / "operator" / "database")
    return stored


def bring_tokens(stored: Stored, tokens: Path) -> None:
    """Put the installation's tokens among those that SoftHSM of this run has in ``tokens``."""
    for token in (stored.folder / "hsm" / "tokens").iterdir():
        shutil.copytree(token, tokens / token.name, dirs_exist_ok=True)


def _give_to_the_servers_user(database: Path) -> None:
    """An archive names no owner: the files of a cluster belong to the user that its server runs as."""
    user = pwd.getpwnam("pgserver")
    for path in (
        each for own in ("data", "socket") for each in (database / own, *(database / own).rglob("*"))
    ):
        os.chown(path, user.pw_uid, user.pw_gid)
