"""The message client killed at random moments: no message is lost, shown twice, or sent twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count as numbers

import pytest
import pytest_asyncio
from starlette.requests import Request
from starlette.responses import Response

from samdrift.client.mailbox import Mailbox
from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import TooLate
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.mail import DraftStage
from samdrift.messageclient.sending import Sending
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import count, seed, soak
from tests.unit.messageclient.busyclient import LATER, Client, Told, desk_at, killed_at_the_end
from tests.unit.messageclient.desks import ADDRESS, OTHER_ADDRESS
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import Installation, installed, server_folder, settings_in

ROLES = (Role.MESSAGE_CLIENT,)
MK = Role.MESSAGE_CLIENT
_WORKERS = 2
_LARGE = b"%PDF-1.7\n" + bytes(200_000)
_SOON = timedelta(hours=1)
"""Time after which a killed process's claims are free, and every pause is over."""
_MOMENTS = 12
"""Maximum number of requests at the message service between the start of a process and its end."""


@dataclass
class DeadlyService(SparseService):
    """A message service at which a client dies during a request, before or after it was received.

    It accepts a message again under an id that it knows, so that sending twice is noticed.
    """

    random: random.Random = field(default_factory=random.Random)
    client: Client | None = None
    left: int = 0

    def aim(self, client: Client) -> None:
        """Kill that client at one of its next requests, or at one of another client's."""
        self.client, self.left = client, self.random.randrange(1, _MOMENTS)

    async def send(self, request: Request) -> Response:
        return await self._deadly(super().send, request)

    async def one(self, request: Request) -> Response:
        return await self._deadly(super().one, request)

    async def listing(self, request: Request) -> Response:
        return await self._deadly(super().listing, request)

    async def _deadly(self, answer, request: Request) -> Response:  # type: ignore[no-untyped-def]
        self.left -= 1
        fatal = self.left == 0 and self.client is not None
        if fatal and self.random.random() < 0.5:
            self.client.kill()
            fatal = False
        response: Response = await answer(request)
        if fatal:
            self.client.kill()
        return response


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Installation]:
    """Yield an installation whose processes may be killed."""
    with server_folder() as folder:
        async with installed(settings_in(folder)) as running:
            yield running


@soak
@pytest.mark.parametrize("turn", range(count(1, 10)))
async def test_a_client_that_is_killed_at_any_moment_loses_nothing_and_sends_nothing_twice(
    own: Installation, turn: int
) -> None:
    """A soak run repeats it ten times, each with its own organisation.

    A service without pages lists everything ever sent, again and again.
    """
    wanted = count(5, 50)
    organisation = await own.organisation([MK])
    async with own.open(organisation, MK) as vault:
        await vault.keep_mailbox(MailboxRecord("box", ADDRESS, "Socialtjänst", undo_seconds=0))
        await vault.keep_mailbox(MailboxRecord("other", OTHER_ADDRESS, "Miljö"))
    service = DeadlyService(careless=True, random=random.Random(f"{seed(16)} {turn}"))
    for number in range(wanted):
        files = (("a.pdf", "application/pdf", _LARGE),) if number % 7 == 0 else ()
        service.receives(to=ADDRESS, files=files)
    came = {each["messageId"] for each in service.messages.values()}
    async with service.running() as client:
        told, killed = await _worked(own, organisation, service, wanted)
        service.client = None
        await _settled(own, organisation, service, client, told, came)
    print(f"{len(came)} fetched, {len(service.posted)} sent, {killed} killed")


