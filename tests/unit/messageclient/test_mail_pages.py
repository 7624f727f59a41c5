"""The mail pages over a desk in memory: reading, writing, sending, handling, finding, and not found."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.contracts.messages import MessageStatus
from samdrift.messageclient.mail import (
    DraftContent,
    DraftStage,
    Folder,
    Identifier,
    Message,
    Recipient,
    Stage,
)
from samdrift.messageclient.notices.manning import Manning
from tests.unit.messageclient.day import MULLSJO, SOC
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import (
    ALL,
    ANNA,
    BO,
    EVA,
    MemoryDesk,
    MemoryUpload,
    conversation,
    message,
)
from tests.unit.web.scene import NOW

TO = f"{MULLSJO.organisation} {MULLSJO.address}"
PDF = b"%PDF-1.7 underlag"
EMAIL = "0.9.2342.19200300.100.1.3"


@pytest.fixture
def room() -> Mailroom:
    return Mailroom()


def the_sip(room: Mailroom) -> str:
    return next(key for key, one in room.office.conversations.items() if "SIP" in one.subject)


def headings(page: str) -> list[tuple[str, str]]:
    """Return the level and text of each heading in the content of a page."""
    found = re.findall(
        r"<h(\d)[^>]*>(.*?)</h\1>", page[page.index("<main") : page.index("</main>")], re.DOTALL
    )
    return [(level, re.sub("<[^>]*>", "", text).strip()) for level, text in found]


async def test_the_first_page_leads_to_what_is_unread(room: Mailroom) -> None:
    anna = await room.visit()
    page = await anna.get("/")
    assert page.status_code == 200
    assert re.findall(r'<a href="/conversation/[^"]+">\s*<span class="unseen">Oläst:', page.text)
    assert "Mullsjö kommun, Elevhälsan" in page.text
    assert "Överflyttning av ärende" not in page.text, "only unread conversations must be listed"
    assert "Elevhälsa</a>" not in page.text, "a mailbox to which she has no right must not be listed"


async def test_what_has_lain_unread_is_said_over_the_list_and_leads_to_the_oldest(room: Mailroom) -> None:
    anna = await room.visit()
    oldest = next(key for key, one in room.office.conversations.items() if "3 bilagor" in one.subject)
    band = re.search(r'<p class="band warning">.*?</p>', (await anna.get("/mailbox/soc")).text)
    assert band is not None
    assert re.sub("<[^>]*>", "", band[0]) == (
        "2 meddelanden har legat olästa i mer än en bemannad timme. Öppna det äldsta"
    )
    assert f'href="/conversation/{oldest}?in=unread"' in band[0]
    await anna.get(f"/conversation/{oldest}?in=unread")
    room.office.manning["soc"] = Manning(hours=((0, 1440),) * 7, holidays=False, escalate_after=1)
    room.scene.clock.now += timedelta(minutes=-4)
    beside = (await anna.get(f"/conversation/{oldest}?in=unread")).text
    assert "Ett meddelande har legat oläst</b> i mer än en bemannad timme." in beside
    room.office.manning.clear()
    assert "har legat" not in (await anna.get("/mailbox/soc")).text


async def test_a_message_that_is_too_large_says_what_to_do(room: Mailroom) -> None:
    anna, office = await room.visit(), room.office
    large = replace(
        message(office, MULLSJO, SOC, "Hela akten", "", NOW),
        stage=Stage.UNREADABLE,
        too_large=True,
        documents=(),
    )
    kept = conversation(office, "soc", large)
    assert "För stort att hämta" in (await anna.get("/mailbox/soc/open")).text
    page = (await anna.get(f"/conversation/{kept.id}")).text
    assert "Meddelandet är för stort att hämta." in page
    assert "Be avsändaren sända det igen i mindre delar" in page
    assert f"/message/{large.id}/raw" not in page, "there must be no link to content that was not fetched"


async def test_a_recipient_that_vanishes_before_send_is_named_with_what_to_do_and_the_draft_stays(
    room: Mailroom,
) -> None:
    anna, office = await room.visit(), room.office
    to = Recipient(MULLSJO.organisation, MULLSJO.address, "Mullsjö kommun", "Elevhälsan")
    content = DraftContent((to,), "Hej", "Hej")
    draft = await MemoryDesk(office, ANNA).new_draft("soc", content)
    office.book = [one for one in office.book if one.recipient.address != MULLSJO.address]
    page = await anna.post(f"/draft/{draft.id}/send", version=str(draft.version))
    assert page.status_code == 422
    assert "Ta bort mottagaren som inte längre finns i adressboken" in page.text
    assert "(<bdi>Mullsjö kommun, Elevhälsan</bdi>)" in page.text
    assert office.drafts[draft.id].stage is DraftStage.OPEN


async def test_a_person_without_a_mailbox_is_told_what_to_do(room: Mailroom) -> None:
    room.office.rights.clear()
    anna = await room.visit()
    assert "Du har ingen brevlåda än" in (await anna.get("/")).text


async def test_a_conversation_is_shown_newest_first_with_what_belongs_to_it(room: Mailroom) -> None:
    anna = await room.visit()
    page = await anna.get(f"/conversation/{the_sip(room)}?in=unread")
    text = page.text
    assert text.index("Underlag SIP.pdf") < text.index("ring efter lunch") < text.index("Tack för samtalet")
    assert "Omfattas av sekretess" in text
    assert "Dnr SN 2026-00012" in text
    assert "Personnr 20121212-1212" in text
    assert "Mottaget av organisationen 25 nov 15:10" in text
    assert "<strong>samordnat möte</strong>" in text
    assert "ch 3 december" not in re.search(r"<title>(.*?)</title>", text)[1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("person", "shown"),
    [
        (Identifier(EMAIL, "eva@habo.se", "Eva Lind"), "Eva Lind (E-post eva@habo.se)"),
        (Identifier(EMAIL, "eva@habo.se"), "E-post eva@habo.se"),
        (Identifier("1.2.752.129.2.1.2.1", "el", "Eva Lind"), "Eva Lind"),
        (Identifier("1.2.752.129.2.1.2.1", "el"), "Lokalt id el"),
        (Identifier("1.2.3", "el", "Eva Lind"), "Eva Lind (1.2.3 el)"),
        (Identifier("", "", "Eva Lind"), "Eva Lind"),
    ],
    ids=["name and e-mail", "e-mail", "name and local id", "local id", "another code system", "name"],
)
async def test_persons_whom_a_message_names_stand_at_its_side_by_name_and_by_what_they_are_known_as(
    room: Mailroom, person: Identifier, shown: str
) -> None:
    """Of the sender and of the recipient (content-specification 4.3.2.3 sentence 1, sentence 2)."""
    anna, office = await room.visit(), room.office
    sender, recipient = replace(MULLSJO, persons=(person,)), replace(SOC, persons=(person,))
    kept = conversation(office, "soc", message(office, sender, recipient, "Ämne", "Text", NOW))
    head = re.search(
        r'<header class="message-head">.*?</header>', (await anna.get(f"/conversation/{kept.id}")).text, re.S
    )
    assert head is not None
    assert re.findall(r"<p[^>]*><bdi>(.*?)</bdi>", head[0]) == [shown, f"Till {shown}"]


async def test_a_conversation_names_their_function_and_reference_and_each_of_several_documents(
    room: Mailroom,
) -> None:
    """They are named by their labels; a function without a label by its address.

    content-specification 4.3.2.3 sentence 3, sentence 5, sentence 6, 4.3.3.1 sentence 2
    """
    anna, office = await room.visit(), room.office
    sender = replace(MULLSJO, references=(Identifier("dnr", "EH 7", "Skolans akt"),))
    one = message(office, sender, SOC, "Ämne", "Text", NOW)
    parts = tuple(replace(one.documents[0], name=name) for name in ("Beslut", "Motivering"))
    for party, documents, function, names in (
        (sender, parts, "Elevhälsan", ["Beslut", "Motivering"]),
        (replace(sender, address_name=""), parts[:1], "SE2120000530-eh", []),
    ):
        kept = conversation(office, "soc", replace(one, sender=party, documents=documents))
        page = (await anna.get(f"/conversation/{kept.id}")).text
        assert f"<bdi>Mullsjö kommun, {function}</bdi>" in page
        assert "Mullsjö: Dnr EH 7 (Skolans akt)" in page
        assert re.findall(r'<h3 class="document-name"><bdi>(.*?)</bdi>', page) == names


async def test_whether_it_is_marked_as_confidential_is_said_of_each_conversation_and_by_whom(
    room: Mailroom,
) -> None:
    """In a mixed conversation each message is marked, on paper too, since a person who copies one must know.

    content-specification 4.3.2 sentence 11
    """
    anna, office = await room.visit(), room.office

    def one(*, came: bool, confidential: bool) -> Message:
        sides, author = ((MULLSJO, SOC), None) if came else ((SOC, MULLSJO), ANNA)
        return message(office, *sides, "Ämne", "Text", NOW, author=author, confidential=confidential)

    unmarked, by_them, by_us = "Inte märkt med sekretess.", "enligt avsändaren.", "enligt vår egen märkning."
    for messages, said, marks in (
        ([one(came=True, confidential=False)], unmarked, (0, 0)),
        ([one(came=True, confidential=True)], by_them, (0, 0)),
        ([one(came=False, confidential=True)], by_us, (0, 0)),
        ([one(came=False, confidential=True), one(came=True, confidential=False)], by_us, (1, 1)),
        ([one(came=True, confidential=True), one(came=False, confidential=False)], by_them, (1, 1)),
    ):
        kept = conversation(office, "soc", *messages)
        kept = replace(kept, confidential=any(each.confidential for each in messages))
        office.put(kept)
        for path in ("", "/print"):
            page = (await anna.get(f"/conversation/{kept.id}{path}")).text.partition('id="subject"')[2]
            assert [each for each in (unmarked, by_them, by_us) if each in page] == [said]
            shown = page.partition("<article")[2]
            tags = (shown.count(">Sekretess<"), shown.count(">Inte märkt med sekretess<"))
            assert tags == marks, (said, path)


async def test_the_senders_own_time_stands_beside_that_of_arrival_where_they_differ(room: Mailroom) -> None:
    """A time stamp of another year does not move a message in a list or conversation."""
    anna, office = await room.visit(), room.office
    future = NOW.replace(year=NOW.year + 5)
    dated = [
        message(office, MULLSJO, SOC, f"Daterat {number}", "Text", NOW - timedelta(hours=number), dated_at=at)
        for number, at in enumerate((None, NOW - timedelta(hours=2, minutes=9), future), 1)
    ]
    kept = conversation(office, "soc", *reversed(dated))
    page = (await anna.get(f"/conversation/{kept.id}")).text
    said = re.findall(r"Avsändarens egen tid: ([^<]+)<", page)
    assert len(said) == 1
    assert str(future.year) in said[0]
    places = [page.index(f'id="m-{one.id}"') for one in dated]
    assert places == sorted(places), "messages must be ordered by arrival, the newest first"
    conversation(office, "soc", message(office, MULLSJO, SOC, "Nyss", "Text", NOW + timedelta(minutes=1)))
    listed = (await anna.get("/mailbox/soc/open")).text
    assert listed.index("Nyss") < listed.index("Daterat")


async def test_the_list_beside_a_conversation_is_named_as_the_one_it_was_opened_from(room: Mailroom) -> None:
    anna = await room.visit()
    for query, name in (("?all=sent", "Skickat"), ("?all=mine", "Hos mig"), ("?in=open", "Socialtjänst")):
        page = await anna.get(f"/conversation/{the_sip(room)}{query}")
        assert re.search(r'<div class="list-title">\s*<h2>(.*?)</h2>', page.text)[1] == name  # type: ignore[index]


async def test_a_conversation_on_paper_has_whole_dates(room: Mailroom) -> None:
    anna = await room.visit()
    page = await anna.get(f"/conversation/{the_sip(room)}/print")
    assert re.search(r">\s*26 november 2026 \d\d:\d\d\s*<", page.text)
    assert not re.search(r">\s*\d\d:\d\d\s*<", page.text), "no time of day may be without its date"


async def test_a_long_list_goes_on_where_it_stopped(room: Mailroom) -> None:
    for number in range(60):
        one = message(
            room.office, MULLSJO, SOC, f"Nummer {number}", "x", NOW - timedelta(days=9, hours=number)
        )
        conversation(room.office, "soc", one)
    anna = await room.visit()
    first = await anna.get("/mailbox/soc/open")
    assert "Nummer 59" not in first.text
    older = re.search(r'href="(/mailbox/soc/open\?after=[^"]+)"', first.text)
    assert older is not None
    assert "Nummer 59" in (await anna.get(older[1])).text


async def test_a_file_is_saved_and_never_shown_in_the_page(room: Mailroom) -> None:
    anna = await room.visit()
    page = await anna.get(f"/conversation/{the_sip(room)}")
    href = re.search(r'href="(/message/[^"]+/file/[^"]+)" download', page.text)
    assert href is not None
    file = await anna.get(href[1])
    assert file.content.startswith(b"%PDF-1.7")
    assert file.headers.get("content-disposition", "").startswith("attachment;")
    assert file.headers.get("content-security-policy", "").startswith("sandbox")
    assert file.headers["x-content-type-options"] == "nosniff"


async def test_a_message_that_cannot_be_shown_is_listed_and_its_raw_form_is_saved(room: Mailroom) -> None:
    anna = await room.visit()
    listed = await anna.get("/mailbox/soc/open")
    assert "Kan inte visas" in listed.text
    one = next(each for each in room.office.conversations.values() if each.messages[0].stage == "unreadable")
    page = await anna.get(f"/conversation/{one.id}")
    raw = await anna.get(f"/message/{one.messages[0].id}/raw")
    assert f"/message/{one.messages[0].id}/raw" in page.text
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"].startswith("attachment;")


async def test_hostile_text_in_every_field_of_a_message_is_text(room: Mailroom) -> None:
    evil = '<img src=x onerror="alert(1)">\u202e{{ 7*7 }}'
    party = replace(MULLSJO, organisation_name=evil, address_name=evil, references=(), persons=())
    party = replace(party, persons=MULLSJO.persons, references=(replace(MULLSJO.references[0], label=evil),))
    files = (room.office.file(evil, "application/x-evil", b"x"),)
    one = conversation(
        room.office,
        "soc",
        message(room.office, party, SOC, evil, f"# {evil}", NOW, files=files),
        references=party.references,
    )
    anna = await room.visit()
    for path in (
        "/mailbox/soc/open",
        f"/conversation/{one.id}",
        f"/conversation/{one.id}/print",
        f"/message/{one.messages[0].id}/way",
        f"/message/{one.messages[0].id}/readers",
    ):
        page = await anna.get(path)
        assert page.status_code == 200
        assert "<img" not in page.text
        assert "\u202e" not in page.text
        assert "49" not in re.sub(r'(value|content|href|src)="[^"]*"', "", page.text)


async def test_a_message_is_written_answered_checked_sent_and_undone(room: Mailroom) -> None:
    """The pages lead from the conversation to the undo window and back."""
    anna = await room.visit()
    one = room.office.conversations[the_sip(room)]
    begun = await anna.post(f"/message/{one.messages[-1].id}/reply")
    form = await anna.follow(begun)
    draft = begun.headers["location"]
    assert "Dnr EH 2026/44" in form.text, "the answer must return the sender's reference"
    reviewed = await anna.post(
        draft,
        ("Yttrande.pdf", PDF),
        version="1",
        subject="Sv: Kallelse",
        text="Tiden passar.",
        confidentiality="yes",
        reference_kind="dnr",
        reference_value="SN 2026-00099",
        review="yes",
    )
    page = await anna.follow(reviewed)
    for shown in ("Mullsjö kommun, Elevhälsan", "Dnr SN 2026-00099", "Tiden passar.", "Yttrande.pdf"):
        assert shown in page.text
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version is not None
    sent = await anna.post(f"{draft}/send", version=version[1])
    waiting = await anna.follow(sent)
    assert 'data-seconds="10"' in waiting.text
    again = await anna.post(f"{draft}/send", version=version[1])
    assert again.headers["location"] == f"{draft}/sending", "a second tab must not send again"
    assert (await anna.get(draft)).headers["location"] == f"{draft}/sending", (
        "the draft can no longer be edited"
    )
    undone = await anna.post(f"{draft}/undo")
    assert "Tiden passar." in (await anna.follow(undone)).text
    assert room.office.drafts[draft.rpartition("/")[2]].stage is DraftStage.OPEN


async def test_it_is_said_when_undoing_comes_too_late(room: Mailroom) -> None:
    anna = await room.visit()
    draft = await ready(room)
    await anna.post(f"/draft/{draft}/send", version="2")
    room.scene.clock.forward(timedelta(seconds=10))
    late = await anna.post(f"/draft/{draft}/undo")
    assert (late.status_code, "för sent att ångra" in late.text) == (409, True)


async def ready(room: Mailroom) -> str:
    """Make a complete draft of Anna's, at version 2."""
    desk = MemoryDesk(room.office, ANNA)
    draft = await desk.new_draft("soc")
    content = replace(
        draft.content, recipients=(room.office.book[0].recipient,), subject="Ämne", text="En text"
    )
    await desk.save_draft(draft.id, 1, content)
    return draft.id


