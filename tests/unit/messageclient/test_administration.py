"""Pages of administration over a vault: mailboxes, settings, texts, figures, the log, and refusals."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient import logreading
from samdrift.messageclient.administering.log import EVENTS
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.notices.manning import ZONE
from samdrift.rights import Right
from samdrift.vault.mail import ConversationFilter
from samdrift.web.tables import csv_lines
from tests.unit.audit.declared import declared
from tests.unit.messageclient.desks import ADDRESS, OTHER_ADDRESS
from tests.unit.messageclient.wholerole import (
    ENVIRONMENT,
    FREE_ADDRESS,
    SOC,
    Whole,
    deleting_service,
    hrefs,
    whole_role,
)
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
SETTINGS = {"needs_approval": "yes", "undo_seconds": "25", "asks_why": "yes"}
READS = (Right.READ, Right.WRITE)


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        yield opened


def today(days: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def test_an_administrator_makes_changes_and_ends_a_mailbox_and_each_is_in_the_log(whole: Whole) -> None:
    eva = await whole.visit("eva")
    assert (await eva.get("/administration")).headers["location"] == "/administration/mailboxes"
    listed = await eva.get("/administration/mailboxes")
    assert all(each in listed.text for each in ("Socialtjänst", "Miljö", "Skapa en brevlåda"))
    wrong = await eva.post("/administration/mailboxes/new", address="elsewhere:0203:x.se", name="Skola")
    assert (wrong.status_code, "Skola" in wrong.text) == (422, True)
    made = await eva.post("/administration/mailboxes/new", address=FREE_ADDRESS, name="Skola")
    place = made.headers["location"]
    page = await eva.follow(made)
    assert "Skola" in page.text
    unfit = await eva.post(place, name="", address=FREE_ADDRESS, **SETTINGS | {"undo_seconds": "61"})
    assert unfit.status_code == 422
    taken = await eva.post(place, name="Skola", address=OTHER_ADDRESS, **SETTINGS)
    assert taken.status_code == 422
    kept = await eva.follow(await eva.post(place, name="Elevhälsa", address=FREE_ADDRESS, **SETTINGS))
    assert "Sparat." in kept.text
    mailbox = (await whole.mailboxes())[place.rpartition("/")[2]]
    assert (mailbox.name, mailbox.needs_approval, mailbox.undo_seconds) == ("Elevhälsa", True, 25)
    assert mailbox.asks_why
    assert "Avsluta brevlådan?" in (await eva.get(f"{place}/end")).text
    await eva.post(f"{place}/end")
    assert (await whole.mailboxes())[mailbox.id].retired
    acts = [one.ids["action"] for one in await whole.log() if one.event == MKEvent.MK_MAILBOX_CHANGED]
    assert acts == ["made", "renamed", "retired"]


async def test_a_manager_changes_the_own_mailbox_and_neither_its_name_nor_another(whole: Whole) -> None:
    await whole.give("bo", SOC, Right.MANAGE)
    bo = await whole.visit("bo")
    place = f"/administration/mailbox/{SOC}"
    listed = await bo.get("/administration/mailboxes")
    assert ("Socialtjänst" in listed.text, "Miljö" in listed.text) == (True, False)
    assert "Skapa en brevlåda" not in listed.text
    assert (await bo.post(place, name="Annat", address=FREE_ADDRESS, **SETTINGS)).status_code == 303
    changed = (await whole.mailboxes())[SOC]
    assert (changed.name, changed.undo_seconds) == ("Socialtjänst", 25)
    for path in (
        "/administration/mailboxes/new",
        "/administration/service",
        "/administration/log",
        f"{place}/end",
        f"/administration/mailbox/{ENVIRONMENT}",
        f"/administration/mailbox/{ENVIRONMENT}/texts",
    ):
        assert (await bo.get(path)).status_code == 404, path
    for path in ("/administration/mailboxes/new", "/administration/service", f"{place}/end"):
        assert (await bo.post(path, address=FREE_ADDRESS, name="x")).status_code == 404, path
    assert len(await whole.mailboxes()) == 2
    denied = [one for one in await whole.log() if one.event == MKEvent.MK_ACCESS_DENIED]
    assert len(denied) == 9


async def test_a_person_who_manages_nothing_sees_no_page_of_administration(whole: Whole) -> None:
    await whole.give("anna", SOC, *READS)
    anna = await whole.visit("anna")
    assert "/administration" not in (await anna.get("/mailbox/box/open")).text
    for path in (
        "",
        "/mailboxes",
        f"/mailbox/{SOC}",
        f"/mailbox/{SOC}/texts",
        "/statistics",
        "/service",
        "/log",
    ):
        assert (await anna.get(f"/administration{path}")).status_code == 404, path


async def test_an_ended_mailbox_takes_in_what_comes_and_nothing_new_is_written_in_it(whole: Whole) -> None:
    await whole.give("anna", SOC, *READS)
    eva, anna = await whole.visit("eva"), await whole.visit("anna")
    content = {"organisation": "0203:x.se", "address": ADDRESSEE, "organisation_name": "", "address_name": ""}
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        vault.use_address(f"0203:x.se {ADDRESSEE}", content, now=whole.clock())
    draft = (await anna.post(f"/mailbox/{SOC}/write")).headers["location"]
    await eva.post(f"/administration/mailbox/{SOC}/end")
    await whole.receives(label="Kom efteråt")
    listed = await anna.get(f"/mailbox/{SOC}/open")
    assert "Kom efteråt" in listed.text
    assert "/write" not in listed.text
    await anna.post(
        draft, version="1", subject="Hej", text="Hej", confidentiality="yes", add=f"0203:x.se {ADDRESSEE}"
    )
    refused = await anna.post(f"{draft}/send", version="2")
    assert (refused.status_code, "avslutad" in refused.text) == (422, True)
    assert "0203:x.se" in refused.text, "the recipient must be kept; only the ended mailbox is at fault"
    assert MKEvent.MK_MESSAGE_SUBMITTED not in {one.event for one in await whole.log()}
    assert (await anna.post(f"/mailbox/{SOC}/write")).status_code == 404


ADDRESSEE = "inkorg:0203:x.se"


async def test_a_text_template_is_written_by_a_manager_and_used_by_who_writes(whole: Whole) -> None:
    await whole.give("bo", SOC, Right.MANAGE)
    await whole.give("anna", SOC, *READS)
    await whole.give("anna", ENVIRONMENT, *READS)
    bo, anna = await whole.visit("bo"), await whole.visit("anna")
    texts = f"/administration/mailbox/{SOC}/texts"
    assert (await bo.post(f"{texts}/new", title="", text="")).status_code == 422
    listed = await bo.follow(await bo.post(f"{texts}/new", title="Begäran", text="Vi begär handlingar."))
    (href,) = hrefs(listed, f'{texts}/(?!new)[^"]+')
    await bo.post(href, title="Begäran om handlingar", text="Vi begär handlingar enligt nedan.")
    draft = (await anna.post(f"/mailbox/{SOC}/write")).headers["location"]
    form = await anna.get(draft)
    assert "Begäran om handlingar" in form.text
    answer = await anna.post(
        draft, version="1", subject="", text="Hej.", template=href.rpartition("/")[2], insert="yes"
    )
    page = await anna.follow(answer)
    assert "Hej.\n\nVi begär handlingar enligt nedan.</textarea>" in page.text
    elsewhere = (await anna.post(f"/mailbox/{ENVIRONMENT}/write")).headers["location"]
    assert "Begäran" not in (await anna.get(elsewhere)).text, (
        "a template must not be offered in another mailbox"
    )
    question = await bo.post(f"{href}/delete")
    assert ("Ta bort mallen?" in question.text, "Begäran" in (await anna.get(draft)).text) == (True, True)
    await bo.post(f"{href}/delete", sure="yes")
    assert "Begäran" not in (await anna.get(draft)).text
    assert (await bo.post(f"{href}/delete")).status_code == 404
    acts = [one.ids["action"] for one in await whole.log() if one.event == MKEvent.MK_PRESET_CHANGED]
    assert acts == ["kept", "kept", "removed"]


async def test_a_rule_gives_a_conversation_that_begins_its_handler_while_they_write_there(
    whole: Whole,
) -> None:
    await whole.give("bo", SOC, Right.MANAGE)
    for name in ("anna", "cilla"):
        await whole.give(name, SOC, *READS)
    bo = await whole.visit("bo")
    place = f"/administration/mailbox/{SOC}/rules"
    anna, cilla = await whole.person("anna"), await whole.person("cilla")
    assert (await bo.post(place, organisation="", subject="", handler=anna)).status_code == 422
    assert (await bo.post(place, organisation="mullsjo", handler=await whole.person("bo"))).status_code == 422
    for handler, fields in ((anna, {"subject": "orosanmalan"}), (cilla, {"organisation": "mullsjo"})):
        assert (await bo.post(place, handler=handler, **fields)).status_code == 303
    elsewhere = f"/administration/mailbox/{ENVIRONMENT}/rules"
    assert (await bo.post(elsewhere, organisation="x", handler=anna)).status_code == 404
    await whole.receives(label="Orosanmälan 7", conversation="c-1")
    await whole.receives(label="Fråga", conversation="c-2")
    await whole.receives(label="Övrigt", sender="0203:annan.se", from_="a:0203:annan.se")
    assert await handlers(whole) == {"Orosanmälan 7": anna, "Fråga": cilla, "Övrigt": None}
    eva = await whole.visit("eva")
    listed = await eva.get(f"/rights/{SOC}")
    (number, *_) = [
        href for href in hrefs(listed, f'/rights/{SOC}/end/[^"]+') if "Anna" in (await eva.get(href)).text
    ]
    await eva.post(number, why="Slutar")
    whole.clock.forward()
    await whole.receives(label="Orosanmälan 8", conversation="c-3")
    await whole.receives(label="Mer", conversation="c-1")
    found = await handlers(whole)
    assert found["Orosanmälan 8"] == cilla, "the next rule that matches must apply"
    assert found["Mer"] == anna, "an existing conversation must keep its handler, whom a person can change"
    acts = [one.ids for one in await whole.log() if one.ids.get("action") == "by-rule"]
    assert [each["handler"] for each in acts] == [anna, cilla, cilla]
    first, second = hrefs(await bo.get(place), f'{place}/[^/"]+/delete')
    assert "Ta bort regeln?" in (await bo.post(first)).text
    assert hrefs(await bo.get(place), f'{place}/[^/"]+/delete') == [first, second]
    await bo.post(first, sure="yes")
    assert hrefs(await bo.get(place), f'{place}/[^/"]+/delete') == [second]


async def handlers(whole: Whole) -> dict[str, str | None]:
    """Return the handler of each conversation, by the subject of its latest message."""
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        found = await vault.conversations([SOC], ConversationFilter(), limit=100)
        latest = await vault.latest_mail([one.id for one in found])
    subjects = {one.conversation: one.content["subject"] for one in latest}
    return {subjects[one.id]: one.handler for one in found}


async def test_statistics_count_by_mailbox_and_week_and_say_nothing_of_content(whole: Whole) -> None:
    await whole.give("anna", SOC, *READS)
    await whole.receives(label="Orosanmälan")
    eva, anna = await whole.visit("eva"), await whole.visit("anna")
    (href,) = hrefs(await anna.get(f"/mailbox/{SOC}/open"), '/conversation/[^"]+')
    whole.clock.forward(600)
    await anna.get(href.replace("&amp;", "&"))
    page = await eva.get("/administration/statistics")
    assert "Orosanmälan" not in page.text
    week = whole.clock().astimezone(ZONE).isocalendar().week
    assert re.findall(r"<h2>Vecka (\d+)", page.text) == [str(week)], (
        "weeks must begin on Monday, as in Sweden"
    )
    row = page.text[page.text.index("Socialtjänst") :]
    assert '<td data-label="Kom in">1</td>' in row
    assert '<td data-label="Öppnades första gången efter">10 min</td>' in row


async def test_the_security_officer_reads_the_log_by_person_and_by_period(whole: Whole) -> None:
    await whole.appoint("siv", Right.SECURITY_OFFICER)
    await whole.give("anna", SOC, *READS)
    await whole.receives(label="Orosanmälan")
    anna, siv = await whole.visit("anna"), await whole.visit("siv")
    (href,) = hrefs(await anna.get(f"/mailbox/{SOC}/open"), '/conversation/[^"]+')
    await anna.get(href.replace("&amp;", "&"))
    await anna.get("/conversation/elsewhere")
    await anna.post("/lists", name="Skolor")
    assert (
        "Orosanmälan"
        not in (
            await siv.get(
                "/",
            )
        ).text
    )
    assert (await siv.get("/administration")).headers["location"] == "/administration/log"
    period = {"since": today(-1), "until": today(1)}
    page = await siv.post("/administration/log", person=await whole.person("anna"), **period)
    for text in ("Läste ett samtal", "Såg en lista", "Bad om något som personen inte får se", "Loggade in"):
        assert f'<td data-label="Vad">{text}' in page.text, text
    assert "åtgärd sparade, slag lista" in page.text, "the program's codes must be shown in words"
    assert "slag samtal" in page.text
    assert "Beslutade om en behörighet</td>" not in page.text, "acts of other persons must not be listed"
    failed = await siv.post("/administration/log", person="", failed="yes", **period)
    assert failed.text.count('<tr><th scope="row">') == 1
    before = await siv.post("/administration/log", since=today(-30), until=today(-10), person="")
    assert "Loggen har inget sådant." in before.text
    assert (await siv.post("/administration/log", since="x", until=today())).status_code == 422
    assert "Ett meddelande kom in" not in (await siv.post("/administration/log", person="", **period)).text
    everything = await siv.post("/administration/log", person="service", **period)
    assert "Ett meddelande kom in" in everything.text
    assert "brevlåda Socialtjänst" in everything.text
    table = await siv.post("/administration/log/table", person="", **period)
    assert table.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(table.text.removeprefix("\ufeff"))))
    assert rows[0] == ["number", "time", "person", "id", "event", "purpose", "facts"]
    events = [row[4] for row in rows[1:]]
    assert {"mk:reading:conversation", "mk:access:denied", "mk:rights:stated"} <= set(events)
    (decision, *_) = [row for row in rows if row[4] == "mk:rights:stated"]
    assert decision[2] == "Eva"
    assert "Orosanmälan" not in table.text
    assert [one.event for one in await whole.log()].count(MKEvent.MK_READING_LOG) >= 7


async def test_a_long_log_is_read_for_a_time_and_then_from_where_that_ended(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on finds all of it, however little one page may look through."""
    await whole.appoint("siv", Right.SECURITY_OFFICER)
    anna, siv = await whole.visit("anna"), await whole.visit("siv")
    await whole.give("anna", SOC, *READS)
    await anna.get("/conversation/elsewhere")
    for _ in range(15):
        await anna.get("/lists")
    period = {"since": today(-1), "until": today(1), "person": "", "failed": "yes"}
    row = '<tr><th scope="row">'
    all_at_once = (await siv.post("/administration/log", **period)).text
    monkeypatch.setattr(logreading, "SECONDS", 0.0)
    monkeypatch.setattr(logreading, "_BATCH", 15)
    pages, after = list[str](), "0"
    while after and len(pages) < 100:
        pages.append((await siv.post("/administration/log", after=after, **period)).text)
        (after,) = re.findall(r'name="after" value="(\d+)"', pages[-1]) or [""]
    assert [page.count(row) for page in pages if row in page] == [all_at_once.count(row)] == [1]
    assert sum("Inget än så länge." in page for page in pages) == len(pages) - 2
    assert "Loggen har inget sådant." in pages[-1]
    assert 2 < len(pages) < 100


