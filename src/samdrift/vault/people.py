"""People who sign in to an organisation's pages, and their sessions, in its vault.

A person is known by a random id, under which rights are stated and actions are logged; the name, and the
identifiers that the sign-in service uses, are sealed. A session is found by a mark that the caller makes of
the cookie's value with :meth:`People.pages_key`, so neither a dump nor a backup opens a session.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.vault.database.session import Row, call
from samdrift.vault.events import VaultEvent
from samdrift.vault.mailbonds import require_bond, session_bond
from samdrift.vault.recordkeeping import RecordKeepingVault
from samdrift.vault.sealing import Sealer
from samdrift.vault.signedstatements import ASSIGNED
from samdrift.vault.work import UnitOfWork
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey, TokenKey

T = TypeVar("T")

SIGN_INS_KEPT = timedelta(hours=1)
"""Time for which a sign-in that began a session is remembered, so that it cannot begin another."""
_SESSIONS_KEPT = timedelta(days=2)
"""Age after which a session that was never ended is removed."""

WITH_SESSIONS = frozenset({Role.MESSAGE_CLIENT, Role.GOVERNANCE})
"""Roles with pages to which people sign in."""

_PERSON = "SELECT id, sealed FROM persons WHERE mark = $1"
_PERSONS = "SELECT id, mark, sealed, seen_at FROM persons ORDER BY id"
_KNOW = call("know_person", 4)
_SESSION = """
SELECT s.mark, s.sealed, s.began, s.used, s.person, s.used_bound FROM sessions s WHERE s.mark = $1
"""
_BEGIN = call("begin_session", 9)
_TOUCH = call("touch_session", 3)
_END = "SELECT * FROM end_session($1)"
_END_FROM_OUTSIDE = "SELECT * FROM end_sessions($1, $2, $3)"
_END_OF = "SELECT * FROM end_sessions_of($1)"
_END_ALL = "SELECT end_all_sessions()"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as a sign-in service names them."""

    issuer: str
    subject: str
    name: str = field(repr=False)
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Claims that the organisation asks for, such as groups, from the latest sign-in."""


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person known to the organisation."""

    id: str
    identity: Identity
    seen_at: datetime | None
    """Latest use of the pages; ``None`` before the first sign-in."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A person's session in one browser."""

    mark: bytes
    sign_in: bytes
    identity: Identity
    level: str
    authenticated_at: datetime
    provider_session: str | None
    began: datetime
    used: datetime
    person: str = ""
    """Id of the person; known once the session is stored."""


@dataclass(frozen=True, slots=True)
class SignInKeys:
    """Keys for a SAML sign-in service: for signing requests, the current one first, and for decrypting."""

    signing: tuple[SigningKey, ...]
    decrypting: tuple[DecryptionKey, ...]


