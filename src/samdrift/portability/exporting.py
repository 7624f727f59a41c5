"""Export of all data of an organisation here to one file, encrypted for recipients that two people approved.

The organisation may stay in operation: each vault is read in the state of one moment, page by page. The
access point's vault is read in two steps, before and after the message service's, so that anything that
passes between them is in at least one of them (:mod:`samdrift.portability.layout`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift import __version__
from samdrift.administration.administration import (
    Administration,
    Check,
    hosted,
    nothing_to_check,
    signing_key,
)
from samdrift.administration.dualcontrol import TwoPersons
from samdrift.attestation.agefile import encrypting, fingerprint
from samdrift.attestation.archive import ArchiveWriter, Member, Writing, new_file
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.config.model import MessageClientConfig, OrganisationConfig
from samdrift.config.organisations import HOST_KEYS, host_of
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.interface import KeyStore
from samdrift.portability import layout
from samdrift.portability.manifest import FORMAT, VERSION, Files, Log, Manifest
from samdrift.portability.readme import README
from samdrift.vault.bodies import BodyReader
from samdrift.vault.errors import SealBroken
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.portability.departure import (
    AccessPointDeparture,
    Departure,
    GovernanceDeparture,
    JudgingDeparture,
    LogState,
    MessageClientDeparture,
    MessageServiceDeparture,
    RecordKeepingDeparture,
)
from samdrift.vault.portability.mailparts import MAIL_PARTS
from samdrift.vault.portability.parts import Part, Taken
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

_READ: tuple[tuple[type[Departure], tuple[Part, ...]], ...] = (
    (AccessPointDeparture, layout.BEFORE),
    (MessageServiceDeparture, layout.BETWEEN),
    (AccessPointDeparture, layout.AFTER),
    (MessageClientDeparture, layout.OF_MESSAGE_CLIENT),
    (GovernanceDeparture, layout.OF_GOVERNANCE),
)

_Read = Callable[[Any, Sequence[object]], Awaitable[list[Taken]]]

_MAIL_READERS: dict[str, _Read] = {
    "mailboxes": MessageClientDeparture.mailboxes,
    "conversations": MessageClientDeparture.conversations,
    "messages": MessageClientDeparture.messages,
    "files": MessageClientDeparture.files,
    "notes": MessageClientDeparture.notes,
    "drafts": MessageClientDeparture.drafts,
    "readings": MessageClientDeparture.readings,
    "addresses": MessageClientDeparture.addresses,
    "favourites": MessageClientDeparture.favourites,
    "notice_choices": MessageClientDeparture.notice_choices,
    "manning": MessageClientDeparture.manning,
    "registrations": MessageClientDeparture.registrations,
    "finished": MessageClientDeparture.finished,
    "holds": MessageClientDeparture.holds,
    "disposal_rules": MessageClientDeparture.disposal_rules,
    "disposed": MessageClientDeparture.disposed,
    "presets": MessageClientDeparture.presets,
}
_MAIL_PARTS = tuple(each.part for each in MAIL_PARTS)
_READERS: dict[str, _Read] = {
    "incoming": AccessPointDeparture.incoming,
    "transfers": AccessPointDeparture.transfers,
    "attempts": AccessPointDeparture.attempts,
    "events": AccessPointDeparture.events,
    "peer_certificates": AccessPointDeparture.peer_certificates,
    "messages": MessageServiceDeparture.messages,
    "receipts": MessageServiceDeparture.receipts,
    "digests": MessageServiceDeparture.digests,
    "processed": MessageServiceDeparture.processed,
    "cursors": MessageServiceDeparture.cursors,
    "work": MessageServiceDeparture.work,
    "session_keys": MessageServiceDeparture.session_keys,
    "mark_keys": MessageServiceDeparture.mark_keys,
    "grounds": JudgingDeparture.grounds,
    "persons": lambda vault, after: vault.persons(after),
    "statements": MessageClientDeparture.statements,
    "signed_statements": GovernanceDeparture.signed_statements,
    "records": RecordKeepingDeparture.records,
    "log": Departure.log,
    "former-log": Departure.former_log,
    "log_keys": Departure.log_keys,
    "checkpoints": Departure.checkpoints,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """A completed export."""

    manifest: Manifest
    manifest_sha256: str
    signer: str
    """SHA-256 of the certificate of the signing key; the importer must get it through another channel."""


async def export(
    installation: Administration,
    organisation: ParticipantIdentifier,
    persons: TwoPersons,
    recipients: Sequence[str],
    out: Path,
    check: Check = nothing_to_check,
) -> Exported:
    """Write the new file ``out``, which is either complete and durable, or does not exist.

    ``check`` is called before each write, and raises once no more may be read. The start is recorded in the
    organisation's log before anything is read, and the result before the file gets its name.
    """
    roles = hosted(installation.gate, organisation)
    key = await signing_key(installation, organisation, roles)
    marks = tuple(map(fingerprint, recipients))
    suspended = _suspended(installation.gate, organisation, roles)
    facts = {"first": persons.first, "second": persons.second, "recipients": " ".join(marks)}
    with new_file(out) as draft:
        async with encrypting(draft, recipients) as sink:
            now = datetime.now(UTC)
            archive = ArchiveWriter(_Checked(sink, check), int(now.timestamp()))
            writing = _Writing(installation.gate, organisation, facts, archive)
            await writing.preamble(installation, roles)
            for kind, parts in _READ:
                if kind.role in roles:
                    await writing.vault(kind, parts)
            manifest = await writing.end(
                key,
                made_at=now,
                roles=roles,
                suspended=suspended and _suspended(installation.gate, organisation, roles),
                approved_by=(persons.first, persons.second),
                recipients=marks,
            )
        digest = sha256(manifest.encode()).hexdigest()
        await _log(installation.gate, organisation, roles, facts | {"manifest": digest})
    return Exported(manifest, digest, key.certificate.fingerprint(SHA256()).hex())


def _suspended(gate: Gate, organisation: ParticipantIdentifier, roles: Iterable[Role]) -> bool:
    return not any(gate.registry.serves(organisation, role) for role in roles)


class _Checked:
    """A sink that calls ``check`` before each write, so that nothing is written once no more may be read."""

    def __init__(self, sink: Writing, check: Check) -> None:
        self._sink = sink
        self._check = check

    async def write(self, data: bytes) -> None:
        await self._check()
        await self._sink.write(data)


class _Writing:
    """An export in progress."""

    def __init__(
        self, gate: Gate, organisation: ParticipantIdentifier, facts: dict[str, str], archive: ArchiveWriter
    ) -> None:
        self._gate = gate
        self._organisation = organisation
        self._facts = facts
        self._archive = archive
        self._sums: list[str] = []
        self._records: dict[str, int] = {}
        self._logs: dict[str, LogState] = {}

    async def preamble(self, installation: Administration, roles: Iterable[Role]) -> None:
        """Write the description of the export, and the organisation's configuration."""
        config = installation.config
        entry = next((one for one in config.organisations if one.identifier == self._organisation), None)
        vaults = [one.vault for role in roles if (one := self._gate.registry.find(self._organisation, role))]
        held = await asyncio.to_thread(_certificates, installation.keys, vaults)
        for name, data in (
            (layout.FORMAT_FILE, layout.document({"format": FORMAT, "version": VERSION})),
            (layout.README_FILE, README.encode()),
            (layout.ORGANISATION_FILE, layout.document(_described(self._organisation, entry))),
            (layout.CERTIFICATES_FILE, b"".join(each.public_bytes(Encoding.PEM) for each in held)),
        ):
            self._sums.append(await self._archive.add(name, data))

    async def vault(self, kind: type[Departure], parts: Iterable[Part]) -> None:
        """Write parts of a vault, in its state of one moment."""
        async with self._gate.depart(workers.EXPORT, self._organisation, kind, self._facts) as vault:
            for part in parts:
                await self._part(vault, part)
                if part.name == "log":
                    self._logs[part.role.value] = await vault.log_state()

    async def _part(self, vault: Departure, part: Part) -> None:
        number, after = 0, tuple[object, ...]()
        self._records[layout.title(part)] = 0
        while taken := await read_page(vault, part, after):
            number += 1
            after = tuple(taken[-1].facts[name] for name in part.key)
            self._records[layout.title(part)] += len(taken)
            await self._page(vault, part, number, taken)

    async def _page(self, vault: Departure, part: Part, number: int, taken: Sequence[Taken]) -> None:
        records = [layout.Record(one.facts, _files(part, one)) for one in taken]
        file, page = layout.page_file(part, number), layout.write_page(records)
        if len(page) > layout.MOST_PAGE:
            text = f"{file}: would have {len(page)} bytes, and an import reads at most {layout.MOST_PAGE}"
            raise MoveError(MoveFault.DAMAGED, f"{text}; nothing was exported: report this to the developers")
        sums = [await self._archive.add(file, page)]
        for one, record in zip(taken, records, strict=True):
            for name, member in record.files.items():
                content = one.contents[name]
                if isinstance(content, BodyReader):
                    sums.append(await self._body(vault, member, content))
                else:
                    sums.append(await self._archive.add(member.name, content))
        listed = "".join(sums).encode()
        self._sums.append(await self._archive.add(layout.page_sums_file(part, number), listed))

    async def _body(self, vault: Departure, member: Member, body: BodyReader) -> str:
        """Write a body, or a marker if it has been removed since the moment for which the vault is read."""
        pieces = aiter(body)
        try:
            first = await anext(pieces)
        except SealBroken:
            if not await vault.was_removed(body):
                text = f"{member.name}: its stored data cannot be opened; nothing was exported"
                raise MoveError(MoveFault.DAMAGED, text) from None
            return await self._archive.add(member.name + layout.GONE, b"")
        return await self._archive.stream(member, _chained(first, pieces))

    async def end(
        self,
        key: SigningKey,
        *,
        made_at: datetime,
        roles: Sequence[Role],
        suspended: bool,
        approved_by: tuple[str, ...],
        recipients: tuple[str, ...],
    ) -> Manifest:
        """Write the list of files, the manifest, and its signature."""
        files = Files(self._archive.count, self._archive.bytes, sha256(self._listed()).hexdigest())
        logs = {
            role: Log(state.id, state.head.sequence, state.head.hash.hex())
            for role, state in self._logs.items()
        }
        manifest = Manifest(
            organisation=self._organisation.value,
            made_at=made_at,
            made_by=f"samdrift {__version__}",
            suspended=suspended,
            approved_by=approved_by,
            recipients=recipients,
            roles=tuple(role.value for role in roles),
            files=files,
            records=self._records,
            logs=logs,
        )
        data = manifest.encode()
        await self._archive.add(layout.SUMS_FILE, self._listed())
        await self._archive.add(layout.MANIFEST_FILE, data)
        await self._archive.add(layout.SIGNATURE_FILE, await asyncio.to_thread(key.sign, data))
        await self._archive.add(layout.SIGNER_FILE, key.certificate.public_bytes(Encoding.PEM))
        await self._archive.end()
        return manifest

    def _listed(self) -> bytes:
        return "".join(self._sums).encode()


