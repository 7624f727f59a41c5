"""Persons who sign in at an organisation's pages, and their sessions, in its vault.

A person is known by a random id, under which rights are stated and acts are logged; the name, and how the
sign-in service calls them, are sealed. A session is found by a mark that the caller makes of the cookie's
value with :meth:`People.pages_key`; neither a dump nor a backup opens one.
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
"""Time for which a sign-in that began a session is remembered, so that it begins no second one."""
_SESSIONS_KEPT = timedelta(days=2)
"""Age after which a session that nobody ended is removed."""

WITH_SESSIONS = frozenset({Role.MESSAGE_CLIENT, Role.GOVERNANCE})
"""Roles at whose pages persons sign in."""

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
    """Claims of the latest sign-in that the organisation asks for, such as groups."""


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person whom the organisation knows."""

    id: str
    identity: Identity
    seen_at: datetime | None
    """Latest use of the pages; ``None`` before the first sign-in."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A person signed in at one browser."""

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
    """Keys for a sign-in service that speaks SAML: to sign requests, the one in use first, and to decrypt."""

    signing: tuple[SigningKey, ...]
    decrypting: tuple[DecryptionKey, ...]


class People(RecordKeepingVault):
    """A vault at whose pages persons sign in."""

    def pages_key(self) -> bytes:
        """Return the organisation's key for the marks of its pages: sessions, forms, sign-ins under way."""
        self._work.check_open()
        return self._sealer.pages_key

    def sign_in_keys(self) -> SignInKeys:
        """Return the organisation's keys for its SAML sign-in service; those that are not made are left out.

        That they are used leaves no entry in the log: strangers cause it, who begin a sign-in.
        """
        self._work.check_open()
        store, vault = self._room.keys, self._room.vault
        return SignInKeys(
            _made(lambda: store.signing_keys(vault, KeyName.SIGN_IN_SIGNING)),
            _made(lambda: store.decryption_keys(vault, KeyName.SIGN_IN_ENCRYPTION)),
        )

    def token_keys(self, *, now: datetime) -> tuple[TokenKey, ...]:
        """Return the organisation's keys for statements of who it is, as a client of others.

        The newest first; all of them are published, and they are made and replaced automatically.
        """
        self._work.check_open()
        return self._room.keys.token_keys(self._room.vault, now.date())

    async def know_person(self, identity: Identity) -> str:
        """Return the id of a person, who is entered if they are new, for rights before the first sign-in."""
        return await self._known(identity, None)

    async def person(self, issuer: str, subject: str) -> str | None:
        """Return the id of a person; ``None`` for one who is not known."""
        return await self._known_as(self._mark_of(issuer, subject))

    async def persons(self) -> tuple[PersonRecord, ...]:
        """Return everyone who is known, in the order of their ids, which means nothing."""
        return await all_persons(self._work, self._sealer)

    async def begin_session(self, session: SessionRecord) -> bool:
        """Store a session; ``False``, and no session, where its sign-in has already begun one."""
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
        """Return a session that has not been ended. That it is looked for leaves no entry in the log."""
        rows = await self._work.look(_SESSION, mark)
        return self._opened(rows[0]) if rows else None

    def touch_session(self, mark: bytes, at: datetime) -> None:
        """Note that a session was used, and that its person was here."""
        self._work.arrange(_TOUCH, mark, at, self._sealer.mark(session_bond(mark, at)))

    async def end_session(self, mark: bytes) -> bool:
        """End a session; ``False`` when there is none."""
        return self._ended(await self._work.look(_END, mark), "") == 1

    async def end_sessions_from_outside(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End the sessions that began until then, of a person or of one session at the sign-in service.

        Returns how many. Where both are given, both must fit; where neither is, nothing ends.
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
    """A vault with statements that are made on its pages and not signed:
    :class:`samdrift.contracts.statements.StatementCopy`.
    """

    async def last_statement(self) -> int:
        """Return the number of the last statement that is there, 0 for none."""
        return await self._last_of(ASSIGNED)

    async def statements_after(self, number: int, limit: int) -> Sequence[NumberedStatement]:
        """Return at most ``limit`` statements after ``number``, in order."""
        return await self._after_of(ASSIGNED, number, limit)

    async def append_statements(self, statements: Sequence[NumberedStatement]) -> int:
        """Append the statements that continue the copy, and return its new last number.

        Statements that are already there change nothing;
        :class:`~samdrift.vault.signedstatements.StatementTaken` for one that has the number of another, or
        leaves a gap.
        """
        await self._append_to(ASSIGNED, statements)
        return await self._last_of(ASSIGNED)


def _made(keys: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
    try:
        return keys()
    except KeyStoreError as error:
        if error.fault is KeyFault.MISSING:
            return ()
        raise


async def known_person(work: UnitOfWork, sealer: Sealer, identity: Identity, at: datetime | None) -> str:
    """Return the id of a person in an opened vault that has persons; one who is new gets one."""
    mark = person_mark(identity.issuer, identity.subject, sealer)
    person = await known_as(work, sealer, mark) or secrets.token_hex(16)
    while True:
        sealed = sealed_identity(identity, mark, person, sealer)
        ((known,),) = await work.query(_KNOW, person, mark, sealed, at)
        if known == person:
            return person
        person = str(known)  # Another process has entered them in the same moment.


async def known_as(work: UnitOfWork, sealer: Sealer, mark: bytes) -> str | None:
    """Return the id of a person, which is bound to how the sign-in service names them."""
    for person, sealed in await work.look(_PERSON, mark):
        opened_identity(sealed, mark, person, sealer)
        return str(person)
    return None


async def all_persons(work: UnitOfWork, sealer: Sealer) -> tuple[PersonRecord, ...]:
    """Return everyone who is known in an opened vault that has persons, in the order of their ids."""
    return tuple(
        PersonRecord(person, opened_identity(sealed, mark, person, sealer), seen_at)
        for person, mark, sealed, seen_at in await work.look(_PERSONS)
    )


def person_mark(issuer: str, subject: str, sealer: Sealer) -> bytes:
    """Return the mark by which a person is found."""
    return sealer.mark(f"person\0{issuer}\0{subject}")


def sealed_identity(identity: Identity, mark: bytes, person: str, sealer: Sealer) -> bytes:
    """Return how a person is named, sealed for the row with that mark and id."""
    return sealer.seal(json.dumps(_facts(identity)).encode(), f"person {mark.hex()} {person}")


def opened_identity(sealed: bytes, mark: bytes, person: str, sealer: Sealer) -> Identity:
    """Return the inverse of :func:`sealed_identity`."""
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
