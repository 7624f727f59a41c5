"""Systems of organisations that keep sending through interface D while message services fail.

Each sends one message after the other until it is accepted. A call that is asked to try again, or that gets
no answer, is repeated with the same id, as docs/interface-d.md requires. All answers are counted.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from samdrift.cli.clientconfig import connected, load_client
from samdrift.client.errors import InterfaceError, Unreachable
from samdrift.client.mailbox import Mailbox
from samdrift.client.outgoing import Attachment as OutgoingAttachment
from samdrift.client.outgoing import Correspondent, OutgoingDocument, OutgoingMessage
from samdrift.contracts.messages import Direction
from samdrift.demo.enrolment import write_client
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.wire.sdkmessage import File, Party, SdkMessage
from tests.roles.letters import DRAFT, letter
from tests.roles.member import Member, until
from tests.roles.processes import Played
from tests.roles.soak import Exchange

ACCEPTED = "accepted"
_LARGE = 400_000
"""Bytes of an attachment that makes a body too large for its row, so it is in the object store."""
BETWEEN = 1.2
"""Default maximum of seconds between two messages of one organisation."""
_AGAIN = 0.2
_ANSWERED_WITHIN = 600.0
"""Seconds in which each call must have been accepted after a recovery."""


@dataclass
class Traffic:
    """Messages sent so far, and the answer to each call."""

    senders: Sequence[tuple[Member, Mailbox, Sequence[Member]]]
    """Senders, each with its recipients, which it writes to in turn."""
    between: float = BETWEEN
    exchanges: list[Exchange] = field(default_factory=list)
    """Messages that were accepted."""
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, rng: random.Random) -> None:
        """Send until stopped, and until every message that was begun is accepted."""
        seeded = [(each, random.Random(rng.getrandbits(64))) for each in self.senders]
        await asyncio.gather(*(self._send(*sender, own) for sender, own in seeded))

    async def began(self) -> None:
        """Wait until each sender has had a message accepted, so that each has an access token."""

        async def look() -> bool | None:
            heard = {one.sender.organisation for one in self.exchanges}
            return True if len(heard) == len(self.senders) else None

        await until(look, "every organisation has had a message accepted", within=_ANSWERED_WITHIN)

    def stop(self) -> None:
        self._ended.set()

    async def settled(self) -> list[Exchange]:
        """Return the accepted messages, with the values that the message service has added."""
        found = []
        for one in self.exchanges:
            service = one.sender.operator.messages
            kept = await service.read(one.sender.principal, one.sender.organisation, one.id, Direction.OUT)
            if kept is None:
                self.faults.append(f"lost: {one.id} was accepted, and its sender cannot read it")
                continue
            if _addressed(kept) != _addressed(one.message):
                self.faults.append(f"changed: {one.id} is from or to another address")
            made = replace(
                one.message,
                created=kept.created,
                generating_system=kept.generating_system,
                sender=kept.sender,
                recipient=kept.recipient,
            )
            found.append(replace(one, message=made))
        return found

    async def _send(
        self, sender: Member, mailbox: Mailbox, recipients: Sequence[Member], rng: random.Random
    ) -> None:
        number = 0
        while not self._ended.is_set():
            recipient = recipients[number % len(recipients)]
            number += 1
            message = _written(sender, recipient, rng)
            if await self._accepted(mailbox, message):
                self.exchanges.append(Exchange(sender, recipient, message))
            await asyncio.sleep(rng.uniform(0, self.between))

    async def _accepted(self, mailbox: Mailbox, message: SdkMessage) -> bool:
        """Send a message until it is accepted; a refusal is a fault, since the message is valid."""
        posted = outgoing(message)
        since = None
        while True:
            try:
                await mailbox.send(posted)
            except Unreachable as error:
                self.answers[str(error)] += 1
            except InterfaceError as error:
                self.faults.append(f"refused: {message.message_id}: {error}")
                return False
            else:
                self.answers[ACCEPTED] += 1
                return True
            now = asyncio.get_running_loop().time()
            since = now if since is None else since
            if now - since > _ANSWERED_WITHIN:
                self.faults.append(f"lost: {message.message_id} is never accepted")
                return False
            await asyncio.sleep(_AGAIN)


@asynccontextmanager
async def flowing(those: Played, rng: random.Random, between: float = BETWEEN) -> AsyncIterator[Traffic]:
    """Have every organisation send to all others while the context lasts; at its end all is accepted.

    ``between`` is the maximum of seconds between two messages of one organisation.
    """
    async with AsyncExitStack() as stack:
        senders = [
            (
                each,
                await _mailbox(stack, those, each),
                [other for other in those.members if other is not each],
            )
            for each in those.members
        ]
        traffic = Traffic(senders, between)
        task = asyncio.create_task(traffic.run(rng))
        try:
            yield traffic
            traffic.stop()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _mailbox(stack: AsyncExitStack, those: Played, member: Member) -> Mailbox:
    """Connect the organisation's message client, as `samdrift client` does."""
    process = next(each for each in those.processes if each.config is member.config)
    served = member.config.message_service
    assert served is not None
    issuers = OwnIssuers(served.address_d, process.gate.registry, [member.organisation])
    file = write_client(process.config_file.parent, member.demo, issuers)
    mailbox, _ = await stack.enter_async_context(connected(load_client(file)))
    return mailbox


def outgoing(message: SdkMessage) -> OutgoingMessage:
    """Return a message as a client posts it."""
    (document,) = message.documents
    return OutgoingMessage(
        message.message_id,
        _correspondent(message.sender),
        _correspondent(message.recipient),
        message.label,
        (
            OutgoingDocument(
                document.name or "",
                document.texts,
                tuple(map(_attached, document.files)),
                document.id,
                document.index or "1",
            ),
        ),
        confidentiality=message.confidentiality,
    )


def _correspondent(party: Party) -> Correspondent:
    assert party.attention is not None
    return Correspondent(
        party.id.extension,
        party.attention.sub_organisation.extension,
        party.attention.sub_organisation_label or "",
    )


def _attached(file: File) -> OutgoingAttachment:
    async def content() -> AsyncIterator[bytes]:
        yield file.data()

    return OutgoingAttachment(file.name, content, file.content_type)


def _written(sender: Member, recipient: Member, rng: random.Random) -> SdkMessage:
    size = _LARGE if rng.random() < 0.2 else rng.randrange(20_000)
    file = Attachment("bilaga.pdf", "application/pdf", b"%PDF-1.4\n" + rng.randbytes(size))
    draft = replace(DRAFT, attachments=(file,))
    return letter(sender.address, recipient.address, draft, message_id=str(uuid4()))


def _addressed(message: SdkMessage) -> list[tuple[str, str]]:
    return [
        (party.id.extension, party.attention.sub_organisation.extension if party.attention else "")
        for party in (message.sender, message.recipient)
    ]
