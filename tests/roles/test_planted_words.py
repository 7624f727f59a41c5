"""Words from messages are in nothing that the platform logs, answers or calls.

Invariant 9. A whole exchange and every kind of failure, with the words at every place of a message that has
personal or free content: names, a personal number, subject, texts, files and their names, references.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.service import MessageInvalid
from samdrift.net.client import HttpClient
from samdrift.vault.errors import VaultUnavailable
from samdrift.wire import sdkmessage
from samdrift.wire.sdkmessage import Ii, Party, Person, Reference, SdkMessage, file_from_bytes
from tests import pki
from tests.roles.crashes import crashed
from tests.roles.letters import Envelope, broken, changed, enclose, letter
from tests.roles.member import AP, MT, Member, until
from tests.roles.messageclient import document, text_document
from tests.roles.peer import Peer
from tests.roles.stage import Stage
from tests.roles.test_metrics import scraped

EXPECTED = "VaultUnavailable"
"""Exception that the log of the platform may contain here."""

WORDS = {
    "subject": "Vildsvinsutredning",
    "person": "Pelikan Pelikansson",
    "personal number": "191212121212",
    "text": "Krokodiltext",
    "file name": "strutsbilaga.pdf",
    "file": "Noshorningsinnehall",
    "document": "Tapirdokument",
    "reference": "Flodhast-2026-17",
    "reference label": "Giraffarende",
    "system": "Zebrasystem",
}
PLACES = {
    "the log of the platform",
    "an address",
    "an answer over AS4",
    "a message receipt",
    "an exception",
    "a problem of interface C",
    "a problem of interface D",
    "what interface C tells",
    "an organisation's log",
    "the operator's log",
    "metrics",
    "the server's log",
}
_EVERYTHING = 100_000


def planted(message: SdkMessage) -> SdkMessage:
    """Return the message with the words in it."""
    return replace(
        message,
        label=WORDS["subject"],
        generating_system=Ii("kodverk", WORDS["system"]),
        recipient=_addressed(message.recipient),
        sender=_addressed(message.sender),
        documents=(
            sdkmessage.Document(
                "1",
                WORDS["document"],
                files=(file_from_bytes(WORDS["file name"], "application/pdf", b"%PDF-1.4 " + _content()),),
                texts=(WORDS["text"],),
            ),
        ),
    )


def _content() -> bytes:
    return WORDS["file"].encode() * 40


def _addressed(party: Party) -> Party:
    assert party.attention is not None
    person = Person(Ii("1.2.752.129.2.1.3.1", WORDS["personal number"]), WORDS["person"])
    reference = Reference(Ii("dnr", WORDS["reference"]), WORDS["reference label"])
    return replace(party, attention=replace(party.attention, persons=(person,), references=(reference,)))


def found_in(text: str) -> list[str]:
    """Return the words that are in a text, in clear or in base64."""
    return [name for name, word in WORDS.items() if any(one in text for one in _spellings(word))]


def _spellings(word: str) -> Iterator[str]:
    """Yield the word in clear, and in base64 at each alignment, without characters that neighbours affect."""
    yield word
    for shift in range(3):
        data = b"-" * shift + word.encode()
        yield base64.b64encode(data + b"--").decode()[-(-shift * 4 // 3) : len(data) * 4 // 3]


@dataclass
class Heard:
    """All output of the platform outside of messages."""

    said: dict[str, list[str]] = field(default_factory=dict)

    def hears(self, where: str, *texts: object) -> None:
        self.said.setdefault(where, []).extend(map(str, texts))

    def leaks(self) -> list[str]:
        """Return the leaked words and their places."""
        return [
            f"{name} in {where}"
            for where, texts in self.said.items()
            for name in dict.fromkeys(name for text in texts for name in found_in(text))
        ]


@contextmanager
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    """Record all log records of all loggers, and all addresses that are called."""
    heard = Heard()
    exchange = HttpClient.exchange

    def heard_too(self: HttpClient, method: str, url: str, *given: Any, **named: Any) -> Any:
        heard.hears("an address", url)
        return exchange(self, method, url, *given, **named)

    with pytest.MonkeyPatch.context() as patched, caplog.at_level(logging.DEBUG):
        patched.setattr(HttpClient, "exchange", heard_too)
        logging.getLogger("samdrift").debug("so that there is something to hear")
        yield heard
    formatter = logging.Formatter("%(name)s %(message)s")
    for record in caplog.records:
        # pytest also captures loggers that do not propagate, whose records nothing else writes.
        if logging.getLogger(record.name).propagate:
            heard.hears("the log of the platform", formatter.format(record), record.args)


# --- ways of failing ----------------------------------------------------------------------------------------

Fails = Callable[[Peer, Member], Envelope]


def _payload(change: Callable[[bytes], bytes]) -> Fails:
    """Seal a message with a changed payload, which no message service would have sent."""

    def make(peer: Peer, to: Member) -> Envelope:
        message = planted(peer.letter(to))
        return peer.seals(message, to, payload=change(sdkmessage.build(message)))

    return make


def _instead(old: str, new: str) -> Fails:
    def change(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return _payload(change)


def _for_somebody_else(peer: Peer, to: Member) -> Envelope:
    stranger = pki.root("stranger", 3).certificate
    return peer.seals(planted(peer.letter(to)), replace(to, encryption=stranger))


def _unknown_mailbox(peer: Peer, to: Member) -> Envelope:
    message = planted(peer.letter(to))
    assert message.recipient.attention is not None
    nowhere = Ii(message.recipient.attention.sub_organisation.root, WORDS["reference"])
    attention = replace(message.recipient.attention, sub_organisation=nowhere)
    return peer.seals(replace(message, recipient=replace(message.recipient, attention=attention)), to)


ANSWERED = ("a value of the schema", "a text between elements", "a type of file", "an unknown mailbox")
"""Failures that are certain to get a receipt."""

FAILURES: dict[str, Fails] = {
    "a value of the schema": _instead(
        ">true</tns:confidentiality>", f">{WORDS['text']}</tns:confidentiality>"
    ),
    "a text between elements": _instead("<tns:messageBody>", f"{WORDS['text']}<tns:messageBody>"),
    "a value of a rule": _instead(f">{WORDS['subject']}<", f">{WORDS['subject'] * 30}<"),
    "a type of file": _instead("application/pdf", "application/x-krokodil"),
    "what a file is": _instead(
        base64.b64encode(b"%PDF-1.4 ").decode()[:8], base64.b64encode(b"MZMZMZ").decode()
    ),
    "base64": _instead("</tns:content>", "?</tns:content>"),
    "an unknown mailbox": _unknown_mailbox,
    "no XML": _payload(lambda data: data[:-20]),
    "another document": _payload(lambda data: b"<x>" + WORDS["text"].encode() + b"</x>"),
    "for somebody else": _for_somebody_else,
    "changed on its way": lambda peer, to: broken(peer.seals(planted(peer.letter(to)), to)),
    "a value of the envelope": lambda peer, to: changed(
        peer.seals(planted(peer.letter(to)), to),
        b"<xhb:XHEVersionID>1.0<",
        b"<xhb:XHEVersionID>" + WORDS["text"].encode() + b"<",
    ),
}


async def comes_in_and_fails(stage: Stage, heard: Heard) -> None:
    """Send faulty messages, which are refused with or without a receipt."""
    habo, peer = stage.habo, stage.peer()
    nowhere = {"final_recipient": "0203:okand.example.se"}
    posted = await peer.posts(peer.seals(planted(peer.letter(habo)), habo), habo, nowhere)
    heard.hears("an answer over AS4", posted.answer.body.decode())
    for name, make in FAILURES.items():
        peer = stage.peer()
        envelope = make(peer, habo)
        posted = await peer.posts(envelope, habo)
        heard.hears("an answer over AS4", posted.answer.body.decode())
        await until(partial(_refused, habo, envelope.id, posted.message_id), f"refused: {name}")
        receipts = peer.receipts_so_far(envelope.id)
        if name in ANSWERED:
            receipts = await peer.message_receipts(envelope.id)
        heard.hears("a message receipt", *(str(one.findings) for one in receipts))


async def _refused(member: Member, envelope_id: str, as4: str) -> bool | None:
    entries = [*await member.log(MT, envelope_id), *await member.log(AP, as4)]
    refusals = (MTEvent.MT_MESSAGE_REFUSED, APEvent.AP_ENVELOPE_REFUSED)
    return True if any(entry.event in refusals for entry in entries) else None


async def cannot_be_sent(stage: Stage, heard: Heard) -> None:
    """Make requests that fail at clients and systems, and record the answers."""
    habo, agency = stage.habo, stage.agency
    message = planted(letter(habo.address, agency.address))
    with pytest.raises(MessageInvalid) as invalid:
        await habo.operator.messages.send(
            habo.principal, habo.organisation, replace(message, created=WORDS["text"])
        )
    heard.hears("an exception", invalid.value, repr(invalid.value))
    async with crashed(habo.config, habo.operator.gate):
        with pytest.raises(VaultUnavailable) as unavailable:
            await habo.operator.messages.send(habo.principal, habo.organisation, message)
    heard.hears("an exception", unavailable.value, repr(unavailable.value))
    client = stage.client(habo)
    for changes in (
        {"recipient": WORDS["text"]},
        {"label": WORDS["subject"] * 50},
        {"confidentiality": WORDS["text"]},
        {"digitalDocument": [text_document(WORDS["text"], (WORDS["file name"] * 50, b"x"))]},
        {WORDS["document"]: WORDS["text"]},
    ):
        answer = await client.send(document(habo.address, agency.address, **changes))
        assert answer.status == 400
        heard.hears("a problem of interface D", answer.body.decode())
    answer = await client.list({f"filter[{WORDS['document']}]": WORDS["text"]})
    heard.hears("a problem of interface D", answer.body.decode())
    interface = await habo.interface_c()
    envelope = enclose(message, await habo.signing(), agency.encryption)
    for data in (
        envelope.data.replace(b"<xhb:ID>", b"<xhb:ID>" + WORDS["text"].encode()),
        sdkmessage.build(message),
        envelope.data[:-30] + WORDS["text"].encode(),
    ):
        answer = await interface.submit(envelope.id, data)
        assert answer.status == 422
        heard.hears("a problem of interface C", answer.body.decode())


async def is_exchanged(stage: Stage) -> None:
    """Exchange messages with another operator in both directions."""
    habo, agency, peer = stage.habo, stage.agency, stage.peer()
    message = planted(letter(habo.address, agency.address))
    await habo.operator.messages.send(habo.principal, habo.organisation, message)
    assert await habo.ends(message.message_id) is MessageStatus.ACCEPTED
    assert await agency.reads(message.message_id) == message
    peer.respond = lambda received: 503
    refusing = await habo.operator.messages.send(
        habo.principal, habo.organisation, planted(letter(habo.address, peer.address))
    )
    assert await habo.ends(refusing.id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    peer = stage.peer()
    incoming = planted(peer.letter(agency))
    await peer.posts(peer.seals(incoming, agency), agency)
    assert await agency.ends(incoming.message_id, Direction.IN) is MessageStatus.NEW
    assert WORDS["text"] in str(await stage.client(agency).reads(incoming.message_id))


async def stays(stage: Stage, heard: Heard) -> None:
    """Record what remains outside of messages: logs, metrics, and the database server's log."""
    for member in (stage.habo, stage.agency):
        for role in (AP, MT):
            async with member.open(role) as vault:
                entries = await vault.log(0, _EVERYTHING)
            heard.hears("an organisation's log", *(f"{entry.event} {entry.ids}" for entry in entries))
        async with member.open(AP) as transfers:
            heard.hears("what interface C tells", *await transfers.events(0, _EVERYTHING))
        gate = member.operator.gate
        heard.hears("the operator's log", *(e.ids for e in await gate.read_operator_log(limit=_EVERYTHING)))
        heard.hears("metrics", (await scraped(member)).text)
        database = member.config.vaults.database
        assert isinstance(database, Path)
        heard.hears("the server's log", (database / "data" / "server.log").read_text())


async def test_words_of_messages_are_found_in_messages_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(caplog) as heard:
        await is_exchanged(stage)
        await comes_in_and_fails(stage, heard)
        await cannot_be_sent(stage, heard)
        await stays(stage, heard)
    assert not heard.leaks()
    assert {place for place, texts in heard.said.items() if any(texts)} >= PLACES


def test_a_word_would_be_found_in_clear_and_in_base64() -> None:
    for name, word in WORDS.items():
        for shift in range(4):
            encoded = base64.b64encode(b"-" * shift + word.encode() + b"--").decode()
            assert found_in(f"before {encoded} after") == [name]
        assert found_in(f"before {word} after") == [name]
