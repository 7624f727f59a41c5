"""Import of the data that an organisation brings from its former supplier.

The file is first read and checked as a whole, then read again and stored. Each page is stored only once all
of it has arrived and is what was checked. After a crash the same command continues. The organisation is
suspended here in the meantime, and remains so until people decide that it is to be served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import pyrage
from cryptography import x509

from samdrift.administration.administration import Administration
from samdrift.attestation.agefile import decrypting
from samdrift.attestation.archive import damaged
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.contracts.principals import NOT_PROVEN, Principal, PrincipalKind, Proof, Role
from samdrift.contracts.transfer import TransferState
from samdrift.portability import layout
from samdrift.portability.checking import Checked, check
from samdrift.portability.events import MoveEvent
from samdrift.portability.manifest import Manifest
from samdrift.portability.reading import walk
from samdrift.vault.bodies import Body
from samdrift.vault.gate import Gate
from samdrift.vault.portability import parts
from samdrift.vault.portability.arrival import (
    AccessPointArrival,
    Arrival,
    ArrivalStanding,
    Brought,
    GovernanceArrival,
    MessageClientArrival,
    MessageServiceArrival,
)
from samdrift.vault.portability.parts import Facts, Part
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier

Door = Callable[[], AbstractAsyncContextManager[Arrival]]
"""Callback that opens a vault for one unit of work."""

_ARRIVALS: Mapping[Role, type[Arrival]] = {
    Role.ACCESS_POINT: AccessPointArrival,
    Role.MESSAGE_SERVICE: MessageServiceArrival,
    Role.MESSAGE_CLIENT: MessageClientArrival,
    Role.GOVERNANCE: GovernanceArrival,
}

_PATIENCE = 30.0
"""Maximum number of seconds before the gate learns of a change in the registry."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to import an export."""

    organisation: ParticipantIdentifier
    file: Path
    keys: Sequence[pyrage.x25519.Identity]
    signer: str
    """SHA-256 of the certificate of the key that must have signed."""
    by: str
    """The person who ordered the import."""
    take_over: bool = False
    """True if work in progress is continued here; otherwise it ends with the import."""
    digest: str | None = None
    """SHA-256 of the manifest, obtained from the former supplier separately; required to take over."""
    proof: Proof = NOT_PROVEN
    """Proof that the import was ordered by the person named in ``by``."""
    file_digest: str | None = None
    """SHA-256 of the file that this person signed for; any other file is refused before storing."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import."""

    manifest: Manifest
    manifest_sha256: str
    certificate: x509.Certificate
    """Certificate of the key that signed the export."""
    already: bool
    """True if everything had already been imported before."""


async def take_in(installation: Administration, order: Order) -> Imported:
    """Import an export; raises :class:`MoveError`, with nothing stored, if it is unusable or not allowed."""
    organisation = order.organisation
    if order.take_over and order.digest is None:
        text = (
            "to take over, the SHA-256 of the manifest is needed as the former supplier told it, separately "
            "from the file (--manifest): an older export would send again what has been sent since"
        )
        raise MoveError(MoveFault.OTHER_EXPORT, text)
    checked = await check(order.file, order.keys, order.signer, organisation, order.digest, order.file_digest)
    manifest = checked.manifest
    if order.take_over and not manifest.suspended:
        text = (
            "the organisation was not suspended when it was exported, so its former supplier may continue "
            "with what is under way: ask for it to be suspended and exported again, or omit --take-over"
        )
        raise MoveError(MoveFault.NOT_SUSPENDED, text)
    roles = [Role(role) for role in manifest.roles]
    await _have_vaults(installation, organisation, roles)
    standing = await _begin(installation.gate, organisation, roles, checked, order.by)
    imported = Imported(
        manifest,
        checked.statement.sha256.hex(),
        checked.statement.certificate,
        all(each is ArrivalStanding.DONE for each in standing.values()),
    )
    if not imported.already:
        await _suspend(installation, organisation, roles)
        doors = {
            role: partial(installation.gate.arrive, _worker(order.by), organisation, _ARRIVALS[role])
            for role in roles
        }
        async with Storing(doors, standing, checked) as storing, decrypting(order.file, order.keys) as source:
            await walk(source, storing)
        await _finish(installation.gate, organisation, standing, checked, order)
    return imported


