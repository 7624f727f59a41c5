"""Governance of one organisation, as the operator's commands access it, with statements signed by its people.

The operator appends statements that others have signed, and signs none for them. Custodians sign with their
own keys, and in that way enrol an organisation's first officers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import Matter, Person, Persons, custodians_of, two_persons
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.governance.records import Records, StatementRefused
from samdrift.keystore.custody import Custodian, CustodyError
from samdrift.net.clock import system_clock
from samdrift.rights.enrolment import WAITING_TIME
from samdrift.rights.fields import LONGEST, Subject, SubjectKind
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.record import ASKED_FOR, GOOD, Entry, Record
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.signing import Signed, namespace
from samdrift.rights.statements import ORGANISATION, Act, Approved, Given, Right, Rights, Statement
from samdrift.wire.crypto.sshsig import line_of, public_line, sign
from samdrift.wire.identifiers import ParticipantIdentifier

LASTS = timedelta(days=365)
"""Validity period of keys and roles granted by custodians."""


@dataclass(frozen=True)
class Governance:
    """An organisation's governance, accessed next to running processes."""

    installation: Administration
    organisation: ParticipantIdentifier

    @cached_property
    def records(self) -> Records:
        """Return the records; raise :class:`Unusable` if the organisation has no governance here."""
        if self.installation.gate.registry.find(self.organisation, Role.GOVERNANCE) is None:
            raise Unusable(f"{self.organisation} has no governance here: samdrift org list shows which do")
        return Records(self.installation.gate, system_clock)

    async def read(self) -> Record:
        """Return the organisation's record of statements."""
        return await self.records.read(self.organisation)

    async def read_now(self) -> tuple[Record, datetime]:
        """Return the record, and the time for a statement made now."""
        return await self.records.read_now(self.organisation)

    async def append(self, *signed: Signed) -> tuple[Entry, ...]:
        """Append all of the statements or none; raise :class:`StatementRefused` with the reason.

        A review cannot be closed while a vault of the organisation is locked, because it ends by silence and
        the organisation's people could not have answered.
        """
        if any(isinstance(each.statement.act, ReviewClosed) for each in signed):
            self._require_unlocked()
        return await self.records.append(self.organisation, signed, self.roots)

    def _require_unlocked(self) -> None:
        for one in self.installation.gate.registry.all():
            if one.organisation == self.organisation and self.installation.keys.locked(one.vault):
                raise Unusable(
                    f"a vault of {self.organisation} is locked ({one.role.value}): a review ends by silence"
                    " only when its people could have answered; unlock it first"
                )

    async def behind(self) -> list[str]:
        """Bring every role's copy up to date, and return the roles for which that failed."""
        done = await self.records.copy(self.organisation)
        return [role.value for role, reached in done.items() if not reached]

    def stated(
        self, record: Record, at: datetime, by: Subject, why: str, act: Callable[[datetime], Act]
    ) -> Statement:
        """Return a statement to be signed; raise :class:`StatementRefused` if it would have no effect.

        ``act`` is called with the time of the statement.
        """
        statement = Statement(self.organisation.value, by, at, why, act(at))
        effect = record.foresee(statement)
        if effect not in GOOD:
            raise StatementRefused(effect)
        return statement

    def roots(self, subject: Subject) -> Collection[str]:
        """Return the fingerprint of a custodian's key; empty if the subject is not a custodian here."""
        try:
            public = custodians_of(self.installation).key(subject.id).public
        except CustodyError:
            return ()
        line = line_of(Ed25519PublicKey.from_public_bytes(public))
        return (PublicKey(Scheme.SSH, line).fingerprint,)

    async def bring_in(
        self, to: Subject, name: str, key: PublicKey, role: Right | None, persons: Persons
    ) -> tuple[Entry, ...]:
        """Enrol a key and optionally grant a role, signed by two custodians who are both present."""
        if persons.second is None:
            raise Unusable("both custodians sign at this terminal: name the other one by --with")
        what = f"enrol the key {key.fingerprint} of {to} in {self.organisation}"
        text = what if role is None else f"{what}, as {role.value}"
        await two_persons(
            self.installation, Matter("gov officer enrol", self.organisation.value, text), persons
        )
        known = custodians_of(self.installation)
        first, second = [
            await asyncio.to_thread(known.prove, each.name, each.passphrase)
            for each in (persons.first, persons.second)
        ]
        record, now = await self.read_now()
        signing = _Signing(self.organisation.value, record, now)
        for custodian in (first, second):
            signing.introduce(custodian)
        until = signing.at + LASTS
        if role is not None:
            # The time to wait counts from the entry in the log, which may come up to a day later.
            later = WAITING_TIME + ASKED_FOR if record.keys.persons_sign(signing.at) else timedelta()
            what_is_given = Rights(to, ORGANISATION, frozenset({role}))
            signing.agree(first, second, Given(what_is_given, signing.at + later, until + later, asked=True))
        signing.agree(first, second, Enrolled(to, name, key, until))  # Last: an enrolled key delays roles.
        return await self.append(*signing.signed)

    async def confirm(self, of: str, person: Person) -> tuple[Entry, ...]:
        """Approve an officer's request as a custodian, if there is no second officer yet."""
        known = custodians_of(self.installation)
        custodian = await asyncio.to_thread(known.prove, person.name, person.passphrase)
        signing = _Signing(self.organisation.value, *await self.read_now())
        signing.introduce(custodian)
        signing.approve(custodian, of)
        return await self.append(*signing.signed)


def new_person() -> Subject:
    """Return a subject for a new person: a random, meaningless id."""
    return Subject(SubjectKind.PERSON, secrets.token_hex(16))


class _Signing:
    """Statements by custodians, all made at one time, in order."""

    def __init__(self, organisation: str, record: Record, at: datetime) -> None:
        self.at = at
        self.signed: list[Signed] = []
        self._organisation = organisation
        self._record = record

    def introduce(self, custodian: Custodian) -> None:
        """Make a custodian's statement of their own key, unless the record already has it."""
        subject = Subject(SubjectKind.CUSTODIAN, custodian.name)
        key = PublicKey(Scheme.SSH, public_line(custodian.key))
        known = self._record.keys.in_force(self.at, subject)
        if all(each.key.fingerprint != key.fingerprint for each in known):
            self._state(custodian, Enrolled(subject, custodian.name, key, self.at + LONGEST))

    def agree(self, first: Custodian, second: Custodian, act: Act) -> None:
        """Make a request by one custodian and its approval by another."""
        self.approve(second, self._state(first, act).digest)

    def approve(self, custodian: Custodian, of: str) -> None:
        """Approve a request as a custodian."""
        self._state(custodian, Approved(of))

    def _state(self, custodian: Custodian, act: Act) -> Statement:
        by = Subject(SubjectKind.CUSTODIAN, custodian.name)
        statement = Statement(self._organisation, by, self.at, "gov officer enrol", act)
        signature = sign(custodian.key, statement.content, namespace(statement))
        self.signed.append(Signed.by_ssh(statement, signature))
        return statement
