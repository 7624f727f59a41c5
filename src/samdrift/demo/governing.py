"""Governance of the demonstration's organisations: officers with keys, and agreements to the last supplier.

Two fictitious custodians enrol two officers of each organisation, as `gov officer enrol` does. The officers
sign everything else with their own keys, which are in the demonstration's folder so that statements can also
be signed by hand with `ssh-keygen`. Existing records are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from samdrift.contracts.principals import Role
from samdrift.demo.cast import OPERATOR_PARTY, DemoOrganisation
from samdrift.demo.persons import DemoPerson, Work
from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.governance.records import Records
from samdrift.rights.agreements import (
    Agreed,
    AgreementKind,
    AtEnd,
    Carried,
    Chosen,
    Function,
    Party,
    PartyKind,
    PartyNamed,
    Secrecy,
    Signatory,
)
from samdrift.rights.consentfold import Stage, consents_of
from samdrift.rights.consents import AccessAsked, Extent, Ground, Level
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.signing import Signed, namespace
from samdrift.rights.statements import ORGANISATION, Act, Approved, Given, Right, Rights, Statement
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.sshsig import public_line, sign

OPERATOR = Party.parse(OPERATOR_PARTY)
"""The party that operates the roles."""
HOST = Party("SE", "559900-0014")
"""The operator's supplier of hosting and backup; its number is not assigned to anyone either."""
VAULT = Party("SE", "559900-0022")
"""The hosting supplier's own supplier, for backup only."""
_NAMES = {OPERATOR: "Driften AB", HOST: "Hallen Hosting AB", VAULT: "Valvet Säkerhetskopior AB"}
STAFF = Subject(SubjectKind.OPERATOR, "ola")
"""A member of the operator's staff who waits for the officers' consent."""
_STAFF_NAME = "Ola Drift"
_EARLIER = timedelta(hours=3)
_KEYS_LAST = timedelta(days=300)
_AGREED_FOR = timedelta(days=1095)
_OFFICERS = {Work.ADMINISTRATOR: Right.ADMINISTRATOR, Work.SECURITY_OFFICER: Right.SECURITY_OFFICER}
_WHY = "Demonstration"


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer of an organisation of the demonstration, with their key and its file."""

    person: DemoPerson
    subject: Subject
    key: Ed25519PrivateKey
    file: Path


def officers_of(
    folder: Path, organisation: DemoOrganisation, persons: Sequence[DemoPerson]
) -> tuple[Officer, ...]:
    """Return the officers among an organisation's people; missing keys are made in ``folder``."""
    domain = organisation.identifier.value.rpartition(":")[2]
    found = []
    for person in persons:
        if person.work in _OFFICERS:
            file = folder / "officers" / domain / person.subject
            subject = Subject(
                SubjectKind.PERSON, hashlib.sha256(f"{domain} {file.name}".encode()).hexdigest()[:32]
            )
            found.append(Officer(person, subject, _key(file), file))
    return tuple(found)


