"""Logs with entries that no checkpoint covers yet, tracked so that no vault is opened needlessly.

The gate reports this process's own commits here. An entry committed by a process that does not sign the log,
such as a command, is announced on the vault's channel, like other news of the vault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from samdrift.contracts.principals import Role
from samdrift.scheduling.leases import Leases
from samdrift.vault.registry import Registration
from samdrift.wire.identifiers import ParticipantIdentifier

_TOGETHER = 5.0
"""Number of seconds for which announcements of a log that another process signs are collected."""
Hosted = tuple[ParticipantIdentifier, Role]


class Growth:
    """The logs of one process that have grown since they were signed."""

    def __init__(
        self,
        announce: Callable[[str], None],
        leases: Leases | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Track the logs; ``announce`` notifies the other processes on a channel.

        ``leases`` determine which process signs a log.
        """
        self._seconds = seconds
        self._announce = announce
        self._leases = leases or Leases()
        self._signed = set[Role]()
        self._grown: dict[Hosted, float] = {}
        """Monotonic time at which each log's growth was first noted since it was last signed."""
        self._waiting = set[str]()
        """Channels on which the signing process is about to be notified."""

    def sign_here(self, roles: Iterable[Role]) -> None:
        """Note that this process signs the logs of its vaults in these roles."""
        self._signed.update(roles)

    def committed(self, registration: Registration) -> None:
        """Note that a vault's log has an entry that was committed here."""
        ours = self._leases.holds(registration.organisation, registration.role)
        if registration.role not in self._signed:
            self._announce(registration.channel)
        elif ours:
            self.note(registration.organisation, registration.role)
        elif registration.channel not in self._waiting:
            # Receivers of an announcement also look for work, so announce several commits together.
            self._waiting.add(registration.channel)
            asyncio.get_running_loop().call_later(_TOGETHER, self._announce_together, registration.channel)

    def _announce_together(self, channel: str) -> None:
        self._waiting.discard(channel)
        self._announce(channel)

    def note(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Note that a log may have grown."""
        self._grown.setdefault((organisation, role), self._seconds())

    def take(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether a log may have grown since this was last called for it."""
        return self._grown.pop((organisation, role), None) is not None

    def for_longer_than(self, seconds: float) -> list[Hosted]:
        """Return the logs that may have grown longer ago than this and have not been signed since."""
        before = self._seconds() - seconds
        return [hosted for hosted, since in self._grown.items() if since < before]

    def forget(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Stop tracking a log that is no longer signed here."""
        self._grown.pop((organisation, role), None)
