"""Logs with entries that no checkpoint covers yet, known without opening vaults in vain.

A process hears of its own commits from the gate. An entry committed by a process that does not sign the log,
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
"""Seconds for which news of a log that another process signs waits for more: each is signed in its turn."""
Hosted = tuple[ParticipantIdentifier, Role]


class Growth:
    """The logs of one process that have grown since they were signed."""

    def __init__(
        self,
        announce: Callable[[str], None],
        leases: Leases | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """``announce`` notifies the other processes on a channel; ``leases`` say which of them signs."""
        self._seconds = seconds
        self._announce = announce
        self._leases = leases or Leases()
        self._signed = set[Role]()
        self._grown: dict[Hosted, float] = {}
        """Moment at which each was noted first since it was signed, of a clock that is never set."""
        self._waiting = set[str]()
        """Channels on which the process that signs will be notified soon."""

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
            # Who hears it looks for work as well: once for all that is committed in a while.
            self._waiting.add(registration.channel)
            asyncio.get_running_loop().call_later(_TOGETHER, self._announce_together, registration.channel)

    def _announce_together(self, channel: str) -> None:
        self._waiting.discard(channel)
        self._announce(channel)

    def note(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Note that a log may have grown."""
        self._grown.setdefault((organisation, role), self._seconds())

    def take(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether a log may have grown since this was asked for last."""
        return self._grown.pop((organisation, role), None) is not None

    def for_longer_than(self, seconds: float) -> list[Hosted]:
        """Return the logs that may have grown longer ago than this, and were not signed since."""
        before = self._seconds() - seconds
        return [hosted for hosted, since in self._grown.items() if since < before]

    def forget(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Forget a log that is no longer signed here."""
        self._grown.pop((organisation, role), None)