async def test_a_reader_of_the_log_who_is_no_security_officer_gets_nothing(whole: Whole) -> None:
    eva = await whole.visit("eva")
    period = {"since": today(-1), "until": today(1)}
    for path in ("/administration/log", "/administration/log/table"):
        assert (await eva.post(path, person="", **period)).status_code == 404
    assert [one.event for one in await whole.log()].count(MKEvent.MK_ACCESS_DENIED) == 2


def test_no_cell_of_a_table_is_a_formula() -> None:
    hostile = ("=1+1", "+1", "-1", "@x", "\t=1", "plain", 'a"b')
    (row,) = csv.reader(io.StringIO(csv_lines([hostile]).decode()))
    assert row == ["'=1+1", "'+1", "'-1", "'@x", "'\t=1", "plain", 'a"b']


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " =1",
        "a,=1",
        "Anna;=HYPERLINK(1)",
        'a"; =1',
        "a|\t@b",
        "a\n=1",
        "a\r\n+1",
        "＝1",
        ";-1",
        "'=1",
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_no_cell_is_a_formula_where_a_spreadsheet_parts_lines_elsewhere(text: str, delimiter: str) -> None:
    """Swedish Excel splits at semicolons, so a person's name or a reason became a formula for the officer."""
    table = csv_lines([["before", text, "after"]]).decode()
    for row in csv.reader(io.StringIO(table, newline=""), delimiter=delimiter):
        assert not any(cell.strip(' \t"').startswith(tuple("=+-@＝")) for cell in row), row
    (whole,) = csv.reader(io.StringIO(table, newline=""))
    assert whole[1].replace("'", "") == text.replace("'", "")


