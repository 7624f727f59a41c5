"""content-specification 5.3 row 3: only scanned content is sent or accepted."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

import pytest

from samdrift.contracts.malware import ScannerUnavailable, ScanVerdict
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import Submission
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.lifecycle.ledger import held
from samdrift.messageservice.outgoing.compose import Address, Attachment
from samdrift.messageservice.outgoing.sealing import SealedMessage
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.screening import Screening
from samdrift.net.clamd import ClamdAddress, ClamdScanner, eicar
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import KeySet, MessageRecord
from samdrift.wire import sdkmessage
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles.letters import DRAFT, letter
from tests.scanner import requires_clamd, running_clamd
from tests.settings import message_service_settings
from tests.unit.wire.filetypes.files import archive
from tests.vaults import NOW, Installation, body, message, server_folder

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
HERE = Address(ParticipantIdentifier("0203:a.se"), "A", "sdk.a", "A")
THERE = Address(ParticipantIdentifier("0203:b.se"), "B", "sdk.b", "B")
SETTINGS = message_service_settings(FEDERATION_TEST)
MEGABYTE = 1 << 20


class Scanner:
    """A scanner that finds ``malicious`` in files, records its input, and can be away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.given: list[bytes] = []

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        self.given.append(b"".join(pieces))
        if self.away:
            raise ScannerUnavailable("the malware scanner cannot be reached")
        return ScanVerdict("Test.Bad") if b"malicious" in self.given[-1] else ScanVerdict()


def with_files(*files: bytes, text: str = "Hej på dig") -> SdkMessage:
    attachments = tuple(Attachment("a", "application/pdf", one) for one in files)
    return letter(HERE, THERE, replace(DRAFT, text=text, attachments=attachments))


async def test_every_text_and_every_file_is_scanned_as_it_is() -> None:
    scanner = Scanner()
    large = os.urandom(3 * MEGABYTE)
    assert await Screening(scanner).malware(HERE.organisation, with_files(b"one", large)) is None
    names, *others = scanner.given
    assert "Fråga om avtal".encode() in names
    assert others == ["Hej på dig".encode(), b"one", large]


@pytest.mark.parametrize(
    ("found_in", "place"),
    [
        (with_files(b"ok", b"malicious"), "ContentFiles[2]"),
        (with_files(text="how malicious"), "ContentText[1]"),
    ],
)
async def test_the_finding_names_the_place_and_not_what_was_found(found_in: SdkMessage, place: str) -> None:
    malware = await Screening(Scanner()).malware(HERE.organisation, found_in)
    assert malware is not None
    assert malware.signature == "Test.Bad"
    assert malware.finding.path == f"/messagePayload/message/messageBody/documents[1]/{place}"
    assert "Test" not in malware.finding.text


@pytest.mark.parametrize("named", ["file", "document", "index", "id", "label"])
async def test_what_is_malicious_in_a_name_is_found(named: str) -> None:
    """A recipient's system reads a name to show or store it, as much as it reads a text."""
    clean = with_files(b"one")
    (document,) = clean.documents
    bad = "malicious"
    found_in = {
        "file": replace(document, files=(replace(document.files[0], name=bad),)),
        "document": replace(document, name=bad),
        "index": replace(document, index=bad),
        "id": replace(document, id=bad),
        "label": document,
    }[named]
    message = replace(clean, documents=(found_in,), label=bad if named == "label" else clean.label)
    malware = await Screening(Scanner()).malware(HERE.organisation, message)
    assert malware is not None
    assert malware.finding.path == "/messagePayload/message"


async def test_four_files_are_scanned_at_the_same_time_and_a_fifth_waits() -> None:
    """The scanner has a limited number of threads for everyone."""
    going, done = 0, asyncio.Event()

    class Slow(Scanner):
        async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
            nonlocal going
            going += 1
            await done.wait()
            return await super().scan(pieces)

    screening = Screening(Slow())
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(screening.malware(HERE.organisation, with_files()))
        for _ in range(20):
            await asyncio.sleep(0)
        at_once = going
        done.set()
    assert at_once == 4


@requires_clamd
async def test_the_largest_message_is_scanned_in_pieces() -> None:
    """Its files are neither decoded nor copied whole."""
    attachment = archive({"large": os.urandom(22 * MEGABYTE), "last": eicar()})
    largest = with_files(attachment)
    assert len(sdkmessage.build(largest)) > 29 * MEGABYTE
    with server_folder() as folder:
        async with running_clamd(folder) as daemon:
            screening = Screening(ClamdScanner(ClamdAddress(daemon.socket), 60.0))
            tracemalloc.start()
            try:
                assert await screening.malware(HERE.organisation, largest) is not None
                assert tracemalloc.get_traced_memory()[1] < 12 * MEGABYTE
            finally:
                tracemalloc.stop()