async def test_faults_lead_to_their_fields_and_everything_typed_is_there(room: Mailroom) -> None:
    anna = await room.visit()
    begun = await anna.post("/mailbox/soc/write")
    faulty = await anna.post(begun.headers["location"], version="1", text="Bara text", review="yes")
    assert faulty.status_code == 422
    assert '<a href="#find">Välj vem meddelandet ska till</a>' in faulty.text
    assert '<a href="#subject">Skriv ett ämne</a>' in faulty.text
    assert "Bara text</textarea>" in faulty.text
    review = await anna.get(f"{begun.headers['location']}/review")
    for field, fault in (("find", "Välj vem meddelandet ska till"), ("subject", "Skriv ett ämne")):
        assert f'<a href="{begun.headers["location"]}#{field}">{fault}</a>' in review.text


async def test_a_file_of_another_type_is_refused_and_the_rest_is_kept(room: Mailroom) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    files = (("program.exe", b"MZ"), ("Bra.pdf", PDF), ("skript.js", b"x"))
    answer = await anna.post(draft, *files, version="1", text="Se bilagor", review="yes")
    assert answer.status_code == 422
    assert 'href="#files"' in answer.text
    assert "Välj en annan fil, helst PDF (program.exe, skript.js)</a>" in answer.text
    kept = room.office.drafts[draft.rpartition("/")[2]]
    assert ([file.name for file in kept.files], kept.content.text) == (["Bra.pdf"], "Se bilagor")