def _files(part: Part, taken: Taken) -> dict[str, Member]:
    return {
        name: Member(layout.content_file(part, taken.facts, name), _size(taken.contents[name]))
        for name in part.contents
        if name in taken.contents
    }


def _size(content: bytes | BodyReader) -> int:
    return content.size if isinstance(content, BodyReader) else len(content)


async def _chained(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


def _certificates(keys: KeyStore, vaults: Iterable[str]) -> list[x509.Certificate]:
    """Return the certificates by which peers know the organisation's keys."""
    held = [key for vault in vaults for key in keys.keys(vault)]
    return [key.certificate for key in held if key.certificate is not None]


async def _log(
    gate: Gate, organisation: ParticipantIdentifier, roles: Iterable[Role], facts: dict[str, str]
) -> None:
    for role in roles:
        async with gate.open(workers.EXPORT, organisation, role, Purpose.EXPORT) as vault:
            vault.record(VaultEvent.ORGANISATION_EXPORTED, **facts)


def _described(organisation: ParticipantIdentifier, entry: OrganisationConfig | None) -> dict[str, Any]:
    """Return the organisation's configuration, without paths, passwords and keys."""
    if entry is None:
        return {"identifier": organisation.value, "configured": False}
    external, domibus = entry.external_issuer, entry.domibus
    return {
        "identifier": organisation.value,
        "configured": True,
        "name": entry.name,
        "roles": [role.value for role in entry.roles],
        "functional_addresses": list(entry.functional_addresses),
        "file_types": list(entry.file_types),
        "base_model": entry.base_model,
        "access_point": entry.access_point,
        **{key: host_of(entry, role) for role, key in HOST_KEYS.items()},
        "domibus": {"url": domibus.url, "party": domibus.party} if domibus else None,
        "clients": sorted(entry.clients),
        "message_clients": [_client(client) for client in entry.message_clients],
        "external_issuer": {"issuer": external.issuer, "audience": external.audience} if external else None,
    }


def _client(client: MessageClientConfig) -> dict[str, Any]:
    return {
        "id": client.id,
        "addresses": [str(pattern) for pattern in client.addresses],
        "scopes": sorted(scope.value for scope in client.scopes),
        "default": client.default,
    }


async def read_page(vault: Departure, part: Part, after: Sequence[object]) -> list[Taken]:
    """Return the page of ``part`` that follows the record with key ``after``; empty at the end."""
    readers = _MAIL_READERS if part in _MAIL_PARTS else _READERS
    return await readers[part.name](vault, after)