# --- the vault's side -------------------------------------------------------------------------------------


class Sealing:
    async def message(self, payload: bytes, **says: object) -> SealedMessage:
        return SealedMessage(b"<xhe/>")


class AccessPoint:
    def __init__(self) -> None:
        self.submitted: list[str] = []

    async def submit(self, envelope_id: str, conversation_id: str, envelope: bytes) -> Submission:
        self.submitted.append(envelope_id)
        return Submission(envelope_id, envelope_id, True)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the keys: the tests' vaults have none, and nothing is signed here."""
    monkeypatch.setattr(MessageServiceVault, "keys", lambda vault: KeySet(cast(Any, None)))


def outgoing(
    installation: Installation,
    organisation: ParticipantIdentifier,
    scanner: Scanner,
    access_point: AccessPoint,
    at: datetime = NOW,
) -> Sender:
    access_points = {organisation: cast(Any, access_point)}
    screening = Screening(scanner)
    return Sender(SETTINGS, installation.gate, cast(Any, Sealing()), screening, access_points, lambda: at)


async def stored(
    installation: Installation, organisation: ParticipantIdentifier, payload: bytes
) -> MessageRecord:
    record = message()
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault, payload), now=NOW, lease=None)
    return record


async def ended(
    installation: Installation, organisation: ParticipantIdentifier, message_id: str
) -> tuple[MessageStatus, str]:
    async with installation.open(organisation, MT) as vault:
        record = await vault.message(message_id, Direction.OUT)
        assert record is not None
        events = await vault.status_events(message_id, Direction.OUT)
        return record.status, events[0].detail if events else ""


async def test_what_is_taken_up_later_is_scanned_before_it_is_sent(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    payload = sdkmessage.build(with_files(b"fine"))
    record = await stored(installation, organisation, payload)
    scanner, access_point = Scanner(), AccessPoint()
    sending = outgoing(installation, organisation, scanner, access_point)
    assert await sending.message(organisation, record, payload) is None
    assert scanner.given[-1] == b"fine"
    assert access_point.submitted == [record.id]


async def test_invariant_8_what_could_not_be_scanned_in_time_has_failed_and_says_why(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    payload = sdkmessage.build(with_files(b"fine"))
    record = await stored(installation, organisation, payload)
    scanner, access_point = Scanner(away=True), AccessPoint()
    in_time = NOW + SETTINGS.submit_within - SETTINGS.retry_after
    again = await outgoing(installation, organisation, scanner, access_point, in_time).message(
        organisation, record, payload
    )
    assert again == in_time + SETTINGS.retry_after
    assert (await ended(installation, organisation, record.id))[0] is MessageStatus.SCHEDULED
    late = NOW + SETTINGS.submit_within
    sending = outgoing(installation, organisation, scanner, access_point, late)
    assert await sending.message(organisation, record, payload) is None
    status, why = await ended(installation, organisation, record.id)
    assert status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert "scanner" in why
    assert not access_point.submitted


async def test_that_a_message_waits_for_the_scanner_is_noted_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    payload = sdkmessage.build(with_files(b"fine"))
    record = await stored(installation, organisation, payload)
    sending = outgoing(installation, organisation, Scanner(away=True), AccessPoint())
    for _ in range(3):
        await sending.message(organisation, record, payload)
    async with installation.open(organisation, MT) as vault:
        await held(vault, "why", envelope=record.id)
        entries = await vault.find_log(record.id)
    assert [entry.event for entry in entries] == [MTEvent.MT_MESSAGE_HELD]


async def test_of_what_turned_out_to_be_malicious_the_facts_are_kept(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    payload = sdkmessage.build(with_files(b"malicious", os.urandom(MEGABYTE)))
    record = await stored(installation, organisation, payload)
    assert installation.objects(organisation)
    access_point = AccessPoint()
    await outgoing(installation, organisation, Scanner(), access_point).message(organisation, record, payload)
    assert (await ended(installation, organisation, record.id))[0] is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert not installation.objects(organisation)
    assert not access_point.submitted
    async with installation.open(organisation, MT) as vault:
        assert (kept := await vault.message(record.id, Direction.OUT)) is not None
        assert kept.label == record.label
        assert await vault.next_due() is None
        assert not await vault.drop_content(record.id, Direction.OUT)