async def test_a_file_that_is_too_large_is_refused_as_that_and_the_rest_is_kept(room: Mailroom) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    files = (("Stor.pdf", PDF + bytes(2 << 20)), ("Bra.pdf", PDF))
    answer = await anna.post(draft, *files, version="1", text="Se bilagor", review="yes")
    assert (answer.status_code, "Se bilagor</textarea>" in answer.text) == (422, True)
    fault = "En bilaga får inte plats: meddelandet skulle bli större än 30 MB (Stor.pdf)"
    assert f'<a href="#files">{fault}</a>' in answer.text
    kept = room.office.drafts[draft.rpartition("/")[2]]
    assert ([file.name for file in kept.files], kept.content.text) == (["Bra.pdf"], "Se bilagor")


async def test_a_file_that_goes_ahead_of_its_form_is_in_the_draft_and_the_form_says_why_one_is_not(
    room: Mailroom,
) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    came = (await anna.post(f"{draft}/save", ("Bra.pdf", PDF), version="1", text="Se bilaga")).json()
    assert came == {"said": "Sparat", "fields": {"version": "3"}, "done": True, "refused": ""}
    out = (await anna.post(f"{draft}/save", ("program.exe", b"MZ"), version="3", text="Se bilaga")).json()
    assert (out["done"], out["refused"]) == (True, "file-type program.exe")
    version, said = out["fields"]["version"], f"{out['refused']}\nno-such x\nempty Tom.pdf"
    page = await anna.post(draft, version=version, text="Se bilaga", refused=said, review="yes")
    assert page.status_code == 422
    assert '<a href="#files">En bilaga har en filtyp som inte tas emot i federationen. ' in page.text
    assert "helst PDF (program.exe). En bilaga är tom. Välj en annan fil (Tom.pdf)</a>" in page.text
    kept = room.office.drafts[draft.rpartition("/")[2]]
    assert ([file.name for file in kept.files], kept.content.text) == (["Bra.pdf"], "Se bilaga")


