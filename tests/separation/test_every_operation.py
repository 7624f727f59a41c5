"""Every public operation of a vault, attempted with another organisation's identifiers (invariant 4).

The list of operations is read from the classes: an operation without a case here, or a case without an
operation, fails. After each attempt the other vault has exactly the content that it had before, and the
result names nothing of it.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import ChainHead, link, verify_chain
from samdrift.audit.entries import Happening
from samdrift.audit.merkle import Frontier
from samdrift.audit.tiles import Tile
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.contracts.transfer import TransferReason
from samdrift.governance.incidents import IncidentEvent
from samdrift.keystore.software import KeyFault, KeyName, KeyStoreError
from samdrift.keystore.witness import Witness
from samdrift.messageservice.events import MTEvent
from samdrift.vault.accesspoint import AccessPointVault, Standing
from samdrift.vault.bodies import BodyReader, BodyWriter
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.errors import SealBroken, UnknownRecord
from samdrift.vault.forgetting import ForgettingVault
from samdrift.vault.grounds import JudgingVault
from samdrift.vault.holdings import HoldingsVault
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.officers import GovernanceVault, OfferedKey
from samdrift.vault.opening import Reason, Vault
from samdrift.vault.openkeys import open_keys
from samdrift.vault.people import Identity, SessionRecord, SignInKeys
from samdrift.vault.portability.arrival import (
    AccessPointArrival,
    Arrival,
    ArrivalStanding,
    GovernanceArrival,
    MessageClientArrival,
    MessageServiceArrival,
)
from samdrift.vault.portability.departure import (
    AccessPointDeparture,
    Departure,
    GovernanceDeparture,
    MessageClientDeparture,
    MessageServiceDeparture,
)
from samdrift.vault.portability.mailparts import MAIL_PARTS
from samdrift.vault.portability.parts import MESSAGES, TRANSFERS, Facts, Part, from_bytes, records_part
from samdrift.vault.recordkeeping import RecordKeepingVault
from samdrift.vault.records import (
    Backlog,
    Changes,
    MessageRecord,
    ReceiptRecord,
    Received,
    StatusEvent,
    Transfer,
)
from samdrift.vault.sealing import Sealer
from samdrift.vault.sessionkeys import Claim, Claimed, RefusalLimit
from samdrift.vault.signedstatements import SignedStatementKeeping
from samdrift.vault.transferdesk import TransferDesk
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.verdicts import Grounds, SignedPart
from tests.pki import DAY, key, name
from tests.pki import NOW as PKI_NOW
from tests.separation import mailcases
from tests.separation.vaultlogin import Superuser, superuser, vault_login
from tests.sizes import sampled
from tests.vaults import (
    MINUTE,
    NOW,
    WORKER,
    Installation,
    body,
    incoming,
    message,
    outgoing,
    receipt,
    submitted,
)
from tests.vaulttemplates import copied_vaults

Case = Callable[[Any, "Victim"], Awaitable[object]]
AP, MT, MK, GOV = Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT, Role.GOVERNANCE
RECORD = "6f1f5b0e-0d53-4a36-9f0a-7f4f3cf7a9d4"
SENDER = "0203:avsandare.se"
MARKER = "Orosanmälan-om-Kim-Svensson"
LARGE = MARKER.encode() * 10_000
LONG_AGO = NOW - 3650 * DAY
GROUNDS = Grounds.of([MARKER.encode(), b"anchor"], [b"answer"], [], "required", NOW)
SIGNATURE = SignedPart(b"<SignedInfo/>" + MARKER.encode(), b"signature")
ISSUER, SUBJECT = "https://login.habo.test", "197001019999"
STATEMENT = NumberedStatement(1, MARKER.encode())
NOTED = f"state={MARKER}"
SESSION = SessionRecord(
    b"m" * 32,
    b"s" * 32,
    Identity(ISSUER, SUBJECT, MARKER, {"groups": (MARKER,)}),
    "loa3",
    NOW,
    "provider session",
    NOW,
    NOW,
)


@dataclass(frozen=True)
class Victim:
    """Everything that an attacker could know about the other organisation's records."""

    organisation: ParticipantIdentifier
    transfer: Transfer
    proved: Transfer
    item_id: str
    as4_message_id: str
    peer: str
    out: MessageRecord
    came_in: MessageRecord
    answer: ReceiptRecord
    commitment: str
    processed: str
    cursor: str
    assertion: bytes
    token_key: object
    client_token_key: object
    gov_token_key: object
    superuser: Superuser
    schemas: dict[Role, str]
    vaults: dict[Role, str]
    bodies: tuple[str, ...]
    mark_key: bytes
    person: str
    person_behind: str
    officer: str
    pages_keys: tuple[bytes, bytes]
    claimant: str
    """The process that has claimed a transfer and a message in the victim's vaults."""
    mail: mailcases.TheirMail
    look: Callable[[], dict[str, Any]]
    seen: list[dict[Role, Any]] = field(default_factory=list, compare=False)
    """The snapshot after a case, reused as the one before the next case."""

    def snapshot(self) -> dict[Role, Any]:
        content = self.look()
        return {role: content[schema] for role, schema in self.schemas.items()}

    def traces(self) -> set[str]:
        """Return texts that must never come back from another organisation's vault."""
        names = {self.organisation.value, *self.bodies, *self.schemas.values()}
        return {
            MARKER,
            RECORD,
            "secret-event-title",
            self.person,
            self.person_behind,
            SUBJECT,
            self.officer,
            *names,
        }


@dataclass
class Attackers:
    """Organisations with one vault each, whose content is that of a new one."""

    installation: Installation
    superuser: Superuser
    new: dict[Role, tuple[ParticipantIdentifier, Callable[[], Any], Any]] = field(default_factory=dict)
    """The latest organisation in each role, a function that looks into its vault, and the initial content."""
    looking: dict[Role, contextlib.ExitStack] = field(default_factory=dict)
    """Open connections for looking into these vaults."""

    async def one(self, role: Role) -> ParticipantIdentifier:
        """Return an organisation with a pristine vault: the latest one, or a new one if a case changed it."""
        if role in self.new:
            organisation, look, content = self.new[role]
            if look() == content:
                return organisation
            self.looking.pop(role).close()
        # The product creates the first vault of a role; the many others that cases need are copies.
        with copied_vaults():
            organisation = await self.installation.organisation([role])
        found = self.installation.gate.registry.find(organisation, role)
        assert found is not None
        question = "SELECT schema FROM registry.registrations WHERE vault = %s"
        ((schema,),) = self.superuser.rows(question, found.vault)
        look = self.looking.setdefault(role, contextlib.ExitStack()).enter_context(
            self.superuser.watching([schema])
        )
        self.new[role] = organisation, look, look()
        return organisation


@pytest.fixture(scope="module")
def attackers(installation: Installation, victim: Victim) -> Iterator[Attackers]:
    found = Attackers(installation, victim.superuser)
    yield found
    for each in found.looking.values():
        each.close()


