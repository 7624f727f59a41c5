"""Vaults for tests: an embedded PostgreSQL in a temporary folder, a gate, and new organisations."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Literal, overload
from uuid import uuid4

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.scheduling.claims import Due
from samdrift.vault import logins
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import Body
from samdrift.vault.database.session import Session
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.officers import GovernanceVault
from samdrift.vault.opening import Vault
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.records import IncomingEnvelope, MessageRecord, OutgoingEnvelope, ReceiptRecord, Transfer
from samdrift.vault.settings import VaultSettings
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.identifiers import (
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    ParticipantIdentifier,
)
from tests.throwawaykeys import CHEAP

WORKER = Principal(PrincipalKind.WORKER, "test")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ELSEWHERE = ParticipantIdentifier.parse("0203:arbetsformedlingen.se")

IN_ORDER: set[str] = set()
"""Addresses of the databases of running installations (:func:`installed`)."""
_NUMBERS = count(1)


def settings_in(folder: Path) -> VaultSettings:
    """Return settings for an installation in ``folder``, with a key store that opens fast."""
    settings = VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"open sesame"
    )
    open_keys(settings, begin=True, cost=CHEAP)
    return settings


def key_store(folder: Path, passphrase: bytes = b"open sesame") -> SoftwareKeyStore:
    """Return a key store that opens fast, in ``folder``, with its seals in a folder beside it."""
    seals = folder.with_name(f"{folder.name}-seals")
    return SoftwareKeyStore(folder, RootUnlocker(folder, seals, passphrase, cost=CHEAP))


def due_now(*organisations: ParticipantIdentifier) -> Due:
    """Return a registry that always reports due work in these organisations' vaults."""

    async def due(until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        return [(each, datetime.min.replace(tzinfo=UTC)) for each in organisations]

    return due


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition()`` holds; fail after two minutes."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """Create a temporary folder that a server's own user can enter, unlike those that pytest makes."""
    folder = tempfile.mkdtemp(prefix="samdrift-test-")
    try:
        yield Path(folder)
    finally:
        # Tests may make trees too deep for shutil.rmtree.
        subprocess.run(["rm", "-rf", folder], check=True)


@dataclass(frozen=True)
class Installation:
    """A running installation."""

    settings: VaultSettings
    provisioner: Provisioner
    gate: Gate

    async def organisation(self, roles: Collection[Role] = tuple(Role)) -> ParticipantIdentifier:
        """Return a new organisation with vaults in ``roles``."""
        organisation = ParticipantIdentifier.parse(f"0203:kommun{next(_NUMBERS)}.se")
        await self.provisioner.add_organisation(organisation, roles)
        await self.known(organisation, *roles)
        return organisation

    async def known(self, organisation: ParticipantIdentifier, *roles: Role) -> None:
        """Wait until the gate knows that the organisation is served."""
        await until(lambda: all(self.gate.registry.serves(organisation, role) for role in roles))

    def is_logged_in(self, session: Session, organisation: ParticipantIdentifier) -> bool:
        """Return whether a session is one of the organisation's vaults.

        Operators of other tests go on in the same process, and their sessions are no part of a test.
        """
        found = (self.gate.registry.find(organisation, role) for role in Role)
        return session._pg.user in {each.login.encode() for each in found if each is not None}

    async def witness(self, organisation: ParticipantIdentifier, role: Role, at: datetime) -> None:
        """Record a witness's signature of that moment on the first entry of a log of the organisation."""
        registration = self.gate.registry.find(organisation, role)
        assert registration is not None
        database = self.provisioner.database
        registry = await database.administrators_connection()
        rows = await registry.execute(
            "SELECT schema FROM registry.registrations WHERE vault = %s", (registration.vault,)
        )
        ((schema,),) = await rows.fetchall()
        await registry.close()
        connection = await database.administrators_connection(registration.database)
        await connection.execute(
            f"INSERT INTO {schema}.log_witnesses (witness, origin, size, cosigned_at, asked_at)"
            f" SELECT 'w', origin, 1, {int(at.timestamp())}, now() FROM {schema}.log_tree".encode()
        )
        await connection.close()

    async def databases(self) -> int:
        """Return the number of databases on its server."""
        async with self.provisioner.beside() as connection:
            rows = await connection.execute("SELECT count(*) FROM pg_database")
            ((number,),) = await rows.fetchall()
        return int(number)

    @contextlib.asynccontextmanager
    async def forgetting(self) -> AsyncIterator[None]:
        """Unregister at the end all organisations that were added while the context lasted.

        Each command looks into the database of every registered organisation. Databases and logins stay,
        because dropping them takes longer than creating them.
        """
        before = [one.vault for one in await self.provisioner.registrations()]
        yield
        await self.forget(before)

    async def forget(self, but: Collection[str] = ()) -> None:
        """Unregister all organisations except those of the vaults in ``but``."""
        group = self.provisioner.database.vault_group
        async with self.provisioner.beside() as connection:
            rows = await connection.execute(
                "DELETE FROM registry.registrations WHERE NOT vault = ANY(%s) RETURNING login", (list(but),)
            )
            for (login,) in await rows.fetchall():
                await logins.run(connection, "REVOKE {} FROM {}", group, login)
            await connection.execute(
                "DELETE FROM registry.databases d"
                " WHERE NOT EXISTS (SELECT FROM registry.registrations r WHERE r.database = d.name)"
            )

    def objects(self, organisation: ParticipantIdentifier) -> set[Path]:
        """Return the files in the object store that belong to the organisation's vaults."""
        vaults = [one.vault for role in Role if (one := self.gate.registry.find(organisation, role))]
        folders = [Path(self.settings.objects) / vault for vault in vaults]
        return {path for folder in folders for path in folder.rglob("*") if path.is_file()}

    @overload
    def open(
        self, organisation: ParticipantIdentifier, role: Literal[Role.ACCESS_POINT], purpose: Purpose = ...
    ) -> AbstractAsyncContextManager[AccessPointVault]: ...

    @overload
    def open(
        self, organisation: ParticipantIdentifier, role: Literal[Role.MESSAGE_SERVICE], purpose: Purpose = ...
    ) -> AbstractAsyncContextManager[MessageServiceVault]: ...

    @overload
    def open(
        self, organisation: ParticipantIdentifier, role: Literal[Role.MESSAGE_CLIENT], purpose: Purpose = ...
    ) -> AbstractAsyncContextManager[MessageClientVault]: ...

    @overload
    def open(
        self, organisation: ParticipantIdentifier, role: Literal[Role.GOVERNANCE], purpose: Purpose = ...
    ) -> AbstractAsyncContextManager[GovernanceVault]: ...

    def open(
        self, organisation: ParticipantIdentifier, role: Role, purpose: Purpose = Purpose.PROCESS
    ) -> AbstractAsyncContextManager[Vault]:
        """Open a vault as a worker."""
        return self.gate.open(WORKER, organisation, role, purpose)  # type: ignore[call-overload,no-any-return]


@contextlib.asynccontextmanager
async def installed(settings: VaultSettings) -> AsyncIterator[Installation]:
    """Install, and run while the context lasts."""
    provisioner = await Provisioner.connect(settings)
    try:
        await provisioner.install()
        IN_ORDER.add(provisioner.database.address)
        gate = await Gate.start(settings)
        gate.growth.sign_here(Role)  # as a serving process does
        try:
            yield Installation(settings, provisioner, gate)
        finally:
            await gate.close()
    finally:
        IN_ORDER.discard(provisioner.database.address)
        await provisioner.close()


async def inherits(
    installation: Installation, organisation: ParticipantIdentifier, until: datetime | None
) -> None:
    """Have an inherited agreement cover an organisation for the 90 days before ``until``, or none."""
    database = installation.provisioner.database
    registry = await database.administrators_connection()
    try:
        rows = await registry.execute(
            "SELECT schema, database FROM registry.registrations WHERE organisation = %s",
            (organisation.value,),
        )
        places = await rows.fetchall()
    finally:
        await registry.close()
    start = None if until is None else until - timedelta(days=90)
    for schema, where in places:
        connection = await database.administrators_connection(where)
        changed = f"UPDATE {schema}.cover SET inherited_from = %s, inherited_until = %s".encode()
        await connection.execute(changed, (start, until))
        await connection.close()


class Installations:
    """One installation at a time, whose organisations are unregistered before it is reused.

    Administering an installation, as most commands do, looks into every organisation's database.
    """

    MANY = 48
    """Maximum number of databases: those of unregistered organisations remain, at ten megabytes each."""

    def __init__(self) -> None:
        self._running: Installation | None = None
        self._stack = contextlib.AsyncExitStack()

    async def current(self) -> Installation:
        """Return the running installation, without organisations, or a new one.

        Earlier users of the installation must be done with it.
        """
        if self._running is not None:
            if await self._running.databases() < self.MANY:
                await self._running.forget()
                await self._running.provisioner.announce()
                gate = self._running.gate
                await until(lambda: not gate.registry.all())
                return self._running
            await self.close()
        folder = self._stack.enter_context(server_folder())
        self._running = await self._stack.enter_async_context(installed(settings_in(folder)))
        return self._running

    async def close(self) -> None:
        """Stop the running installation."""
        self._running = None
        await self._stack.aclose()


async def body(vault: Vault, data: bytes = b"<xhe/>") -> Body:
    """Return a finished body with ``data``."""
    writer = vault.new_body(digested=True)
    await writer.write(data)
    return await writer.finish()


def outgoing(
    sender: ParticipantIdentifier = ELSEWHERE,
    envelope_id: str | None = None,
    recipient: ParticipantIdentifier = ELSEWHERE,
) -> OutgoingEnvelope:
    """Return an envelope to be sent, with a new id."""
    return OutgoingEnvelope(
        envelope_id or str(uuid4()), str(uuid4()), sender, recipient, SDK_MESSAGE_EXTENDED, NO_PROCESS
    )


async def submitted(
    vault: AccessPointVault,
    data: bytes = b"<xhe/>",
    lease: timedelta | None = None,
    sender: ParticipantIdentifier = ELSEWHERE,
    recipient: ParticipantIdentifier = ELSEWHERE,
) -> Transfer:
    """Submit a new transfer, and return it."""
    transfer, created = await vault.submit(
        outgoing(sender, recipient=recipient),
        await body(vault, data),
        as4_message_id=f"{uuid4()}@ap.test",
        now=NOW,
        lease=lease,
    )
    assert created
    return transfer


def incoming(as4_message_id: str | None = None, peer: str = "AP0002-SDK-TEST") -> IncomingEnvelope:
    """Return an incoming envelope with new ids."""
    return IncomingEnvelope(
        as4_message_id=as4_message_id or f"{uuid4()}@peer.test",
        envelope_id=str(uuid4()),
        conversation_id=str(uuid4()),
        sender=ELSEWHERE.value,
        recipient="0203:habo.se",
        document=SDK_MESSAGE_EXTENDED.value,
        peer=peer,
        certificate="00" * 32,
    )


def message(
    direction: Direction = Direction.OUT,
    *,
    message_id: str | None = None,
    status: MessageStatus | None = None,
    label: str = "Orosanmälan",
    sender_address: str = "inkorg01:0203:habo.se",
    recipient_address: str = "registrator:0203:mullsjo.se",
    at: datetime = NOW,
) -> MessageRecord:
    """Return a message with a new id."""
    first = MessageStatus.SCHEDULED if direction is Direction.OUT else MessageStatus.RETRIEVED
    return MessageRecord(
        id=message_id or str(uuid4()),
        direction=direction,
        status=status or first,
        conversation_id=str(uuid4()),
        ref_to_message_id=None,
        sender=ELSEWHERE,
        recipient=ParticipantIdentifier.parse("0203:mullsjo.se"),
        sender_address=sender_address,
        recipient_address=recipient_address,
        document=SDK_MESSAGE_EXTENDED.value,
        created_at=at,
        updated_at=at,
        dated_at=at,
        label=label,
        confidentiality=True,
        size=6,
        attributes='{"label":"Orosanmälan"}',
    )


def receipt(message_id: str, direction: Direction = Direction.OUT) -> ReceiptRecord:
    """Return a receipt for a message, with a new id."""
    return ReceiptRecord(
        id=str(uuid4()),
        message_id=message_id,
        direction=direction,
        status=ReceiptStatus.ACCEPTED,
        counterpart=ELSEWHERE,
        document=RECEIPT_EXTENDED.value,
        handling_service_id="registrator:0203:mullsjo.se",
        conversation_id=str(uuid4()),
        state=ReceiptState.QUEUED if direction is Direction.OUT else ReceiptState.RECEIVED,
        created_at=NOW,
    )
