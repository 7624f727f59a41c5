"""Logs that have entries which no checkpoint covers, so that no vault is opened in order to find none.

A process hears of its own commits from the gate. An entry that was committed where its log is not signed, as
by a command, is announced on the vault's channel, as other news of the vault is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from samdrift.contracts.principals import Role
from samdrift.scheduling.leases import Leases
from samdrift.vault.registry import Registration
from samdrift.wire.identifiers import ParticipantIdentifier

Hosted = tuple[ParticipantIdentifier, Role]


class Growth:
    """The logs of one process that have grown since they were signed."""

    def __init__(self, announce: Callable[[str], None], leases: Leases | None = None) -> None:
        """``announce`` notifies the other processes on a channel; ``leases`` say which of them signs."""
        self._announce = announce
        self._leases = leases or Leases()
        self._signed = set[Role]()
        self._grown = set[Hosted]()

    def sign_here(self, roles: Iterable[Role]) -> None:
        """Note that this process signs the logs of its vaults in these roles."""
        self._signed.update(roles)

    def committed(self, registration: Registration) -> None:
        """Note that a vault's log has an entry that was committed here."""
        ours = self._leases.holds(registration.organisation, registration.role)
        if ours and registration.role in self._signed:
            self.note(registration.organisation, registration.role)
        else:
            self._announce(registration.channel)

    def note(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Note that a log may have grown."""
        self._grown.add((organisation, role))

    def take(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether a log may have grown since this was asked for last."""
        try:
            self._grown.remove((organisation, role))
        except KeyError:
            return False
        return True

    def forget(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Know nothing of a log that is not signed here any more."""
        self._grown.discard((organisation, role))