class People(RecordKeepingVault):
    """A vault with pages to which people sign in."""

    def pages_key(self) -> bytes:
        """Return the organisation's key for marks of sessions, forms and pending sign-ins on its pages."""
        self._work.check_open()
        return self._sealer.pages_key

    def sign_in_keys(self) -> SignInKeys:
        """Return the organisation's keys for its SAML sign-in service, without those that are not made yet.

        Using them leaves no log entry, because any stranger can cause it by beginning a sign-in.
        """
        self._work.check_open()
        store, vault = self._room.keys, self._room.vault
        return SignInKeys(
            _made(lambda: store.signing_keys(vault, KeyName.SIGN_IN_SIGNING)),
            _made(lambda: store.decryption_keys(vault, KeyName.SIGN_IN_ENCRYPTION)),
        )

    def token_keys(self, *, now: datetime) -> tuple[TokenKey, ...]:
        """Return the organisation's keys for proving its identity as a client of other services.

        The newest is first. All of them are published, and they are made and replaced automatically.
        """
        self._work.check_open()
        return self._room.keys.token_keys(self._room.vault, now.date())

    async def know_person(self, identity: Identity) -> str:
        """Return a person's id, assigning one if new, so that rights can precede the first sign-in."""
        return await self._known(identity, None)

    async def person(self, issuer: str, subject: str) -> str | None:
        """Return the id of a person, or ``None`` if the person is not known."""
        return await self._known_as(self._mark_of(issuer, subject))

    async def persons(self) -> tuple[PersonRecord, ...]:
        """Return everyone who is known, in the order of their ids, which is arbitrary."""
        return await all_persons(self._work, self._sealer)

    async def begin_session(self, session: SessionRecord) -> bool:
        """Store a session; return false, without storing it, if its sign-in has already begun one."""
        person = await self._known(session.identity, session.began)
        provider_session = session.provider_session
        sid = (
            None if provider_session is None else self._session_at(session.identity.issuer, provider_session)
        )
        ((begun,),) = await self._work.query(
            _BEGIN,
            session.mark,
            session.sign_in,
            session.began + SIGN_INS_KEPT,
            person,
            sid,
            session.began,
            session.began - _SESSIONS_KEPT,
            self._sealer.seal(_session_content(session), _session_place(session.mark, person, session.began)),
            self._sealer.mark(session_bond(session.mark, session.began)),
        )
        if begun:
            self.record(VaultEvent.MK_SESSION_BEGUN, person=person, level=session.level)
        return bool(begun)

    async def session(self, mark: bytes) -> SessionRecord | None:
        """Return a session that has not been ended; in a quiet opening this leaves no log entry."""
        rows = await self._work.look(_SESSION, mark)
        return self._opened(rows[0]) if rows else None

    def touch_session(self, mark: bytes, at: datetime) -> None:
        """Record that a session was used, and that its person was here."""
        self._work.arrange(_TOUCH, mark, at, self._sealer.mark(session_bond(mark, at)))

    async def end_session(self, mark: bytes) -> bool:
        """End a session; return false if there is none."""
        return self._ended(await self._work.look(_END, mark), "") == 1

    async def end_sessions_from_outside(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End sessions that began by a moment: those of a person, or of one session at the sign-in service.

        Returns their number. If both are given, both must match; if neither is, no session ends.
        """
        who = None if subject is None else self._mark_of(issuer, subject)
        which = None if provider_session is None else self._session_at(issuer, provider_session)
        return self._ended(await self._work.look(_END_FROM_OUTSIDE, who, which, begun_by), "sign-in service")

    async def end_sessions_of(self, person: str, why: str) -> int:
        """End all sessions of a person, for a reason that is logged; return their number."""
        return self._ended(await self._work.look(_END_OF, person), why)

    async def end_all_sessions(self, why: str) -> int:
        """End all sessions, for a reason that is logged; return their number."""
        ((ended,),) = await self._work.look(_END_ALL)
        if ended:
            self.record(VaultEvent.MK_SESSION_ENDED, sessions=str(ended), reason=why)
            self._work.after_commit(self._room.tell)
        return int(ended)

    def _ended(self, rows: list[Row], why: str) -> int:
        for (person,) in rows:
            self.record(VaultEvent.MK_SESSION_ENDED, person=person, **({"reason": why} if why else {}))
        if rows:
            self._work.after_commit(self._room.tell)
        return len(rows)

    async def _known(self, identity: Identity, at: datetime | None) -> str:
        return await known_person(self._work, self._sealer, identity, at)

    async def _known_as(self, mark: bytes) -> str | None:
        return await known_as(self._work, self._sealer, mark)

    def _opened(self, row: Row) -> SessionRecord:
        mark, sealed, began, used, person, bound = row
        require_bond(bound, session_bond(mark, used), self._sealer)
        content = json.loads(self._sealer.open(sealed, _session_place(mark, person, began)))
        return SessionRecord(
            mark,
            bytes.fromhex(content["sign_in"]),
            _identity(content),
            content["level"],
            datetime.fromisoformat(content["authenticated_at"]),
            content["provider_session"],
            began,
            used,
            person,
        )

    def _mark_of(self, issuer: str, subject: str) -> bytes:
        return person_mark(issuer, subject, self._sealer)

    def _session_at(self, issuer: str, provider_session: str) -> bytes:
        return self._sealer.mark(f"provider session\0{issuer}\0{provider_session}")


class StatementKeeping(People):
    """A vault with unsigned statements: :class:`samdrift.contracts.statements.StatementCopy`.

    The statements are made on the vault's pages.
    """

    async def last_statement(self) -> int:
        """Return the number of the last stored statement, 0 without any.

        Raises :class:`~samdrift.vault.heads.RecordBehind` if the record is behind its head.
        """
        return await self._last_of(ASSIGNED)

    async def stored_statements(self) -> int:
        """Return the number of the last stored statement, also of a record that is behind its head.

        It is for storing again what is missing, and nothing is decided by it.
        """
        return await self._number_of(ASSIGNED)

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        return await self._after_of(ASSIGNED, number, limit)

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Append the statements that continue the copy, and return its new last number.

        Statements that are already stored change nothing. Raises
        :class:`~samdrift.vault.signedstatements.StatementTaken` if a statement has the number of another one,
        or leaves a gap.
        """
        await self._append_to(ASSIGNED, statements)
        return await self._number_of(ASSIGNED)

    async def store_again(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Append statements as another copy of this vault's database has them; return the last number.

        Raises the same errors as :meth:`store_signed_again`.
        """
        return await self.append_statements(self._opened_of(ASSIGNED, rows))


def _made(keys: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
    try:
        return keys()
    except KeyStoreError as error:
        if error.fault is KeyFault.MISSING:
            return ()
        raise


async def known_person(work: UnitOfWork, sealer: Sealer, identity: Identity, at: datetime | None) -> str:
    """Return a person's id in an open vault with people, and assign one to a new person."""
    mark = person_mark(identity.issuer, identity.subject, sealer)
    person = await known_as(work, sealer, mark) or secrets.token_hex(16)
    while True:
        sealed = sealed_identity(identity, mark, person, sealer)
        ((known,),) = await work.query(_KNOW, person, mark, sealed, at)
        if known == person:
            return person
        person = str(known)  # Another process has just added the same person.


async def known_as(work: UnitOfWork, sealer: Sealer, mark: bytes) -> str | None:
    """Return the id of the person with a mark, if known, after checking the sealed identity."""
    for person, sealed in await work.look(_PERSON, mark):
        opened_identity(sealed, mark, person, sealer)
        return str(person)
    return None


async def all_persons(work: UnitOfWork, sealer: Sealer) -> tuple[PersonRecord, ...]:
    """Return everyone who is known in an open vault with people, in the order of their ids."""
    return tuple(
        PersonRecord(person, opened_identity(sealed, mark, person, sealer), seen_at)
        for person, mark, sealed, seen_at in await work.look(_PERSONS)
    )


def person_mark(issuer: str, subject: str, sealer: Sealer) -> bytes:
    """Return the mark by which a person is found."""
    return sealer.mark(f"person\0{issuer}\0{subject}")


def sealed_identity(identity: Identity, mark: bytes, person: str, sealer: Sealer) -> bytes:
    """Seal a person's identity for the row with that mark and id."""
    return sealer.seal(json.dumps(_facts(identity)).encode(), f"person {mark.hex()} {person}")


def opened_identity(sealed: bytes, mark: bytes, person: str, sealer: Sealer) -> Identity:
    """Open an identity that :func:`sealed_identity` has sealed for the row with that mark and id."""
    return _identity(json.loads(sealer.open(sealed, f"person {mark.hex()} {person}")))


def _session_place(mark: bytes, person: str, began: datetime) -> str:
    return f"session {mark.hex()} of {person} from {began.astimezone(UTC).isoformat()}"


def _session_content(session: SessionRecord) -> bytes:
    content = _facts(session.identity) | {
        "sign_in": session.sign_in.hex(),
        "level": session.level,
        "authenticated_at": session.authenticated_at.isoformat(),
        "provider_session": session.provider_session,
    }
    return json.dumps(content).encode()


def _facts(identity: Identity) -> dict[str, Any]:
    claims = {name: list(values) for name, values in identity.claims.items()}
    return {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "name": identity.name,
        "claims": claims,
    }


def _identity(facts: Mapping[str, Any]) -> Identity:
    claims = {name: tuple(values) for name, values in facts["claims"].items()}
    return Identity(facts["issuer"], facts["subject"], facts["name"], claims)
