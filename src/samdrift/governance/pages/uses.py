"""Last uses of rights under review, from the logs of the roles that this process can open.

A reviewer who sees only names tends to keep everything. Only the newest entries are read, so that a
page does not have to wait: the answer includes the start of the period that was searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.who import UNUSED
from samdrift.governance.whouses import Uses
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.memberships import Memberships
from samdrift.rights.statements import Rights, Substitution
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.opening import Vault
from samdrift.vault.people import PersonRecord
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 2000
_MOST = 10
"""Maximum number of pages of one log that are read for one answer."""


@dataclass(frozen=True, slots=True)
class Use:
    """The last use of one right, as far as the logs show it."""

    last: datetime | None
    since: datetime | None
    """Start of the period that was searched; ``None`` if the log could not be read."""
    long_ago: bool
    """True when all of the last 90 days were searched and no use was found."""


_GROUPS = frozenset({SubjectKind.CLAIM, SubjectKind.GROUP})


@dataclass(slots=True)
class LastUses:
    """Uses in the logs that could be read."""

    now: datetime
    logs: dict[Role, tuple[Uses, datetime]] = field(default_factory=dict)
    """Uses by role, with the start of the period that was read from its log."""
    members: dict[Subject, list[Subject]] = field(default_factory=dict)
    """People with a claim according to their last sign-in, and people that a directory lists in a group."""

    def of(self, what: Rights | Substitution) -> Use:
        """Return the use of a right; for a group, the latest use by any of its members."""
        uses, since = self.logs.get(_shown_in(what), (None, None))
        if uses is None or since is None:
            return Use(None, None, long_ago=False)
        place = what.scope.mailbox or "" if what.subject.kind is not SubjectKind.SYSTEM else ""
        who = self.members.get(what.subject, []) if what.subject.kind in _GROUPS else [what.subject]
        found = (uses.last_use(str(each), place) for each in who)
        last = max((each for each in found if each is not None), default=None)
        return Use(last, since, long_ago=last is None and since <= self.now - UNUSED)


class UseReader:
    """Reader of the uses of an organisation's rights; each log that it opens records that."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def read(
        self,
        organisation: ParticipantIdentifier,
        rights: Iterable[Rights | Substitution],
        now: datetime,
        memberships: Memberships,
    ) -> LastUses:
        """Return the uses of ``rights`` in the last 90 days, as far as they can be read here."""
        asked, found = tuple(rights), LastUses(now)
        listed = {each.subject for each in asked if each.subject.kind is SubjectKind.GROUP}
        found.members = {group: list(memberships.members(group, now)) for group in listed}
        for role in sorted({_shown_in(each) for each in asked}):
            if self._gate.registry.find(organisation, role) is None:
                continue
            try:
                async with self._gate.open(workers.GOVERNANCE, organisation, role, Purpose.TRACE) as vault:
                    found.logs[role] = await _newest(vault, now)
                    if isinstance(vault, MessageClientVault):
                        found.members |= _members(await vault.persons())
            except VaultError:
                continue  # Locked, or its keys are in another process: the page shows its uses as unknown.
        return found


def _shown_in(what: Rights | Substitution) -> Role:
    """Return the role whose log records the use of a right."""
    if what.subject.kind is SubjectKind.SYSTEM:
        return Role.MESSAGE_SERVICE
    return Role.GOVERNANCE if what.scope.mailbox is None and isinstance(what, Rights) else Role.MESSAGE_CLIENT


async def _newest(vault: Vault, now: datetime) -> tuple[Uses, datetime]:
    """Return the uses in the newest entries, and the start of the period that they cover."""
    uses, since, high = Uses(now - UNUSED, now), now, await vault.log_end()
    for _ in range(_MOST):
        low = max(0, high - _PAGE)
        entries = [each for each in await vault.log(low, _PAGE) if each.sequence <= high]
        uses.take(entries)
        since = min([since, *(each.at for each in entries[:1])])
        if low == 0 or since <= uses.first:
            return uses, uses.first
        high = low
    return uses, since


def _members(persons: Iterable[PersonRecord]) -> dict[Subject, list[Subject]]:
    found: dict[Subject, list[Subject]] = {}
    for person in persons:
        for claim in _claims(person.identity.issuer, person.identity.claims):
            found.setdefault(claim, []).append(Subject(SubjectKind.PERSON, person.id))
    return found


def _claims(issuer: str, claims: Mapping[str, Iterable[str]]) -> Iterable[Subject]:
    for name, values in claims.items():
        for value in values:
            try:
                yield Subject.claim(issuer, name, value)
            except ValueError:
                continue