@pytest_asyncio.fixture(scope="module")
async def victim(installation: Installation) -> AsyncIterator[Victim]:
    organisation = await installation.organisation()
    for kind in (AccessPointArrival, MessageServiceArrival, MessageClientArrival, GovernanceArrival):
        async with installation.gate.arrive(WORKER, organisation, kind) as former:
            await former.begin(b"their export", now=NOW)
            await former.store_log("former", [entry_of(MARKER)])
            await former.finish(now=NOW, taken_over=True)
    async with installation.open(organisation, AP) as transfers:
        transfer = await submitted(transfers, LARGE)
        await transfers.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        assert await transfers.postpone(
            transfer.id,
            now=NOW,
            next_attempt=NOW + MINUTE,
            reason=TransferReason.PEER_REFUSED,
            detail=MARKER,
            references=(MARKER.encode(),),
        )
        item = replace(incoming(), recipient=organisation.value)
        assert await transfers.accept(item, await body(transfers, LARGE), MARKER.encode(), now=NOW)
        (waiting,) = await transfers.inbox(1)
        proved = await submitted(transfers)
        await transfers.delivered(proved.id, now=NOW, receipt=MARKER.encode(), peer="AP0002-SDK-TEST")
        done = await submitted(transfers)
        await transfers.failed(done.id, now=NOW, reason=TransferReason.GIVEN_UP, detail=MARKER)
        await submitted(transfers, lease=MINUTE)
        ancient = await submitted(transfers)
        await transfers.delivered(ancient.id, now=LONG_AGO, receipt=MARKER.encode(), peer="AP0002-SDK-TEST")
        transfers.keep_certificate(MARKER.encode(), now=NOW)
        transfers.keep_grounds(GROUNDS, now=LONG_AGO)
        transfers.keep_signature(SIGNATURE, now=LONG_AGO)
        transfers.record(APEvent.AP_TRANSFER_QUEUED, envelope=transfer.envelope.envelope_id, note=MARKER)
        transfers.record(APEvent.AP_ENVELOPE_REFUSED, reason=MARKER)
    async with installation.open(organisation, MT) as messages:
        assert await claim(messages, b"their envelope") == Claimed(Claim.TAKEN)
    async with installation.open(organisation, MT) as messages:
        out = replace(message(label=MARKER), sender=organisation)
        await messages.create_outgoing(out, await body(messages, LARGE), now=NOW, lease=None)
        await messages.create_outgoing(message(), await body(messages), now=NOW, lease=MINUTE)
        came_in = replace(message(Direction.IN, label=MARKER), recipient=organisation)
        answer = receipt(came_in.id)
        await messages.receive(
            came_in,
            await body(messages, LARGE),
            answer,
            MARKER.encode(),
            item_id="their-item",
            now=NOW,
            lease=None,
        )
        ancient_receipt = replace(receipt("a-message-of-theirs", Direction.IN), created_at=LONG_AGO)
        await messages.store_received_receipt(ancient_receipt, MARKER.encode(), now=LONG_AGO)
        steps = [StatusEvent(NOW, MessageStatus.SUBMITTED, "secret-event-title")]
        later = NOW + MINUTE
        assert await messages.set_status(
            out.id, MessageStatus.SUBMITTED, steps, now=NOW, deadline=later, direction=Direction.OUT
        )
        await messages.mark_processed("their-item-2", now=NOW)
        await messages.set_cursor("their-cursor", 4711)
        assert await messages.use_assertion(MARKER.encode(), until=NOW + MINUTE, now=NOW)
        (token_key,) = messages.token_keys(now=NOW)
        await messages.count_refusal(SENDER, limit=RefusalLimit(9, MINUTE), now=NOW)
        messages.record(MTEvent.MT_MESSAGE_SCHEDULED, message=out.id, note=MARKER)
        commitment = messages.keep_digest(sha256(MARKER.encode()).digest())
        messages.keep_grounds(GROUNDS, now=LONG_AGO)
        messages.keep_signature(SIGNATURE, now=LONG_AGO)
        person_behind = await messages.know_person(SESSION.identity, now=NOW)
        await messages.tree.sign(NOW)
    seen_by = await superuser(installation)
    logins = {role: await vault_login(installation, organisation, role) for role in Role}
    async with installation.open(organisation, MK) as client, installation.open(organisation, GOV) as office:
        for role, vault in ((MK, client), (GOV, office)):
            vault.keep_record(RECORD, now=NOW)
            vault.record(MTEvent.MT_MESSAGE_SCHEDULED, message=out.id, note=MARKER)
            await with_body(vault, logins[role].schema, seen_by)
        assert await client.begin_session(SESSION)
        person = await client.person(ISSUER, SUBJECT)
        assert person is not None
        await client.append_statements([STATEMENT])
        for vault in (client, office):
            await vault.append_signed_statements([STATEMENT])
            assert await vault.note_cover("", NOTED)
        assert await office.begin_session(SESSION)
        officer = await office.person(ISSUER, SUBJECT)
        assert officer is not None
        office.offer_key(OfferedKey(officer, NOW, MARKER, "{}"))
        office.keep_report(NOW, MARKER.encode())
        office.record(IncidentEvent.GOV_INCIDENT_NOTED, why=MARKER)
        (gov_token_key,) = office.token_keys(now=NOW)
        pages_keys = client.pages_key(), office.pages_key()
        (client_token_key,) = client.token_keys(now=NOW)
        mail = await mailcases.their_mail(client, MARKER)
    for role in (AP, MT):
        async with installation.open(organisation, role) as other:
            await other.append_signed_statements([STATEMENT])
            assert await other.note_cover("", NOTED)
    for role in (AP, MK, GOV):
        async with installation.open(organisation, role) as signing:
            await signing.tree.sign(NOW)
    bodies = [
        row[0] for each in logins.values() for row in seen_by.rows(f"SELECT id FROM {each.schema}.bodies")
    ]
    give_keys(installation, logins[MT].vault, "victim")
    for use in (KeyName.SIGN_IN_SIGNING, KeyName.SIGN_IN_ENCRYPTION):
        store = open_keys(installation.settings)
        for role in (MK, GOV):
            until = PKI_NOW + 3650 * DAY
            store.create_certified_key(logins[role].vault, use, name("victim"), until, bits=2048)
    witness = Witness(bytes(32), NOW)
    open_keys(installation.settings).keep_witness(logins[MT].vault, witness)
    async with installation.open(organisation, MT) as messages:
        assert await messages.look_after_marks(now=NOW) is not None
    open_keys(installation.settings).keep_witness(logins[MT].vault, witness)
    schemas = {role: login.schema for role, login in logins.items()}
    with seen_by.watching(schemas.values()) as look:
        yield Victim(
            organisation,
            transfer,
            proved,
            waiting.id,
            item.as4_message_id,
            item.peer,
            out,
            came_in,
            answer,
            commitment,
            "their-item",
            "their-cursor",
            MARKER.encode(),
            token_key.public,
            client_token_key.public,
            gov_token_key.public,
            seen_by,
            schemas,
            {role: login.vault for role, login in logins.items()},
            tuple(bodies),
            Sealer(
                logins[MT].vault, open_keys(installation.settings).data_keys(logins[MT].vault)
            ).session_marks,
            person,
            person_behind,
            officer,
            pages_keys,
            installation.gate.claimant.name,
            mail,
            look,
        )


