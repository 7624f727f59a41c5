"""The vault of governance: its record, people who sign in, offered keys, compliance reports and incidents.

A key that a person has made in a browser waits here until an officer requests its enrolment or
custodians introduce it; before that it opens nothing. The record names people by ids. A person who
proves with a key in the record to be one of them is known by that id from then on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault import logbook
from samdrift.vault.database.session import call
from samdrift.vault.holdings import HoldingsVault
from samdrift.vault.people import Identity, People, person_mark, sealed_identity

_OFFER = call("offer_key", 3)
_WITHDRAW = "SELECT withdraw_key($1)"
_OFFERED = "SELECT person, at, sealed FROM offered_keys ORDER BY at, person"
_RENAME = call("rename_person", 4)
_TAKEN = "SELECT id FROM persons WHERE id = $1"
_KNOW = call("know_person", 4)
_KEEP_REPORT = call("keep_report", 2)
_LAST_REPORT = "SELECT at, sealed FROM reports ORDER BY at DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A public key that a person offers for enrolment, in the form that :mod:`samdrift.rights` writes."""

    person: str
    at: datetime
    name: str
    """The person's name, as the sign-in service stated it at that time."""
    key: str
    """The key's members, as JSON."""


class GovernanceVault(People, HoldingsVault):
    """The vault that is opened with role ``gov``."""

    _role = Role.GOVERNANCE

    async def append_signed_statements(self, statements: Sequence[NumberedStatement], **facts: str) -> int:
        """Continue the record, and notify other processes, since one of them may have to copy it."""
        last = await super().append_signed_statements(statements, **facts)
        self._work.after_commit(self._announce)
        return last

    async def _announce(self) -> None:
        self._room.notify()

    async def adopt_person(self, identity: Identity, person: str) -> str:
        """Enter a new person under an id, if that is free, and return the id by which the person is known.

        The organisation's message client knows the person by that id, and the record names rights there too.
        """
        mark = person_mark(identity.issuer, identity.subject, self._sealer)
        if await self._known_as(mark) is None and not await self._work.look(_TAKEN, person):
            sealed = sealed_identity(identity, mark, person, self._sealer)
            await self._work.query(_KNOW, person, mark, sealed, None)
        return await self.know_person(identity)

    async def rename_person(self, known: str, person: str) -> bool:
        """Change a person's id from ``known`` to ``person``, the id in the record, and end their sessions.

        Returns false, changing nothing, if ``known`` is unknown or ``person`` is the id of another person.
        """
        for one in await self.persons():
            if one.id == known:
                mark = person_mark(one.identity.issuer, one.identity.subject, self._sealer)
                sealed = sealed_identity(one.identity, mark, person, self._sealer)
                ((renamed,),) = await self._work.query(_RENAME, known, mark, person, sealed)
                return bool(renamed)
        return False

    def offer_key(self, offered: OfferedKey) -> None:
        """Store the key that a person offers, in place of an earlier one."""
        content = json.dumps({"name": offered.name, "key": offered.key}).encode()
        sealed = self._sealer.seal(content, _place(offered.person, offered.at))
        self._work.later(_OFFER, offered.person, offered.at, sealed)

    async def offered_keys(self) -> tuple[OfferedKey, ...]:
        """Return the keys that people offer, the oldest first."""
        found = []
        for person, at, sealed in await self._work.look(_OFFERED):
            content = json.loads(self._sealer.open(sealed, _place(person, at)))
            found.append(OfferedKey(person, at, content["name"], content["key"]))
        return tuple(found)

    async def withdraw_key(self, person: str) -> bool:
        """Remove the key that a person offers; return false if there is none."""
        ((withdrawn,),) = await self._work.query(_WITHDRAW, person)
        return bool(withdrawn)

    async def reported_incidents(self) -> tuple[LogEntry, ...]:
        """Return the entries with which the operator reported its incidents, oldest first."""
        return tuple(map(logbook.entry, await self._work.query(logbook.INCIDENTS)))

    def keep_report(self, at: datetime, report: bytes) -> None:
        """Store a compliance report that was made at a moment."""
        self._work.later(_KEEP_REPORT, at, self._sealer.seal(report, _report_place(at)))

    async def last_report(self) -> bytes | None:
        """Return the newest compliance report, or ``None`` if there is none."""
        rows = await self._work.look(_LAST_REPORT)
        return self._sealer.open(rows[0][1], _report_place(rows[0][0])) if rows else None


def _report_place(at: datetime) -> str:
    return f"report of {at.astimezone(UTC).isoformat()}"


def _place(person: str, at: datetime) -> str:
    return f"offered key of {person} at {at.astimezone(UTC).isoformat()}"