async def test_a_file_that_goes_ahead_of_an_older_tab_or_to_a_colleague_says_what_became_of_it(
    room: Mailroom,
) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    old = (await anna.post(f"/draft/{draft}/save", ("Bra.pdf", PDF), version="1", text="Äldre")).json()
    assert (old["over"], old["done"]) == (True, True)
    assert room.office.drafts[draft].content.text == "En text"
    await bo.post(f"/draft/{draft}/take-over")
    taken = (await anna.post(f"/draft/{draft}/save", ("Fel.pdf", PDF), version="4", text="Min rad")).json()
    assert (taken["over"], taken["done"]) == (True, False)
    answer = await anna.post(f"/draft/{draft}", ("Fel.pdf", PDF), version="4", text="Min rad", review="yes")
    assert (answer.status_code, "Bilagor behöver väljas på nytt." in answer.text) == (409, True)
    assert [file.name for file in room.office.drafts[draft].files] == ["Bra.pdf"]


async def test_a_draft_that_was_taken_over_while_a_file_is_added_keeps_both_texts(room: Mailroom) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    await bo.post(f"/draft/{draft}/take-over")
    answer = await anna.post(
        f"/draft/{draft}", ("Bra.pdf", PDF), version="2", subject="Ämne", text="Min rad", review="yes"
    )
    assert (answer.status_code, "Min rad" in answer.text, "En text" in answer.text) == (409, True, True)
    assert room.office.drafts[draft].files == ()


