"""Which organisations are hosted in which roles: all that is shared between vaults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from samdrift.contracts.principals import Purpose, Role
from samdrift.scheduling.leases import Leases
from samdrift.vault.database.session import Row
from samdrift.wire.identifiers import ParticipantIdentifier

LOGIN_SECRET = "login secret"  # noqa: S105
"""The place that the password of a vault's login is sealed for."""
OPERATOR_LOG = "registry"
"""The id of the operator's log, which its chain begins with."""
WHILE_SUSPENDED = frozenset({Purpose.EXPORT, Purpose.IMPORT, Purpose.CLOSE})
"""Purposes for which a suspended organisation's vault is still opened: it moves away, or is closed."""
REGISTRATIONS = """
SELECT organisation, role, state, vault, login, secret, channel, database FROM registrations
ORDER BY organisation, role
"""

DUE_MOMENTS = "SELECT vault, due_at FROM due_moments($1)"
"""Vaults in which something becomes due until then, and when (sql/moments-1.sql)."""


class RegistrationState(StrEnum):
    """State of an organisation's vault: may it be opened?"""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Not now: work waits, others are asked to come again, nothing is lost."""
    CLOSING = "closing"
    """Never again: its keys are being destroyed, or are so already."""


@dataclass(frozen=True, slots=True)
class Registration:
    """An organisation in one role, and where its vault is."""

    organisation: ParticipantIdentifier
    role: Role
    state: RegistrationState
    vault: str
    """Random id; names the vault's keys and objects."""
    login: str
    secret: bytes = field(repr=False)
    """Password of the login, sealed with the vault's data key."""
    channel: str
    """Channel on which the vault notifies that something waits."""
    database: str | None = None
    """Name of its organisation's database; the installation's own when it is ``None``."""

    @property
    def active(self) -> bool:
        """Return whether the vault may be opened."""
        return self.state is RegistrationState.ACTIVE

    @property
    def suspended(self) -> bool:
        """Return whether it is served here, but not now."""
        return self.state is RegistrationState.SUSPENDED

    def opens_for(self, purpose: Purpose) -> bool:
        """Return whether the vault may be opened now for that."""
        return self.active or (self.suspended and purpose in WHILE_SUSPENDED)

    @property
    def public_name(self) -> str:
        """Return the public name of the vault in addresses: it reveals neither its organisation nor its
        place.
        """
        return public_name(self.vault)

    @classmethod
    def from_row(cls, row: Row) -> Registration:
        """A registration from a row of :data:`REGISTRATIONS`."""
        organisation, role, state, vault, login, secret, channel, database = row
        return cls(
            ParticipantIdentifier(organisation),
            Role(role),
            RegistrationState(state),
            vault,
            login,
            secret,
            channel,
            database,
        )


def public_name(vault: str) -> str:
    """Return the public name of the vault with that id (:attr:`Registration.public_name`)."""
    return hashlib.sha256(f"samdrift public name {vault}".encode()).hexdigest()[:32]


class Registry:
    """The registry as this process knows it; kept up to date while the gate is open."""

    def __init__(
        self,
        changed: Callable[[], None] = lambda: None,
        only: Collection[str] | None = None,
        leases: Leases | None = None,
    ) -> None:
        """``changed`` is called whenever it has been read again.

        ``only`` are the vaults that this process is for; all, when it is ``None``. ``leases`` say whose work
        that comes by itself is this process's.
        """
        self._leases = leases or Leases()
        self._changed = changed
        self._only = only
        self._known: dict[tuple[ParticipantIdentifier, Role], Registration] = {}
        self._served: dict[Role, tuple[ParticipantIdentifier, ...]] = {}
        self._worked: dict[Role, tuple[ParticipantIdentifier, ...]] = {}
        self._worked_at = (0, 0)
        """The version that :attr:`_worked` is of."""
        self.changes = 0
        """Times that it was read again."""

    def serves(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether the organisation's vault in that role can be opened here."""
        registration = self.find(organisation, role)
        return registration is not None and registration.active

    def organisations(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations that are served in ``role``."""
        return self._served.get(role, ())

    def hosted(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations with a vault in ``role``: suspended ones too, none that is closing."""
        kept = (one for one in self.all() if one.role is role)
        return tuple(one.organisation for one in kept if one.state is not RegistrationState.CLOSING)

    @property
    def version(self) -> tuple[int, int]:
        """Return a value that changes when other organisations may be served or worked for here."""
        return self.changes, self._leases.changes

    def works_for(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether an organisation is served, and its work that comes by itself is this process's."""
        return self.serves(organisation, role) and self._leases.holds(organisation, role)

    def worked_for(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations of which :meth:`works_for` is true; the same object while they are so."""
        if self._worked_at != self.version:
            self._worked, self._worked_at = {}, self.version
        if role not in self._worked:
            ours = (each for each in self.organisations(role) if self._leases.holds(each, role))
            self._worked[role] = tuple(ours)
        return self._worked[role]

    def find(self, organisation: ParticipantIdentifier, role: Role) -> Registration | None:
        """The registration, whatever its state."""
        return self._known.get((organisation, role))

    def all(self) -> tuple[Registration, ...]:
        return tuple(self._known.values())

    def replace(self, registrations: Iterable[Registration]) -> None:
        """Know these from now on, and no others."""
        self._known = {
            (one.organisation, one.role): one
            for one in registrations
            if self._only is None or one.vault in self._only
        }
        self._served = {
            role: tuple(one.organisation for one in self._known.values() if one.role is role and one.active)
            for role in Role
        }
        self.changes += 1
        self._changed()
