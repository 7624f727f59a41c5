"""The story of the demonstration, with each step checked: a worried school, a social service, a reply.

All content is fictitious, and the attached PDF is generated here. A failed check raises :class:`DemoFailed`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.installation.operator import Operator
from samdrift.messageservice.outgoing.compose import Address, Attachment, Draft, compose, reply
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import SdkMessage

_PATIENCE = 60.0
Progress = Callable[[str], None]


def pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF of one A4 page with ``lines`` of text, which may contain only Latin-1 characters."""
    text = "".join(f"({_escaped(line)}) Tj T*\n" for line in lines)
    content = f"BT /F1 12 Tf 16 TL 72 770 Td\n{text}ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
        b" /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    return _assembled(objects)


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _assembled(objects: Sequence[bytes]) -> bytes:
    document = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(document)


class DemoFailed(Exception):
    """A step of the demonstration failed its check."""


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation of the demonstration with its operator and one mailbox."""

    operator: Operator
    address: Address

    @property
    def organisation(self) -> ParticipantIdentifier:
        return self.address.organisation

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.SYSTEM, "demonstration client", self.organisation.value)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message that went from one party to another and was accepted."""

    what: str
    message_id: str
    conversation_id: str
    sender: Party
    recipient: Party


NOTICE = Draft(
    label="Anmälan om oro för barn",
    text=(
        "# Anmälan om oro\n\nVi är **oroliga** för en elev som varit borta i *tre veckor*.\n\n"
        "* Samtal med vårdnadshavare: två gånger\n* Skolsköterskan har informerats\n\nSe bilagan."
    ),
    attachments=(
        Attachment(
            "anmalan.pdf",
            "application/pdf",
            pdf(
                [
                    "Anmälan om oro för barn",
                    "",
                    "Detta är ett påhittat exempel.",
                    "Ingen verklig person avses.",
                ]
            ),
        ),
    ),
)
ANSWER = Draft(
    label="Sv: Anmälan om oro för barn",
    text="Tack, vi har **tagit emot** er anmälan och återkommer inom *14 dagar*.",
)
NEIGHBOUR = Draft(
    label="Fråga om gemensam jour", text="Hej, kan ni ta helgjouren vecka 50?", confidentiality=False
)


async def play(habo: Party, agency: Party, mullsjo: Party, progress: Progress) -> tuple[Exchange, ...]:
    """Send a message from Habo to an agency at another operator, an answer, and a message to a neighbour.

    The neighbour is served by Habo's own operator.
    """
    progress("habo.se sends a message with a PDF to arbetsformedlingen.se, at another operator")
    first = await _send(
        habo, agency, compose(NOTICE, habo.address, agency.address, message_id=_id(), at=_now())
    )
    notice = await _arrived(first, NOTICE)
    progress("arbetsformedlingen.se answers in the same conversation")
    second = await _send(agency, habo, reply(ANSWER, agency.address, notice, message_id=_id(), at=_now()))
    answer = await _arrived(second, ANSWER)
    _check(answer.conversation_id == notice.conversation_id, "the answer is in the same conversation")
    _check(answer.ref_to_message_id == notice.message_id, "the answer refers to the message")
    progress("habo.se writes to mullsjo.se, hosted by the same operator: AS4 and both vaults all the same")
    third = await _send(
        habo, mullsjo, compose(NEIGHBOUR, habo.address, mullsjo.address, message_id=_id(), at=_now())
    )
    await _arrived(third, NEIGHBOUR)
    return (
        Exchange("a message with a PDF", first.message_id, first.conversation_id, habo, agency),
        Exchange("the answer", second.message_id, second.conversation_id, agency, habo),
        Exchange("a message to a neighbour", third.message_id, third.conversation_id, habo, mullsjo),
    )


async def send_and_wait(sender: Party, recipient: Party, message: SdkMessage) -> None:
    """Send a message, and wait until its recipient has accepted it."""
    exchange = await _send(sender, recipient, message)
    await _reaches(sender, exchange.message_id, Direction.OUT, MessageStatus.ACCEPTED)
    await _reaches(recipient, exchange.message_id, Direction.IN, MessageStatus.NEW)


async def _send(sender: Party, recipient: Party, message: SdkMessage) -> Exchange:
    record = await sender.operator.messages.send(sender.principal, sender.organisation, message)
    return Exchange(message.label, record.id, record.conversation_id, sender, recipient)


async def _arrived(exchange: Exchange, draft: Draft) -> SdkMessage:
    """Wait until both ends are done, and compare the received message with the sent one."""
    await _reaches(exchange.sender, exchange.message_id, Direction.OUT, MessageStatus.ACCEPTED)
    await _reaches(exchange.recipient, exchange.message_id, Direction.IN, MessageStatus.NEW)
    recipient = exchange.recipient
    message = await recipient.operator.messages.read(
        recipient.principal, recipient.organisation, exchange.message_id, Direction.IN
    )
    _check(message is not None, "the recipient can read the message")
    assert message is not None
    document = message.documents[0]
    files = [(file.name, file.content_type, file.data()) for file in document.files]
    _check(document.texts == (draft.text,), "the text is the one that was sent")
    _check(
        files == [(one.name, one.content_type, one.data) for one in draft.attachments],
        "the files are those that were sent, byte for byte",
    )
    return message


async def _reaches(party: Party, message_id: str, direction: Direction, wanted: MessageStatus) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        known = await party.operator.messages.status(
            party.principal, party.organisation, message_id, direction
        )
        if known is not None and known[0] is wanted:
            return
        if known is not None and known[0].final:
            why = "; ".join(f"{event.title} {event.detail}".strip() for event in known[1])
            raise DemoFailed(f"the message ended as {known[0].value} instead of {wanted.value}: {why}")
        await asyncio.sleep(0.05)
    raise DemoFailed(f"the message did not become {wanted.value} within {_PATIENCE:.0f} seconds")


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise DemoFailed(f"not so: {what}")


def _id() -> str:
    return str(uuid.uuid4())


def _now() -> datetime:
    return datetime.now(UTC)
