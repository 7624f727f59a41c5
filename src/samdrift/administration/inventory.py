"""An inventory of the ways into an organisation's data, and of their use according to its logs.

The counts are recorded in governance's log, so that an answer about an earlier day can be reproduced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import custodians_of
from samdrift.administration.events import AdminEvent
from samdrift.administration.governing import Governance
from samdrift.administration.keyholder import held_keys, sha256
from samdrift.administration.logs import logs_of, standing
from samdrift.audit.entries import LogEntry
from samdrift.config.organisations import OrganisationConfig, sign_in_issuer
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.who import Basis
from samdrift.governance.whodoors import Door, DoorEvent, DoorKind, Doors
from samdrift.governance.whouses import Uses
from samdrift.net.clock import system_clock
from samdrift.net.issuers import KeysAt
from samdrift.rights.copies import Copy
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.record import Record
from samdrift.rights.settlingfold import settled_in
from samdrift.vault.errors import VaultError
from samdrift.vault.events import VaultEvent
from samdrift.vault.people import PersonRecord
from samdrift.wire.identifiers import ParticipantIdentifier

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_PAGE = 2000
_SLACK = timedelta(minutes=5)
"""Tolerance for times in the log: entries are in commit order, so a time may be slightly out of order."""


async def basis_of(
    installation: Administration, organisation: ParticipantIdentifier, since: datetime, last: datetime
) -> Basis:
    """Gather the basis for an answer about the time until ``last``, with log entries after ``since``."""
    record = await Governance(installation, organisation).read()
    copy, _ = await _rights(installation, organisation, record)
    uses = Uses(since, last)
    for role in _hosted(installation, organisation):
        try:
            async for entries in _entries(installation, organisation, role, uses.first, uses.last):
                uses.take(entries)
        except VaultError:
            continue  # A locked vault cannot be read; the answer lists the logs that were read.
        uses.roles.add(role.value)
    return Basis(copy, record, await _counted(installation, organisation), uses)


async def count_doors(installation: Administration, organisation: ParticipantIdentifier) -> None:
    """Count the current ways, and record which are new or gone since the last count.

    Copies that left since then are found in the logs; the first count searches all of the logs.
    """
    now = system_clock()
    record = await Governance(installation, organisation).read()
    copy, persons = await _rights(installation, organisation, record)
    known = await _counted(installation, organisation)
    since, left = known.last_count(now) or _BEGINNING, list[Door]()
    for role in _hosted(installation, organisation):
        with contextlib.suppress(VaultError):
            async for entries in _entries(installation, organisation, role, since, now):
                left += [door for each in entries if (door := copy_of(each, role)) is not None]
    here = [*await _here(installation, organisation, copy, persons, now), *left]
    new, gone = known.changes(here)
    async with installation.gate.open(
        workers.GOVERNANCE, organisation, Role.GOVERNANCE, Purpose.ADMINISTER
    ) as vault:
        for name in gone:
            vault.record(DoorEvent.GOV_DOOR_GONE, door=name)
        for each in new:
            vault.record(DoorEvent.GOV_DOOR_SEEN, door=each.name, **each.facts())
        vault.record(DoorEvent.GOV_DOORS_COUNTED, new=str(len(new)), gone=str(len(gone)))


async def shown_names(installation: Administration, organisation: ParticipantIdentifier) -> dict[str, str]:
    """Return current names of people and mailboxes from the message client, for people to read."""
    if installation.gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
        return {}
    async with installation.gate.open(
        workers.GOVERNANCE, organisation, Role.MESSAGE_CLIENT, Purpose.TRACE
    ) as vault:
        people = {f"person:{each.id}": each.identity.name for each in await vault.persons()}
        return people | {f"mailbox:{each.id}": each.name for each in await vault.mailboxes()}


def _hosted(installation: Administration, organisation: ParticipantIdentifier) -> list[Role]:
    return [role for role in Role if installation.gate.registry.find(organisation, role) is not None]


async def _rights(
    installation: Administration, organisation: ParticipantIdentifier, record: Record
) -> tuple[Copy, tuple[PersonRecord, ...]]:
    """Return rights by all statements, including those from the message client's pages, and its people."""
    copy, persons = Copy.of(organisation.value), tuple[PersonRecord, ...]()
    if installation.gate.registry.find(organisation, Role.MESSAGE_CLIENT) is not None:
        async with installation.gate.open(
            workers.GOVERNANCE, organisation, Role.MESSAGE_CLIENT, Purpose.TRACE
        ) as vault:
            last, persons = await vault.last_statement(), await vault.persons()
            while copy.number < last and copy.not_understood is None:
                found = await vault.statements_after(copy.number, _PAGE)
                copy.accept((each.number, each.content) for each in found)
    if copy.not_understood is not None:
        raise RightsBehind(copy.number, copy.not_understood)
    copy.include(record.statements(), settled_in(record))
    return copy, persons


