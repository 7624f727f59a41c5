"""The items of one poll are accepted in one opening; an unusual one does not delay the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast
from uuid import uuid4

import pytest

from samdrift.contracts.discovery import DiscoveryUnavailable, SharedService
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import InboxItem, TransferEvent
from samdrift.installation.services import NoAddressBook
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.incoming import together as module
from samdrift.messageservice.incoming.inbox import Inbox
from samdrift.messageservice.incoming.judging import Judgement, NewMessage, SenderLimited, Unanswerable
from samdrift.messageservice.incoming.together import Taken, Together
from samdrift.messageservice.lifecycle.ledger import pass_deadline
from samdrift.messageservice.lifecycle.transfers import CURSOR, Transfers
from samdrift.messageservice.outgoing.compose import Address
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.scheduling.pace import Pace
from samdrift.vault.database.pool import Login
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.opening import Vault
from samdrift.vault.records import MessageRecord
from samdrift.vault.work import UnitOfWork
from samdrift.wire import sdkmessage
from samdrift.wire.identifiers import FEDERATION_TEST, SDK_MESSAGE_BASE, ParticipantIdentifier
from tests.roles.letters import header, letter
from tests.settings import message_service_settings
from tests.unit.messageservice.test_life_of_a_message import accepting, delivered, sent, status
from tests.vaults import ELSEWHERE, NOW, Installation

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
SETTINGS = message_service_settings(FEDERATION_TEST)
UNJUDGED = DiscoveryUnavailable("SMP answered 503", SharedService.SMP)

Judge = Callable[[], Awaitable[Judgement]]


@dataclass
class Service:
    """A message service that judges each envelope as a test sets it."""

    installation: Installation
    organisation: ParticipantIdentifier
    answered: list[str] = field(default_factory=list)
    """Messages whose receipts were handed over to be sent."""
    judgements: dict[bytes, Judgement | Exception | Judge] = field(default_factory=dict)
    judged: Counter[bytes] = field(default_factory=Counter)
    """Number of times that each envelope was judged."""

    def __post_init__(self) -> None:
        nothing = cast(Any, None)
        gate, sender = self.installation.gate, cast(Any, self)
        profiles = {self.organisation: OrganisationProfile(self.organisation, "Vi", frozenset())}
        others = (NoAddressBook(), {self.organisation: nothing}, profiles, sender)
        judging, new_id = cast(Any, self), lambda: str(uuid4())
        self.inbox = Inbox(SETTINGS, gate, judging, *others, lambda: NOW, new_id)
        transfers = Transfers(SETTINGS, gate, lambda: NOW)
        self._together = Together(gate, self.inbox, transfers, sender, lambda: NOW, Pace())

    async def judge(self, data: bytes, *arguments: object) -> Judgement:
        judgement = self.judgements[data]
        self.judged[data] += 1
        if isinstance(judgement, Exception):
            raise judgement
        return await judgement() if callable(judgement) else judgement

    def start_receipt(self, organisation: ParticipantIdentifier, answer: Any, content: bytes) -> None:
        assert organisation == self.organisation
        self.answered.append(answer.message_id)

    def comes(self, judgement: Judgement | Exception | Judge) -> InboxItem:
        """Return a small envelope that waits at the access point and will be judged so."""
        data = str(uuid4()).encode()
        self.judgements[data] = judgement
        return InboxItem(
            *(str(uuid4()), str(uuid4()), ELSEWHERE.value, self.organisation.value, "d", str(uuid4())),
            *(f"{uuid4()}@p", "AP", NOW, len(data), data),
        )

    def message(self) -> NewMessage:
        """Return a message that is accepted."""
        sender = Address(ELSEWHERE, "De", "inkorg", "Inkorg")
        recipient = Address(self.organisation, "Vi", "registrator", "Registrator")
        written = letter(sender, recipient)
        says = header(ELSEWHERE, self.organisation, id=written.message_id, document=SDK_MESSAGE_BASE)
        return NewMessage(says, written, sdkmessage.build(written), ())

    async def take(
        self,
        *items: InboxItem,
        events: tuple[TransferEvent, ...] = (),
        unrecorded: Sequence[InboxItem] = (),
    ) -> Taken:
        return await self._together.take(self.organisation, events, items, unrecorded)

    async def polled(self, *items: InboxItem) -> None:
        """Process the items of a poll, first together and then each that is left."""
        taken = await self.take(*items)
        for item in items:
            if item.id not in taken.items | taken.limited:
                with contextlib.suppress(Exception):
                    await self.inbox.take(self.organisation, item)

    async def sent(self) -> MessageRecord:
        async with self.installation.open(self.organisation, MT) as vault:
            return await sent(vault)

    async def came_in(self, message: NewMessage) -> MessageRecord | None:
        async with self.installation.open(self.organisation, MT) as vault:
            return await vault.message(message.header.id, Direction.IN)

    async def status(self, record: MessageRecord) -> MessageStatus:
        return await status(self.installation, self.organisation, record.id)

    async def told(self, message_id: str) -> list[str]:
        async with self.installation.open(self.organisation, MT) as vault:
            return [entry.event for entry in await vault.find_log(message_id)]


@pytest.fixture
def service(installation: Installation, organisation: ParticipantIdentifier) -> Service:
    return Service(installation, organisation)


@pytest.fixture
def openings(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[Counter[str]]:
    """Record the openings of the vault, each with its queries.

    Operators of other tests that still run open theirs meanwhile.
    """
    made: list[Counter[str]] = []
    begin, registry = UnitOfWork.__init__, service.installation.gate.registry
    registration = registry.find(service.organisation, MT)
    assert registration is not None

    def begun(work: UnitOfWork, pool: Any, login: Login, *given: Any, **named: Any) -> None:
        begin(work, pool, login, *given, **named)
        if login.name != registration.login:
            return
        asked: Counter[str] = Counter()
        made.append(asked)
        look, end = work.look_together, work._end

        async def looked(*statements: Any) -> Any:
            asked["looked"] += 1
            return await look(*statements)

        async def ended(*statements: Any, **others: Any) -> Any:
            asked["ended"] += 1
            return await end(*statements, **others)

        monkeypatch.setattr(work, "look_together", looked)
        monkeypatch.setattr(work, "_end", ended)

    monkeypatch.setattr(UnitOfWork, "__init__", begun)
    return made


async def test_messages_receipts_and_events_of_one_poll_are_one_opening_with_two_round_trips(
    service: Service, openings: list[Counter[str]]
) -> None:
    record, other = await service.sent(), await service.sent()
    first, second = service.message(), service.message()
    items = [service.comes(first), service.comes(second), service.comes(accepting(other))]
    openings.clear()
    taken = await service.take(*items, events=(delivered(record.id),))
    assert openings == [{"looked": 1, "ended": 1}]
    assert taken == Taken(events=True, items=frozenset(item.id for item in items))
    assert service.answered == [first.header.id, second.header.id]
    assert await service.status(record) is MessageStatus.WAITING_FOR_RECEIPT
    assert await service.status(other) is MessageStatus.ACCEPTED
    assert await service.told(record.id) == [MTEvent.MT_MESSAGE_ACKNOWLEDGED]
    assert await service.told(other.id) == [MTEvent.MT_RECEIPT_RECEIVED, MTEvent.MT_MESSAGE_ACCEPTED]
    for each in (first, second):
        assert await service.came_in(each) is not None
        assert await service.told(each.header.id) == [MTEvent.MT_MESSAGE_RETRIEVED, MTEvent.MT_RECEIPT_QUEUED]
    async with service.installation.open(service.organisation, MT) as vault:
        assert await vault.cursor(CURSOR) == 1
        assert all([await vault.was_processed(item.id) for item in items])


async def test_one_thing_by_itself_is_left_to_its_own_opening(
    service: Service, openings: list[Counter[str]]
) -> None:
    record = await service.sent()
    openings.clear()
    assert await service.take(service.comes(service.message())) == Taken()
    assert await service.take(events=(delivered(record.id),)) == Taken()
    large = replace(service.comes(service.message()), envelope=None)
    assert await service.take(large, service.comes(service.message())) == Taken()
    assert openings == []


async def forever() -> Judgement:
    await asyncio.Event().wait()
    raise AssertionError("it is cancelled")


@pytest.mark.parametrize(
    "unjudged", [UNJUDGED, ArithmeticError("a secret"), forever], ids=["no answer", "fault", "no end"]
)
async def test_what_cannot_be_judged_now_holds_up_nothing_that_came_with_it(
    service: Service, unjudged: Exception | Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WITHIN", 0.05)
    record, message = await service.sent(), service.message()
    stays, comes = service.comes(unjudged), service.comes(message)
    taken = await service.take(stays, comes, events=(delivered(record.id),))
    assert taken == Taken(events=True, items=frozenset({comes.id}))
    assert await service.came_in(message) is not None
    async with service.installation.open(service.organisation, MT) as vault:
        assert not await vault.was_processed(stays.id)


async def test_where_one_thing_is_not_as_expected_nothing_is_done_and_each_is_left_to_itself(
    service: Service,
) -> None:
    """One envelope arrives a second time, because it could not be acknowledged."""
    record, known, new = await service.sent(), service.message(), service.message()
    again, comes = service.comes(known), service.comes(new)
    await service.inbox.take(service.organisation, again)
    assert service.answered == [known.header.id]
    assert await service.take(again, comes, events=(delivered(record.id),)) == Taken()
    assert await service.status(record) is MessageStatus.SCHEDULED
    assert await service.came_in(new) is None
    for each in (again, comes):
        await service.inbox.take(service.organisation, each)
    assert service.answered == [known.header.id, new.header.id], "no message may be answered twice"


async def test_a_message_whose_storing_fails_as_nobody_expected_is_left_to_itself_and_that_is_said(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    message, storing = service.message(), Inbox.storing

    async def failing(inbox: Inbox, vault: Any, item: InboxItem, *others: Any) -> Any:
        if item.id == bad.id:
            raise ArithmeticError("a secret")
        return await storing(inbox, vault, item, *others)

    monkeypatch.setattr(Inbox, "storing", failing)
    bad, good = service.comes(service.message()), service.comes(message)
    assert await service.take(bad, good) == Taken()
    assert await service.came_in(message) is None
    assert service.answered == []
    assert "unexpected ArithmeticError in message-service-polling" in caplog.text
    assert "a secret" not in caplog.text


async def test_while_the_vault_is_away_nothing_counts_as_taken(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The access point deletes everything that counts as accepted (invariant 7)."""
    record, message = await service.sent(), service.message()

    async def away(*_: object) -> bool:
        raise VaultUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "suppose", away)
        item = service.comes(message)
        assert await service.take(item, events=(delivered(record.id),)) == Taken()
    assert service.answered == []
    assert await service.came_in(message) is None
    assert await service.status(record) is MessageStatus.SCHEDULED


