"""Interface C: the client certificate determines the organisation, and no call reaches another's (R4)."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.accesspoint.events import APEvent
from samdrift.audit.merkle import leaf_hash
from samdrift.audit.policies import Policy
from samdrift.contracts.messageclients import Scope
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.net.addresses import any_address
from samdrift.net.client import Fetched, FetchLimits
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.scheduling.signals import Signals
from samdrift.transparency.following import LogAddress, LogCopy, follow
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from tests import pki
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.letters import DRAFT, Envelope, enclose, letter
from tests.roles.member import AP, MT, Member
from tests.roles.stage import Stage

KNOWS_NOTHING = (404, "not-found")


async def sealed(stage: Stage, sender: Member, **changes: Any) -> Envelope:
    """Return a new message from ``sender`` to the agency, in an envelope."""
    message = letter(sender.address, stage.agency.address)
    return enclose(message, await sender.signing(), stage.agency.encryption, **changes)


# --- who asks -----------------------------------------------------------------------------------------------


async def everything(interface: InterfaceC) -> list[tuple[int, str]]:
    """Return status and problem of each call."""
    answers = [
        await interface.submit(str(uuid4()), b"<a/>"),
        await interface.poll(),
        await interface.fetch(str(uuid4())),
        await interface.acknowledge(str(uuid4())),
    ]
    return [answer.problem for answer in answers]


async def test_a_certificate_of_the_right_issuer_that_is_not_registered(stage: Stage, tmp_path: Path) -> None:
    key = pki.key(1)
    certificate = stage.federation.authority.issue_tls_client("stranger", key.public_key())
    file = tmp_path / "stranger.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = web.tls(stage.habo.config.inner_issuers, (file, ""))
    own = await stage.habo.interface_c()
    assert set(await everything(InterfaceC(own.base, context))) == {(403, "client-unknown")}


@pytest.mark.parametrize("shown", ["none", "of another issuer"])
async def test_no_certificate_or_one_of_another_issuer_gets_no_connection(
    stage: Stage, tmp_path: Path, shown: str
) -> None:
    """Clauses: architecture-sad 6.5 sentence 1; transport-model-base 2.5 sentence 2."""
    own = None
    if shown == "of another issuer":
        key, certificate = pki.key(1), pki.root("stranger", 1).certificate
        file = tmp_path / "stranger.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        own = file, ""
    base = (await stage.habo.interface_c()).base
    context = web.tls(stage.habo.config.inner_issuers, own)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await InterfaceC(base, context).poll()


async def test_an_unregistered_client_of_another_operator(stage: Stage) -> None:
    """The agency's system is registered at its own operator, not at Habo's."""
    habo, agency = await stage.habo.interface_c(), await stage.agency.interface_c()
    assert set(await everything(InterfaceC(habo.base, agency.tls))) == {(403, "client-unknown")}


# --- another organisation at the same access point ----------------------------------------------------------


async def arrived(stage: Stage) -> tuple[str, Envelope]:
    """Envelope that waits for Gnosjö, and the id of its inbox item."""
    peer = stage.peer()
    envelope = peer.encloses(stage.gnosjo)
    await peer.posts(envelope, stage.gnosjo)
    inbox = (await (await stage.gnosjo.interface_c()).poll()).document()["inbox"]
    return next(item["id"] for item in inbox if item["envelopeId"] == envelope.id), envelope


async def test_another_organisations_items_are_as_if_they_were_not_there(stage: Stage) -> None:
    gnosjo, mullsjo = await stage.gnosjo.interface_c(), await stage.mullsjo.interface_c()
    item, envelope = await arrived(stage)
    unknown = await mullsjo.fetch(str(uuid4()))
    assert unknown.problem == KNOWS_NOTHING
    assert await mullsjo.fetch(item) == unknown
    assert await mullsjo.acknowledge(item) == await mullsjo.acknowledge(str(uuid4())) == unknown
    assert item not in str((await mullsjo.poll(taken=[item])).document())
    assert (await gnosjo.fetch(item)).body == envelope.data


async def test_another_organisations_transfers_are_not_told(stage: Stage) -> None:
    message_id = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    told = (await (await stage.mullsjo.interface_c()).poll()).document()["events"]
    assert message_id not in {event["envelopeId"] for event in told}


async def test_nobody_sends_in_the_name_of_another_organisation(stage: Stage) -> None:
    envelope = await sealed(stage, stage.habo)
    answer = await (await stage.mullsjo.interface_c()).submit(envelope.id, envelope.data)
    assert answer.problem == (403, "sender-mismatch")
    for member in (stage.habo, stage.mullsjo):
        assert not await member.happened(AP, envelope.id)


# --- submitting ---------------------------------------------------------------------------------------------


async def test_submitting_again_changes_nothing(stage: Stage) -> None:
    habo, interface = stage.habo, await stage.habo.interface_c()
    message = letter(habo.address, stage.agency.address)
    await habo.plant(message)
    envelope = enclose(message, await habo.signing(), stage.agency.encryption)
    first = await interface.submit(envelope.id, envelope.data)
    again = await interface.submit(envelope.id, envelope.data)
    another = enclose(message, await habo.signing(), stage.agency.encryption)
    other_bytes = await interface.submit(envelope.id, another.data)
    assert [answer.status for answer in (first, again, other_bytes)] == [201, 200, 200]
    assert first.document() == again.document() == other_bytes.document()
    assert await habo.ends(envelope.id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(envelope.id, Direction.IN) is MessageStatus.NEW
    late = await interface.submit(envelope.id, envelope.data)
    assert (late.status, late.document()) == (200, first.document())
    assert (await habo.happened(AP, envelope.id)).count(APEvent.AP_TRANSFER_QUEUED) == 1
    assert (await stage.agency.happened(AP, envelope.id)).count(APEvent.AP_ENVELOPE_RECEIVED) == 1


async def test_submitting_many_times_at_once_makes_one_transfer(stage: Stage) -> None:
    interface, envelope = await stage.habo.interface_c(), await sealed(stage, stage.habo)
    answers = await asyncio.gather(*(interface.submit(envelope.id, envelope.data) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize(
    "envelope_id", ["x", "00000000", "be9639a0-7143-449a-b7f0-fb81818854b5x", "%00", "%FF", "..%2Fpoll"]
)
async def test_an_envelope_id_that_is_none(stage: Stage, envelope_id: str) -> None:
    answer = await (await stage.habo.interface_c()).submit(envelope_id, b"<a/>")
    assert answer.status in (404, 422)


async def test_the_envelope_id_of_the_path_is_the_envelopes(stage: Stage) -> None:
    envelope = await sealed(stage, stage.habo)
    answer = await (await stage.habo.interface_c()).submit(str(uuid4()), envelope.data)
    assert answer.problem == (422, "envelope-invalid")


@pytest.mark.parametrize("conversation_id", ["", "x", "0" * 5000])
async def test_a_conversation_id_that_is_none(stage: Stage, conversation_id: str) -> None:
    envelope = await sealed(stage, stage.habo)
    answer = await (await stage.habo.interface_c()).submit(envelope.id, envelope.data, conversation_id)
    assert answer.problem == (422, "envelope-invalid")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<a/>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
        b"<a>" * 5000,
        b"\x00" * 100,
    ],
)
async def test_what_is_no_envelope_is_refused(stage: Stage, data: bytes) -> None:
    """Clauses: component-accesspoint 3.1.4 a; transport-profile-as4 2.6 a."""
    answer = await (await stage.habo.interface_c()).submit(str(uuid4()), data)
    assert answer.problem == (422, "envelope-invalid")


def stored_bytes(member: Member) -> int:
    """Return the bytes on disk of the operator's object store."""
    objects = member.config.vaults.objects
    assert isinstance(objects, Path)
    return sum(file.stat().st_size for file in objects.rglob("*") if file.is_file())


