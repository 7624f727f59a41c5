"""Mailboxes, people and rights in the message clients of the demonstration, created once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from samdrift.config.model import Config
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOrganisation
from samdrift.demo.governing import Officer
from samdrift.demo.persons import OF_MAILBOXES, ROLES, DemoPerson, Work
from samdrift.messageclient.notices.manning import Manning
from samdrift.messageclient.permissions import Assignments, person_subject
from samdrift.rights import (
    ORGANISATION,
    Approved,
    Given,
    Right,
    Rights,
    Scope,
    Subject,
    SubjectKind,
)
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity
from samdrift.vault.workergate import WorkerGate

_LASTS = timedelta(days=300)
_EARLIER = timedelta(hours=2)
_MANNED = Manning(hours=((0, 24 * 60),) * 7, holidays=False, escalate_after=1)
"""Manning of the first mailbox at all hours, so that a message left unread for an hour always shows."""
_FIRST, _SECOND = (Subject(SubjectKind.CUSTODIAN, name) for name in ("demo-1", "demo-2"))


@dataclass(frozen=True, slots=True)
class Page:
    """The first page of an organisation, for one of its people."""

    organisation: str
    url: str
    person: str
    about: str
    roles: Sequence[str]


async def settle(
    gate: Gate, config: Config, organisation: DemoOrganisation, persons: Sequence[DemoPerson]
) -> tuple[Page, ...]:
    """Create an organisation's mailboxes and give its people their rights; existing ones are kept."""
    vaults = gate.worker("demo", Role.MESSAGE_CLIENT)
    (own,) = [each for each in config.organisations if each.identifier == organisation.identifier]
    if own.sign_in is None or config.message_client is None:
        raise LookupError("no persons sign in to that organisation")
    mailboxes = await _mailboxes(vaults, organisation)
    await _rights(vaults, organisation, own.sign_in.issuer, persons, mailboxes)
    url = f"http://{own.message_client_host}:{config.message_client.public_port}/"
    return tuple(
        Page(organisation.name, url, each.name, each.about, tuple(_roles(each, mailboxes)))
        for each in persons
    )


async def _mailboxes(
    vaults: WorkerGate[MessageClientVault], organisation: DemoOrganisation
) -> Mapping[str, str]:
    """Return the id of each mailbox by its name."""
    async with vaults.open(organisation.identifier, Purpose.ADMINISTER) as vault:
        known = {one.address: one.id for one in await vault.mailboxes()}
        found = {}
        for each in organisation.mailboxes:
            found[each.name] = known.get(each.identifier) or secrets.token_hex(16)
            if each.identifier not in known:
                await vault.keep_mailbox(MailboxRecord(found[each.name], each.identifier, each.name))
                if each == organisation.mailbox:
                    vault.keep_manning(found[each.name], _MANNED.content(), now=datetime.now(UTC))
    return found


async def _rights(
    vaults: WorkerGate[MessageClientVault],
    organisation: DemoOrganisation,
    issuer: str,
    persons: Sequence[DemoPerson],
    mailboxes: Mapping[str, str],
) -> None:
    """State everyone's rights, each a second after the previous one, unless they already have some.

    The sign-in service has another address at each start, so people have new identities then. Two custodians
    give the roles in the organisation; the administrator gives the rights to mailboxes.
    """
    async with vaults.open(organisation.identifier, Purpose.ADMINISTER) as vault:
        ids = {
            each.subject: await vault.know_person(Identity(issuer, each.subject, each.name))
            for each in persons
        }
    moments = _moments()
    assignments = Assignments(vaults, lambda: next(moments))
    stated = await assignments.now(organisation.identifier)
    if any(any(True for _ in stated.ways(person_subject(each))) for each in ids.values()):
        return

    async def give(by: Subject, what: Rights, *, asked: bool = False) -> str:
        given = await assignments.state(
            organisation.identifier, by, "Demonstration", lambda at: Given(what, at, at + _LASTS, asked)
        )
        return given.digest

    for each in persons:
        if each.work in ROLES:
            role = Rights(person_subject(ids[each.subject]), ORGANISATION, frozenset({ROLES[each.work]}))
            approval = Approved(await give(_FIRST, role, asked=True))
            await assignments.state(
                organisation.identifier, _SECOND, "Demonstration", partial(_same, approval)
            )
    (administrator,) = [
        person_subject(ids[each.subject]) for each in persons if each.work is Work.ADMINISTRATOR
    ]
    for each in persons:
        for name in _own(each, mailboxes):
            rights = OF_MAILBOXES[each.work]
            await give(
                administrator, Rights(person_subject(ids[each.subject]), Scope(mailboxes[name]), rights)
            )


def _same(approval: Approved, at: datetime) -> Approved:
    return approval


def _moments() -> Iterator[datetime]:
    moment = datetime.now(UTC).replace(microsecond=0) - _EARLIER
    while True:
        moment += timedelta(seconds=1)
        yield moment


def _own(person: DemoPerson, mailboxes: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the mailboxes that a person has rights to."""
    if person.work not in OF_MAILBOXES:
        return ()
    names = list(mailboxes)
    return names if person.work is Work.REGISTRAR else names[:1]


def _roles(person: DemoPerson, mailboxes: Mapping[str, str]) -> Iterator[str]:
    """Yield the person's work, and their rights to each mailbox."""
    yield person.work.value
    for name in _own(person, mailboxes):
        rights: list[Right] = sorted(OF_MAILBOXES[person.work])
        yield f"{name}: {', '.join(rights)}"


async def settle_office(
    gate: Gate, config: Config, organisation: DemoOrganisation, officers: Sequence[Officer]
) -> tuple[Page, ...]:
    """Link the people who sign in to an organisation's governance to the officers of its record."""
    (own,) = [each for each in config.organisations if each.identifier == organisation.identifier]
    if own.sign_in is None or config.governance is None:
        return ()
    async with gate.worker("demo", Role.GOVERNANCE).open(own.identifier, Purpose.ADMINISTER) as vault:
        for each in officers:
            identity = Identity(own.sign_in.issuer, each.person.subject, each.person.name)
            await vault.adopt_person(identity, each.subject.id)
    url = f"http://{own.governance_host}:{config.governance.public_port}/"
    return tuple(
        Page(organisation.name, url, each.person.name, "Styrning", (each.person.work.value,))
        for each in officers
    )