async def _have_vaults(
    installation: Administration, organisation: ParticipantIdentifier, roles: Sequence[Role]
) -> None:
    """Create missing vaults, and suspend them before the gate learns of them."""
    registry = installation.gate.registry
    missing = [role for role in roles if registry.find(organisation, role) is None]
    if missing:
        await installation.provisioner.add_organisation(organisation, missing)
        for role in missing:
            await installation.provisioner.set_state(organisation, role, RegistrationState.SUSPENDED)
        await _heard(lambda: all(registry.find(organisation, role) for role in roles))


async def _suspend(
    installation: Administration, organisation: ParticipantIdentifier, roles: Sequence[Role]
) -> None:
    for role in roles:
        await installation.provisioner.set_state(organisation, role, RegistrationState.SUSPENDED)
    registry = installation.gate.registry
    await _heard(lambda: not any(registry.serves(organisation, role) for role in roles))


async def _heard(so: Callable[[], bool]) -> None:
    """Wait until the gate has learnt from the database that ``so`` is true."""
    async with asyncio.timeout(_PATIENCE):
        while not so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _begin(
    gate: Gate, organisation: ParticipantIdentifier, roles: Sequence[Role], checked: Checked, by: str
) -> dict[Role, ArrivalStanding]:
    """Begin the import in all vaults or in none."""
    now, export = datetime.now(UTC), checked.statement.sha256
    standing: dict[Role, ArrivalStanding] = {}
    async with AsyncExitStack() as stack:
        for role in roles:
            vault = await stack.enter_async_context(gate.arrive(_worker(by), organisation, _ARRIVALS[role]))
            standing[role] = await vault.begin(export, now=now)
            if standing[role] is ArrivalStanding.OCCUPIED:
                text = (
                    f"the organisation's vault {role.value} in this installation has other data: an export "
                    f"can only be imported where there is none yet"
                )
                raise MoveError(MoveFault.OCCUPIED, text)
            if standing[role] is ArrivalStanding.BEGUN:
                vault.record(MoveEvent.ORGANISATION_IMPORT_BEGUN, by=by, manifest=export.hex())
    return standing


async def _finish(
    gate: Gate,
    organisation: ParticipantIdentifier,
    standing: Mapping[Role, ArrivalStanding],
    checked: Checked,
    order: Order,
) -> None:
    now, manifest = datetime.now(UTC), checked.manifest
    for role in _unfinished(standing):
        log = manifest.logs[role.value]
        async with gate.arrive(_worker(order.by), organisation, _ARRIVALS[role]) as vault:
            await vault.finish(now=now, taken_over=order.take_over)
            vault.record(
                MoveEvent.ORGANISATION_IMPORTED,
                by=order.by,
                manifest=checked.statement.sha256.hex(),
                signer=order.signer,
                former_log=log.id,
                former_entries=str(log.entries),
                former_head=log.head,
                taken_over=str(order.take_over).lower(),
                **order.proof.facts(),
            )


def _unfinished(standing: Mapping[Role, ArrivalStanding]) -> list[Role]:
    return [role for role, each in standing.items() if each is not ArrivalStanding.DONE]


def _worker(by: str) -> Principal:
    return Principal(PrincipalKind.WORKER, f"import by {by}")


@dataclass
class _Page:
    """A page on its way into a vault that is open for it; the database is not used before the page's end."""

    part: Part
    records: Sequence[layout.Record]
    opening: AbstractAsyncContextManager[Arrival]
    vault: Arrival
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    bodies: dict[str, Body] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


