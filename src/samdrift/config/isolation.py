"""Levels of isolation of organisations in memory: the table ``isolation`` of the configuration file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from samdrift.config.keys import Key
from samdrift.config.kinds import PATH, choice, whole
from samdrift.config.reading import Breaches
from samdrift.config.toml import ConfigError, Table

USERS = 10_000
"""Number of Unix user ids that one installation may use, starting from its first."""
MAX_WORKERS = 64
"""Maximum number of workers, which is the number of partitions (:mod:`samdrift.scheduling.leases`)."""
_LEAST_USER = 1000
_LARGEST_USER = 2**31 - USERS
_LEAST_MEMORY = 256
_LEAST_FILES = 256
_LEAST_PROCESSES = 256
_HARD_LINKS = Path("/proc/sys/fs/protected_hardlinks")


class Isolation(StrEnum):
    """Isolation level: the organisations whose secrets one operating-system process may hold."""

    SHARED = "shared"
    """The secrets of all organisations, each used through its own vault."""
    PROCESS = "process"
    """The secrets of one organisation in one role."""


@dataclass(frozen=True, slots=True)
class IsolationConfig:
    """The isolation level, and the limits of each process."""

    level: Annotated[
        Isolation,
        Key(
            "`shared`: one process for all; `process`: one for each organisation and role.",
            choice(Isolation),
            required=True,
            otherwise="needed in this table; `shared` without the table",
            example='"process"',
        ),
    ] = Isolation.SHARED
    first_user: Annotated[
        int | None,
        Key(
            f"First of {USERS} Unix user ids that processes run under, each its own; needs root.",
            whole(_LEAST_USER, _LARGEST_USER),
            otherwise="all run as the user that starts them",
            example="210000",
        ),
    ] = None
    memory_mb: Annotated[
        int, Key("Limit of the memory that one process may write to.", whole(_LEAST_MEMORY), unit="MiB")
    ] = 2048
    open_files: Annotated[
        int,
        Key(
            "Limit of open descriptors of one process: each connection is one or two.",
            whole(_LEAST_FILES),
        ),
    ] = 4096
    sockets: Annotated[
        Path | None,
        Key(
            "Folder for the sockets between the processes.",
            PATH,
            otherwise="a temporary folder",
            example='"/run/samdrift"',
        ),
    ] = None
    processes: Annotated[
        int,
        Key(
            "Limit of processes and threads of one Unix user, where each process has one of its own.",
            whole(_LEAST_PROCESSES),
        ),
    ] = 1024
    workers: Annotated[
        int,
        Key(
            "Processes that share the work of level `shared` ([scaling](operations.md#several-workers)).",
            whole(1, MAX_WORKERS),
            since="0.2",
        ),
    ] = 1


def check_level(isolation: IsolationConfig, table: Table) -> Breaches:
    """Reject settings that do not apply at the configured level."""
    if isolation.level is Isolation.SHARED:
        for name in table.values:
            if name not in ("level", "workers"):
                yield name, "is for the level process"
    elif isolation.workers > 1:
        yield "workers", "is for the level shared: at this level each organisation and role has a process"


def require_rights(config: IsolationConfig, *, root: bool) -> None:
    """Reject settings that need root; raise :class:`~samdrift.config.toml.ConfigError`."""
    if config.first_user is not None and not root:
        raise ConfigError("isolation.first_user", "only root can start processes as other Unix users")


def require_protected_links(setting: Path = _HARD_LINKS) -> None:
    """Refuse to start on a system where a process could create hard links to other users' files."""
    try:
        protected = setting.read_text().strip() != "0"
    except OSError:
        protected = sys.platform != "linux"
    if not protected:
        text = "needs fs.protected_hardlinks = 1 (sysctl): without it a process could link to others' files"
        raise ConfigError("isolation.level", text)