async def _entries(
    installation: Administration,
    organisation: ParticipantIdentifier,
    role: Role,
    first: datetime,
    last: datetime,
) -> AsyncIterator[tuple[LogEntry, ...]]:
    """Yield a period's entries in pages, after a binary search of the log for its beginning."""
    async with installation.gate.open(workers.GOVERNANCE, organisation, role, Purpose.TRACE) as vault:
        end = await vault.log_end()
        low, high = 0, end
        while high - low > _PAGE:
            middle = (low + high) // 2
            found = await vault.log(middle, 1)
            if found and found[0].at < first - _SLACK:
                low = middle
            else:
                high = middle
        while low < end:
            entries = await vault.log(low, _PAGE)
            if not entries or entries[0].at > last + _SLACK:
                return
            yield entries
            low = entries[-1].sequence


async def _counted(installation: Administration, organisation: ParticipantIdentifier) -> Doors:
    """Return the counts recorded in governance's log."""
    doors, after = Doors(), 0
    async with installation.gate.open(
        workers.GOVERNANCE, organisation, Role.GOVERNANCE, Purpose.TRACE
    ) as vault:
        while entries := await vault.log(after, _PAGE):
            for each in entries:
                doors.take(each)
            after = entries[-1].sequence
    return doors


async def _here(
    installation: Administration,
    organisation: ParticipantIdentifier,
    copy: Copy,
    persons: Iterable[PersonRecord],
    now: datetime,
) -> list[Door]:
    """Return the ways that exist now, apart from copies that have left."""
    own = next((each for each in installation.config.organisations if each.identifier == organisation), None)
    found = [*_clients(own), *members(copy, persons, now)] if own else list(members(copy, persons, now))
    found += [
        Door(DoorKind.CUSTODIAN, f"custodian:{name}", "two of them together", ("approve",))
        for name in await asyncio.to_thread(custodians_of(installation).able)
    ]
    for one in installation.gate.registry.all():
        if one.organisation == organisation:
            database = one.database or "installation's own"
            where = f"{one.role.value}"
            found.append(Door(DoorKind.LOGIN, one.login, database, ("sealed-rows",), where))
            found += await asyncio.to_thread(_keys, installation, one.vault, where)
    found += [*_platform(installation), *await _witnesses(installation, organisation)]
    return found


def _clients(own: OrganisationConfig) -> Iterable[Door]:
    for client in own.message_clients:
        keys = "keys in a file" if not isinstance(client.keys, KeysAt) else "keys at an address"
        through = "interface D, vouched for from outside" if client.keys is None else f"interface D, {keys}"
        where = " ".join(sorted(str(each) for each in client.addresses))
        yield Door(
            DoorKind.MESSAGE_CLIENT,
            f"system:{client.id}",
            through,
            tuple(sorted(each.value for each in client.scopes)),
            "all other addresses" if client.default and not where else where,
        )
    if own.external_issuer is not None:
        yield Door(DoorKind.SIGN_IN, own.external_issuer.issuer, "interface D", ("vouch-for-clients",))
    issuer = sign_in_issuer(own)
    if issuer:
        yield Door(DoorKind.SIGN_IN, issuer, "the pages", ("vouch-for-people",))


