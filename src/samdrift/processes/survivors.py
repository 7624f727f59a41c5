"""Ends every process that runs as a Unix user: nothing that a worker started outlives it.

A worker that an attacker controls can start processes that leave its session
and its process group. They cannot leave its user: it can gain no rights, and
its number belongs to no other vault. So all processes of that number are ended
before it is started again, before its vault is locked or closed, and when the
installation stops.
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
from samdrift.installation.control import anybody_listens, control_folder
from samdrift.processes.child import UnixUser
from samdrift.processes.users import Users
from samdrift.vault.registry import Registry
from samdrift.wire.identifiers import ParticipantIdentifier

_PATIENCE = 10.0
"""Seconds in which all of them are to be gone."""
_PAUSE = 0.02
_LEAST = 1000
"""Below are the system's own users, root first of all, whose processes are never ended here."""


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
"""Becomes the user, and has the kernel kill all that it may, which is all of that user's and nothing else.

In one step, so that a process that starts others as fast as it can does not outrun it.
"""


class Survives(OSError):
    """A user still has processes after they were killed repeatedly."""


def end_all_of(user: int) -> int:
    """Kill every process that runs as ``user``, and return how many there were once none is left.

    :class:`Survives` when they are not gone in ten seconds.
    """
    if user < _LEAST:
        raise ValueError("not the user of a worker")
    if sys.platform != "linux" or os.geteuid() != 0:
        return 0
    ended, until = set(_running_as(user)), time.monotonic() + _PATIENCE
    while True:
        # Also where none is seen: those that start others all the time slip through a listing.
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
    """End the remaining processes of a process's user: before it starts, and when it has ended."""
    if user is not None and (ended := end_all_of(user.user)):
        _LOGGER.error(
            "ALARM: %d processes of user %d outlived their worker, and were ended", ended, user.user
        )


async def end_left_behind(config: Config, registry: Registry, organisation: ParticipantIdentifier) -> None:
    """End what runs as a user of the organisation's vaults, or of closed vaults, where no serve runs.

    While it runs, the supervisor does that itself, and starts what is to run.
    """
    if config.isolation.first_user is None or await anybody_listens(control_folder(config.vaults)):
        return
    users = Users(config.isolation, config.vaults)
    own = [one.vault for one in registry.all() if one.organisation == organisation]
    others = {one.vault for one in registry.all()} - {*own}
    known = [number for vault in own if (number := users.known(vault)) is not None]
    for user in {*users.closed(others), *(UnixUser(number, number) for number in known)}:
        await asyncio.to_thread(end_survivors, user)


def _running_as(user: int) -> Iterator[int]:
    """The processes with ``user`` as one of their users, except those that have already ended."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                status = Path("/proc", entry, "status").read_text()
                fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
                users = {int(number) for number in fields["Uid"].split()}
                if user in users and fields["State"].split()[0] not in "ZX":
                    yield int(entry)
