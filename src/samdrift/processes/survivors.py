"""Ending of every process that runs as a Unix user, so that nothing a worker started outlives it.

A worker that an attacker controls can start processes that leave its session and its process group. They
cannot change their user, since they cannot gain privileges, and no other vault has the same user number. So
all processes of that number are ended before the worker is restarted, before its vault is locked or closed,
and when the installation stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from samdrift.config.model import Config
from samdrift.installation.control import control_folder, is_running
from samdrift.processes.child import UnixUser
from samdrift.processes.users import Users
from samdrift.vault.registry import Registry
from samdrift.wire.identifiers import ParticipantIdentifier

_PATIENCE = 10.0
"""Seconds within which all of a user's processes must be gone."""
_PAUSE = 0.02
_LEAST = 1000
"""Lowest user number whose processes are ended here; the system's own users, including root, are below it."""


_LOGGER = logging.getLogger("samdrift")


_KILLER = """
import os, sys
user = int(sys.argv[1])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
with open("/proc/self/status") as status:
    powers = [line.split()[1] for line in status if line.startswith("CapEff:")]
if os.getresuid() == (user, user, user) and user >= 1000 and [int(each, 16) for each in powers] == [0]:
    os.kill(-1, 9)
"""
"""Program that switches to the user and has the kernel kill every process that this user may kill.

The kernel does that in one step, so that a process that keeps starting others cannot outrun it. The program
kills nothing unless it has lost all other rights.
"""


class Survives(OSError):
    """A user that still has processes after they were killed repeatedly."""


def end_all_of(user: int) -> int:
    """Kill every process that runs as ``user``, and return how many there were once none is left.

    Raises :class:`Survives` when they are not gone in ten seconds.
    """
    if user < _LEAST:
        raise ValueError("not the user of a worker")
    if sys.platform != "linux" or os.geteuid() != 0:
        return 0
    ended, until = set(_running_as(user)), time.monotonic() + _PATIENCE
    while True:
        # Even if none was listed: processes that keep starting others can escape a listing.
        subprocess.run((sys.executable, "-I", "-S", "-c", _KILLER, str(user)), check=False, timeout=_PATIENCE)
        found = set(_running_as(user))
        if not found:
            break
        if time.monotonic() > until:
            raise Survives(0, f"processes of user {user} do not end")
        ended |= found
        time.sleep(_PAUSE)
    return len(ended)


def end_survivors(user: UnixUser | None) -> None:
    """End any remaining processes of a Unix user, before its process starts and after it has ended."""
    if user is not None and (ended := end_all_of(user.user)):
        _LOGGER.error(
            "ALARM: %d processes of user %d outlived their worker and were killed", ended, user.user
        )


async def end_left_behind(config: Config, registry: Registry, organisation: ParticipantIdentifier) -> None:
    """End processes of the organisation's vaults and of closed vaults, when the installation is not running.

    While it runs, the supervisor does that itself, and restarts the workers that are needed.
    """
    if config.isolation.first_user is None or await is_running(control_folder(config.vaults)):
        return
    users = Users(config.isolation, config.vaults)
    own = [one.vault for one in registry.all() if one.organisation == organisation]
    others = {one.vault for one in registry.all()} - {*own}
    known = [number for vault in own if (number := users.known(vault)) is not None]
    for user in {*users.closed(others), *(UnixUser(number, number) for number in known)}:
        await asyncio.to_thread(end_survivors, user)


def _running_as(user: int) -> Iterator[int]:
    """Yield the processes that have ``user`` as one of their users, except those that have already ended."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                status = Path("/proc", entry, "status").read_text()
                fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
                users = {int(number) for number in fields["Uid"].split()}
                if user in users and fields["State"].split()[0] not in "ZX":
                    yield int(entry)
