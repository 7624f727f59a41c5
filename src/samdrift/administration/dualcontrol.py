"""Dual control: operations that need two custodians' agreement, logged with both names.

A command uses it like this::

    persons = present(by, other, by_file, other_file)      # asks for passphrases, at the terminal
    async with administering(config) as installation:
        matter = Matter("org close", organisation.value, "destroy the keys of ...")
        agreed = await two_persons(installation, matter, persons)
        ...                                                  # agreed.first, agreed.second

With both persons present, :func:`two_persons` returns immediately. With one, it raises ``CustodyError``
(``ASKED``), which names the request to approve. Once another custodian has run ``samdrift custodian
approve``, the first one can repeat the same command, which then succeeds once, within a day. The custodians
agree to the exact text of the matter, which therefore states precisely what will be done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from samdrift.administration.administration import Administration, note
from samdrift.administration.events import AdminEvent
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import BY_PASSPHRASE
from samdrift.keystore.custody import (
    NEEDED,
    Custodian,
    Custodians,
    CustodyError,
    CustodyFault,
    TwoPersons,
)
from samdrift.keystore.requests import Matter, Request, Requests
from samdrift.wire.identifiers import ParticipantIdentifier

__all__ = ["Matter", "Person", "Persons", "TwoPersons", "approve", "record", "two_persons"]


@dataclass(frozen=True, slots=True)
class Person:
    """A person who claims to be a custodian, with the passphrase to prove it."""

    name: str
    passphrase: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Persons:
    """The custodian who makes the request and, if present at the same terminal, the one who approves it."""

    first: Person
    second: Person | None = None


def custodians_of(installation: Administration) -> Custodians:
    """Return the custodians of an installation."""
    return Custodians(installation.config.vaults.secrets)


def requests_of(installation: Administration) -> Requests:
    """Return the requests made by custodians of an installation."""
    return Requests(installation.config.vaults.secrets, custodians_of(installation))


async def two_persons(installation: Administration, matter: Matter, persons: Persons) -> TwoPersons:
    """Require two custodians' agreement to ``matter``; :class:`CustodyError` explains why it is missing.

    When this returns, their agreement is recorded in the logs of the operator and the organisation concerned.
    """
    try:
        if len(custodians_of(installation).able()) < NEEDED:
            text = f"this needs {NEEDED} custodians: add them with samdrift custodian add"
            raise CustodyError(CustodyFault.TOO_FEW, text)
        if persons.second is not None and persons.second.name == persons.first.name:
            raise CustodyError(CustodyFault.SAME_PERSON, "two different people are needed")
        agreed = await _agreed(installation, matter, persons)
    except CustodyError as error:
        if error.fault is not CustodyFault.ASKED:
            await _refused(installation, matter, persons, error)
        raise
    facts = {"first": agreed.first, "second": agreed.second, **BY_PASSPHRASE.facts()}
    await record(installation, AdminEvent.CUSTODY_AGREED, agreed.first, matter, facts)
    return agreed


async def approve(installation: Administration, identifier: str, person: Person) -> Request:
    """Approve another custodian's request, and return the request."""
    requests, now = requests_of(installation), datetime.now(UTC)
    request = requests.find(identifier, now)
    try:
        custodian = await _prove(installation, person)
        request = await asyncio.to_thread(requests.approve, identifier, custodian, now)
    except CustodyError as error:
        await _refused(installation, request.matter, Persons(person), error)
        raise
    facts = {"request": request.id, "first": request.by, "second": person.name, **BY_PASSPHRASE.facts()}
    await record(installation, AdminEvent.CUSTODY_APPROVED, person.name, request.matter, facts)
    return request


async def record(
    installation: Administration, event: AuditEvent, name: str, matter: Matter, facts: dict[str, str]
) -> None:
    """Record a custodian's action in the logs of the operator and the organisation concerned."""
    facts = {"action": matter.action, "what": matter.text} | facts
    organisation = ParticipantIdentifier(matter.organisation) if matter.organisation else None
    await note(installation, event, name, organisation, facts)


async def _agreed(installation: Administration, matter: Matter, persons: Persons) -> TwoPersons:
    first = await _prove(installation, persons.first)
    if persons.second is not None:
        second = await _prove(installation, persons.second)
        return TwoPersons(first.name, second.name)
    requests, now = requests_of(installation), datetime.now(UTC)
    agreed = await asyncio.to_thread(requests.take, matter, first, now)
    if agreed is not None:
        return agreed
    request = await asyncio.to_thread(requests.ask, matter, first, now)
    facts = {"request": request.id, "first": first.name, **BY_PASSPHRASE.facts()}
    await record(installation, AdminEvent.CUSTODY_ASKED, first.name, matter, facts)
    raise CustodyError(
        CustodyFault.ASKED,
        f"asked, not done yet: {matter.text}. Within a day another custodian runs"
        f" 'samdrift custodian approve {request.id} --by NAME'; then repeat this command",
    )


async def _prove(installation: Administration, person: Person) -> Custodian:
    custodians = custodians_of(installation)
    return await asyncio.to_thread(custodians.prove, person.name, person.passphrase)


async def _refused(
    installation: Administration, matter: Matter, persons: Persons, error: CustodyError
) -> None:
    names = {"first": persons.first.name}
    if persons.second is not None:
        names["second"] = persons.second.name
    facts = {"reason": error.fault.value} | names
    await record(installation, AdminEvent.CUSTODY_REFUSED, persons.first.name, matter, facts)
