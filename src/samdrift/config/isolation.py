"""How far organisations are apart in memory: the table ``isolation`` of the configuration file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from samdrift.config.toml import ConfigError, Table, positive, text

USERS = 10_000
"""Unix user ids that one installation may take, from its first on."""
_LEAST_USER = 1000
_LARGEST_USER = 2**31 - USERS
_LEAST_MEMORY = 256
_LEAST_FILES = 256
_LEAST_PROCESSES = 256
_HARD_LINKS = Path("/proc/sys/fs/protected_hardlinks")


class Isolation(StrEnum):
    """What an operating-system process may hold in memory."""

    SHARED = "shared"
    """The secrets of all organisations, each used through its own vault."""
    PROCESS = "process"
    """Those of one organisation in one role."""


@dataclass(frozen=True, slots=True)
class IsolationConfig:
    """The level, and what each process gets under ``process``."""

    level: Isolation = Isolation.SHARED
    first_user: int | None = None
    """Where the Unix user ids begin that processes run under, each its own; only root can give them."""
    memory_mb: int = 2048
    """Most memory that one process may write to, in MiB."""
    open_files: int = 4096
    """Most descriptors of one process: a connection is one, or two on its way to another process."""
    sockets: Path | None = None
    """Folder for the sockets between the processes; a temporary one, when absent."""
    processes: int = 1024
    """Most processes and threads of one Unix user, where each process has one of its own."""


def read_isolation(table: Table) -> IsolationConfig:
    """The table ``isolation``; what only ``process`` knows is refused beside ``shared``."""
    level = table.take("level", _level)
    config = IsolationConfig(level)
    if level is Isolation.PROCESS:
        config = IsolationConfig(
            level,
            first_user=table.take("first_user", _user, None),
            memory_mb=table.take("memory_mb", _at_least(_LEAST_MEMORY), 2048),
            open_files=table.take("open_files", _at_least(_LEAST_FILES), 4096),
            sockets=table.path("sockets") if "sockets" in table else None,
            processes=table.take("processes", _at_least(_LEAST_PROCESSES), 1024),
        )
    table.finish()
    return config


def require_rights(config: IsolationConfig, *, root: bool) -> None:
    """Refuse what only root can do; :class:`~samdrift.config.toml.ConfigError`."""
    if config.first_user is not None and not root:
        raise ConfigError("isolation.first_user", "only root can start processes as other Unix users")


def require_protected_links(setting: Path = _HARD_LINKS) -> None:
    """Refuse to start where a process could give another user's file a second name in a folder of its own."""
    try:
        protected = setting.read_text().strip() != "0"
    except OSError:
        protected = sys.platform != "linux"
    if not protected:
        text = "needs fs.protected_hardlinks = 1 (sysctl): without it a process could link to others' files"
        raise ConfigError("isolation.level", text)


def _level(value: Any) -> Isolation:
    if text(value) not in set(Isolation):
        raise ValueError(f"is neither {Isolation.SHARED.value} nor {Isolation.PROCESS.value}")
    return Isolation(value)


def _user(value: Any) -> int:
    if not _LEAST_USER <= positive(value) <= _LARGEST_USER:
        raise ValueError(f"is not a number from {_LEAST_USER} to {_LARGEST_USER}")
    return int(value)


def _at_least(least: int) -> Any:
    def check(value: Any) -> int:
        if positive(value) < least:
            raise ValueError(f"is less than {least}")
        return int(value)

    return check