async def test_an_envelope_that_is_cut_off_is_refused_and_leaves_nothing(stage: Stage) -> None:
    large = replace(DRAFT, attachments=(Attachment("stor.pdf", "application/pdf", os.urandom(1 << 20)),))
    message = letter(stage.habo.address, stage.agency.address, large)
    envelope = enclose(message, await stage.habo.signing(), stage.agency.encryption)
    before = stored_bytes(stage.habo)
    answer = await (await stage.habo.interface_c()).submit(envelope.id, envelope.data[:-20])
    assert answer.problem == (422, "envelope-invalid")
    assert stored_bytes(stage.habo) == before


async def test_another_federation_or_type_is_refused(stage: Stage) -> None:
    interface = await stage.agency.interface_c()
    other = await sealed(stage, stage.agency, federation="urn:fdc:digg.se:edelivery:federation:sdk")
    assert (await interface.submit(other.id, other.data)).problem == (422, "envelope-invalid")
    unknown = await sealed(stage, stage.agency, document=DocumentIdentifier("urn:x::y##1::tm-base"))
    assert (await interface.submit(unknown.id, unknown.data)).problem == (422, "not-serviced")


async def test_what_never_ends_is_answered_and_hung_up_on(stage: Stage) -> None:
    pieces = 0

    def endless() -> Iterator[bytes]:
        nonlocal pieces
        yield b"<a>"
        for pieces in range(60_000):  # noqa: B007
            yield b" " * (1 << 20)

    answer = await (await stage.habo.interface_c()).submit(str(uuid4()), endless())
    assert answer.problem == (422, "envelope-invalid")
    assert pieces < 59_999


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("POST", "/envelopes/x"), ("GET", "/poll")])
async def test_what_is_no_call(stage: Stage, method: str, path: str) -> None:
    interface = await stage.habo.interface_c()
    assert (await interface.call(method, path)).status in (404, 405)


