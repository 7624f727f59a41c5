"""Turns for commands that change an installation: a waiting command reports which one it waits for.

The lock is the operating system's, on a file beside the control sockets, so that a command that is killed
leaves none behind. With several machines and one cluster, the database serialises changes of rights and
schemas.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator

from samdrift.config.model import VaultConfig
from samdrift.installation.control import control_folder
from samdrift.keystore.durablefiles import private_folder
from samdrift.keystore.holders import holder, signed

_LOGGER = logging.getLogger("samdrift")
_FILE = "turn"
_BETWEEN_LOOKS = 0.2


@contextlib.asynccontextmanager
async def in_turn(vaults: VaultConfig) -> AsyncIterator[None]:
    """Make this the only command that changes the installation while the context lasts.

    Without a key store there is nothing to change yet, and no lock file is created.
    """
    if not await asyncio.to_thread(vaults.secrets.is_dir):
        yield
        return
    descriptor = os.open(private_folder(control_folder(vaults)) / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _taken(descriptor)
        with signed(descriptor):
            yield
    finally:
        os.close(descriptor)


async def _taken(descriptor: int) -> None:
    """Wait until the lock is free, and report its holder once."""
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                _LOGGER.warning("waits for %s", holder(descriptor))
                told = True
            await asyncio.sleep(_BETWEEN_LOOKS)
        else:
            return