async def with_body(vault: Vault, schema: str, seen_by: Superuser) -> None:
    """Store a body where no operation stores one yet, in the way that the schema's owner would."""
    stored = await body(vault, LARGE)
    vault._keep(stored)
    question = f"INSERT INTO {schema}.bodies (id, size) VALUES (%s, %s)"
    seen_by.rows(question, stored.id, stored.size)


def give_keys(installation: Installation, vault: str, owner: str) -> None:
    """Create keys with certificates that name their owner."""
    store = open_keys(installation.settings)
    for use in (KeyName.SIGNING, KeyName.ENCRYPTION, KeyName.TLS_CLIENT):
        request = x509.load_pem_x509_csr(store.create_key(vault, use, name(owner), bits=2048))
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(name("CA"))
        builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(PKI_NOW).not_valid_after(PKI_NOW + DAY)
        store.install_certificate(vault, use, builder.sign(key(), hashes.SHA256()))


def entry_of(message_id: str) -> Facts:
    """Return an entry of a former supplier's log."""
    content = Happening(NOW, "an:event", "worker:test", "test", {"message": message_id}).content()
    facts = {"sequence": 1, "content": content.decode(), "previous": "\\x"}
    return facts | {"hash": from_bytes(link(b"", 1, content))}


def owner_of(certificate: x509.Certificate) -> object:
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


async def unknown(attempt: Awaitable[object]) -> None:
    """Check that the attempt ends as it does for an identifier that was never used."""
    with pytest.raises(UnknownRecord):
        await attempt


async def is_(expected: object, attempt: Awaitable[object]) -> None:
    assert await attempt == expected


# --- cases ----------------------------------------------------------------------------------------------
# Each gets the attacker's own open vault and the known facts about the victim, and returns what it learned.


async def log(vault: Vault, victim: Victim) -> object:
    return await vault.log()


async def find_log(vault: Vault, victim: Victim) -> object:
    for identifier in (victim.transfer.envelope.envelope_id, victim.out.id, MARKER, victim.transfer.id):
        await is_((), vault.find_log(identifier))
    return None


async def log_origin(vault: Vault, victim: Victim) -> object:
    """A vault's log begins with another origin than any other vault's."""
    assert verify_chain(await vault.log(), vault.log_origin).intact
    for schema in victim.schemas.values():
        (theirs,) = victim.superuser.rows(f"SELECT content FROM {schema}.log WHERE sequence = 1")
        assert b'"event":"log:tree:begun"' in theirs[0]
        assert vault.log_origin.hash.hex().encode() not in theirs[0]
    return None


async def record(vault: Vault, victim: Victim) -> object:
    vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=victim.transfer.envelope.envelope_id)
    return None


async def new_body(vault: Vault, victim: Victim) -> object:
    """A body of the other vault cannot be named: neither its object nor its stream can be opened here."""
    writer = vault.new_body()
    shelf = writer._shelf
    for body_id in victim.bodies:
        with pytest.raises(SealBroken):
            await BodyReader(shelf, body_id, len(LARGE), None).read_all()
    return type(writer) is BodyWriter


async def find_former_log(vault: Vault, victim: Victim) -> object:
    for identifier in (victim.out.id, MARKER, victim.transfer.id):
        await is_((), vault.find_former_log(identifier))
    return None


async def proving_key(vault: Vault, victim: Victim) -> object:
    assert owner_of(vault.proving_key().certificate) == "attacker"
    return None


async def sweep(vault: Vault, victim: Victim) -> object:
    return await vault.sweep()


async def log_end(vault: Vault, victim: Victim) -> object:
    return await is_(1, vault.log_end())


async def log_head(vault: Vault, victim: Victim) -> object:
    """The head is the root of the attacker's own tree, which has one leaf."""
    (own,) = await vault.log()
    assert own.leaf is not None
    return await is_(ChainHead(1, own.leaf.hash, 1), vault.log_head())


async def log_before(vault: Vault, victim: Victim) -> object:
    (own,) = await vault.log()
    assert own.leaf is not None
    return await is_(Frontier(1, (own.leaf.hash,)), vault.log_before(2))


async def tree(vault: Vault, victim: Victim) -> object:
    """The tree has its own name, key, entries and checkpoints, and its signature fits no other log."""
    state = await vault.tree.sign(NOW)
    (own,) = await vault.log()
    assert own.leaf is not None
    for schema in victim.schemas.values():
        ((name,),) = victim.superuser.rows(f"SELECT origin FROM {schema}.log_tree")
        theirs = {key for (key,) in victim.superuser.rows(f"SELECT key FROM {schema}.log_keys")}
        assert name != state.origin
        assert theirs.isdisjoint(kept.key for kept in await vault.tree.keys())
    assert [kept.size for kept in await vault.tree.checkpoints()] == [1]
    await is_(b"\x00\x2a" + own.leaf.entry, vault.tree.tile(Tile(None, 0, 1)))
    await is_(Frontier(1, (own.leaf.hash,)), vault.tree.frontier(1))
    with pytest.raises(UnknownRecord):
        await vault.tree.tile(Tile(None, 0, 2))
    named, ((number, *_),) = await vault.tree.to_hand_over(100)
    assert (named, number) == (state.origin, own.sequence)
    await vault.tree.handed_over(1, NOW)
    assert (await vault.tree.to_hand_over(100))[1] == []
    for schema in victim.schemas.values():
        assert victim.superuser.rows(f"SELECT sequence FROM {schema}.log_handed_over") == [(0,)]
    return [state.origin, state.key, state.note, await vault.tree.published()]


async def submit(vault: AccessPointVault, victim: Victim) -> object:
    envelope = outgoing(envelope_id=victim.transfer.envelope.envelope_id)
    transfer, created = await vault.submit(
        envelope, await body(vault), as4_message_id=victim.transfer.as4_message_id, now=NOW, lease=MINUTE
    )
    assert created, "the result must not reveal that another organisation has that envelope"
    return transfer.id


async def claim_transfers(vault: AccessPointVault, victim: Victim) -> object:
    claimed = await vault.claim_transfers(now=NOW + 100 * MINUTE, lease=MINUTE, limit=1000)
    assert victim.transfer.id not in {transfer.id for transfer in claimed}
    return [transfer.id for transfer in claimed]


async def release_claims(vault: AccessPointVault | MessageServiceVault, victim: Victim) -> object:
    """Claims of one process in several vaults are released in one of them only."""
    return await is_(0, vault.release_claims([victim.claimant], now=NOW))


async def give_back_claims(vault: AccessPointVault | MessageServiceVault, victim: Victim) -> object:
    return await is_(0, vault.give_back_claims(now=NOW))


async def resume(vault: AccessPointVault, victim: Victim) -> None:
    vault.resume([victim.transfer.id], now=NOW)