async def test_a_text_that_another_tab_saves_while_a_file_is_on_its_way_is_not_overwritten(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, draft = await room.visit(), await ready(room)
    close = MemoryUpload.close

    async def slow(upload: MemoryUpload) -> None:
        desk = MemoryDesk(room.office, ANNA)
        now = await desk.draft(draft)
        await desk.save_draft(draft, now.version, replace(now.content, text="Nyare"))
        await close(upload)

    monkeypatch.setattr(MemoryUpload, "close", slow)
    files = (("Bra.pdf", PDF),)
    answer = await anna.post(
        f"/draft/{draft}", *files, version="2", subject="Ämne", text="Äldre", review="yes"
    )
    assert (answer.status_code, "Äldre" in answer.text, "Nyare" in answer.text) == (409, True, True)
    assert room.office.drafts[draft].content.text == "Nyare"


async def test_an_older_tab_overwrites_nothing_and_shows_both_texts(room: Mailroom) -> None:
    anna = await room.visit()
    draft = await ready(room)
    await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Nyare", later="yes")
    older = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Äldre", review="yes")
    assert (older.status_code, "Äldre" in older.text, "Nyare" in older.text) == (409, True, True)
    assert room.office.drafts[draft].content.text == "Nyare"


async def test_an_older_tab_shows_references_person_and_mark_that_were_typed_there(room: Mailroom) -> None:
    """A person need not remember what was typed, even if the draft has since been opened or sent."""
    anna = await room.visit()
    draft = await ready(room)
    await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Nyare", later="yes")
    typed = {
        "subject": "Ämne",
        "text": "Äldre",
        "confidentiality": "no",
        "reference-kind": "dnr",
        "reference-value": "SN 2026-4711",
        "person-kind": "0.9.2342.19200300.100.1.3",
        "person-name": "Kim Ek",
        "person-value": "kim@habo.test",
    }
    open_still = await anna.post(f"/draft/{draft}", version="2", review="yes", **typed)
    sent = await anna.post(f"/draft/{draft}/send", version=str(room.office.drafts[draft].version))
    assert sent.status_code == 303
    closed = await anna.post(f"/draft/{draft}", version="2", review="yes", **typed)
    for page in (open_still, closed):
        assert page.status_code == 409
        shown = page.text.partition("Det du skrev</h2>")[2].partition("</section>")[0]
        words = ("Ämne", "Äldre", "Dnr SN 2026-4711", "Kim Ek, kim@habo.test", "Omfattas inte av sekretess")
        assert [each for each in words if each not in shown] == []


async def test_what_was_kept_as_html_is_cleaned_before_it_is_shown(room: Mailroom) -> None:
    one = message(room.office, MULLSJO, SOC, "Ämne", "x", NOW)
    kept = replace(one.documents[0], texts=("<p>Kvar</p><script>alert(1)</script>",))
    shown = conversation(room.office, "soc", replace(one, documents=(kept,)))
    anna = await room.visit()
    page = await anna.get(f"/conversation/{shown.id}")
    assert "<p>Kvar</p>" in page.text
    assert "alert(1)" not in page.text


async def test_no_number_of_a_person_is_in_a_list(room: Mailroom) -> None:
    anna = await room.visit()
    listed = await anna.get("/mailbox/soc/open")
    assert "SN 2026-00012" in listed.text
    assert "20121212-1212" not in listed.text


async def test_pages_are_packed_for_browsers_that_take_that(room: Mailroom) -> None:
    anna = await room.visit()
    page = await anna.get("/mailbox/soc/open")
    assert page.headers["content-encoding"] == "gzip"
    assert int(page.headers["content-length"]) * 2 < len(page.content)


async def test_a_recipient_is_looked_up_without_accents_chosen_and_removed(room: Mailroom) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    found = await anna.post(draft, version="1", find="mullsjo", text="Påbörjad", look="yes")
    assert f'value="{TO}"' in found.text
    assert "Påbörjad</textarea>" in found.text, "a lookup must save the typed text"
    kept = room.office.drafts[draft.rpartition("/")[2]]
    chosen = await anna.post(draft, version=str(kept.version), text="Påbörjad", add=TO)
    assert f'name="remove" value="{TO}"' in (await anna.follow(chosen)).text
    kept = room.office.drafts[kept.id]
    await anna.post(draft, version=str(kept.version), text="Påbörjad", remove=TO)
    assert room.office.drafts[kept.id].content.recipients == ()


async def test_reasons_to_look_twice_at_a_recipient_stand_out_before_sending(room: Mailroom) -> None:
    """They appear as warnings, not as small print; a frequent recipient gets none."""
    anna = await room.visit()
    draft = await ready(room)

    async def warned() -> list[str]:
        page = await anna.get(f"/draft/{draft}/review")
        return re.findall(r'<span class="band warning caution">(.*?)</span>', page.text)

    assert await warned() == []
    room.office.book = [replace(each, used=0) for each in room.office.book]
    assert await warned() == ["Första meddelandet till adressen. Kontrollera att den är rätt."]
    room.office.book = []
    assert await warned() == ["Adressen finns inte kvar i adressboken."]


async def test_an_address_that_the_book_does_not_have_is_not_added(room: Mailroom) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    await anna.post(draft, version="1", add=f"0203:okand.se {MULLSJO.address}")
    assert room.office.drafts[draft.rpartition("/")[2]].content.recipients == ()


async def test_a_new_message_is_begun_once_until_something_is_in_it(room: Mailroom) -> None:
    anna = await room.visit()
    first, second = [(await anna.post("/mailbox/soc/write")).headers["location"] for _ in range(2)]
    assert first == second
    await anna.post(f"{first}/save", version="1", text="Nu finns något")
    assert (await anna.post("/mailbox/soc/write")).headers["location"] != first


async def test_what_is_typed_is_saved_and_the_next_version_returned(room: Mailroom) -> None:
    anna = await room.visit()
    draft = (await anna.post("/mailbox/soc/write")).headers["location"]
    saved = (await anna.post(f"{draft}/save", version="1", subject="S", text="Halv")).json()
    assert saved == {"said": "Sparat", "fields": {"version": "2"}}
    old = (await anna.post(f"{draft}/save", version="1", subject="S", text="Gammal")).json()
    assert old["over"] is True
    assert room.office.drafts[draft.rpartition("/")[2]].content.text == "Halv"


async def test_a_draft_that_a_colleague_took_over_keeps_both_texts(room: Mailroom) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    theirs = await bo.get(f"/draft/{draft}")
    assert "Utkast av Anna Andersson" in (await bo.follow(theirs)).text
    await bo.post(f"/draft/{draft}/take-over")
    said = (await anna.post(f"/draft/{draft}/save", version="2", text="Min rad")).json()
    assert said == {"said": "Bo Berg skriver i utkastet nu.", "over": True}
    answer = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Min rad", review="yes")
    assert answer.status_code == 409
    assert "Min rad" in answer.text
    assert "En text" in answer.text
    assert "Inte sparat: Bo Berg har tagit över utkastet" in answer.text
    assert f'action="/draft/{draft}/take-over"' in answer.text
    assert 'name="review"' not in answer.text, "the review must not be offered, as it would be refused again"
    assert re.findall(r"<(\w+)[^>]* autofocus", answer.text) == ["div"], (
        "the notice must have the focus, instead of a field below it"
    )
    await anna.post(f"/draft/{draft}/take-over")
    assert (await anna.post(f"/draft/{draft}/save", version="4", text="Min rad")).json()["said"] == "Sparat"


def version_in(page: str) -> str:
    (version,) = set(re.findall(r'name="version" value="([0-9]+)"', page))
    return str(version)


def posted_again(page: str, **typed: str) -> dict[str, str | list[str]]:
    """Return the fields of a draft's form as a browser posts them, with these values typed into them."""
    earlier = [html.unescape(each) for each in re.findall(r'name="earlier" value="([^"]*)"', page)]
    return {"version": version_in(page), "earlier": earlier, **typed}


async def test_what_was_typed_stays_when_a_draft_is_taken_over_again(room: Mailroom) -> None:
    """The page of a draft that a colleague has taken over has fields, and their content used to vanish."""
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    await bo.post(f"/draft/{draft}/take-over")
    refused = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Första försöket")
    fields = posted_again(refused.text, subject="Ämne", text="Bos text, med min rad")
    answer = await anna.post(f"/draft/{draft}/take-over", **fields)
    assert (answer.status_code, "Utkastet är ditt nu" in answer.text) == (200, True)
    assert "Bos text, med min rad</textarea>" in answer.text, (
        "the text must be saved, as the draft has not changed meanwhile"
    )
    assert room.office.drafts[draft].content.text == "Bos text, med min rad"
    assert "Första försöket" in answer.text, "the first text must be shown, to copy from"
    assert 'name="review"' in answer.text
    version = version_in(answer.text)
    saved = await anna.post(f"/draft/{draft}/save", version=version, subject="Ämne", text="Allt")
    assert saved.json()["said"] == "Sparat"


async def test_what_was_typed_into_a_draft_that_goes_on_changing_is_shown_beside_it(room: Mailroom) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    await bo.post(f"/draft/{draft}/take-over")
    refused = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Första försöket")
    fields = posted_again(refused.text, subject="Ämne", text="Andra försöket", look="yes")
    again = await anna.post(f"/draft/{draft}", **fields)
    assert all(each in again.text for each in ("Första försöket", "Andra försöket", "En text"))
    fields = posted_again(again.text, subject="Ämne", text="Tredje försöket")
    version = version_in(again.text)
    assert (await bo.post(f"/draft/{draft}/save", version=version, text="Bo går vidare")).json()["fields"]
    answer = await anna.post(f"/draft/{draft}/take-over", **fields)
    assert answer.status_code == 409
    assert "Bo går vidare</textarea>" in answer.text
    assert all(f"{each} försöket" in answer.text for each in ("Första", "Andra", "Tredje"))
    assert room.office.drafts[draft].content.text == "Bo går vidare"
    assert headings(answer.text)[1:] == [("2", "Det du skrev")] * 3


async def test_a_draft_that_is_sent_is_not_taken_over_and_what_was_typed_stays(room: Mailroom) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    await bo.post(f"/draft/{draft}/take-over")
    refused = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Första försöket")
    fields = posted_again(refused.text, subject="Ämne", text="Andra försöket")
    room.office.drafts[draft] = replace(room.office.drafts[draft], stage=DraftStage.WINDOW)
    answer = await anna.post(f"/draft/{draft}/take-over", **fields)
    assert (answer.status_code, "Inget har ändrats" in answer.text) == (409, True)
    assert ("Första försöket" in answer.text, "Andra försöket" in answer.text) == (True, True)


async def test_files_that_were_chosen_for_a_draft_of_a_colleague_are_to_be_chosen_again(
    room: Mailroom,
) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    draft = await ready(room)
    await bo.post(f"/draft/{draft}/take-over")
    refused = await anna.post(f"/draft/{draft}", version="2", subject="Ämne", text="Första försöket")
    fields = posted_again(refused.text, subject="Ämne", text="Bos text, med min rad")
    answer = await anna.post(f"/draft/{draft}/take-over", ("Bra.pdf", PDF), **fields)
    assert (answer.status_code, "Bilagor behöver väljas på nytt." in answer.text) == (200, True)
    assert room.office.drafts[draft].content.text == "Bos text, med min rad"


async def test_an_answer_that_another_tab_changed_begins_with_what_happened(room: Mailroom) -> None:
    """The text field took the focus, so that the page began below the unsaved text."""
    anna, sip = await room.visit(), room.office.conversations[the_sip(room)]
    draft = (await anna.post(f"/message/{sip.messages[-1].id}/reply")).headers["location"]
    assert re.findall(r"<(\w+)[^>]* autofocus", (await anna.get(draft)).text) == ["textarea"]
    await anna.post(f"{draft}/save", version="1", text="Nyare")
    answer = await anna.post(draft, version="1", subject="Ämne", text="Äldre", review="yes")
    assert (answer.status_code, "Äldre" in answer.text) == (409, True)
    assert re.findall(r"<(\w+)[^>]* autofocus", answer.text) == ["div"]
    assert headings(answer.text) == [("1", "Svara"), ("2", "Det du skrev")]
    assert 'name="review"' in answer.text


async def test_an_answer_stops_when_the_conversation_has_something_new(room: Mailroom) -> None:
    anna = await room.visit()
    one = room.office.conversations[the_sip(room)]
    desk = MemoryDesk(room.office, ANNA)
    draft = await desk.reply(one.messages[-1].id)
    version = await desk.save_draft(draft.id, 1, replace(draft.content, text="Ja tack"))
    news = message(room.office, MULLSJO, SOC, "Ny tid", "Mötet är flyttat till den 4 december.", NOW)
    room.office.add(one.id, news)
    stopped = await anna.post(f"/draft/{draft.id}/send", version=str(version))
    assert (stopped.status_code, "flyttat till den 4 december" in stopped.text) == (409, True)
    assert f'action="/draft/{draft.id}/send"' not in stopped.text, (
        "sending must not be offered, as it would be stopped again"
    )
    assert headings(stopped.text)[:2] == [
        ("1", "Granska innan du skickar"),
        ("2", "Mullsjö kommun, Elevhälsan"),
    ]
    shown = re.search(r'name="messages" value="(\d+)"', stopped.text)
    assert shown is not None
    more = message(room.office, MULLSJO, SOC, "Ännu en tid", "Mötet är inställt.", NOW)
    room.office.add(one.id, more)
    await anna.post(f"/draft/{draft.id}/news-read", version=str(version), messages=shown[1])
    again = await anna.post(f"/draft/{draft.id}/send", version=str(version))
    assert (again.status_code, "inställt" in again.text) == (409, True), (
        "only messages that were shown count as read"
    )
    shown = re.search(r'name="messages" value="(\d+)"', again.text)
    assert shown is not None
    read = await anna.post(f"/draft/{draft.id}/news-read", version=str(version), messages=shown[1])
    assert f'action="/draft/{draft.id}/send"' in (await anna.follow(read)).text
    assert (await anna.post(f"/draft/{draft.id}/send", version=str(version))).status_code == 303


async def test_a_line_of_a_list_says_once_who_has_drafts_in_it(room: Mailroom) -> None:
    anna, message = await room.visit(), room.office.conversations[the_sip(room)].messages[-1].id
    for person in (ANNA, BO, ANNA, BO):
        await MemoryDesk(room.office, person).reply(message)
    page = (await anna.get("/mailbox/soc/open")).text
    assert (page.count("ditt utkast"), page.count("Bo Berg skriver svar")) == (1, 1)


async def test_a_second_person_approves_before_it_is_sent(room: Mailroom) -> None:
    room.office.approval.add("soc")
    anna, eva = await room.visit(), await room.visit(EVA)
    draft = await ready(room)
    assert "/send" not in (await anna.get(f"/draft/{draft}/review")).text
    await anna.post(f"/draft/{draft}/ask", version="2")
    assert "/approve" not in (await anna.get(f"/draft/{draft}/review")).text, (
        "a person must not approve their own draft"
    )
    assert (await anna.post(f"/draft/{draft}/approve", version="3")).status_code == 409
    assert "/approve" in (await eva.get(f"/draft/{draft}/review")).text
    await eva.post(f"/draft/{draft}/approve", version="3")
    page = await anna.get(f"/draft/{draft}/review")
    assert "Eva Ek har godkänt" in page.text
    assert (await anna.post(f"/draft/{draft}/send", version="4")).status_code == 303


async def test_who_asked_a_second_person_takes_that_back_and_goes_on_writing(room: Mailroom) -> None:
    room.office.approval.add("soc")
    anna, eva = await room.visit(), await room.visit(EVA)
    draft = await ready(room)
    button = f'action="/draft/{draft}/withdraw"'
    assert button not in (await anna.get(f"/draft/{draft}/review")).text
    asked = await anna.follow(await anna.post(f"/draft/{draft}/ask", version="2"))
    assert (button in asked.text, "Ta tillbaka och ändra" in asked.text) == (True, True)
    assert button not in (await eva.get(f"/draft/{draft}/review")).text
    assert (await eva.post(f"/draft/{draft}/withdraw", version="3")).status_code == 409
    form = await anna.follow(await anna.post(f"/draft/{draft}/withdraw", version="3"))
    assert 'name="subject"' in form.text
    assert (await eva.post(f"/draft/{draft}/approve", version="3")).status_code == 409
    await anna.post(f"/draft/{draft}/ask", version="4")
    await eva.post(f"/draft/{draft}/approve", version="5")
    assert (await anna.post(f"/draft/{draft}/withdraw", version="5")).status_code == 409
    assert "Eva Ek har godkänt" in (await anna.get(f"/draft/{draft}/review")).text


async def test_what_is_looked_for_has_an_end_and_is_all_there_when_it_is_refused(room: Mailroom) -> None:
    anna, words = await room.visit(), "ord " * 200 + "sist"
    answer = await anna.post("/search", words=words)
    assert (answer.status_code, "Skriv högst 500 tecken" in answer.text) == (422, True)
    assert words in answer.text
    answer = await anna.post("/select", organisation=words)
    assert (answer.status_code, "Skriv högst 500 tecken" in answer.text) == (422, True)
    assert words in answer.text
    assert room.office.searches == {}
    assert room.office.selections == {}
    assert (await anna.post("/search", words="ord " * 64)).status_code == 303


async def test_a_note_and_the_reason_of_a_colleague_keep_their_lines(room: Mailroom) -> None:
    room.office.approval.add("soc")
    anna, eva, sip = await room.visit(), await room.visit(EVA), the_sip(room)
    lines = "Ringt pappan:\n- kommer torsdag\n- vill ha tolk"
    page = await anna.follow(await anna.post(f"/conversation/{sip}/note", note=lines))
    assert f'<span class="plain">{lines}</span>' in page.text
    draft = await ready(room)
    await anna.post(f"/draft/{draft}/ask", version="2")
    await eva.post(f"/draft/{draft}/decline", version="3", reason=lines)
    assert f'<span class="plain">{lines}</span>' in (await anna.get(f"/draft/{draft}")).text


async def test_a_note_has_an_end_and_is_all_there_when_it_is_refused(room: Mailroom) -> None:
    anna, sip = await room.visit(), the_sip(room)
    note, before = "x" * 20_001, room.office.conversations[sip].notes
    answer = await anna.post(f"/conversation/{sip}/note", note=note)
    assert (answer.status_code, "högst 20 000 tecken" in answer.text) == (422, True)
    assert note in answer.text
    assert room.office.conversations[sip].notes == before
    assert (await anna.post(f"/conversation/{sip}/note", note=note[1:])).status_code == 303


async def test_of_files_that_were_refused_before_no_more_are_told_than_a_form_may_have(
    room: Mailroom,
) -> None:
    anna, draft = await room.visit(), await ready(room)
    refused = "\n".join(f"file-type fil-{number}-" for number in range(5000))
    answer = await anna.post(f"/draft/{draft}", version="2", subject="Hej", refused=refused)
    assert answer.status_code == 422
    assert ("fil-99-" in answer.text, "fil-100-" in answer.text) == (True, False)


async def test_a_draft_is_deleted_only_after_a_question(room: Mailroom) -> None:
    anna = await room.visit()
    draft = await ready(room)
    asked = await anna.post(f"/draft/{draft}/discard")
    assert "Ta bort utkastet?" in asked.text
    assert draft in room.office.drafts
    await anna.post(f"/draft/{draft}/discard", sure="yes", version="2")
    assert draft not in room.office.drafts


async def test_a_conversation_is_taken_handed_over_and_done(room: Mailroom) -> None:
    anna = await room.visit()
    sip = the_sip(room)
    await anna.post(f"/conversation/{sip}/take", version="1")
    assert room.office.conversations[sip].handler == ANNA
    await anna.post(f"/conversation/{sip}/hand-over", version="2", to=BO.id)
    assert room.office.conversations[sip].handler == BO
    await anna.post(f"/conversation/{sip}/done", version="3")
    assert "Klart." in (await anna.get(f"/conversation/{sip}")).text


async def test_a_step_on_a_conversation_that_a_colleague_changed_does_nothing_and_says_so(
    room: Mailroom,
) -> None:
    anna = await room.visit()
    sip = the_sip(room)
    await MemoryDesk(room.office, BO).take(sip, 1)
    answer = await anna.post(f"/conversation/{sip}/take?in=unread", version="1")
    assert (answer.status_code, "En kollega ändrade samtalet" in answer.text) == (409, True)
    assert room.office.conversations[sip].handler == BO


async def test_a_note_is_kept_with_the_conversation_and_an_empty_one_is_not(room: Mailroom) -> None:
    anna = await room.visit()
    sip = the_sip(room)
    assert (await anna.post(f"/conversation/{sip}/note", note=" ")).status_code == 422
    answer = await anna.post(f"/conversation/{sip}/note", note="Ring igen <b>på fredag</b>")
    page = await anna.get(answer.headers["location"])
    assert "Ring igen &lt;b&gt;på fredag&lt;/b&gt;" in page.text


async def test_a_step_that_is_proved_by_a_later_one_is_not_said_to_be_missing(room: Mailroom) -> None:
    """A message service need not report each step: its time is unknown, but it is done."""
    office = room.office
    sent = message(
        office, SOC, MULLSJO, "Svar", "Hej", NOW, author=ANNA, status=MessageStatus.WAITING_FOR_RECEIPT
    )
    conversation(office, "soc", sent)
    anna = await room.visit()
    steps = (await anna.get(f"/message/{sent.id}/way")).text.partition('class="way"')[2].partition("</ol>")[0]
    done, waiting = "klart, tiden är inte känd", "inte än"
    said = [[text for text in (done, waiting) if text in step] for step in steps.split("<li ")[1:]]
    assert said == [[], [done], [done], [], [waiting]]


async def test_who_has_read_is_shown_to_all_in_the_mailbox(room: Mailroom) -> None:
    anna, bo = await room.visit(), await room.visit(BO)
    sip = the_sip(room)
    await bo.get(f"/conversation/{sip}")
    message = room.office.conversations[sip].messages[-1].id
    assert "Bo Berg" in (await anna.get(f"/message/{message}/readers")).text


async def test_what_is_looked_for_is_in_no_address(room: Mailroom) -> None:
    anna = await room.visit()
    answer = await anna.post("/search", words="orosanmälan")
    assert "oros" not in answer.headers["location"]
    page = await anna.follow(answer)
    assert "Kopia av orosanmälan" in page.text
    assert "Kallelse till SIP" not in page.text
    assert (await anna.post("/search", words=" ")).status_code == 422


async def test_the_address_book_is_searched_and_a_favourite_kept(room: Mailroom) -> None:
    """architecture-sad 5.3.6.2 step 1, 5.4 step 1"""
    anna = await room.visit()
    found = await anna.post("/addresses", words="jonkopings")
    assert "Barnhälsan" in found.text
    assert "Elevhälsan" not in found.text
    key = re.search(r'name="key" value="([^"]+)"', found.text)
    assert key is not None
    await anna.post("/addresses/favourite", key=key[1], favourite="yes")
    assert room.office.book[1].favourite


async def test_every_address_answers_alike_for_what_is_not_here(room: Mailroom) -> None:
    """Pages for nonexistent addresses and for those in other people's mailboxes differ only in the token."""
    room.office.rights[EVA.id, "elev"] = ALL
    hidden = conversation(room.office, "elev", message(room.office, MULLSJO, SOC, "Dold", "Dold text", NOW))
    draft = await MemoryDesk(room.office, EVA).new_draft("elev")
    file = room.office.file("dold.pdf", "application/pdf", PDF)
    theirs = {
        "mailbox": "elev",
        "folder": Folder.OPEN.value,
        "conversation": hidden.id,
        "message": hidden.messages[0].id,
        "file": file.id,
        "draft": draft.id,
        "token": "token999",
        "view": "view999",
        "list": "list999",
    }
    nowhere = {**dict.fromkeys(theirs, "nothing"), "folder": Folder.OPEN.value}
    anna = await room.visit()
    tried = 0
    for route in room.routes():
        if "{" not in route.path:
            continue
        answers = []
        for ids in (theirs, nowhere):
            path = route.path.format(**ids)
            post = "POST" in (route.methods or ())
            fields = {"version": "1", "note": "x", "sure": "yes", "to": BO.id, "mailbox": "soc"}
            fields |= {"number": "x", "parts": "files"}
            answer = await (anna.post(path, **fields) if post else anna.get(path))
            answers.append((answer.status_code, re.sub(r'"[\w=-]{60,}"|back=[^"]+', "", answer.text)))
            tried += 1
        if route.path == "/draft/{draft}/save":  # Its script would go on saving after any other status.
            assert answers[0][0] == 200
            assert '"over":true' in answers[0][1]
        else:
            assert answers[0][0] == 404, route.path
        assert answers[0] == answers[1], route.path
    assert tried >= 60
    assert room.office.drafts[draft.id].version == 1
    assert room.scene.failures == []


async def test_without_a_session_nothing_is_shown_and_what_was_typed_is_kept(room: Mailroom) -> None:
    anna = await room.visit()
    draft = await ready(room)
    room.scene.store.sessions.clear()
    assert (await anna.get("/mailbox/soc")).status_code == 401
    answer = await anna.post(f"/draft/{draft}", version="2", text="Skrivet under tiden")
    assert (answer.status_code, "Skrivet under tiden" in answer.text) == (403, True)


async def test_every_page_says_in_words_that_the_message_service_is_away(room: Mailroom) -> None:
    anna = await room.visit()
    room.office.away_since = NOW - timedelta(hours=1)
    for path in ("/", f"/conversation/{the_sip(room)}", "/drafts"):
        page = (await anna.get(path)).text
        assert "Meddelandetjänsten går inte att nå sedan 09:52" in page
    room.office.away_since = None
    assert "går inte att nå" not in (await anna.get("/")).text


async def test_a_person_on_our_own_side_is_typed_checked_and_sent(room: Mailroom) -> None:
    anna = await room.visit()
    draft = await ready(room)
    place = f"/draft/{draft}"
    fields = {"subject": "Hej", "text": "Hej", "person-kind": "0.9.2342.19200300.100.1.3", "review": "yes"}
    half = await anna.post(place, version="2", person_name="Anna Andersson", person_value="", **fields)
    assert (half.status_code, "eller ingetdera" in half.text) == (422, True)
    address = "anna@habo.test"
    answer = await anna.post(place, version="3", person_name="Anna Andersson", person_value=address, **fields)
    assert f"Anna Andersson, {address}" in (await anna.follow(answer)).text
    (person,) = room.office.drafts[draft].content.persons
    assert (person.root, person.extension, person.label) == (fields["person-kind"], address, "Anna Andersson")
    await anna.post(f"{place}/save", version="4", subject="Hej", text="Hej igen")
    assert room.office.drafts[draft].content.persons == (person,), "another form must not change the persons"
