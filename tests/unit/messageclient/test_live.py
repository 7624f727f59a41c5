"""Open pages: their notifications, the people present, and their end with session and right."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from starlette.requests import Request

from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.messageclient.desk import Desk, NotHere
from samdrift.messageclient.live.following import MAX_OF_PERSON, Live, TooManyStreams
from samdrift.messageclient.live.openpages import Change, OpenPage
from samdrift.messageclient.live.presence import POLLED_FOR, Presence, Stay
from samdrift.messageclient.mail import Folder, Person
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity, SessionRecord
from samdrift.web.guards import session_of
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ALL, Office
from tests.unit.messageclient.memorydesk import ANNA, BO
from tests.unit.messageclient.test_pages_over_vault import OverVault
from tests.vaults import NOW, Installation

ROLES = [Role.MESSAGE_CLIENT]
SESSION = b"m" * 32
_WOKEN = "SELECT coalesce(current_setting('samdrift.wake', true), '') = 'on'"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Room(OverVault):
    """The pages of an office, with the process's state of the open ones."""

    def __init__(self, vaults: Office, live: Live) -> None:
        super().__init__(vaults)
        self.live = live

    async def desk(self, request: Request) -> Desk:
        session = session_of(request)
        assert session is not None
        self.scene.clock.now = self.vaults.now
        return self.vaults.desk(session.person.subject, self.live)


@dataclass
class Pages:
    """Open pages of an office: desks that share the process's state of them."""

    office: Office
    live: Live
    sessions: list[bytes] = field(default_factory=list)

    def desk(self, person: str = "anna") -> Desk:
        return self.office.desk(person, self.live)

    async def session(self, mark: bytes = SESSION) -> bytes:
        identity = Identity("https://login.habo.test", mark.hex(), "Anna Ek")
        record = SessionRecord(mark, mark, identity, "loa3", NOW, None, NOW, NOW)
        async with self.office.vault() as vault:
            assert await vault.begin_session(record)
        return mark

    async def follow(self, view: OpenPage, person: str = "anna") -> AsyncGenerator[Change]:
        """Open a page in the current state."""
        desk = self.desk(person)
        watch = await desk.watch(view)
        return await desk.follow(view, (watch.list_state, watch.conversation_state), SESSION)

    async def conversation(self) -> str:
        await self.office.receives()
        return (await self.desk().lines(Folder.OPEN, "box")).lines[0].id


@pytest_asyncio.fixture
async def pages(installation: Installation, organisation: ParticipantIdentifier) -> Pages:
    office = await Office(installation, organisation).opened()
    opened = Pages(office, Live(installation.gate, office.clock, together=0))
    await opened.session()
    return opened


async def told(stream: AsyncIterator[Change]) -> list[Change]:
    """Return the notifications of a page until its stream ends."""
    async with asyncio.timeout(60):
        return [change async for change in stream if change is not Change.ALIVE]


async def first(stream: AsyncIterator[Change]) -> Change:
    async with asyncio.timeout(60):
        async for change in stream:
            if change is not Change.ALIVE:
                return change
    raise AssertionError("the stream has ended")


async def test_a_page_is_told_that_its_list_has_changed_and_says_how_much_is_new(pages: Pages) -> None:
    view = OpenPage("box")
    watch = await pages.desk().watch(view)
    shown = watch.list_state, watch.conversation_state
    since = pages.office.now - timedelta(seconds=1)
    async with (
        aclosing(await pages.follow(view)) as stream,
        aclosing(await pages.follow(OpenPage("other"), "bo")),
    ):
        await pages.office.receives()
        assert await first(stream) is Change.NEWS
    news = await pages.desk().news(view, shown, since, polled=False)
    assert (news.arrived, news.list_changed) == (1, True)
    assert (await pages.desk("bo").watch(OpenPage("other"))).list_state == "0"
    await pages.office.receives(to="miljo:0203:habo.se")
    assert (await pages.desk().news(view, shown, since, polled=False)).arrived == 1
    everything = await pages.desk("bo").news(OpenPage(everything=True), shown, since, polled=False)
    assert everything.arrived == 2


async def test_a_page_of_a_conversation_is_told_of_what_colleagues_do_in_it(pages: Pages) -> None:
    conversation = await pages.conversation()
    view = OpenPage(conversation=conversation)
    for act in (
        lambda desk: desk.add_note(conversation, "ring"),
        lambda desk: desk.take(conversation, 2),
    ):
        async with aclosing(await pages.follow(view)) as stream:
            await act(pages.desk("bo"))
            assert await first(stream) is Change.NEWS