async def test_of_two_items_with_one_id_the_first_is_stored_and_answered_and_the_other_is_neither(
    service: Service,
) -> None:
    """Otherwise the sender of the second would have a receipt for a message that is lost."""
    first, second, third = service.message(), service.message(), service.message()
    one = service.comes(first)
    other = replace(service.comes(second), id=one.id)
    taken = await service.take(one, other, service.comes(third))
    assert one.id in taken.items
    assert len(taken.items) == 2
    assert await service.came_in(first) is not None
    assert await service.came_in(second) is None
    assert service.answered == [first.header.id, third.header.id]


@pytest.mark.parametrize("item_id", ["", "None"])
async def test_no_id_of_an_item_takes_the_place_of_events(service: Service, item_id: str) -> None:
    """Otherwise a delivery would never be reported again."""
    record, message = await service.sent(), service.message()
    item = replace(service.comes(message), id=item_id)
    assert (await service.take(item, events=(delivered(record.id),))).events
    assert await service.status(record) is MessageStatus.WAITING_FOR_RECEIPT
    assert await service.came_in(message) is not None


async def test_receipts_for_no_message_of_ours_are_noted_together_and_change_nothing(
    service: Service,
) -> None:
    record = await service.sent()
    stranger = accepting(record, sender=ParticipantIdentifier("0203:nagonannan.se"))
    nobodys = accepting(record, message_id=str(uuid4()))
    other_model = accepting(record)
    other_model = replace(other_model, header=replace(other_model.header, document=record.document))
    items = [service.comes(each) for each in (stranger, nobodys, other_model)]
    comes = service.comes(service.message())
    assert (await service.take(*items, comes)).items == {item.id for item in (*items, comes)}
    assert set(service.judged.values()) == {1}
    assert await service.status(record) is MessageStatus.SCHEDULED
    told = [await service.told(each.header.id) for each in (stranger, nobodys, other_model)]
    unmatched, refused = [MTEvent.MT_RECEIPT_UNMATCHED], [MTEvent.MT_RECEIPT_REFUSED]
    assert told == [unmatched, unmatched, refused]