async def _worked(
    own: Installation, organisation: ParticipantIdentifier, service: DeadlyService, wanted: int
) -> tuple[list[Told], int]:
    """Run two processes, each killed and replaced in turn, until enough messages were sent and fetched.

    Return the acts that they acknowledged, and the number of deaths.
    """
    told: list[Told] = []
    names, folder, clients = numbers(), own.settings.secrets.parent, list[Client]()

    async def work() -> None:
        while not await _enough(own, organisation, told, wanted):
            client = await Client.start(folder, organisation, service.url, f"p{next(names)}")
            clients.append(client)
            lives = service.random.randrange(5, 25)
            while (one := await client.told()) is not None:
                told.append(one)
                lives -= 1
                if lives == 0:
                    client.kill()
                elif lives == 10:
                    service.aim(client)
            assert await client.ended() == -9

    with killed_at_the_end(clients):
        await asyncio.gather(*(work() for _ in range(_WORKERS)))
    return told, len(clients)


async def _enough(
    own: Installation, organisation: ParticipantIdentifier, told: list[Told], wanted: int
) -> bool:
    sent = sum(what == "sent" for what, _, _ in told)
    async with own.open(organisation, MK) as vault:
        return sent >= wanted and await vault.count_mail(["box"]) >= wanted + sent


async def _settled(
    own: Installation,
    organisation: ParticipantIdentifier,
    service: SparseService,
    client: Mailbox,
    told: list[Told],
    came: set[str],
) -> None:
    """Finish the remaining work, much later, and check the result."""
    vaults = own.gate.worker("settling", MK)
    await Fetching(vaults, organisation, client, lambda: datetime.now(UTC)).look()
    await _send_all(own, organisation, client, _SOON)
    posted = [_said(each) for each in service.posted]
    assert max(Counter(posted).values()) == 1, "a message was sent twice"
    own_desk, kept = desk_at(own.gate, organisation), {draft: text for _, draft, text in told}
    for draft, text in kept.items():
        assert (await own_desk.draft(draft)).content.text == text, "a draft is lost"
    sent, waiting = ({draft for what, draft, _ in told if what == kind} for kind in ("sent", "window"))
    assert {kept[each] for each in sent} <= set(posted), "a message is lost"
    assert not {kept[each] for each in waiting} & set(posted), (
        "a message was sent before its undo window ended"
    )
    undone = set(sorted(waiting)[::2])
    for draft in undone:
        assert (await desk_at(own.gate, organisation, LATER).undo(draft)).stage is DraftStage.OPEN
    await _send_all(own, organisation, client, 2 * LATER)
    posted = [_said(each) for each in service.posted]
    assert max(Counter(posted).values()) == 1, "a message was sent twice"
    assert {kept[each] for each in waiting - undone} <= set(posted)
    assert not {kept[each] for each in undone} & set(posted), "a message was sent although it was undone"
    for draft in waiting - undone:
        try:
            await own_desk.undo(draft)
        except TooLate:
            continue
        raise AssertionError("undone although it was sent")
    async with own.open(organisation, MK) as vault:
        shown = await _shown(vault)
    assert max(shown.values()) == 1, "a message is shown twice"
    assert came | {each["messageId"] for each in service.posted} <= set(shown), "a message is not shown"


async def _send_all(
    own: Installation, organisation: ParticipantIdentifier, client: Mailbox, ahead: timedelta
) -> None:
    """Send everything that is due by then; the claims of a killed process are free again."""
    sending = Sending(
        own.gate.worker("settling", MK), organisation, client, lambda: datetime.now(UTC) + ahead
    )
    before = -1
    while before != (before := await _waiting(own, organisation)):
        await sending.turn()


async def _waiting(own: Installation, organisation: ParticipantIdentifier) -> int:
    async with own.open(organisation, MK) as vault:
        mail = await vault.mail(await vault.waiting(["box"], 10_000))
    return sum(each.stage == "outbox" for each in mail) + sum(each.attempts for each in mail)


async def _shown(vault: MessageClientVault) -> Counter[str]:
    end = datetime.max.replace(tzinfo=UTC)
    mail = await vault.mail_before(["box", "other"], (end, ""), 100_000)
    return Counter(json.loads(each.text)["message_id"] for each in mail)


def _said(attributes: dict[str, object]) -> str:
    (document,) = attributes["digitalDocument"]  # type: ignore[misc]
    (text,) = document["contentTextBody"]
    return str(text)