async def test_persons_who_have_it_open_see_each_other_and_are_in_no_log(pages: Pages) -> None:
    conversation = await pages.conversation()
    view, writing = OpenPage(conversation=conversation), OpenPage(conversation=conversation, writing=True)
    before = await pages.office.events()
    async with aclosing(await pages.follow(view)) as anna:
        async with aclosing(await pages.follow(writing, "bo")):
            assert await first(anna) is Change.PRESENT
            there = (await pages.desk().news(OpenPage("box"), ("", ""), LONG_AGO, polled=False)).present
            assert [(one.person.id, one.writing) for one in there[conversation]] == [("bo", True)]
            own = (await pages.desk("bo").news(view, ("", ""), LONG_AGO, polled=False)).present
            assert [(one.person.id, one.writing) for one in own[conversation]] == [("anna", False)]
        assert await first(anna) is Change.PRESENT
        gone = await pages.desk().news(OpenPage("box"), ("", ""), LONG_AGO, polled=False)
        assert gone.present == {}
    after = await pages.office.events()
    assert [event for event, _ in after[len(before) :] if "opening" not in event] == []
    assert len(after) <= len(before) + 1, "only the test's own reading of the log may add an entry"


async def test_a_page_that_asks_now_and_then_is_there_for_a_while(pages: Pages) -> None:
    conversation = await pages.conversation()
    view = OpenPage(conversation=conversation)
    await pages.desk("bo").news(view, ("", ""), LONG_AGO, polled=True)
    assert (await pages.desk().news(view, ("", ""), LONG_AGO, polled=False)).present
    pages.office.now += POLLED_FOR
    assert not (await pages.desk().news(view, ("", ""), LONG_AGO, polled=False)).present


async def test_a_stream_ends_with_its_session_whoever_ends_it(pages: Pages) -> None:
    async with aclosing(await pages.follow(OpenPage("box"))) as stream:
        waiting = asyncio.create_task(told(stream))
        async with pages.office.vault() as vault:
            assert await vault.end_session(SESSION)
        assert await waiting == []


async def test_another_process_that_ends_a_session_or_states_a_right_wakes_this_one(pages: Pages) -> None:
    """A command runs in its own process, so the transaction sends a notification."""
    statement = NumberedStatement(1, b"{}")
    acts: list[Callable[[MessageClientVault], Awaitable[object]]] = [
        lambda vault: vault.end_session(SESSION),
        lambda vault: vault.append_statements([statement]),
    ]
    for act in acts:
        async with pages.office.vault() as vault:
            await vault.last_statement()
            before = await vault._work.look(_WOKEN)
            await act(vault)
            after = await vault._work.look(_WOKEN)
        assert (before, after) == ([(False,)], [(True,)])


async def test_a_stream_ends_when_the_right_to_the_mailbox_is_gone(pages: Pages) -> None:
    conversation = await pages.conversation()
    for view in (OpenPage("box"), OpenPage(conversation=conversation)):
        async with aclosing(await pages.follow(view)) as stream:
            waiting = asyncio.create_task(told(stream))
            rights = pages.office.given.pop(("anna", "box"))
            pages.office.installation.gate.news.notify(pages.office.organisation)
            assert await waiting == [Change.OVER]
            pages.office.given["anna", "box"] = rights


async def test_a_conversation_that_moves_out_of_sight_is_news_and_then_over(pages: Pages) -> None:
    conversation = await pages.conversation()
    async with aclosing(await pages.follow(OpenPage(conversation=conversation))) as stream:
        await pages.desk("bo").move(conversation, 1, "other")
        assert await first(stream) is Change.NEWS
    with pytest.raises(NotHere):
        await pages.desk().watch(OpenPage(conversation=conversation))


async def test_a_person_has_a_number_of_streams_and_gets_room_again(pages: Pages) -> None:
    streams = [await pages.follow(OpenPage("box")) for _ in range(MAX_OF_PERSON)]
    with pytest.raises(TooManyStreams):
        await pages.follow(OpenPage("box"))
    async with aclosing(await pages.follow(OpenPage("other"), "bo")):
        await streams.pop().aclose()
        streams.append(await pages.follow(OpenPage("box")))
    for stream in streams:
        await stream.aclose()
    assert pages.live._organisations == {}


