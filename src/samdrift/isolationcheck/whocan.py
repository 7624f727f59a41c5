"""Comparison of the who-can report with reality: everyone known to a canary tries each of its mailboxes.

Everyone who gets through must be in the report, and each path in the report must get through. Canaries are
the operator's own organisations, and their logs record what their people read here and that access was
counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime
from secrets import token_hex

from samdrift.administration.administration import Administration, beside
from samdrift.administration.inventory import basis_of, count_doors
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.who import PathKind, paths
from samdrift.installation.services import NoAddressBook
from samdrift.isolationcheck.ledger import Ledger
from samdrift.keystore.interface import KeyStore
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.mail import Folder, Person
from samdrift.messageclient.owndesk import desk
from samdrift.messageclient.permissions import Assignments
from samdrift.net.clock import system_clock
from samdrift.rights.fields import Scope, Subject, SubjectKind
from samdrift.rights.statements import Right
from samdrift.vault.gate import Gate
from samdrift.vault.people import Identity, PersonRecord
from samdrift.wire.identifiers import ParticipantIdentifier

INTERFACE = "who-can"
_PEOPLE = frozenset({PathKind.PERSON, PathKind.MEMBER})
_UNREPORTED = "read a mailbox without a path in the report"
_UNREAL = "be reported without a way in"


async def against_what_is_so(
    config: Config, keys: KeyStore, organisation: ParticipantIdentifier, ledger: Ledger
) -> None:
    """Compare the report on one canary with what its people can actually read."""
    async with beside(config, keys) as installation:
        registry = installation.gate.registry
        if not all(registry.serves(organisation, each) for each in (Role.MESSAGE_CLIENT, Role.GOVERNANCE)):
            why = "the canary has no message client and governance here"
            ledger.untried(INTERFACE, _UNREPORTED, "everybody", why, expected=True)
            return
        async with installation.gate.open(
            workers.ISOLATION_CHECK, organisation, Role.MESSAGE_CLIENT, Purpose.TRACE
        ) as vault:
            mailboxes, persons = [each.id for each in await vault.mailboxes()], await vault.persons()
        await count_doors(installation, organisation)
        everywhere = {str(Scope(each)) for each in mailboxes}
        reported = {each for each in await _reported(installation, organisation) if each[1] in everywhere}
        so = {pair async for pair in _through(installation.gate, organisation, persons, mailboxes)}
    unreported, unreal = so - reported, reported - so
    leak = f"{len(unreported)} got through whom the report does not have" if unreported else ""
    ledger.tried(INTERFACE, _UNREPORTED, "everybody whom the canary knows, and a stranger", leak)
    leak = f"{len(unreal)} paths of the report do not get through" if unreal else ""
    ledger.tried(INTERFACE, _UNREAL, "everybody in the report", leak)


async def _reported(
    installation: Administration, organisation: ParticipantIdentifier
) -> set[tuple[str, str]]:
    """Return who can read which mailbox according to the current report."""
    now = datetime.now(UTC).replace(microsecond=0)
    basis = await basis_of(installation, organisation, now, now)
    return {
        (each.who, each.where)
        for each in paths(basis, now, now)
        if each.kind in _PEOPLE and Right.READ in each.can
    }


async def _through(
    gate: Gate,
    organisation: ParticipantIdentifier,
    persons: Iterable[PersonRecord],
    mailboxes: Collection[str],
) -> AsyncIterator[tuple[str, str]]:
    """Yield each person who can read a mailbox, with that mailbox, by trying all of them."""
    assignments = Assignments(gate.worker("isolation-check", Role.MESSAGE_CLIENT), system_clock)
    stranger = PersonRecord(token_hex(16), Identity("https://nobody.invalid", token_hex(16), ""), None)
    for person in (*persons, stranger):
        one, who = person.identity, Person(person.id, person.identity.name)
        permissions = await assignments.of(organisation, one.issuer, one.subject, one.claims)
        own = desk(gate, organisation, permissions, who, NoAddressBook(), system_clock)
        for mailbox in mailboxes:
            try:
                await own.lines(Folder.OPEN, mailbox)
            except NotHere:
                continue
            yield str(Subject(SubjectKind.PERSON, person.id)), str(Scope(mailbox))