async def test_what_meant_nothing_is_left_to_itself_since_it_is_counted(service: Service) -> None:
    odd = service.comes(replace(service.message(), meaningless=True))
    comes = service.comes(service.message())
    assert (await service.take(odd, comes)).items == {comes.id}


async def test_a_message_that_is_rejected_is_answered_with_the_others(service: Service) -> None:
    failed, new = await service.sent(), service.message()
    async with service.installation.open(service.organisation, MT) as vault:
        await pass_deadline(vault, failed.id, NOW)
    says = replace(new.header, sender=failed.recipient)
    assert new.message is not None
    refers = replace(new, header=says, message=replace(new.message, ref_to_message_id=failed.id))
    accepted = service.message()
    taken = await service.take(service.comes(refers), service.comes(accepted))
    assert len(taken.items) == 2
    assert await service.told(refers.header.id) == [MTEvent.MT_MESSAGE_REFUSED, MTEvent.MT_RECEIPT_QUEUED]
    assert service.answered == [refers.header.id, accepted.header.id]


async def test_junk_is_refused_together_in_one_opening_and_judged_once(
    service: Service, openings: list[Counter[str]]
) -> None:
    message = replace(service.message(), decrypted=True)
    junk = [service.comes(Unanswerable(f"junk-{number}", "broken envelope")) for number in range(6)]
    comes = service.comes(message)
    openings.clear()
    taken = await service.take(*junk, comes)
    assert taken.items == {item.id for item in (*junk, comes)}
    assert taken.decrypted == {comes.id}
    assert len(openings) == 1
    assert set(service.judged.values()) == {1}
    for number in range(len(junk)):
        assert await service.told(f"junk-{number}") == [MTEvent.MT_MESSAGE_REFUSED]
    async with service.installation.open(service.organisation, MT) as vault:
        assert all([await vault.was_processed(item.id) for item in (*junk, comes)])


