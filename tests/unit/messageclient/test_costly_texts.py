"""Texts that occupied a process, which serves all organisations, for minutes or days.

Each is now read once. The tests count the readings, and the length wherever the work grows with its
square.
"""

from __future__ import annotations

import asyncio
import html
import re
import threading
import unicodedata
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from samdrift.client.errors import Unreadable
from samdrift.contracts.principals import Role
from samdrift.messageclient import content, finding, presetdesk, reading, rules
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Folder, HandlerRule, Party, Search
from samdrift.messageclient.notices import routes
from samdrift.messageclient.reading import in_thread
from samdrift.messageclient.selections import Selection
from samdrift.rights import Right
from samdrift.web import hostile
from samdrift.web.forms import Form
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.wholerole import SOC, Whole, hrefs, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
ABOVE, BELOW = "\u0301", "\u0316"
"""Accents, of which normalisation moves the second before any number of the first."""


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        yield opened


def marks_in_a_row(text: str) -> int:
    most = now = 0
    for each in unicodedata.normalize("NFKD", text):
        now = now + 1 if unicodedata.combining(each) else 0
        most = max(most, now)
    return most


class Noted:
    """A recorder of calls, and of the longest row of marks in their arguments."""

    def __init__(self, work: Any) -> None:
        self.work = work
        self.calls = 0
        self.most = 0

    def __call__(self, *given: Any) -> Any:
        self.calls += 1
        self.most = max([self.most, *(marks_in_a_row(each) for each in given if isinstance(each, str))])
        return self.work(*given)


class Normalized:
    """The module ``unicodedata`` with a recorded ``normalize``."""

    def __init__(self) -> None:
        self.normalize = Noted(unicodedata.normalize)

    def __getattr__(self, name: str) -> Any:
        return getattr(unicodedata, name)