# --- polling ------------------------------------------------------------------------------------------------


async def nothing_waits(interface: InterfaceC) -> None:
    """Acknowledge what earlier tests left."""
    while items := (await interface.poll(1 << 40)).document()["inbox"]:
        await interface.poll(1 << 40, taken=[item["id"] for item in items])


async def test_a_waiting_poll_wakes_at_once(stage: Stage) -> None:
    interface, peer = await stage.gnosjo.interface_c(), stage.peer()
    await nothing_waits(interface)
    waiting = asyncio.create_task(interface.poll(after=1 << 40, wait=60))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    envelope = peer.encloses(stage.gnosjo)
    await peer.posts(envelope, stage.gnosjo)
    (item,) = (await waiting).document()["inbox"]
    assert item["envelopeId"] == envelope.id


async def test_a_poll_with_nothing_new_ends_when_it_was_told_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[tuple[float, bool]] = []
    beyond = Signals.beyond

    async def noting(self: Signals, organisation: ParticipantIdentifier, count: int, within: float) -> bool:
        woken = await beyond(self, organisation, count, within)
        waits.append((within, woken))
        return woken

    monkeypatch.setattr(Signals, "beyond", noting)
    interface = await stage.gnosjo.interface_c()
    await nothing_waits(interface)
    answer = await interface.poll(after=1 << 40, wait=1)
    assert answer.document() == {"events": [], "inbox": []}
    assert (1, False) in waits


@pytest.mark.parametrize(
    "asked",
    [None, [], {"after": -1}, {"wait": "x"}, {"taken": [1]}, {"taken": ["\x00"]}, {"taken": ["\ud800"]}],
)
async def test_a_poll_that_is_none(stage: Stage, asked: object) -> None:
    answer = await (await stage.habo.interface_c()).poll_with(asked)
    assert answer.problem == (400, "bad-request")


@pytest.mark.parametrize("item", ["x", "%00", "%ED%A0%80", "x" * 5000, "..%2F..%2F", "%2E%2E"])
async def test_an_item_id_that_is_none(stage: Stage, item: str) -> None:
    interface = await stage.habo.interface_c()
    for answer in (await interface.fetch(item), await interface.acknowledge(item)):
        assert answer.status == 404


