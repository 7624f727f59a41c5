"""The registry of hosted organisations and their roles, which is all that vaults share."""

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
"""The place for which the password of a vault's login is sealed."""
OPERATOR_LOG = "registry"
"""The id of the operator's log, with which its chain begins."""
WHILE_SUSPENDED = frozenset({Purpose.EXPORT, Purpose.IMPORT, Purpose.CLOSE})
"""Purposes for which a suspended organisation's vault is still opened: moving and closing."""
REGISTRATIONS = """
SELECT organisation, role, state, vault, login, secret, channel, database FROM registrations
ORDER BY organisation, role
"""

DUE_MOMENTS = "SELECT vault, due_at FROM due_moments($1)"
"""Query for the vaults in which something becomes due by a given time, and when (sql/moments-1.sql)."""


class RegistrationState(StrEnum):
    """The state of an organisation's vault, which decides whether it may be opened."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Not opened for now: work waits, callers are asked to try again later, and nothing is lost."""
    CLOSING = "closing"
    """Never opened again: its keys are being destroyed, or have been."""


@dataclass(frozen=True, slots=True)
class Registration:
    """An organisation in one role, with the state and the place of its vault."""

    organisation: ParticipantIdentifier
    role: Role
    state: RegistrationState
    vault: str
    """Random id, which also names the vault's keys and objects."""
    login: str
    secret: bytes = field(repr=False)
    """Password of the login, sealed with the vault's data key."""
    channel: str
    """Channel on which the vault notifies that something is waiting."""
    database: str | None = None
    """Name of the organisation's database; ``None`` for the installation's own."""

    @property
    def active(self) -> bool:
        """Return whether the vault may be opened."""
        return self.state is RegistrationState.ACTIVE

    @property
    def suspended(self) -> bool:
        """Return whether the vault is suspended."""
        return self.state is RegistrationState.SUSPENDED

    def opens_for(self, purpose: Purpose) -> bool:
        """Return whether the vault may be opened now for a purpose."""
        return self.active or (self.suspended and purpose in WHILE_SUSPENDED)

    @property
    def public_name(self) -> str:
        """Return the vault's public name, for use in addresses.

        It reveals neither the vault's organisation nor its place.
        """
        return public_name(self.vault)

    @classmethod
    def from_row(cls, row: Row) -> Registration:
        """Return a registration from a row of :data:`REGISTRATIONS`."""
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
    """Return the public name of the vault with an id (:attr:`Registration.public_name`)."""
    return hashlib.sha256(f"samdrift public name {vault}".encode()).hexdigest()[:32]


class Registry:
    """The registry as this process knows it; kept up to date while the gate is open."""

    def __init__(
        self,
        changed: Callable[[], None] = lambda: None,
        only: Collection[str] | None = None,
        leases: Leases | None = None,
    ) -> None:
        """Begin without registrations.

        ``changed`` is called whenever the registry has been read again. ``only`` are the vaults that this
        process is for, or ``None`` for all. ``leases`` decide for which organisations this process does the
        background work.
        """
        self._leases = leases or Leases()
        self._changed = changed
        self._only = only
        self._known: dict[tuple[ParticipantIdentifier, Role], Registration] = {}
        self._served: dict[Role, tuple[ParticipantIdentifier, ...]] = {}
        self._worked: dict[Role, tuple[ParticipantIdentifier, ...]] = {}
        self._worked_at = (0, 0)
        """The version for which :attr:`_worked` was computed."""
        self.changes = 0
        """Number of times that the registry was read again."""

    def serves(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether the organisation's vault in that role can be opened here."""
        registration = self.find(organisation, role)
        return registration is not None and registration.active

    def organisations(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations that are served in a role."""
        return self._served.get(role, ())

    def hosted(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations with a vault in a role: suspended ones too, but none that is closing."""
        kept = (one for one in self.all() if one.role is role)
        return tuple(one.organisation for one in kept if one.state is not RegistrationState.CLOSING)

    @property
    def version(self) -> tuple[int, int]:
        """Return a value that changes whenever the organisations served or worked for here may change."""
        return self.changes, self._leases.changes

    def works_for(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        """Return whether an organisation is served, and its background work belongs to this process."""
        return self.serves(organisation, role) and self._leases.holds(organisation, role)

    def worked_for(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        """Return the organisations for which :meth:`works_for` is true; the same object while unchanged."""
        if self._worked_at != self.version:
            self._worked, self._worked_at = {}, self.version
        if role not in self._worked:
            ours = (each for each in self.organisations(role) if self._leases.holds(each, role))
            self._worked[role] = tuple(ours)
        return self._worked[role]

    def find(self, organisation: ParticipantIdentifier, role: Role) -> Registration | None:
        """Return the registration, whatever its state, or ``None`` if there is none."""
        return self._known.get((organisation, role))

    def all(self) -> tuple[Registration, ...]:
        return tuple(self._known.values())

    def replace(self, registrations: Iterable[Registration]) -> None:
        """Replace all known registrations with these."""
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