@pytest.mark.parametrize("within", ["{}", "hej {} på dig", "{}x{}", "Å{}Ö"])
def test_marks_without_end_are_left_out_and_never_put_in_order(
    within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves of a text of 4 MB took eleven minutes, in which no other thread ran."""
    text = within.format(*["e" + ABOVE * 300 + BELOW * 300] * 2)
    apart = unicodedata.normalize("NFKD", text.casefold())
    looked = Normalized()
    monkeypatch.setattr(finding, "unicodedata", looked)
    assert finding.folded(text) == "".join(each for each in apart if not unicodedata.combining(each))
    assert looked.normalize.most < 64


def test_a_text_of_every_accent_is_read_once_and_not_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(str):
        read = 0

        def replace(self, *given: Any) -> Counted:
            Counted.read += 1
            return Counted(str.replace(self, *given))

    looked = Normalized()
    looked.normalize.work = lambda form, text: Counted(unicodedata.normalize(form, text))
    monkeypatch.setattr(finding, "unicodedata", looked)
    marks = [chr(number) for number in range(0x300, 0x1F00) if unicodedata.combining(chr(number))]
    every = [each for each in marks if each == each.casefold()]
    assert len(every) > 300
    assert finding.folded("".join(f"aé {each}" for each in every[-3:])) == "ae " * 3
    assert Counted.read in range(1, finding._FEW_ACCENTS + 1)
    Counted.read = 0
    assert finding.folded("".join(f"aé {each}" for each in every)) == "ae " * len(every)
    assert Counted.read <= finding._FEW_ACCENTS


async def test_the_other_side_of_a_conversation_is_folded_once_for_all_words_of_a_selection(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form has 4 MB of words, and each conversation was folded again for every word, for minutes."""
    for number in range(3):
        await office.receives(label=f"Nummer {number}")
    anna = office.desk("anna")
    noted = Noted(presetdesk.folded)
    monkeypatch.setattr(presetdesk, "folded", noted)
    token = await anna.begin_selection(Selection("box", organisation="0 2 3 . : " * 40))
    _, lines = await anna.selected(token)
    assert (len(lines.lines), noted.calls) == (3, 3)


async def test_others_go_on_between_two_messages_of_a_search_and_beside_a_large_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch with its texts loaded contains no waits, so a search took its two seconds without a pause."""
    for number in range(3):
        await office.receives(label=f"Nummer {number}", text="hej")
    await office.receives(label="Lång", text="å" * finding._LARGE + " slutet")
    turns, looked = 0, list[tuple[int, bool]]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    has = finding._has

    def noted(*given: Any) -> bool:
        looked.append((turns, threading.current_thread() is threading.main_thread()))
        return has(*given)

    monkeypatch.setattr(finding, "_has", noted)
    anna = office.desk("anna")
    token = await anna.begin_search(Search("SLUTET aaa", True, "box"))
    beside = asyncio.create_task(others())
    try:
        _, found = await anna.found(token)
    finally:
        beside.cancel()
    assert (found.looked_at, len(found.lines)) == (4, 1)
    assert [in_loop for _, in_loop in looked] == [False, True, True, True]
    assert len({turn for turn, _ in looked}) == 4


async def test_large_searches_take_one_thread_of_those_that_are_shared(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other threads read files and judge certificates of all organisations."""
    await office.receives(label="Lång", text="å" * finding._LARGE)
    begun, goes_on = list[None](), threading.Event()

    def has(*given: Any) -> bool:
        begun.append(None)
        return goes_on.wait(60)

    anna = office.desk("anna")
    tokens = [await anna.begin_search(Search("aaa", True, "box")) for _ in range(5)]
    monkeypatch.setattr(finding, "_has", has)
    searches = [asyncio.create_task(office.desk("anna").found(token)) for token in tokens]
    for _ in range(200):
        await asyncio.sleep(0.01)
        if begun:
            break
    await asyncio.sleep(0.3)
    assert len(begun) == 1
    goes_on.set()
    assert [len(found.lines) for _, found in await asyncio.gather(*searches)] == [1] * 5


async def test_what_is_looked_for_and_kept_has_an_end(whole: Whole) -> None:
    """A view is read with every page of everyone who reads its mailbox."""
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    anna = await whole.visit("anna")
    fields = {"mailbox": SOC, "state": "open", "handler": "", "quiet_days": ""}
    long, fits = "x" * (finding.MAX_WORDS + 1), "x" * finding.MAX_WORDS
    for path, more, field in (("/select", fields, "organisation"), ("/search", {}, "words")):
        refused = await anna.post(path, **more, **{field: long})
        assert (refused.status_code, "Skriv högst 500 tecken" in refused.text) == (422, True)
        assert long in refused.text, "the typed text must be kept"
        assert (await anna.post(path, **more, **{field: fits})).status_code == 303


async def test_a_desk_keeps_no_more_than_pages_let_by(office: Office) -> None:
    anna = office.desk("anna")
    long = "x" * (finding.MAX_WORDS + 1)
    selection, _ = await anna.selected(await anna.begin_selection(Selection("box", organisation=long)))
    search, _ = await anna.found(await anna.begin_search(Search(long, False, None)))
    assert len(selection.organisation) == len(search.words) == finding.MAX_WORDS


def test_a_subject_is_folded_once_for_all_words_of_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(rules.folded)
    monkeypatch.setattr(rules, "folded", noted)
    party = Party("0203:mullsjo.se", "a:0203:mullsjo.se")
    assert rules._fits(HandlerRule("", "mullsjo", "o r o s", "anna"), party, "Orosanmälan")
    assert noted.calls == 2


def noted_periods(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record each line that is searched for days."""
    read: list[str] = []
    period = routes._PERIOD

    class Period:
        def sub(self, into: str, text: str) -> str:
            read.append(text)
            return period.sub(into, text)

    monkeypatch.setattr(routes, "_PERIOD", Period())
    return read


def test_blanks_between_two_days_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of 4 MB of blanks took a day, in which no other thread ran."""

    read = noted_periods(monkeypatch)
    blanks = " \t" * 200
    lines = (
        f"{blanks}2026-07-06{blanks}",
        f"2026-07-08{blanks}–{blanks}2026-07-09",
        f"2026-07-11{blanks}-{blanks}2026-07-12",
        "2026-07-14—2026-07-15",
    )
    form = Form((("closed", "\r\n".join(lines)),))
    days = {date(2026, 7, day) for day in (6, 8, 9, 11, 12, 14, 15)}
    assert (routes._closed_of(form), dict(form.errors)) == (days, {})
    assert len(read) == 4
    assert not any("  " in each or "\t" in each for each in read)


def test_more_lines_than_days_are_kept_are_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same year on 100 000 lines is one year, but its days were counted 100 000 times."""
    read = noted_periods(monkeypatch)
    line = "2026-01-01 – 2026-12-31"
    form = Form((("closed", "\n".join([line] * (routes.MAX_CLOSED + 1))),))
    assert routes._closed_of(form) == frozenset()
    assert "closed" in form.errors
    assert read == []
    fits = Form((("closed", "\n".join([line, ""] * routes.MAX_CLOSED)),))
    assert len(routes._closed_of(fits)) == 365
    assert not fits.errors


def test_a_name_without_end_is_read_at_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Normalized()
    monkeypatch.setattr(hostile, "unicodedata", looked)
    assert hostile.safe_name("bilaga" + ABOVE * 3_000 + BELOW * 3_000 + ".pdf").endswith(".pdf")
    assert looked.normalize.most <= 2 * hostile._MAX_READ
    assert hostile.safe_name("x" * 5_000 + ".pdf") == "x" * 96 + ".pdf"


def test_a_character_is_looked_up_once_however_often_it_stands_in_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million emoji cost a page a second and a half each time it was shown."""

    class Categories:
        asked = 0

        def category(self, character: str) -> str:
            Categories.asked += 1
            return unicodedata.category(character)

    monkeypatch.setattr(hostile, "unicodedata", Categories())
    pictures = "\U0001f600\U0001f601\U00020000" * 10_000
    assert hostile.visible(pictures) == pictures
    assert hostile.visible("\U000f0000" * 1_000) == "⟦U+F0000⟧" * 1_000
    assert Categories.asked < 20


def named(count: int, value: str = "SN 2026-1") -> dict[str, Any]:
    reference = {"root": "dnr", "extension": value, "label": value}
    return {
        "senderAttention": {"referenceId": [reference] * count, "attentionPerson": [reference] * count},
        "digitalDocument": [{"contentTextBody": ["Hej"]}],
    }


def test_a_message_that_names_thousands_is_kept_as_it_came() -> None:
    """A list of such messages took as long as reading everything that each of them names, for everyone."""
    most = content._MAX_IDENTIFIERS
    assert len(content.documents({"attributes": named(most)})) == 1
    assert len(content.head({"attributes": named(most)}).sender.references) == most
    many = {"attributes": named(most + 1)}
    with pytest.raises(Unreadable):
        content.documents(many)
    head = content.head(many)
    assert (len(head.sender.references), len(head.sender.persons)) == (most, most)
    assert most >= 1_000, "pages can handle as many, so the limit need not be lower"
    fit = content._MAX_NAMED // (3 + 2 * 500)
    assert len(content.documents({"attributes": named(fit, "x" * 500)})) == 1
    with pytest.raises(Unreadable):
        content.documents({"attributes": named(fit + 1, "x" * 500)})
    long = content.head({"attributes": named(1, "x" * 5_000)}).sender.references[0]
    assert {len(each) for each in (long.extension, long.label)} == {content._MAX_IDENTIFIER}


def test_a_message_of_millions_of_characters_is_kept_as_it_came() -> None:
    """A page cleans, packs and sends all of it each time it is shown."""
    most = content._MAX_SHOWN
    for texts, fits in ((["x" * most], True), (["x" * most, "y"], False), (["x"] * 500, True)):
        attributes = {"digitalDocument": [{"contentTextBody": texts[:1]}, {"contentTextBody": texts[1:]}]}
        if fits:
            assert len(content.documents({"attributes": attributes})) == 2
        else:
            with pytest.raises(Unreadable):
                content.documents({"attributes": attributes})


def test_of_steps_without_end_the_last_ones_are_kept() -> None:
    steps = [
        {"dateTime": f"2026-11-26T{number // 60:02}:{number % 60:02}:00Z", "typeCode": "SUBMITTED"}
        for number in range(1_200)
    ]
    kept = content.head({"attributes": {"events": steps}}).events
    assert len(kept) == content._MAX_EVENTS
    assert (kept[-1].at.hour, kept[-1].at.minute) == (19, 59)


async def test_a_message_that_names_thousands_is_listed_and_can_be_had_raw(office: Office) -> None:
    reference = {"root": "dnr", "extension": "SN 2026-1", "label": "Dnr"}
    unit = {"root": "x", "extension": "a:0203:mullsjo.se", "label": "A"}
    await office.receives(senderAttention={"subOrganization": unit, "referenceId": [reference] * 2_000})
    bo = office.desk("bo")
    (line,) = (await bo.lines(Folder.OPEN, "box")).lines
    assert (line.unreadable, len(line.references)) == (True, 1)
    (message,) = (await bo.conversation(line.id)).messages
    raw = b"".join([piece async for piece in (await bo.raw(message.id)).pieces])
    assert raw.count(b"SN 2026-1") == 2_000


async def test_of_drafts_without_end_so_much_is_read_and_the_page_says_so(whole: Whole) -> None:
    """Each list of a mailbox read all of them: sixty of 4 MB took five seconds, and 660 MB of memory."""
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    await whole.receives(label="Hej")
    anna = await whole.visit("anna")
    listed = await anna.get(f"/mailbox/{SOC}/open")
    conversation = hrefs(listed, r"/conversation/[^\"]+")[0].partition("?")[0]
    (message,) = set(re.findall(r"/message/([^/\"?]+)/", (await anna.get(conversation)).text))
    for number in range(5):
        draft = (await anna.post(f"/message/{message}/reply")).headers["location"]
        saved = await anna.post(
            f"{draft}/save", version="1", subject=f"Nummer {number}", text="x" * 4_100_000
        )
        assert saved.status_code == 200
    page = (await anna.get("/drafts")).text
    assert [number for number in range(5) if f"Nummer {number}" in page] == [2, 3, 4]
    assert "Ytterligare 2 utkast visas inte här" in page
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        places = [conversation.rpartition("/")[2]]
        marked, every = await vault.drafts_in(places), await vault.drafts_in(places, most=None)
    assert [one.content["subject"] for one in marked] == ["Nummer 2", "Nummer 3", "Nummer 4"]
    assert len(every) == 5


async def test_a_page_of_a_conversation_ends_and_leads_to_what_came_before(whole: Whole) -> None:
    """A peer could make a page as long as it liked; a part that is not shown does not count as read."""
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    for number in range(5):
        body = [f"Nummer {number} " + "x" * 900_000]
        await whole.receives(label="Hej", conversationId="one", digitalDocument=[{"contentTextBody": body}])
    anna = await whole.visit("anna")
    unread = f"/mailbox/{SOC}/unread"
    address = hrefs(await anna.get(unread), r"/conversation/[^\"]+")[0]
    seen, buttons = list[list[int]](), list[bool]()
    while address:
        assert address.partition("?")[0] in (await anna.get(unread)).text, (
            "the conversation must stay unread until all of it was shown"
        )
        page = await anna.get(address)
        seen.append([number for number in range(5) if f"Nummer {number} " in page.text])
        buttons.append(">Svara</button></form>" in page.text)
        assert ("Gå till de senaste" in page.text) is (len(seen) > 1)
        (address,) = {html.unescape(each) for each in hrefs(page, r"[^\"]+before=[^\"]+")} or {""}
    assert (seen, buttons) == ([[3, 4], [1, 2], [0]], [True, False, False])
    assert "Inget är oläst" in (await anna.get(unread)).text
    printed = await anna.get(hrefs(page, r"/conversation/[^\"]+/print")[0])
    assert [number for number in range(5) if f"Nummer {number} " in printed.text] == [3, 4]
    assert "Det finns tidigare meddelanden." in printed.text
    package = await anna.get(hrefs(page, r"/conversation/[^\"]+/package")[0])
    assert "Hela samtalet, 5 meddelanden" in package.text
    read = [one for one in await whole.log() if one.event == MKEvent.MK_READING_CONVERSATION]
    assert [dict(one.ids)["messages"] for one in read] == ["2", "2", "1", "2"]


async def test_a_page_of_a_conversation_has_so_many_messages_and_the_notes_of_their_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_SHOWN", 2)
    anna = office.desk("anna")
    for number in range(5):
        await office.receives(label=f"Nummer {number}", conversationId="one")
        (line,) = (await anna.lines(Folder.OPEN, "box")).lines
        await anna.add_note(line.id, f"Anteckning {number}")
        office.pass_by(1)
    parts, before = [], ""
    while not parts or before:
        one = await anna.conversation(line.id, before)
        notes = [note.text[-1] for note in one.notes]
        parts.append(([each.subject[-1] for each in one.messages], notes, one.later, one.others))
        before = one.earlier
    assert parts == [
        (["3", "4"], ["3", "4"], 0, 3),
        (["1", "2"], ["1", "2"], 2, 3),
        (["0"], ["0"], 4, 4),
    ]
    assert len((await anna.conversation(line.id, "elsewhere")).messages) == 2


class Referring:
    """A message with a place in a conversation, and a count of the questions about it."""

    asked = 0

    def __init__(self, name: int, refers_to: int) -> None:
        self.id = str(name)
        self._refers_to = str(refers_to)

    @property
    def refers_to(self) -> str:
        Referring.asked += 1
        return self._refers_to


@pytest.mark.parametrize("end", [299, 150, 0])
def test_the_way_into_a_circle_is_gone_once(end: int) -> None:
    """A sender lets each message refer to the next one, and the last to one of the others."""
    Referring.asked = 0
    messages: Any = [Referring(number, number + 1) for number in range(299)] + [Referring(299, end)]
    assert [one.id for one in in_thread(messages)] == [str(number) for number in range(300)]
    assert Referring.asked <= 2 * len(messages)
