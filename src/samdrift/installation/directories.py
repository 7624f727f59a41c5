"""Organisations' configured directories, whose groups are read while governance is served.

Each directory is read every few minutes, usually every minute while it is unreachable, and when a group that
was never read is given a right. Its state is that of its last reading: complete, or the reason why it was
not. A group that was left unchanged is also such a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from samdrift.audit.operations import unexpected
from samdrift.config.directories import DirectoryConfig
from samdrift.config.inputs import reason
from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig, sign_in_issuer
from samdrift.config.passphrase import read_named
from samdrift.config.toml import ConfigError
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Role
from samdrift.governance.groups import (
    DirectoryNotEnrolled,
    Outcome,
    PeopleUnavailable,
    Source,
    Synchronised,
    Synchroniser,
    out_of_date,
    wanted,
)
from samdrift.governance.records import Records
from samdrift.installation.health import Dependency, Note
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.net.directories import DirectoryUnavailable, LdapSecurity, LdapSettings
from samdrift.net.ldap import LdapDirectory
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_SOON, _PAUSE = timedelta(seconds=1), timedelta(minutes=1)
_WHILE_GONE = timedelta(minutes=1)
"""Time until an unreachable directory is retried; one whose reading failed late waits longer."""
_REST = 20
"""Multiple of a failed reading's duration to wait before a retry, because readings share the processor."""


@dataclass(frozen=True, slots=True)
class Place:
    """A configured directory of an organisation."""

    organisation: ParticipantIdentifier
    issuer: str
    own: DirectoryConfig

    @property
    def host(self) -> str:
        """Return the directory's name in health, log and metrics, which is its server's host."""
        return self.own.host


def places(config: Config) -> tuple[Place, ...]:
    """Return the directories of all organisations."""
    return tuple(place for one in config.organisations for place in places_of(one))


def places_of(own: OrganisationConfig) -> tuple[Place, ...]:
    """Return the directories of one organisation."""
    return tuple(Place(own.identifier, sign_in_issuer(own) or "", each) for each in own.directories)


def source_of(place: Place) -> Source:
    """Return a readable source for a directory; :class:`ConfigError` for a file that cannot be used.

    Files are read each time, so that a new password is used by the next reading.
    """
    own = place.own
    plain = own.security is LdapSecurity.NONE
    settings = LdapSettings(
        own.host,
        own.port,
        own.security,
        own.user,
        _password(own.password_file),
        own.people,
        own.people_filter,
        own.subject,
        own.person_name,
        own.member,
        own.uid,
        float(own.seconds),
    )
    try:
        tls = None if plain else client_tls(trust=own.tls_issuers, http=False)
        reader = LdapDirectory(settings, tls)
    except OSError as error:
        raise ConfigError("tls_issuers", f"cannot be used: {reason(error)}") from None
    return Source(own.name, settings.server, place.issuer, reader, _key(own.key_file))


def _password(file: Path) -> str:
    try:
        password = read_named(file, "password_file").decode().strip("\r\n")
    except UnicodeError:
        raise ConfigError("password_file", "is not text") from None
    if not password:
        raise ConfigError("password_file", "is empty: a directory would accept an anonymous login")
    return password


