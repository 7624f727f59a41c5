"""An organisation with records of every kind, to be moved to another supplier."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.contracts.transfer import TransferReason
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.messageservice.events import MTEvent
from samdrift.vault.bodies import IN_ROW
from samdrift.vault.people import Identity
from samdrift.vault.records import StatusEvent
from samdrift.vault.sessionkeys import RefusalLimit
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.verdicts import Grounds
from tests.pki import DAY, key, name
from tests.pki import NOW as PKI_NOW
from tests.separation.mailcases import their_mail
from tests.vaults import MINUTE, NOW, Installation, body, incoming, message, receipt, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
GROUNDS = Grounds.of([b"certificate", b"anchor"], [b"answer"], [], "required", NOW + DAY)
LARGE = "Räksmörgås ".encode() * (IN_ROW // 8)


def certify(store: KeyStore, vault: str) -> None:
    """Create keys for the vault of a message service, with certificates."""
    for use in (KeyName.SIGNING, KeyName.ENCRYPTION):
        request = x509.load_pem_x509_csr(store.create_key(vault, use, name("Habo kommun"), bits=2048))
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(name("CA"))
        builder = builder.public_key(request.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(PKI_NOW).not_valid_after(PKI_NOW + DAY)
        store.install_certificate(vault, use, builder.sign(key(), hashes.SHA256()))


async def fill(installation: Installation, organisation: ParticipantIdentifier) -> None:
    """Create records of every kind, in database rows and in the object store."""
    async with installation.open(organisation, AP) as vault:
        for data in (b"<xhe/>", LARGE):
            item = incoming()
            assert await vault.accept(item, await body(vault, data), b"<given/>", now=NOW)
            waits = await submitted(vault, data, sender=organisation)
        await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        await vault.postpone(
            waits.id,
            now=NOW,
            next_attempt=NOW + MINUTE,
            reason=TransferReason.PEER_REFUSED,
            detail="åäö",
            references=(b"signed", b""),
        )
        (first, _) = await vault.inbox(2)
        await vault.acknowledge(first.id, now=NOW)
        vault.keep_certificate(b"certificate", now=NOW)
        vault.keep_grounds(GROUNDS, now=NOW)
        done = await submitted(vault, sender=organisation)
        await vault.delivered(done.id, now=NOW, receipt=b"<\xff\x00proof/>", peer="AP0002")
    async with installation.open(organisation, MT) as messages:
        limit = RefusalLimit(1, MINUTE)
        await messages.take_session_key(
            b"key", None, envelope=b"sha256", created=NOW, sender="0203:a.se", limit=limit, now=NOW
        )
    async with installation.open(organisation, MT) as messages:
        for data in (b"<m/>", LARGE):
            sent = message(label="Orosanmälan 🙂 \\x00 “”")
            assert await messages.create_outgoing(sent, await body(messages, data), now=NOW, lease=None)
        steps = [StatusEvent(NOW, MessageStatus.SUBMITTED, "ett", "två", "/tre"), *[_STEP] * 2]
        await messages.set_status(
            sent.id, MessageStatus.SUBMITTED, steps, now=NOW, deadline=NOW + MINUTE, direction=Direction.OUT
        )
        gone = message()
        await messages.create_outgoing(gone, await body(messages), now=NOW, lease=None)
        await messages.store_received_receipt(receipt(gone.id, Direction.IN), b"<proof/>", now=NOW)
        assert await messages.delete(gone.id, Direction.OUT)
        messages.keep_digest(sha256(b"<m/>").digest())
        messages.keep_grounds(GROUNDS, now=NOW)
        await messages.know_person(Identity("https://idp.habo.test", "kim", "Kim Åberg"), now=NOW)
        came = message(Direction.IN, message_id=sent.id)
        await messages.receive(
            came, await body(messages), receipt(came.id), b"<r/>", item_id="one", now=NOW, lease=None
        )
        refused = replace(message(Direction.IN), size=0)
        await messages.receive(refused, None, None, None, item_id="two", now=NOW, lease=None)
        await messages.set_cursor("access-point-events", 2)
        messages.record(MTEvent.MT_MESSAGE_SUBMITTED, message=sent.id)
    await keep_records(installation, organisation)


async def keep_records(installation: Installation, organisation: ParticipantIdentifier) -> None:
    """Create public records that have not been handed over, in each vault that keeps some."""
    for role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
            vault.keep_record(str(uuid4()), now=NOW)
    async with installation.open(organisation, Role.GOVERNANCE) as office:
        at = NOW.replace(microsecond=0)
        signed = [NumberedStatement(each, f"signed {each}".encode(), at) for each in (1, 2, 3)]
        await office.append_signed_statements(signed)
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as client:
        await their_mail(client, "Orosanmälan")
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as client:
        await client.know_person(
            Identity("https://login.habo.test", "anna", "Anna Åberg", {"groups": ("a",)})
        )
        await client.append_statements(
            [NumberedStatement(each, f"statement {each}".encode()) for each in (1, 2)]
        )


_STEP = StatusEvent(NOW, MessageStatus.SUBMITTED, "Message handed over")