@pytest.mark.parametrize("among", ["a message", "what is known already", "nothing else"])
async def test_envelopes_of_a_limited_sender_are_judged_once_in_one_opening_and_that_they_wait_is_told_once(
    service: Service, openings: list[Counter[str]], among: str
) -> None:
    """This holds whatever arrives with them, and whether or not that is accepted too."""
    limited = [service.comes(SenderLimited()) for _ in range(3)]
    other = [] if among == "nothing else" else [service.comes(service.message())]
    if among == "what is known already":
        await service.inbox.take(service.organisation, other[0])
    for _ in range(2):
        service.judged.clear()
        openings.clear()
        taken = await service.take(*limited, *other)
        assert len(openings) == 1
        assert taken.limited == {item.id for item in limited}
        assert {service.judged[item.envelope or b""] for item in limited} == {1}
        assert taken.items == ({item.id for item in other} if among == "a message" else frozenset())
        other = []
    async with service.installation.open(service.organisation, MT) as vault:
        assert not any([await vault.was_processed(item.id) for item in limited])
    for item in limited:
        assert await service.told(item.envelope_id) == [MTEvent.MT_MESSAGE_HELD]


@pytest.mark.parametrize("beside", [0, 1, 2], ids=["nothing else", "one to be judged", "two"])
async def test_what_waits_for_a_limit_without_being_judged_is_recorded_once_in_the_same_opening(
    service: Service, openings: list[Counter[str]], beside: int
) -> None:
    waiting = [service.comes(SenderLimited()) for _ in range(12)]
    others = [service.comes(service.message()) for _ in range(beside)]
    openings.clear()
    taken = await service.take(*others, unrecorded=waiting)
    assert len(openings) == 1
    assert taken.limited == {item.id for item in waiting}
    assert taken.items == {item.id for item in others}
    assert not any(service.judged[item.envelope or b""] for item in waiting)
    await service.take(unrecorded=waiting)
    for item in waiting:
        assert await service.told(item.envelope_id) == [MTEvent.MT_MESSAGE_HELD]


async def test_where_it_is_not_recorded_that_envelopes_of_a_limited_sender_wait_each_is_left_to_itself(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise VaultUnavailable

    limited = [service.comes(SenderLimited()) for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(Vault, "find_log", away)
        assert await service.take(*limited) == Taken()


async def test_junk_that_comes_again_is_told_once(service: Service) -> None:
    junk = [service.comes(Unanswerable(f"junk-{number}", "broken envelope")) for number in range(2)]
    for _ in range(2):
        await service.polled(*junk)
    for number in range(2):
        assert await service.told(f"junk-{number}") == [MTEvent.MT_MESSAGE_REFUSED]


@pytest.mark.parametrize("bad", ["meaningless", "unjudged", "known"])
async def test_whatever_comes_among_them_envelopes_are_judged_twice_at_most(
    service: Service, bad: str
) -> None:
    """A known one causes a second judgement of all that arrived with it; any other only of itself."""
    known = service.comes(service.message())
    await service.inbox.take(service.organisation, known)
    service.judged.clear()
    meaningless = Unanswerable("junk", "the payload cannot be decrypted", meaningless=True)
    bads = {"meaningless": service.comes(meaningless), "unjudged": service.comes(UNJUDGED), "known": known}
    messages = [service.message() for _ in range(3)]
    good = [service.comes(each) for each in messages]
    await service.polled(bads[bad], *good)
    assert service.judged[bads[bad].envelope or b""] == 2
    times = 2 if bad == "known" else 1
    assert [service.judged[item.envelope or b""] for item in good] == [times] * len(good)
    assert service.answered[-3:] == [each.header.id for each in messages]