async def test_the_accessibility_statement_is_read_by_everyone_and_says_how_to_report(whole: Whole) -> None:
    anna = await whole.visit("anna")
    anna._browser.cookies.clear()
    page = await anna.get("/accessibility")
    assert page.status_code == 200
    for text in ("2018:1937", "Rapportera en brist", "036-442 80 00", "www.digg.se/tdosanmalan"):
        assert text in page.text


def test_every_event_of_the_message_client_has_words_in_the_log() -> None:
    events = {event for event in declared() if event.value.startswith("mk:")}
    assert events - set(EVENTS) == set(), "add words for these events to administering/log.py"


async def test_an_administrator_confirms_in_writing_that_nobody_else_reads_an_address(
    installation: Installation,
) -> None:
    async with whole_role(installation, deleting_service()) as whole:
        eva, bo = await whole.visit("eva"), await whole.visit("bo")
        await whole.give("bo", SOC, Right.MANAGE)
        place = f"/administration/service/confirm/{SOC}"
        page = (await eva.get("/administration/service")).text
        assert "raderas där efter 90 dagar" in page
        assert "inte kontrollerat någon säkerhetskopia" in page
        assert page.count("Inte bekräftat: inget raderas") == 2
        for path in (place, f"{place}/take-back"):
            assert (await bo.post(path, text="Ja")).status_code == 404, "a manager is not an administrator"
        assert (await bo.get(place)).status_code == 404
        assert (await eva.post(place.replace(SOC, "nowhere"), text="Ja")).status_code == 404
        for wrong in (" ", "x" * 1001):
            refused = await eva.post(place, text=wrong)
            assert (refused.status_code, "Skriv hur du vet det" in refused.text) == (422, True)
        said = "Leverantören har intygat det 2026-03-02 <b>."
        confirmed = await eva.follow(await eva.post(place, text=said))
        assert "Bekräftat av Eva" in confirmed.text
        assert "intygat det 2026-03-02 &lt;b&gt;." in confirmed.text
        assert confirmed.text.count("Inte bekräftat: inget raderas") == 1
        async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
            vault.note_backup(whole.clock(), {"by": "kim", "reason": "test"}, now=whole.clock())
            (kept,) = (await vault.sole_readers()).values()
        assert (kept.mailbox, kept.content["text"]) == (SOC, said)
        withdrawn = await eva.follow(await eva.post(f"{place}/take-back"))
        assert "Bekräftat av" not in withdrawn.text
        assert "säkerhetskopian visar läget" in withdrawn.text
        entries = [one for one in await whole.log() if one.event == MKEvent.MK_ADDRESS_CONFIRMED]
        assert [one.ids["action"] for one in entries] == ["confirmed", "taken-back"]
        assert "intygat" not in str(entries)


async def test_at_our_own_service_it_is_known_who_reads_and_nothing_is_confirmed(
    installation: Installation,
) -> None:
    async with whole_role(
        installation, deleting_service(others=lambda address: ("journal",) if address == ADDRESS else ())
    ) as whole:
        eva = await whole.visit("eva")
        page = (await eva.get("/administration/service")).text
        assert "En annan klient läser den också: inget raderas" in page
        assert "Ingen annan klient läser den" in page
        assert "/confirm/" not in page
        assert (await eva.post(f"/administration/service/confirm/{SOC}", text="Ja")).status_code == 404
