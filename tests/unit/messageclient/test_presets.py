"""Selections, views and distribution lists over a vault: their results, and their owners."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient import presetdesk
from samdrift.messageclient.content import address_mark, recipient_content, recipient_of
from samdrift.messageclient.desk import NotHere, TooManyKept
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import DraftContent, Folder, Recipient, RecipientList
from samdrift.messageclient.pages.draftforms import key_of
from samdrift.messageclient.selections import ME, NOBODY, Selection, State
from samdrift.rights import Right
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.wholerole import SOC, Visitor, Whole, hrefs, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
MULLSJO = Recipient("0203:mullsjo.se", "skola:0203:mullsjo.se", "Mullsjö kommun", "Elevhälsan")
REGION = Recipient("0203:rjl.se", "barn:0203:rjl.se", "Region Jönköpings län", "Barnhälsan")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        yield opened


async def subjects(office: Office, selection: Selection, person: str = "anna") -> list[str]:
    desk = office.desk(person)
    _, lines = await desk.selected(await desk.begin_selection(selection))
    return [line.subject for line in lines.lines]


async def test_a_selection_finds_by_handler_state_side_age_confidentiality_and_files(office: Office) -> None:
    await office.receives(label="Gammal")
    office.pass_by(10 * 86400)
    await office.receives(label="Tagen")
    await office.receives(label="Öppen", confidentiality=False)
    anna = office.desk("anna")
    taken = next(one for one in (await anna.lines(Folder.OPEN, "box")).lines if one.subject == "Tagen")
    await anna.set_done(taken.id, await anna.take(taken.id, taken.version), done=True)
    assert await subjects(office, Selection("box")) == ["Öppen", "Tagen", "Gammal"]
    assert await subjects(office, Selection("box", handler=ME)) == ["Tagen"]
    assert await subjects(office, Selection("box", handler="anna"), "bo") == ["Tagen"]
    assert await subjects(office, Selection("box", handler=NOBODY)) == ["Öppen", "Gammal"]
    assert await subjects(office, Selection("box", State.DONE)) == ["Tagen"]
    assert await subjects(office, Selection("box", State.OPEN)) == ["Öppen", "Gammal"]
    assert await subjects(office, Selection("box", quiet_days=5)) == ["Gammal"]
    assert await subjects(office, Selection("box", confidential=False)) == ["Öppen"]
    assert await subjects(office, Selection("box", files=True)) == []
    assert len(await subjects(office, Selection("box", files=False))) == 3
    sender = (await anna.lines(Folder.OPEN, "box")).lines[0].counterpart.organisation
    assert len(await subjects(office, Selection("box", organisation=sender.upper()))) == 3
    assert await subjects(office, Selection("box", organisation="ingen annan")) == []
    assert len(await subjects(office, Selection(None))) == 3


async def test_pages_of_a_selection_by_side_follow_each_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presetdesk, "_BATCH", 2)
    for number in range(5):
        await office.receives(label=f"Nummer {number}")
    anna = office.desk("anna")
    token = await anna.begin_selection(Selection("box", organisation="0203"))
    found, after = [], ""
    for _ in range(3):
        _, lines = await anna.selected(token, after=after, limit=2)
        found += [line.subject for line in lines.lines]
        after = lines.next
    assert (found, after) == ([f"Nummer {number}" for number in reversed(range(5))], "")


async def test_a_view_of_a_person_is_nobody_elses_and_one_of_a_mailbox_is_for_who_reads_it(
    office: Office,
) -> None:
    await office.receives(label="Hej")
    anna, bo = office.desk("anna"), office.desk("bo")
    token = await anna.begin_selection(Selection("box", State.OPEN))
    own = await anna.keep_view(token, "Min vy")
    shared = await anna.keep_view(token, "Vår vy", for_mailbox=True)
    assert [each.name for each in await office.desk("anna").views()] == ["Min vy", "Vår vy"]
    assert [each.name for each in await bo.views()] == ["Vår vy"]
    view, lines = await office.desk("bo").view(shared)
    assert (view.mailbox, len(lines.lines)) == ("box", 1)
    for attempt in (office.desk("bo").view(own), office.desk("bo").drop_view(own), bo.selected(token)):
        with pytest.raises(NotHere):
            await attempt
    office.given["bo", "box"] = frozenset({Right.READ})
    with pytest.raises(NotHere):
        await office.desk("bo").drop_view(shared)
    with pytest.raises(NotHere):
        await office.desk("bo").keep_view(
            await office.desk("bo").begin_selection(Selection("box")), "x", for_mailbox=True
        )
    del office.given["bo", "box"]
    assert await office.desk("bo").views() == ()
    with pytest.raises(NotHere):
        await office.desk("bo").view(shared)
    with pytest.raises(NotHere):
        await office.desk("bo").begin_selection(Selection("box"))
    await office.desk("anna").drop_view(shared)
    acts = [facts["action"] for event, facts in await office.events() if event == MKEvent.MK_PRESET_CHANGED]
    assert acts == ["kept", "kept", "removed"]


async def test_a_selection_is_no_search_and_a_text_is_no_handler(office: Office) -> None:
    anna = office.desk("anna")
    token = await anna.begin_selection(Selection("box"))
    with pytest.raises(NotHere):
        await anna.found(token)
    with pytest.raises(NotHere):
        await anna.begin_selection(Selection("box", handler="\0"))


async def test_a_list_is_its_owners_and_each_recipient_gets_a_message(office: Office) -> None:
    anna, bo = office.desk("anna"), office.desk("bo")
    own = await anna.keep_list(RecipientList("", "Skolor", (MULLSJO, REGION), None))
    shared = await anna.keep_list(RecipientList("", "Alla", (MULLSJO,), "box"))
    assert [each.name for each in await bo.lists()] == ["Alla"]
    with pytest.raises(NotHere):
        await bo.keep_list(RecipientList(own, "Tagen", (), None))
    with pytest.raises(NotHere):
        await bo.drop_list(own)
    with pytest.raises(NotHere):
        await anna.keep_list(RecipientList("", "Annan", (), "other"))
    await bo.keep_list(RecipientList(shared, "Alla", (MULLSJO, REGION), None))
    kept = next(each for each in await anna.lists() if each.id == shared)
    assert (kept.mailbox, kept.recipients) == ("box", (MULLSJO, REGION))
    draft = await anna.new_draft("box", DraftContent(kept.recipients, "Hej", "Text"))
    sent = await anna.submit(draft.id, draft.version)
    assert len(sent.messages) == 2
    await anna.drop_list(own)
    assert [each.name for each in await anna.lists()] == ["Alla"]


async def test_there_is_an_end_to_what_one_person_keeps(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presetdesk, "MAX_KEPT", 1)
    anna = office.desk("anna")
    kept = await anna.keep_list(RecipientList("", "Ett", (), None))
    with pytest.raises(TooManyKept):
        await anna.keep_list(RecipientList("", "Två", (), None))
    assert await anna.keep_list(RecipientList(kept, "Ett igen", (), None)) == kept


async def _removed_when_asked(visitor: Visitor, place: str, question: str) -> None:
    """Remove something on its page, which asks for confirmation first."""
    asked = await visitor.post(f"{place}/remove")
    assert (asked.status_code, question in asked.text) == (200, True)
    assert (await visitor.get(place)).status_code == 200
    await visitor.post(f"{place}/remove", sure="yes")


async def test_views_and_lists_are_kept_and_used_on_pages(whole: Whole) -> None:
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    await whole.receives(label="Hej")
    anna = await whole.visit("anna")
    fields = {"mailbox": SOC, "state": "open", "handler": "none", "quiet_days": "", "organisation": ""}
    assert (await anna.post("/select", **fields | {"quiet_days": "x"})).status_code == 422
    begun = await anna.post("/select", **fields)
    page = await anna.follow(begun)
    assert "Hej" in page.text
    assert "Inte klara" in page.text
    assert (await anna.post(f"{begun.headers['location']}/keep", name="")).status_code == 422
    kept = await anna.post(f"{begun.headers['location']}/keep", name="Utan handläggare", shared="yes")
    assert "Hej" in (await anna.follow(kept)).text
    assert "Utan handläggare" in (await anna.get("/mailbox/box/open")).text
    await _removed_when_asked(anna, kept.headers["location"], "Ta bort vyn?")
    assert (await anna.get(kept.headers["location"])).status_code == 404
    made = await anna.post("/lists", name="Skolor", mailbox="")
    assert "Skolor" in (await anna.follow(made)).text
    place = made.headers["location"]
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        for one in (MULLSJO, REGION):
            content = {
                "organisation": one.organisation,
                "address": one.address,
                "organisation_name": one.organisation_name,
                "address_name": one.address_name,
            }
            vault.use_address(f"{one.organisation} {one.address}", content, now=whole.clock())
    assert "Barnhälsan" in (await anna.post(place, find="jonkoping", look="yes", name="x")).text
    for one in (MULLSJO, REGION):
        await anna.post(place, add=f"{one.organisation} {one.address}")
    draft = (await anna.post(f"/mailbox/{SOC}/write")).headers["location"]
    assert "Lista, 2 mottagare" in (await anna.get(draft)).text
    listed = f"list:{place.rpartition('/')[2]}"
    chosen = await anna.follow(await anna.post(draft, version="1", subject="", text="", add=listed))
    assert all(name in chosen.text for name in ("Elevhälsan", "Barnhälsan"))
    suggested = (await anna.post("/suggest", find="mullsjo")).json()["found"]
    assert [one["name"] for one in suggested] == ["Mullsjö kommun, Elevhälsan"]
    assert (await anna.post("/suggest", find="m")).json() == {"found": []}
    await anna.post(place, remove=f"{REGION.organisation} {REGION.address}")
    await anna.post(place, rename="yes", name="Skolan")
    assert "Skolan" in (await anna.get("/lists")).text
    await _removed_when_asked(anna, place, "Ta bort listan?")
    assert (await anna.get(place)).status_code == 404
    assert hrefs(await anna.get("/lists"), '/list/[^"]+') == []


def many(count: int, address: str = "") -> list[Recipient]:
    return [
        Recipient(f"0203:x{n:03}.se", address or f"a:0203:x{n:03}.se", f"Kommun {n:03}", f"Skola {n:03}")
        for n in range(count)
    ]


async def used(whole: Whole, recipients: Sequence[Recipient]) -> None:
    """Record that the organisation has written to addresses."""
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        for each in recipients:
            vault.use_address(address_mark(each), recipient_content(each), now=whole.clock())


async def test_a_list_that_is_full_takes_no_more_and_says_so(whole: Whole) -> None:
    await used(whole, many(51))
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    anna = await whole.visit("anna")
    made = (await anna.post("/lists", name="Alla", mailbox="")).headers["location"]
    for each in many(50):
        assert (await anna.post(made, add=key_of(each))).status_code == 303
    refused = await anna.post(made, add=key_of(many(51)[50]))
    assert refused.status_code == 422
    assert "En lista har högst 50 mottagare. Ta bort någon först, eller gör en lista till." in refused.text
    page = await anna.get(made)
    assert ("Skola 049" in page.text, "Skola 050" in page.text) == (True, False)


async def test_an_address_is_added_although_many_organisations_have_one_of_the_same_name(
    whole: Whole,
) -> None:
    await used(whole, many(25, "registrator"))
    await whole.give("anna", SOC, Right.READ, Right.WRITE)
    anna = await whole.visit("anna")
    key = key_of(many(25, "registrator")[23])
    made = (await anna.post("/lists", name="Alla", mailbox="")).headers["location"]
    await anna.post(made, add=key)
    assert f'name="remove" value="{key}"' in (await anna.get(made)).text
    assert (await anna.post(made, add="0203:x023.se nowhere")).status_code == 303
    assert "nowhere" not in (await anna.get(made)).text
    draft = (await anna.post(f"/mailbox/{SOC}/write")).headers["location"]
    form = await anna.get(draft)
    version = re.search(r'name="version" value="([0-9]+)"', form.text)
    assert version is not None
    await anna.post(draft, version=version[1], add=key, subject="", text="")
    assert f'name="remove" value="{key}"' in (await anna.get(draft)).text
    await anna.post("/addresses/favourite", key=key, favourite="yes")
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        (liked,) = await vault.favourites(await whole.person("anna"))
    assert address_mark(recipient_of(liked)) == key