def _key(file: Path) -> Ed25519PrivateKey:
    content = read_named(file, "key_file")  # Its holder decides who is in the directory's groups.
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_ssh_private_key(content, password=None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    raise ConfigError("key_file", "is not a private key of OpenSSH, Ed25519 and without a passphrase")


class DirectoryKeeper:
    """Reads the directories of the organisations whose governance this process works for."""

    def __init__(
        self, gate: Gate, records: Records, known: Iterable[Place], note: Note, clock: Clock
    ) -> None:
        self._gate = gate
        self._records = records
        self._places = tuple(known)
        self._note = note
        self._clock = clock
        self._synchroniser = Synchroniser(gate, records, clock)
        self._next: dict[Place, datetime] = {}
        self._reasons: dict[Place, str] = {}
        self._unexpected = unexpected("directories")

    async def keep(self) -> None:
        """Read each directory when it is due, until cancelled.

        Directories are read independently, here and in :meth:`hear`: one that does not answer delays no
        other.
        """
        async with asyncio.TaskGroup() as tasks:
            for place in self._places:
                tasks.create_task(self._keep(place))

    async def _keep(self, place: Place) -> None:
        while True:
            due, now = self._next.get(place), self._clock()
            waits = due is not None and now < due <= now + timedelta(minutes=place.own.minutes)
            if self._works_for(place) and not waits:
                await self.look(place)
            ahead = min(_PAUSE, self._next.get(place, datetime.max.replace(tzinfo=UTC)) - self._clock())
            await self._gate.leases.pause(max(ahead, _SOON).total_seconds())

    async def hear(self) -> None:
        """Read a directory when one of its groups that was never read is given a right, until cancelled."""
        stated = {each: asyncio.Event() for each in self._places}
        async with asyncio.TaskGroup() as tasks:
            for place, something in stated.items():
                tasks.create_task(self._hear(place, something))
            async for organisation, role in self._gate.wakeups(statements=True):
                for place, something in stated.items():
                    if role is Role.GOVERNANCE and place.organisation == organisation:
                        something.set()

    async def _hear(self, place: Place, something: asyncio.Event) -> None:
        while True:
            await something.wait()
            something.clear()
            await self._look_for_new(place)

    async def _look_for_new(self, place: Place) -> None:
        if not self._works_for(place):
            return
        try:
            record = await self._records.read(place.organisation)
        except (Temporary, NotServed):
            return  # The vault is locked, suspended or unreachable; the next regular reading follows.
        except Exception as error:
            self._unexpected(error)
            return
        now = max(self._clock(), record.last or self._clock())
        groups = wanted(record, place.own.name, now + timedelta(seconds=1))
        if any(record.state.memberships.reading(each, now) is None for each in groups):
            await self.look(place)

    async def look(self, place: Place) -> None:
        """Read one directory, record its state, and schedule the next reading.

        A failure does not end the reading of this directory or of others.
        """
        began = self._clock()
        self._next[place] = began + timedelta(minutes=place.own.minutes)
        try:
            await self._read(place, began)
        except (Temporary, NotServed):
            pass  # The vault is locked, suspended or unreachable, which says nothing about the directory.
        except Exception as error:
            self._unexpected(error)

    async def _read(self, place: Place, began: datetime) -> None:
        try:
            async with self._gate.leases.working(place.organisation, Role.GOVERNANCE):
                await self._synchroniser.require_people(place.organisation)
                done = await self._synchroniser.synchronise(place.organisation, source_of(place))
        except DirectoryUnavailable as gone:
            self._gone(place, began, f"{gone.cause} at {place.own.host}:{place.own.port}")
        except DirectoryNotEnrolled as gone:
            self._gone(place, began, gone.cause)
        except PeopleUnavailable as gone:
            self._say(place, gone.cause if await self._out_of_date(place) else "")
        except ConfigError as unfit:
            self._gone(place, began, str(unfit))
        else:
            self._say(place, kept(done))

    async def _out_of_date(self, place: Place) -> bool:
        """Return whether no other reader is updating the directory either.

        A timer may read it in place of a process that cannot name people.
        """
        record = await self._records.read(place.organisation)
        now = max(self._clock(), record.last or self._clock())
        return out_of_date(record, place.own.name, now)

    def _gone(self, place: Place, began: datetime, why: str) -> None:
        """Record that a directory is unreachable, and retry it soon: its administrator may be waiting."""
        now = self._clock()
        self._next[place] = min(self._next[place], now + max(_WHILE_GONE, _REST * (now - began)))
        self._say(place, why)

    def _say(self, place: Place, why: str) -> None:
        """Report the state of a server: the first reason if several of its directories are unreachable."""
        self._reasons[place] = why
        there = [each for other, each in self._reasons.items() if other.host == place.host and each]
        self._note(Dependency.DIRECTORY, place.host, there[0] if there else "")

    def _works_for(self, place: Place) -> bool:
        return self._gate.registry.works_for(place.organisation, Role.GOVERNANCE)


def kept(done: Sequence[Synchronised]) -> str:
    """Return a text saying that groups were left unchanged and why; empty when none were."""
    found = [each.reason for each in done if each.outcome is Outcome.KEPT]
    if not found:
        return ""
    groups = "a group is kept as it was" if len(found) == 1 else f"{len(found)} groups are kept as they were"
    return f"{groups}: {found[0]}"


@contextlib.asynccontextmanager
async def reading_directories(
    config: Config, gate: Gate, records: Records, note: Note
) -> AsyncIterator[None]:
    """Read the configured directories while the context lasts."""
    keeper = DirectoryKeeper(gate, records, places(config), note, system_clock)
    failed = unexpected("directories")
    async with in_background(keeper.keep(), keeper.hear(), on_failure=failed):
        yield