async def test_an_end_of_the_process_ends_streams(pages: Pages) -> None:
    async with aclosing(await pages.follow(OpenPage("box"))) as stream:
        waiting = asyncio.create_task(told(stream))
        pages.live.close()
        assert await waiting == []


async def test_one_question_to_the_vault_answers_all_streams(pages: Pages) -> None:
    asked = 0
    vaults = pages.live._vaults

    class Counting:
        def open(self, *whom: object) -> object:
            nonlocal asked
            asked += 1
            return vaults.open(*whom)  # type: ignore[arg-type]

    pages.live._vaults = Counting()  # type: ignore[assignment]
    pages.office.given |= {(f"p{number}", "box"): ALL for number in range(5)}
    streams = [await pages.follow(OpenPage("box"), f"p{number}") for number in range(5)]
    waiting = [asyncio.create_task(first(stream)) for stream in streams]
    await pages.office.receives()
    assert await asyncio.gather(*waiting) == [Change.NEWS] * 5
    assert asked < 5
    for stream in streams:
        await stream.aclose()


@pytest.mark.parametrize(
    "asked",
    [
        "list=other",
        "list=nowhere",
        "list=%00",
        "conversation=nowhere",
        "conversation=%00",
        "list=all&conversation=x",
    ],
)
async def test_what_a_person_has_no_right_to_is_followed_nowhere_and_the_attempt_is_logged(
    pages: Pages, asked: str
) -> None:
    room = Room(pages.office, pages.live)
    anna = await room.visit(ANNA)
    denied = len([1 for event, _ in await pages.office.events() if event == "mk:access:denied"])
    for path in ("news", "events"):
        answer = await anna.get(f"/live/{path}?{asked}")
        assert answer.status_code == 404, path
    events = await pages.office.events()
    assert len([1 for event, _ in events if event == "mk:access:denied"]) == denied + 2


async def test_a_page_asks_by_ids_and_numbers_and_is_answered_in_words(pages: Pages) -> None:
    room = Room(pages.office, pages.live)
    anna, bo = await room.visit(ANNA), await room.visit(BO)
    conversation = await pages.conversation()
    page = await anna.get(f"/conversation/{conversation}?in=open")
    question = re.search(r'data-live="([^"]+)"', page.text)
    assert question is not None
    asked = question[1].replace("&amp;", "&")
    assert re.fullmatch(r"conversation=[0-9a-f-]+&lists=\d+&at=\d+-\d+&since=\d+", asked)
    quiet = (await anna.get(f"/live/news?{asked}")).json()
    assert quiet == {"list": "", "conversation": "", "present": "", "rows": {}}
    await bo.get(f"/live/news?conversation={conversation}&writing=1&polled=1")
    await bo.post(f"/conversation/{conversation}/take", version="1")
    pages.office.pass_by(1)
    await pages.office.receives(label="Mer")
    await pages.office.receives(label="Ännu mer")
    told = (await anna.get(f"/live/news?{asked}")).json()
    assert told["list"] == "2 nya – visa"
    assert told["conversation"] == "Något har hänt i samtalet – visa"


async def test_what_a_page_asks_by_itself_keeps_nobody_signed_in(pages: Pages) -> None:
    room = Room(pages.office, pages.live)
    anna = await room.visit(ANNA)
    (record,) = room.scene.store.sessions.values()
    for path, used in (("/live/news?list=box", False), ("/mailbox/box", True)):
        pages.office.pass_by(120)
        room.scene.clock.now = pages.office.now
        before = record.used
        assert (await anna.get(path)).status_code == 200
        (record,) = room.scene.store.sessions.values()
        assert (record.used > before) is used


def test_presence_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samdrift.messageclient.live.presence._MAX_STAYS", 2)
    organisation = ParticipantIdentifier("0203:habo.se")
    presence = Presence(lambda: NOW)
    someone: Callable[[int], Stay] = lambda number: Stay(Person(str(number), ""), "box", "c", False)  # noqa: E731
    with presence.during(organisation, someone(1)), presence.during(organisation, someone(2)):
        with presence.during(organisation, someone(3)):
            assert len(presence.others(organisation, "", ["box"])["c"]) == 2
        for number in range(10):
            presence.polled(organisation, someone(number + 10))
        assert len(presence.others(organisation, "", ["box"])["c"]) == 4