def _key(file: Path) -> Ed25519PrivateKey:
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
        new = Ed25519PrivateKey.generate()
        file.write_bytes(new.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        file.with_suffix(".pub").write_text(f"{public_line(new)} {file.name}\n", "utf-8")
    key = load_ssh_private_key(file.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


class Signing:
    """Statements of an organisation, a second apart, each signed by the person who states it."""

    def __init__(self, organisation: DemoOrganisation, keys: Mapping[Subject, Ed25519PrivateKey]) -> None:
        self._organisation = organisation.identifier.value
        self._keys = keys
        self.at = datetime.now(UTC).replace(microsecond=0) - _EARLIER
        self.signed: list[Signed] = []

    def state(self, by: Subject, act: Act) -> str:
        """State an act; return the statement's digest."""
        self.at += timedelta(seconds=1)
        statement = Statement(self._organisation, by, self.at, _WHY, act)
        signature = sign(self._keys[by], statement.content, namespace(statement))
        self.signed.append(Signed.by_ssh(statement, signature))
        return statement.digest

    def together(self, first: Subject, second: Subject, act: Act) -> None:
        """State an act as the first subject and approve it as the second."""
        self.state(second, Approved(self.state(first, act)))


async def govern(
    gate: Gate, organisation: DemoOrganisation, persons: Sequence[DemoPerson], folder: Path
) -> tuple[Officer, ...]:
    """Give an organisation officers and agreements, unless its record already has statements."""
    officers = officers_of(folder, organisation, persons)
    if gate.registry.find(organisation.identifier, Role.GOVERNANCE) is None:
        return officers
    records = Records(gate, lambda: datetime.now(UTC))
    staff = _key(folder / "staff" / STAFF.id)
    if (await records.read(organisation.identifier)).number:
        await _leave_request(records, organisation, staff)
        return officers
    custodians = {
        Subject(SubjectKind.CUSTODIAN, name): Ed25519PrivateKey.generate() for name in ("demo-1", "demo-2")
    }
    keys = custodians | {each.subject: each.key for each in officers} | {STAFF: staff}
    signing = Signing(organisation, keys)
    _bring_in(signing, custodians, officers)
    enrolled = Enrolled(STAFF, _STAFF_NAME, _public(staff), signing.at + _KEYS_LAST)
    first, second = custodians
    signing.together(first, second, enrolled)
    _agree(signing, organisation, [each.subject for each in officers])
    await records.append(organisation.identifier, signing.signed, _roots(custodians))
    await _leave_request(records, organisation, staff)
    return officers


async def _leave_request(records: Records, organisation: DemoOrganisation, staff: Ed25519PrivateKey) -> None:
    """Add a request by the staff to see a day's metadata, unless a request is already waiting."""
    record, now = await records.read(organisation.identifier), datetime.now(UTC).replace(microsecond=0)
    asked = consents_of(record).all()
    if any(each.stage(now) is Stage.WAITING for each in asked) or not any(record.keys.in_force(now, STAFF)):
        return
    extent = Extent.span(now - timedelta(days=1), now)
    act = AccessAsked(STAFF, Ground.OUTAGE, "INC-1042", extent, Level.METADATA, 60)
    at = max(now, record.last or now)
    statement = Statement(organisation.identifier.value, STAFF, at, "Kvittenser dröjer sedan i går", act)
    signed = Signed.by_ssh(statement, sign(staff, statement.content, namespace(statement)))
    await records.append(organisation.identifier, [signed], lambda subject: ())


def _public(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(Scheme.SSH, public_line(key))


def _roots(custodians: Mapping[Subject, Ed25519PrivateKey]) -> Callable[[Subject], Collection[str]]:
    return lambda subject: (_public(custodians[subject]).fingerprint,) if subject in custodians else ()


def _bring_in(
    signing: Signing, custodians: Mapping[Subject, Ed25519PrivateKey], officers: Sequence[Officer]
) -> None:
    """Enrol both officers, with their roles, before either of them has a key."""
    first, second = custodians
    until = signing.at + _KEYS_LAST
    for each, key in custodians.items():
        signing.state(each, Enrolled(each, each.id, _public(key), until))
    for officer in officers:
        role = Rights(officer.subject, ORGANISATION, frozenset({_OFFICERS[officer.person.work]}))
        start = signing.at + timedelta(seconds=5)
        signing.together(first, second, Given(role, start, start + _KEYS_LAST, asked=True))
    asked = [
        signing.state(first, Enrolled(each.subject, each.person.name, _public(each.key), until))
        for each in officers
    ]
    for digest in asked:
        signing.state(second, Approved(digest))
    signing.at += timedelta(minutes=1)


def _agree(signing: Signing, organisation: DemoOrganisation, officers: Sequence[Subject]) -> None:
    """Name the parties, and enter and countersign a chain of agreements that covers every duty."""
    one, other = officers
    number = f"{organisation.number[:6]}-{organisation.number[6:]}"
    own = Party("SE", number)
    kind = PartyKind.MUNICIPALITY if "kommun" in organisation.name else PartyKind.AGENCY
    signing.state(one, PartyNamed(own, organisation.name, kind, organisation.identifier.value))
    for party, name in _NAMES.items():
        signing.state(one, PartyNamed(party, name, PartyKind.COMPANY))
    signing.state(other, Chosen(AtEnd.STOP))
    served = (Function.HOSTING, Function.BACKUP)
    for principal, performer, functions in (
        (own, OPERATOR, (Function.AP, Function.MT, Function.MK, Function.SUPPORT, *served)),
        (OPERATOR, HOST, served),
        (HOST, VAULT, (Function.BACKUP,)),
    ):
        agreed = _agreed(signing, organisation, principal, performer, functions)
        signing.together(one, other, agreed)


def _agreed(
    signing: Signing,
    organisation: DemoOrganisation,
    principal: Party,
    performer: Party,
    functions: Collection[Function],
) -> Agreed:
    duties = sorted(each.id for each in shipped()[-1].duties.values() if each.pass_on is not PassOn.NO)
    parties = sorted((principal, performer))
    paper = f"{principal} {performer} {_WHY}".encode()
    return Agreed(
        AgreementKind.SERVICE,
        principal,
        performer,
        frozenset(functions),
        (organisation.identifier.value,),
        signing.at,
        signing.at + _AGREED_FOR,
        180,
        hashlib.sha256(paper).hexdigest(),
        tuple(Signatory(each, "Ansvarig Person") for each in parties),
        ("SE",),
        frozenset({Secrecy.LAW_2020_914}),
        tuple(Carried(duty, f"4.{place}") for place, duty in enumerate(duties, 1)),
    )