class Storing:
    """A visitor that stores pages. After an error, the incomplete page is dropped."""

    def __init__(
        self, doors: Mapping[Role, Door], standing: Mapping[Role, ArrivalStanding], checked: Checked
    ) -> None:
        self._doors = doors
        self._standing = standing
        self._checked = checked
        self._number = 0
        self._page: _Page | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        page, self._page = self._page, None
        if page is not None:
            await page.opening.__aexit__(kind, error, trace)

    async def document(self, name: str, data: bytes) -> None:
        """Store nothing."""

    async def page(self, part: Part, records: Sequence[layout.Record]) -> None:
        if await self._wanted(part, records):
            opening = self._doors[part.role]()
            self._page = _Page(part, records, opening, await opening.__aenter__())

    async def content(self, record: layout.Record, name: str, pieces: AsyncIterator[bytes]) -> None:
        page = self._page
        if page is None:
            return
        file = record.files[name].name
        if name not in layout.BODIES:
            page.documents[file, name] = b"".join([piece async for piece in pieces])
            return
        writer = page.vault.new_body(digested="digest" in record.facts)
        async for piece in pieces:
            await writer.write(piece)
        page.bodies[file] = await writer.finish()

    async def gone(self, record: layout.Record, name: str) -> None:
        if self._page is not None:
            self._page.gone.add(record.files[name].name)

    async def page_end(self, digest: str) -> None:
        if self._number >= len(self._checked.pages) or self._checked.pages[self._number] != digest:
            raise damaged("the file was changed while it was imported; nothing of the change was stored")
        self._number += 1
        page = self._page
        if page is not None:
            await self._store(page)
            self._page = None
            await page.opening.__aexit__(None, None, None)

    async def _wanted(self, part: Part, records: Sequence[layout.Record]) -> bool:
        """Return whether a page must be stored.

        It is not stored again if an earlier import was interrupted after it.
        """
        standing = self._standing[part.role]
        if standing is ArrivalStanding.DONE:
            return False
        if part is parts.CURSORS and Role.ACCESS_POINT.value not in self._checked.manifest.roles:
            return False  # The cursor is a position in another access point's events.
        if standing is ArrivalStanding.UNDER_WAY and part.contents:
            async with self._doors[part.role]() as vault:
                return not await vault.known(part, [_key(part, record.facts) for record in records])
        return True

    async def _store(self, page: _Page) -> None:
        facts = [record.facts for record in page.records]
        if page.part.name == "log":
            log = self._checked.manifest.logs[page.part.role.value].id
            await page.vault.store_log(log, facts)
        elif page.part.name == "former-log":
            for log in sorted({each["log"] for each in facts}):
                await page.vault.store_log(log, [each for each in facts if each["log"] == log])
        else:
            await page.vault.store(page.part, [self._brought(page, record) for record in page.records])

    def _brought(self, page: _Page, record: layout.Record) -> Brought:
        files = {name: file.name for name, file in record.files.items()}
        facts = record.facts
        if page.gone & set(files.values()):
            facts = facts | _without_body(page.part, facts, self._checked.manifest.made_at.isoformat())
        small = files.keys() - layout.BODIES
        documents = {name: page.documents[files[name], name] for name in small}
        bodies = [page.bodies[file] for file in files.values() if file in page.bodies]
        return Brought(facts, documents, bodies[0] if bodies else None)


def _key(part: Part, facts: Facts) -> tuple[str, ...]:
    return tuple(facts[name] for name in part.key)


def _without_body(part: Part, facts: Facts, at: str) -> Facts:
    """Return changes to a record with a body that was removed during the export.

    The message was deleted, a received envelope was fetched, or a transfer ended with an unknown result. In
    the message client, sending was undone or a draft was deleted.
    """
    if part is parts.MESSAGES:
        sealed = dict.fromkeys(("label", "sender_address", "recipient_address", "attributes"))
        return {"deleted": True, "events": []} | sealed
    if part is parts.INCOMING:
        return {"acknowledged_at": at}
    if part.role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        return {}
    return {"state": TransferState.FAILED.value, "due_at": None, "ended_at": at}