@pytest.mark.parametrize("how", ["by itself", "with a poll"])
async def test_what_was_acknowledged_is_gone(stage: Stage, how: str) -> None:
    interface = await stage.gnosjo.interface_c()
    item, envelope = await arrived(stage)
    assert (await interface.fetch(item)).body == envelope.data
    if how == "by itself":
        assert (await interface.acknowledge(item)).status == 204
    else:
        assert item not in str((await interface.poll(taken=[item])).document())
    assert (await interface.acknowledge(item)).problem == KNOWS_NOTHING
    assert (await interface.fetch(item)).problem == KNOWS_NOTHING
    assert await stage.gnosjo.happened(AP, envelope.id) == [
        APEvent.AP_ENVELOPE_RECEIVED,
        APEvent.AP_ENVELOPE_ACKNOWLEDGED,
    ]


async def test_what_comes_after_an_item_wakes_a_poll_and_the_item_itself_does_not(stage: Stage) -> None:
    interface, peer = await stage.gnosjo.interface_c(), stage.peer()
    await nothing_waits(interface)
    item, _ = await arrived(stage)
    waiting = asyncio.create_task(interface.poll(after=1 << 40, wait=20, past=item))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    envelope = peer.encloses(stage.gnosjo)
    await peer.posts(envelope, stage.gnosjo)
    (found,) = (await waiting).document()["inbox"]
    assert found["envelopeId"] == envelope.id


async def test_another_organisations_item_is_no_place_in_the_inbox(stage: Stage) -> None:
    item, _ = await arrived(stage)
    mullsjo = await stage.mullsjo.interface_c()
    asked = {"after": 1 << 40, "wait": 0}
    whole = (await mullsjo.poll_with(asked)).document()
    assert (await mullsjo.poll_with({**asked, "past": item})).document() == whole


async def test_what_was_not_acknowledged_is_given_again(stage: Stage) -> None:
    interface = await stage.gnosjo.interface_c()
    item, envelope = await arrived(stage)
    for _ in range(2):
        assert item in str((await interface.poll()).document())
        assert (await interface.fetch(item)).body == envelope.data


class Bearer:
    """Client that calls with an access token."""

    def __init__(self, client: EnteredAddressClient, token: str) -> None:
        self._client = client
        self._token = {"authorization": f"Bearer {token}"}

    async def fetch(self, url: str, limits: FetchLimits, **_: object) -> Fetched:
        return await self._client.fetch(url, limits, headers=self._token)


async def test_an_organisation_reads_along_in_each_of_its_logs_and_in_no_others(
    stage: Stage, tmp_path: Path
) -> None:
    """Certificate and access token work over the network, and following yields the log entry by entry."""
    names = set()
    for member in (stage.habo, stage.agency):
        file, password = await member.client_tls()
        own = client_tls(TlsIdentity(file, password=password), member.config.inner_issuers)
        for role in (AP, MT):
            async with member.open(role) as vault:
                for _ in range(2):
                    state = await vault.tree.sign(datetime.now(UTC))
                hashes = [one.leaf.hash for one in await vault.log(limit=100_000) if one.leaf]
            names.add(state.origin)
            policy = Policy.parse(f"log {state.key}\nquorum none\n".encode())
            reader = stage.client(member, scopes=[Scope.LOG])
            async with EnteredAddressClient(any_address, own) as client:
                for caller, base in (
                    (client, f"{member.own_config.access_point}/c/v1"),
                    (Bearer(client, reader.token), f"{reader.base}/v1"),
                ):
                    with LogCopy(tmp_path / f"{len(names)}-{len(base)}") as copy:
                        address = LogAddress(caller, f"{base}/logs/{role.value}")
                        followed = await follow(address, policy, copy)
                        found = [leaf_hash(content) for _, content in copy.entries()]
                    assert followed.checkpoint.checkpoint.size == state.signed == len(found)
                    assert found == hashes[: len(found)]
    assert len(names) == 4