async def outgoing_body(vault: AccessPointVault, victim: Victim) -> object:
    return await unknown(vault.outgoing_body(victim.transfer.id))


async def delivered(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(False, vault.delivered(victim.transfer.id, now=NOW, receipt=b"", peer="AP"))


async def failed(vault: AccessPointVault, victim: Victim) -> object:
    reason = TransferReason.GIVEN_UP
    return await is_(False, vault.failed(victim.transfer.id, now=NOW, reason=reason, detail=""))


async def postpone(vault: AccessPointVault, victim: Victim) -> object:
    reason = TransferReason.PEER_REFUSED
    attempt = vault.postpone(victim.transfer.id, now=NOW, next_attempt=NOW, reason=reason, detail="")
    return await is_(False, attempt)


async def waiting(vault: AccessPointVault | TransferDesk, victim: Victim) -> object:
    return await is_((), vault.waiting(1000))


async def backlog(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(Backlog(0, None), vault.backlog())


async def has_transfer(vault: AccessPointVault, victim: Victim) -> object:
    await is_(False, vault.has_transfer(victim.transfer.envelope.envelope_id))
    return await is_(False, vault.has_transfer(victim.transfer.id))


async def status(vault: AccessPointVault, victim: Victim) -> object:
    await is_(None, vault.status(victim.transfer.envelope.envelope_id))
    return await is_(None, vault.status(victim.transfer.id))


async def attempts(vault: AccessPointVault, victim: Victim) -> object:
    return await is_((), vault.attempts(victim.transfer.id))


async def proof(vault: AccessPointVault, victim: Victim) -> object:
    await is_(None, vault.proof(victim.proved.id))
    return await is_(None, vault.proof(victim.transfer.id))


async def hasten(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(Standing.UNKNOWN, vault.hasten(victim.transfer.id, now=NOW))


async def give_up(vault: AccessPointVault | TransferDesk, victim: Victim) -> object:
    return await is_(Standing.UNKNOWN, vault.give_up(victim.transfer.id, now=NOW, why=""))


async def refused(vault: AccessPointVault | TransferDesk, victim: Victim) -> object:
    return await is_((), vault.refused(1000))


async def history(vault: TransferDesk, victim: Victim) -> object:
    await is_(None, vault.history(victim.transfer.envelope.envelope_id))
    return await is_(None, vault.history(victim.transfer.id))


async def retry(vault: TransferDesk, victim: Victim) -> object:
    return await is_(Standing.UNKNOWN, vault.retry(victim.transfer.envelope.envelope_id, now=NOW))


async def due_after(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(None, vault.due_after(NOW - 100 * MINUTE))


async def next_due_transfer(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(None, vault.next_due())


async def events(vault: AccessPointVault, victim: Victim) -> object:
    return await is_((), vault.events(0, 1000))


async def known_receipt(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(None, vault.known_receipt(victim.as4_message_id, victim.peer))


async def accept(vault: AccessPointVault, victim: Victim) -> object:
    item = incoming(victim.as4_message_id, victim.peer)
    return await is_(True, vault.accept(item, await body(vault), b"", now=NOW))


async def keep_certificate(vault: AccessPointVault, victim: Victim) -> None:
    """A peer's certificate is stored separately by each organisation that has exchanged messages with it."""
    vault.keep_certificate(MARKER.encode(), now=NOW)


async def keep_grounds(vault: JudgingVault, victim: Victim) -> object:
    """Each organisation stores the grounds itself, even when several met the same peer on the same day."""
    assert (await vault.grounds([GROUNDS.name])) == {}
    return vault.keep_grounds(GROUNDS, now=NOW)


async def keep_signature(vault: JudgingVault, victim: Victim) -> object:
    """A signature is stored only by the organisation that received the signed data, and in no other vault."""
    assert (await vault.grounds(SIGNATURE.facts.values())) == {}
    return vault.keep_signature(SIGNATURE, now=NOW)


async def grounds(vault: JudgingVault, victim: Victim) -> object:
    return await is_({}, vault.grounds([GROUNDS.name, sha256(MARKER.encode()).hexdigest()]))


async def dispose_grounds(vault: JudgingVault, victim: Victim) -> object:
    return await is_(0, vault.dispose_grounds(NOW - 1000 * DAY))


async def forget_duplicates(vault: ForgettingVault, victim: Victim) -> object:
    """All of the other organisation's entries are too recent to be removed, and none is in this vault."""
    return await is_(False, vault.forget_duplicates(limit=1))


async def dispose_proofs(vault: ForgettingVault, victim: Victim) -> object:
    return await is_(False, vault.dispose_proofs(NOW - 1000 * DAY, limit=1))


async def holdings(vault: HoldingsVault, victim: Victim) -> object:
    """A new vault has its own log only, and no body of another organisation."""
    found = await vault.holdings()
    assert found.bodies == ()
    return sorted((each.table, each.count) for each in found.tables if each.count > 1)


async def certificate(vault: AccessPointVault | TransferDesk, victim: Victim) -> object:
    return await is_(None, vault.certificate(sha256(MARKER.encode()).hexdigest()))


async def inbox(vault: AccessPointVault, victim: Victim) -> object:
    waiting = await vault.inbox(1000)
    assert victim.item_id not in {item.id for item in waiting}
    assert await vault.inbox(1000, victim.item_id) == waiting
    return [item.id for item in waiting]


async def expect(vault: Vault, victim: Victim) -> object:
    """The operation asks the database for nothing, and returns nothing."""
    vault.expect()
    return None


async def suppose(vault: Vault, victim: Victim) -> object:
    """The operation only runs the work that it is given, and returns nothing."""

    async def nothing() -> None: ...

    assert await vault.suppose(nothing)
    return None


async def news(vault: AccessPointVault, victim: Victim) -> object:
    found = await vault.news(
        [victim.item_id], after=0, past=victim.item_id, limit=1000, small=1 << 20, now=NOW
    )
    assert found.acknowledged == ()
    assert victim.item_id not in {item.id for item in found.inbox}
    assert found.inbox == await vault.inbox(1000)
    return [item.id for item in found.inbox]


async def supposed_news(vault: AccessPointVault, victim: Victim) -> object:
    async def nothing() -> None: ...

    places: Any = {"after": 0, "past": "", "limit": 1000, "small": 1 << 20, "now": NOW}
    theirs = {victim.item_id: victim.transfer.envelope.envelope_id}
    assert await vault.supposed_news(nothing, theirs, **places) is None
    found = await vault.supposed_news(nothing, {}, **places)
    assert found is not None
    assert victim.item_id not in {item.id for item in found.inbox}
    return [item.id for item in found.inbox]


async def within(vault: Vault, victim: Victim) -> object:
    """The operation returns the same opening with another reason, and reads nothing."""
    reason = Reason(WORKER, Purpose.SEND, lambda: NOW)
    assert vault.within(reason)._room is vault._room
    return None


async def incoming_body(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(None, vault.incoming_body(victim.item_id))


async def acknowledge(vault: AccessPointVault, victim: Victim) -> object:
    return await is_(None, vault.acknowledge(victim.item_id, now=NOW))


async def keys(vault: MessageServiceVault, victim: Victim) -> object:
    found = vault.keys()
    owners = {owner_of(each.certificate) for each in (found.signing, *found.decryption)}
    assert owners == {"attacker"}
    return None


async def tls_client(vault: MessageServiceVault, victim: Victim) -> object:
    path, _ = vault.tls_client()()
    assert owner_of(x509.load_pem_x509_certificates(path.read_bytes())[0]) == "attacker"
    return None


async def create_outgoing(vault: MessageServiceVault, victim: Victim) -> object:
    mine = message(message_id=victim.out.id)
    return await is_(True, vault.create_outgoing(mine, await body(vault), now=NOW, lease=MINUTE))


async def receive(vault: MessageServiceVault, victim: Victim) -> object:
    mine = message(Direction.IN, message_id=victim.came_in.id)
    answer = replace(receipt(mine.id), id=victim.answer.id)
    attempt = vault.receive(
        mine, await body(vault), answer, b"mine", item_id=victim.processed, now=NOW, lease=MINUTE
    )
    return await is_(Received.STORED, attempt)


async def was_processed(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(False, vault.was_processed(f"{victim.processed}-2"))


async def answered_by(vault: MessageServiceVault, victim: Victim) -> object:
    """The other organisation has the message and the item already; in this vault both are new."""
    return await is_((True, None), vault.answered_by(victim.processed, victim.out.id, now=NOW))


async def receipts(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_({}, vault.receipts([victim.answer.id]))


async def concerned(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(({}, {}), vault.concerned([victim.answer.id], [victim.out.id]))


async def mark_processed(vault: MessageServiceVault, victim: Victim) -> object:
    return await vault.mark_processed(victim.processed, now=NOW)


async def take_session_key(vault: MessageServiceVault, victim: Victim) -> object:
    """A session key that opened an envelope there counts as a new one here."""
    return await is_(Claimed(Claim.TAKEN), claim(vault, b"another envelope"))


def claim(vault: MessageServiceVault, envelope: bytes) -> Awaitable[Claimed]:
    """Claim the session key that the other organisation has used."""
    limit = RefusalLimit(1, MINUTE)
    return vault.take_session_key(
        MARKER.encode(), None, envelope=envelope, created=NOW, sender="0203:a.se", limit=limit, now=NOW
    )


async def look_after_marks(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(None, vault.look_after_marks(now=NOW))


async def lost_marks(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.lost_marks())


async def accept_lost_marks(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(0, vault.accept_lost_marks(now=NOW))


async def count_refusal(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(1, vault.count_refusal(SENDER, limit=RefusalLimit(9, MINUTE), now=NOW))


async def refusals(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.refusals())


async def read_message(vault: MessageServiceVault, victim: Victim) -> object:
    for message_id in (victim.out.id, victim.came_in.id):
        await is_(None, vault.message(message_id))
    return None


async def read_body(vault: MessageServiceVault, victim: Victim) -> object:
    await unknown(vault.body(victim.out.id, Direction.OUT))
    return await unknown(vault.body(victim.came_in.id, Direction.IN))


async def messages(vault: MessageServiceVault, victim: Victim) -> object:
    address = victim.out.recipient_address
    mailboxes = [victim.out.mailbox, victim.came_in.mailbox]
    return [
        await vault.messages(limit=1000),
        await vault.messages(recipient_addresses=[address]),
        await vault.messages(mailboxes=mailboxes),
    ]


async def mailboxes(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.mailboxes())


async def changes(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(Changes(0, ()), vault.changes(0, 1000))


async def events_of(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(((), ()), vault.events_of([victim.out, victim.came_in]))


async def set_status(vault: MessageServiceVault, victim: Victim) -> object:
    for known in (victim.out, victim.came_in):
        attempt = vault.set_status(
            known.id, MessageStatus.ERROR, (), now=NOW, deadline=NOW, direction=known.direction
        )
        await is_(False, attempt)
    return None


async def status_events(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.status_events(victim.out.id, Direction.OUT))


async def under_way(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.under_way(1000))


async def delete(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(False, vault.delete(victim.out.id, Direction.OUT))


async def drop_content(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(False, vault.drop_content(victim.out.id, Direction.OUT))


async def read_receipt(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(None, vault.receipt(victim.answer.id))


async def receipt_for_message(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(None, vault.receipt_for_message(victim.came_in.id))


async def receipt_body(vault: MessageServiceVault, victim: Victim) -> object:
    return await unknown(vault.receipt_body(victim.answer.id))


async def add_event(vault: MessageServiceVault, victim: Victim) -> None:
    vault.add_event(victim.out.id, StatusEvent(NOW, MessageStatus.SCHEDULED, "mine"), direction=Direction.OUT)


async def digest(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(None, vault.digest(victim.commitment))


async def keep_digest(vault: MessageServiceVault, victim: Victim) -> object:
    """The same content has a different commitment in each vault."""
    assert vault.keep_digest(sha256(MARKER.encode()).digest()) != victim.commitment
    return None


async def store_received_receipt(vault: MessageServiceVault, victim: Victim) -> object:
    mine = replace(receipt(victim.out.id, Direction.IN), id=victim.answer.id)
    return await is_(True, vault.store_received_receipt(mine, b"mine", now=NOW))


async def set_receipt_state(vault: MessageServiceVault, victim: Victim) -> object:
    await vault.set_receipt_state(victim.answer.id, ReceiptState.FAILED, now=NOW, deadline=None)
    return await unknown(vault.next_due())


async def claim_work(vault: MessageServiceVault, victim: Victim) -> object:
    work = await vault.claim_work(now=NOW + 100 * MINUTE, lease=MINUTE, limit=1000)
    assert {victim.out.id, victim.answer.id} & {item.id for item in work} == set()
    return None


async def schedule(vault: MessageServiceVault, victim: Victim) -> object:
    return await vault.schedule(WorkKind.MESSAGE, victim.out.id, NOW)


async def reschedule(vault: MessageServiceVault, victim: Victim) -> object:
    return await vault.reschedule(WorkKind.MESSAGE, victim.out.id, next_attempt=NOW)


async def finish_work(vault: MessageServiceVault, victim: Victim) -> object:
    return await vault.finish_work(WorkKind.MESSAGE, victim.out.id)


async def next_due_work(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(None, vault.next_due())


async def cursor(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_(0, vault.cursor(victim.cursor))


async def set_cursor(vault: MessageServiceVault, victim: Victim) -> object:
    return await vault.set_cursor(victim.cursor, 1)


async def token_keys(vault: MessageServiceVault, victim: Victim) -> object:
    """The holder of one vault's keys cannot sign a token of another organisation."""
    (mine,) = vault.token_keys(now=NOW)
    assert mine.public != victim.token_key
    return None


async def use_assertion(vault: MessageServiceVault, victim: Victim) -> object:
    """An assertion id that the other organisation's client used is free here, and its use is not revealed."""
    return await is_(True, vault.use_assertion(victim.assertion, until=NOW + MINUTE, now=NOW))


async def keep_record(vault: RecordKeepingVault, victim: Victim) -> None:
    """A record id that another organisation already uses is free here, and its use is not revealed."""
    vault.keep_record(RECORD, now=NOW)


async def release_record(vault: RecordKeepingVault, victim: Victim) -> object:
    return await is_(False, vault.release_record(RECORD))


async def records(vault: RecordKeepingVault, victim: Victim) -> object:
    return await is_((), vault.records(1000))


async def pages_key(vault: MessageClientVault, victim: Victim) -> object:
    """A cookie of the other organisation is authenticated with another key than the one of this vault."""
    assert vault.pages_key() not in victim.pages_keys
    return None


async def sign_in_keys(vault: MessageClientVault, victim: Victim) -> object:
    """The other organisation has sign-in keys, but this one has none."""
    assert vault.sign_in_keys() == SignInKeys((), ())
    return None


async def client_token_keys(vault: MessageClientVault, victim: Victim) -> object:
    """The holder of one vault's keys cannot make an assertion in the name of another organisation."""
    (mine,) = vault.token_keys(now=NOW)
    assert mine.public != victim.client_token_key
    return None


async def gov_token_keys(vault: GovernanceVault, victim: Victim) -> object:
    (mine,) = vault.token_keys(now=NOW)
    assert mine.public != victim.gov_token_key
    return None


async def adopt_person(vault: GovernanceVault, victim: Victim) -> object:
    """A person's id from the other organisation is free here, and reveals nothing about that person."""
    another = replace(SESSION.identity, subject="another")
    assert await vault.adopt_person(another, victim.officer) == victim.officer
    return None


async def rename_person(vault: GovernanceVault, victim: Victim) -> object:
    return await is_(False, vault.rename_person(victim.officer, "another"))


async def offer_key(vault: GovernanceVault, victim: Victim) -> object:
    """A key that is offered here does not replace one that is offered there."""
    person = await vault.know_person(SESSION.identity)
    vault.offer_key(OfferedKey(person, NOW, "Kim", "{}"))
    return None


async def offered_keys(vault: GovernanceVault, victim: Victim) -> object:
    return await is_((), vault.offered_keys())


async def withdraw_key(vault: GovernanceVault, victim: Victim) -> object:
    return await is_(False, vault.withdraw_key(victim.officer))


async def keep_report(vault: GovernanceVault, victim: Victim) -> object:
    """A report of the same time does not replace the other organisation's."""
    return vault.keep_report(NOW, b"another")


async def last_report(vault: GovernanceVault, victim: Victim) -> object:
    return await is_(None, vault.last_report())


async def reported_incidents(vault: GovernanceVault, victim: Victim) -> object:
    return await is_((), vault.reported_incidents())


async def know_person(vault: MessageClientVault, victim: Victim) -> object:
    """A person whom the other organisation knows can be added here, and nothing is revealed about them."""
    found = await vault.know_person(SESSION.identity)
    assert found not in (victim.person, victim.officer)
    return None


async def know_person_behind(vault: MessageServiceVault, victim: Victim) -> object:
    """A person for whom a system of the other organisation acted can be added here without revealing that."""
    known = await vault.know_person(SESSION.identity, now=NOW)
    assert known != victim.person_behind
    return None


async def persons_behind(vault: MessageServiceVault, victim: Victim) -> object:
    return await is_((), vault.persons())


async def person(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(None, vault.person(ISSUER, SUBJECT))


async def persons(vault: MessageClientVault, victim: Victim) -> object:
    return await is_((), vault.persons())


async def begin_session(vault: MessageClientVault, victim: Victim) -> object:
    """A session can begin from the same sign-in as one of the other organisation, which is not revealed."""
    return await is_(True, vault.begin_session(SESSION))


async def session(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(None, vault.session(SESSION.mark))


async def touch_session(vault: MessageClientVault, victim: Victim) -> object:
    return vault.touch_session(SESSION.mark, NOW + MINUTE)


async def end_session(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(False, vault.end_session(SESSION.mark))


async def end_sessions_from_outside(vault: MessageClientVault, victim: Victim) -> object:
    for subject, session in ((SUBJECT, None), (None, SESSION.provider_session)):
        await is_(0, vault.end_sessions_from_outside(ISSUER, subject, session, NOW))
    return None


async def end_sessions_of(vault: MessageClientVault, victim: Victim) -> object:
    for person in (victim.person, victim.officer):
        await is_(0, vault.end_sessions_of(person, "test"))
    return None


async def end_all_sessions(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(0, vault.end_all_sessions("test"))


async def last_statement(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(0, vault.last_statement())


async def stored_statements(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(0, vault.stored_statements())


async def statements_after(vault: MessageClientVault, victim: Victim) -> object:
    return await is_([], vault.statements_after(0, 100))


async def last_signed_statement(vault: SignedStatementKeeping, victim: Victim) -> object:
    return await is_(0, vault.last_signed_statement())


async def stored_signed_statements(vault: SignedStatementKeeping, victim: Victim) -> object:
    return await is_(0, vault.stored_signed_statements())


async def signed_statements_after(vault: SignedStatementKeeping, victim: Victim) -> object:
    return await is_([], vault.signed_statements_after(0, 100))


async def append_signed_statements(vault: SignedStatementKeeping, victim: Victim) -> object:
    """Append a first statement here, under the number that is already used in the victim's vault."""
    return await is_(1, vault.append_signed_statements([NumberedStatement(1, b"another")]))


async def cover_facts(vault: CoverKeeping, victim: Victim) -> object:
    """The latest cover facts come from this vault's log, not from the victim's."""
    facts = await vault.cover_facts()
    assert facts.noted == ""
    assert facts.statements == 0
    return None


async def note_cover(vault: CoverKeeping, victim: Victim) -> object:
    """A change of cover that is noted in the victim's vault is not noted in this one."""
    return await is_(False, vault.note_cover(NOTED, "off"))


async def store_again(vault: MessageClientVault, victim: Victim) -> object:
    return await is_(0, vault.store_again(()))


async def store_signed_again(vault: SignedStatementKeeping, victim: Victim) -> object:
    return await is_(0, vault.store_signed_again(()))


async def append_statements(vault: MessageClientVault, victim: Victim) -> object:
    """A statement number that is used there is free here, and its use is not revealed."""
    return await is_(1, vault.append_statements([NumberedStatement(1, b"another")]))


async def begin(vault: Arrival, victim: Victim) -> object:
    """The import of an export that another organisation also imports can begin here, and reveals nothing."""
    return await is_(ArrivalStanding.BEGUN, vault.begin(victim.assertion, now=NOW))


async def known(vault: Arrival, victim: Victim) -> object:
    part, keys = _part_of(vault, victim)
    return await is_(set(), vault.known(part, keys))


async def store(vault: Arrival, victim: Victim) -> object:
    """A body under the id of one of the other vault's bodies is a different body."""
    await vault.begin(b"export", now=NOW)
    part, _ = _part_of(vault, victim)
    for body_id in victim.bodies:
        mine = replace(await body(vault, LARGE), id=body_id)
        with pytest.raises(SealBroken):
            await mine.reader().read_all()
    await vault.store(part, [])
    return None


async def store_log(vault: Arrival, victim: Victim) -> object:
    """A log imported under the other vault's id is stored here as foreign, and changes nothing there."""
    await vault.begin(b"export", now=NOW)
    return await vault.store_log(victim.vaults[vault.role], [entry_of("mine")])


async def finish(vault: Arrival, victim: Victim) -> object:
    await vault.begin(b"export", now=NOW)
    return await vault.finish(now=NOW, taken_over=False)


async def role(vault: Arrival | Departure, victim: Victim) -> object:
    return vault.role is ROLES[type(vault)]


def _part_of(vault: Arrival, victim: Victim) -> tuple[Part, list[tuple[str, ...]]]:
    if vault.role is AP:
        return TRANSFERS, [(victim.transfer.id,)]
    if vault.role in (MK, GOV):
        return records_part(vault.role), [(RECORD,)]
    return MESSAGES, [(victim.out.id, "out"), (victim.came_in.id, "in")]


def page(name: str, key: tuple[object, ...] | None = None) -> Case:
    """Return a case that reads a page of a departure: from the start, and after a key of the other vault."""

    async def case(vault: Departure, victim: Victim) -> object:
        keys: dict[str, tuple[object, ...]] = {
            "incoming": (victim.item_id,),
            "transfers": (victim.transfer.id,),
            "attempts": (victim.transfer.id, 1),
            "messages": (victim.out.id, "out"),
            "receipts": (victim.answer.id,),
            "digests": (victim.commitment,),
            "peer_certificates": ("",),
            "grounds": ("",),
            "processed": (victim.processed,),
            "cursors": (victim.cursor,),
            "session_keys": ("",),
            "work": (victim.out.id, "message"),
            "records": ("",),
            "persons": ("",),
            "statements": (0,),
            "signed_statements": (0,),
            "former_log": (victim.vaults[AP], 0),
            "log_keys": (victim.vaults[AP], ""),
            "checkpoints": (victim.vaults[AP], "", 0),
        }
        read = getattr(vault, name)
        if name == "log":
            return await read()
        return [await is_([], read()), await is_([], read(key or keys.get(name, (1,))))]

    case.__name__ = name
    return case


async def mark_keys(vault: MessageServiceDeparture, victim: Victim) -> object:
    """The page contains only the vault's own mark key, and the next page is empty."""
    (own,) = await vault.mark_keys()
    assert own.facts["key"] != from_bytes(victim.mark_key)
    return await is_([], vault.mark_keys(("x",)))


async def log_state(vault: Departure, victim: Victim) -> object:
    state = await vault.log_state()
    assert state.id not in victim.vaults.values()
    return state


async def was_removed(vault: Departure, victim: Victim) -> object:
    """A body of the other vault is treated like one that was removed here."""
    shelf = vault._snapshot.shelf
    for body_id in victim.bodies:
        await is_(True, vault.was_removed(BodyReader(shelf, body_id, len(LARGE), None)))
    return None


Opened = Vault | TransferDesk | Departure
BOTH: dict[str, Case] = {
    case.__name__: case
    for case in (
        log,
        find_log,
        find_former_log,
        expect,
        suppose,
        within,
        log_origin,
        log_end,
        log_head,
        log_before,
        tree,
        record,
        new_body,
        sweep,
        proving_key,
    )
}
SIGNED: dict[str, Case] = {
    case.__name__: case
    for case in (
        last_signed_statement,
        stored_signed_statements,
        store_signed_again,
        signed_statements_after,
        append_signed_statements,
        cover_facts,
        note_cover,
    )
}
ARRIVING = BOTH | {case.__name__: case for case in (begin, known, store, store_log, finish, role)}
KEEPING = BOTH | SIGNED | {case.__name__: case for case in (keep_record, release_record, records)}
AT_PAGES = KEEPING | {
    case.__name__: case
    for case in (
        pages_key,
        sign_in_keys,
        know_person,
        person,
        persons,
        begin_session,
        session,
        touch_session,
        end_session,
        end_sessions_from_outside,
        end_sessions_of,
        end_all_sessions,
    )
}
PEOPLE = AT_PAGES | {
    case.__name__: case
    for case in (last_statement, stored_statements, statements_after, append_statements, store_again)
}
OFFICE: dict[str, Case] = {
    case.__name__: case
    for case in (
        adopt_person,
        rename_person,
        offer_key,
        offered_keys,
        withdraw_key,
        keep_report,
        last_report,
        reported_incidents,
    )
}
DEPARTING: dict[str, Case] = {case.__name__: case for case in (log_state, was_removed, role)} | {
    name: page(name) for name in ("log", "former_log", "log_keys", "checkpoints")
}
FORGETTING: dict[str, Case] = {case.__name__: case for case in (forget_duplicates, dispose_proofs)}
CASES: dict[type[Opened], dict[str, Case]] = {
    AccessPointVault: BOTH
    | SIGNED
    | {case.__name__: case for case in (submit, claim_transfers, outgoing_body, delivered, failed, postpone)}
    | {
        case.__name__: case
        for case in (events, known_receipt, accept, inbox, news, supposed_news, incoming_body)
    }
    | {case.__name__: case for case in (acknowledge,)}
    | {case.__name__: case for case in (waiting, backlog, has_transfer, status, attempts, proof, hasten)}
    | {case.__name__: case for case in (release_claims, give_back_claims, resume)}
    | {case.__name__: case for case in (give_up, refused, keep_certificate, certificate)}
    | {case.__name__: case for case in (keep_grounds, keep_signature, grounds, dispose_grounds)}
    | FORGETTING
    | {"next_due": next_due_transfer, "due_after": due_after, "holdings": holdings},
    TransferDesk: {case.__name__: case for case in (waiting, history, retry, give_up, refused, certificate)},
    MessageServiceVault: BOTH
    | SIGNED
    | {case.__name__: case for case in (keys, tls_client, create_outgoing, receive, was_processed)}
    | {case.__name__: case for case in (answered_by, receipts, concerned)}
    | {case.__name__: case for case in (mark_processed, messages, set_status, status_events, delete)}
    | {case.__name__: case for case in (receipt_for_message, receipt_body, store_received_receipt)}
    | {case.__name__: case for case in (set_receipt_state, claim_work, schedule, reschedule, finish_work)}
    | {case.__name__: case for case in (cursor, set_cursor, under_way, drop_content, add_event)}
    | {case.__name__: case for case in (release_claims, give_back_claims)}
    | {case.__name__: case for case in (token_keys, use_assertion, digest, keep_digest)}
    | {case.__name__: case for case in (take_session_key, look_after_marks, lost_marks, accept_lost_marks)}
    | {
        case.__name__: case
        for case in (count_refusal, refusals, keep_grounds, keep_signature, grounds, dispose_grounds)
    }
    | {case.__name__: case for case in (mailboxes, changes, events_of)}
    | {"message": read_message, "body": read_body, "receipt": read_receipt, "next_due": next_due_work}
    | FORGETTING
    | {"know_person": know_person_behind, "persons": persons_behind, "holdings": holdings},
    MessageClientVault: PEOPLE | mailcases.MAIL | {"token_keys": client_token_keys, "holdings": holdings},
    GovernanceVault: AT_PAGES | OFFICE | {"token_keys": gov_token_keys, "holdings": holdings},
    AccessPointArrival: ARRIVING,
    MessageServiceArrival: ARRIVING,
    MessageClientArrival: ARRIVING,
    GovernanceArrival: ARRIVING,
    AccessPointDeparture: DEPARTING
    | {name: page(name) for name in ("incoming", "transfers", "attempts", "events", "peer_certificates")}
    | {"grounds": page("grounds")},
    MessageServiceDeparture: DEPARTING
    | {name: page(name) for name in ("messages", "receipts", "digests", "processed", "cursors", "work")}
    | {name: page(name) for name in ("session_keys", "grounds", "persons")}
    | {"mark_keys": mark_keys},
    MessageClientDeparture: DEPARTING
    | {name: page(name) for name in ("records", "persons", "statements")}
    | {kind.part.name: page(kind.part.name, ("",) * len(kind.part.key)) for kind in MAIL_PARTS},
    GovernanceDeparture: DEPARTING
    | {name: page(name) for name in ("records", "persons", "signed_statements")},
}
ROLES: dict[type[Opened], Role] = {
    AccessPointVault: AP,
    TransferDesk: AP,
    MessageServiceVault: MT,
    MessageClientVault: MK,
    GovernanceVault: GOV,
    AccessPointArrival: AP,
    MessageServiceArrival: MT,
    MessageClientArrival: MK,
    GovernanceArrival: GOV,
    AccessPointDeparture: AP,
    MessageServiceDeparture: MT,
    MessageClientDeparture: MK,
    GovernanceDeparture: GOV,
}


def opening(
    installation: Installation, organisation: ParticipantIdentifier, vault: type[Opened]
) -> AbstractAsyncContextManager[Opened]:
    """Open a vault as the kind of actor that is entitled to its class."""
    if vault is TransferDesk:
        return installation.gate.operate(Principal(PrincipalKind.OPERATOR, "anna"), organisation)
    if issubclass(vault, Arrival):
        return installation.gate.arrive(WORKER, organisation, vault)
    if issubclass(vault, Departure):
        return installation.gate.depart(WORKER, organisation, vault, {})
    return installation.open(organisation, ROLES[vault])  # type: ignore[call-overload,no-any-return]


def operations(vault: type[Opened]) -> set[str]:
    return {operation for operation, _ in inspect.getmembers(vault) if not operation.startswith("_")}


ATTEMPTS = [(vault, operation) for vault, cases in CASES.items() for operation in sorted(cases)]
_KINDS = {(name, getattr(vault, name), CASES[vault][name]): (vault, name) for vault, name in ATTEMPTS[::-1]}
NEW = frozenset(_KINDS.values())
"""The first occurrence of each operation that several vaults share with the same code and case."""


@pytest.mark.parametrize("vault", list(CASES), ids=lambda vault: vault.__name__)
def test_every_operation_has_a_case(vault: type[Opened]) -> None:
    assert operations(vault) == set(CASES[vault])


@pytest.mark.parametrize("vault", list(CASES), ids=lambda vault: vault.__name__)
def test_no_operation_takes_an_organisation(vault: type[Opened]) -> None:
    """The opened object determines the organisation (invariant 1)."""
    for operation in operations(vault):
        member = getattr(vault, operation)
        if callable(member):
            parameters = inspect.signature(member).parameters
            assert not {"organisation", "participant", "tenant", "role", "vault"} & set(parameters)


@pytest.mark.parametrize(
    ("vault", "operation"),
    sampled(ATTEMPTS, *NEW),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_an_operation_reaches_nothing_of_another_organisation(
    installation: Installation,
    victim: Victim,
    attackers: Attackers,
    vault: type[Opened],
    operation: str,
) -> None:
    """Each attempt starts from a pristine vault, so that whatever it finds is its own or a leak."""
    attacker = await attackers.one(ROLES[vault])
    if operation in ("keys", "tls_client", "proving_key"):
        give_keys(installation, (await vault_login(installation, attacker, ROLES[vault])).vault, "attacker")
    before = victim.seen.pop() if victim.seen else victim.snapshot()
    learned: object = None
    try:
        async with opening(installation, attacker, vault) as opened:
            assert type(opened) is vault
            learned = await CASES[vault][operation](opened, victim)
    except UnknownRecord:
        assert operation == "set_receipt_state", (
            "only set_receipt_state may raise this, when the vault is closed"
        )
    after = victim.snapshot()
    assert after == before
    victim.seen.append(after)
    assert [trace for trace in victim.traces() if trace in repr(learned)] == []


class Undone(Exception):
    """Raised in order to roll back an opening."""


CHANGES = frozenset(
    {"keep_report", "offer_key"}
    | {
        "finish_work",
        "add_event",
        "expect",
        "suppose",
        "within",
        "keep_certificate",
        "keep_digest",
        "keep_record",
        "mark_processed",
        "record",
        "reschedule",
        "resume",
        "schedule",
        "set_cursor",
        "store_log",
        "sweep",
        "touch_session",
    }
    | mailcases.TELLING_NOTHING
)
"""Operations that return nothing: their cases fail by what they would change in the other vault."""


@pytest.mark.parametrize(
    ("vault", "operation"),
    sampled(
        (vault, each) for vault, cases in CASES.items() for each in sorted(cases.keys() - CHANGES - {"role"})
    ),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_case_fails_where_there_is_something_to_reach(
    installation: Installation, victim: Victim, vault: type[Opened], operation: str
) -> None:
    """Run each case in the victim's own vault: a case that passes there as well would detect nothing."""
    victim.seen.clear()
    learned, noticed = object(), False
    with contextlib.suppress(Undone):
        async with opening(installation, victim.organisation, vault) as opened:
            try:
                learned = await CASES[vault][operation](opened, victim)
            except (Exception, pytest.fail.Exception):
                noticed = True
            raise Undone
    assert noticed or [trace for trace in victim.traces() if trace in repr(learned)]


async def test_a_lock_on_one_vault_delays_no_other(installation: Installation, victim: Victim) -> None:
    """Two vaults share no row that an opening would lock."""
    victim.seen.clear()
    other = await installation.organisation([AP])
    async with installation.open(victim.organisation, AP) as held:
        await held.claim_transfers(now=NOW + 100 * MINUTE, lease=MINUTE, limit=1000)
        async with installation.open(other, AP) as vault:
            await submitted(vault)
            vault.record(APEvent.AP_TRANSFER_QUEUED)


def test_the_key_store_gives_a_vault_its_own_keys_alone(installation: Installation) -> None:
    store = open_keys(installation.settings)
    with pytest.raises(KeyStoreError) as caught:
        store.signing_key("v" + "0" * 32)
    assert caught.value.fault is KeyFault.MISSING
