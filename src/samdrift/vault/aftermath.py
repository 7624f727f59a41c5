"""Recovery after a process of the installation has ended without a shutdown.

Other processes were not notified of its last commits: that something is due in a vault, or that something new
waits there. Every process serves requests of all organisations, so any vault may be affected. Therefore the
due moments are read from all vaults, and then all processes are notified that something may wait in each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from samdrift.audit.operations import unexpected
from samdrift.vault.announcing import Announcements
from samdrift.vault.errors import VaultError
from samdrift.vault.moments import Moments
from samdrift.vault.registry import Registry
from samdrift.vault.wakeups import Wakeups


class Aftermath:
    """A check of every vault, made once after each lost process that this process is the first to detect."""

    def __init__(
        self, registry: Registry, moments: Moments, announcements: Announcements, wakeups: Wakeups
    ) -> None:
        self._registry = registry
        self._moments = moments
        self._announce: Callable[[str], None] = announcements.ask
        self._wakeups = wakeups
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self) -> None:
        """Start the check in the background; never fails."""
        task = asyncio.create_task(self._watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel running checks: another process will detect the next loss, and the end of this one."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watched(self) -> None:
        try:
            await self._look()
        except Exception as error:
            unexpected("what a lost process left")(error)

    async def _look(self) -> None:
        vaults = self._registry.all()
        for each in vaults:
            self._moments.committed(each.vault, None)
        with contextlib.suppress(VaultError):  # A failure is retried automatically later.
            await self._moments.bring()
        for each in vaults:
            self._announce(each.channel)
        self._wakeups.tell_all()
