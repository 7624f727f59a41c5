"""Notifications to other processes, after a commit, that something waits in a vault.

The whole cluster shares one queue of notifications: any login can fill it and keep it full, and while it is
full every transaction that notifies fails to commit. So a transaction that stores something does not notify,
except for moments on their way to the registry, which are sent again without a notification if that fails
(:mod:`samdrift.vault.moments`). A notification that fails is counted, logged once, and sent later; meanwhile
work is found by polling. An outage of the database has its own line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection

from samdrift.audit.operations import failing
from samdrift.contracts.errors import for_operator
from samdrift.vault.database.session import Statement, Texts
from samdrift.vault.errors import VaultError, VaultUnavailable

_NOTIFY = "SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel"
_AGAIN_AFTER = 1.0
_STOP_SECONDS = 2.0
"""Maximum number of seconds by which pending notifications may delay the end of a process."""
_LOGGER = logging.getLogger("samdrift")


def notify(channels: Collection[str]) -> list[Statement]:
    """Return a transaction that only notifies channels."""
    return [("BEGIN", ()), (_NOTIFY, (Texts(channels),)), ("COMMIT", ())]


class Announcements:
    """Channels waiting to be notified, each once however often it was requested."""

    def __init__(self, run: Callable[[list[Statement]], Awaitable[object]], together: float = 0.0) -> None:
        """Prepare to notify channels; ``run`` runs statements in a session of its own.

        ``together`` is the number of seconds to wait, so that several channels are notified together.
        """
        self.failures = 0
        """Number of failed attempts to notify since the start."""
        self._run = run
        self._together = together
        self._waiting: set[str] = set()
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start notifying in the background."""
        self._task = asyncio.create_task(self._keep())

    def ask(self, channel: str) -> None:
        """Request that a channel be notified soon; never fails."""
        self._waiting.add(channel)
        self._asked.set()
        self._done.clear()

    async def stop(self) -> None:
        """Send the pending notifications if that is possible in time, and stop."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._done.wait()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _keep(self) -> None:
        failed, away = False, failing("notifications of work for other processes", VaultUnavailable)
        while True:
            await self._asked.wait()
            await asyncio.sleep(self._together)
            channels, self._waiting = self._waiting, set()
            try:
                await self._run(notify(channels))
            except VaultError as error:
                self.failures += 1
                self._waiting |= channels
                if isinstance(error, VaultUnavailable) and error.reported:
                    away(error)
                elif not failed:
                    _LOGGER.warning(
                        "database: notifications cannot be sent now (%s):"
                        " other processes find work by polling",
                        for_operator(error),
                    )
                    failed = True
                await asyncio.sleep(_AGAIN_AFTER)
                continue
            if failed:
                _LOGGER.info("database: notifications are sent again")
            failed = False
            if not self._waiting:
                self._asked.clear()
                self._done.set()