def members(copy: Copy, persons: Iterable[PersonRecord], now: datetime) -> Iterable[Door]:
    """Yield the people who were, at their latest sign-in, in a group that has a right."""
    claims: dict[str, list[str]] = {}
    for holding in copy.state.holdings(max(now, copy.state.last or now)):
        subject = holding.given.what.subject
        if subject.kind is SubjectKind.CLAIM:
            claims.setdefault(str(subject), []).append(holding.statements[0])
    for person in persons:
        for claim in _claims(person):
            for digest in claims.get(claim, []):
                yield Door(DoorKind.MEMBER, f"person:{person.id}", digest)


def _claims(person: PersonRecord) -> Iterable[str]:
    for name, values in person.identity.claims.items():
        for value in values:
            try:
                yield str(Subject.claim(person.identity.issuer, name, value))
            except ValueError:
                continue


def _keys(installation: Administration, vault: str, where: str) -> list[Door]:
    keys = installation.keys
    held = held_keys(keys, vault)
    if held.problem:
        return []
    in_hsm = keys.in_token(vault)
    through = "the organisation's token in an HSM" if in_hsm else "files, opened by a passphrase"
    found = [
        Door(
            DoorKind.STORED_KEY, (sha256(each) or f"number {each.number}")[:16], through, (each.name,), where
        )
        for each in held.keys
    ]
    generations = len(keys.data_keys(vault).generations) if keys.has_data_key(vault) else 0
    data = Door(DoorKind.STORED_KEY, f"data key, generation {generations}", through, ("open-sealed",), where)
    return [*found, *([data] if generations else [])]


def _platform(installation: Administration) -> Iterable[Door]:
    """Yield the operator's own ways, which reach every organisation."""
    database = installation.config.vaults.database
    if isinstance(database, str):
        login = urlsplit(database).username or "administrator of the database"
    else:
        login = "administrator of the embedded database"
    yield Door(DoorKind.LOGIN, login, "the database as a whole", ("sealed-rows",), "all")
    secrets = installation.config.vaults.secrets
    try:
        status = os.stat(secrets)
        account = pwd.getpwuid(status.st_uid).pw_name
    except (OSError, KeyError):
        account = ""
    accounts = dict.fromkeys(each for each in ("root", account) if each)
    for each in accounts:
        through = "files of the key store, and the memory of what runs"
        yield Door(DoorKind.ACCOUNT, each, through, ("what-runs-can",), "all")


async def _witnesses(installation: Administration, organisation: ParticipantIdentifier) -> list[Door]:
    found = []
    for place in logs_of(installation, organisation):
        stands = await standing(installation, place)
        where = place.role.value if place.role is not None else ""
        for each in stands.witnesses:
            name = each.witness.partition("+")[0]
            found.append(Door(DoorKind.WITNESS, name, "checkpoints", ("sizes", "roots"), where))
    return found


def copy_of(entry: LogEntry, role: Role) -> Door | None:
    """Return the copy of an organisation's data that left the installation according to a log entry."""
    facts, at = entry.ids, entry.at.isoformat(timespec="seconds")
    match entry.event:
        case AdminEvent.KEYS_BACKED_UP:
            whose = f"custodian:{facts.get('first', '')} custodian:{facts.get('second', '')}"
            can = ("open-sealed", "sign")
            return Door(DoorKind.BACKUP, whose, f"backup {facts.get('backup', '')}", can, "all", since=at)
        case VaultEvent.ORGANISATION_EXPORTED:
            whose, by = facts.get("recipients", "unknown"), facts.get("first", "")
            return Door(DoorKind.EXPORT, whose, "export", ("everything",), role.value, by, at)
        case AdminEvent.LOG_EXPORTED:
            whose = f"operator:{facts.get('by', '')}"
            return Door(DoorKind.EXPORT, whose, "export of the log", ("metadata",), role.value, since=at)
        case _:
            return None
