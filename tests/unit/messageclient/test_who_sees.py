"""Every route that shows something leaves an entry, reasons are required, and readers are listed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest_asyncio
from starlette.routing import Route

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.messageclient.events import MKEvent
from samdrift.rights import Right
from samdrift.vault.events import VaultEvent
from tests.unit.messageclient.wholerole import (
    ENVIRONMENT,
    FREE_ADDRESS,
    SOC,
    Visitor,
    Whole,
    deleting_service,
    hrefs,
    whole_role,
)
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
READS = (Right.READ, Right.WRITE, Right.APPROVE)
ALL = (*READS, Right.MANAGE)
Ids = Mapping[str, str]


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation, deleting_service()) as opened:
        yield opened


def day(days: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


# --- every route leaves its entry -------------------------------------------------------------------------


@dataclass(frozen=True)
class Sight:
    """A request to a route, and the entries that it must leave in the log for the person who asked."""

    path: str
    events: frozenset[str]
    method: str = "GET"
    by: str = "anna"
    form: Mapping[str, str] = field(default_factory=dict)


def sees(path: str, *events: AuditEvent, by: str = "anna") -> Sight:
    return Sight(path, frozenset(events), by=by)


def does(path: str, *events: AuditEvent, by: str = "anna", **form: str) -> Sight:
    return Sight(path, frozenset(events), "POST", by, form)


LIST, OPENED = MKEvent.MK_READING_LIST, VaultEvent.VAULT_OPENING_GRANTED
CHANGED, DRAFT = MKEvent.MK_CONVERSATION_CHANGED, MKEvent.MK_DRAFT_CHANGED
READ_DRAFT, MAILBOX = MKEvent.MK_READING_DRAFT, MKEvent.MK_MAILBOX_CHANGED
PRESET, STATED = MKEvent.MK_PRESET_CHANGED, MKEvent.MK_RIGHTS_STATED
CONVERSATION = MKEvent.MK_READING_CONVERSATION
WALK: tuple[Sight, ...] = (
    sees("/", LIST),
    sees("/mailbox/{mailbox}", LIST),
    sees("/mailbox/{mailbox}/{folder}", LIST),
    sees("/mine", LIST),
    sees("/sent", LIST),
    sees("/outbox", LIST),
    sees("/drafts", LIST),
    sees("/conversation/{conversation}", CONVERSATION, LIST),
    does("/conversation/{conversation}/why", MKEvent.MK_READING_REASON, reason="case"),
    sees("/conversation/{conversation}/print", MKEvent.MK_READING_PRINTED),
    sees("/message/{message}/file/{file}", MKEvent.MK_READING_FILE),
    sees("/message/{unreadable}/raw", MKEvent.MK_READING_RAW),
    sees("/message/{message}/readers", MKEvent.MK_READING_READERS),
    sees("/message/{message}/way", MKEvent.MK_READING_WAY),
    sees("/conversation/{conversation}/package", CONVERSATION),
    does(
        "/conversation/{conversation}/package",
        MKEvent.MK_READING_HANDED_OVER,
        parts="files",
    ),
    does("/conversation/{conversation}/take", CHANGED, version="1"),
    does("/conversation/{conversation}/release", CHANGED, version="2"),
    does("/conversation/{conversation}/hand-over", CHANGED, version="3", to="{bo}"),
    does("/conversation/{conversation}/done", CHANGED, version="4"),
    does("/conversation/{conversation}/reopen", CHANGED, version="5"),
    does("/conversation/{conversation}/note", MKEvent.MK_CONVERSATION_NOTED, note="Ring Kim"),
    does("/mailbox/{mailbox}/write", DRAFT),
    does("/message/{message}/reply", DRAFT),
    sees("/draft/{draft}", READ_DRAFT),
    does("/draft/{draft}", DRAFT, READ_DRAFT, version="1", subject="Hej", text="Hej", later="yes"),
    does("/draft/{draft}/save", DRAFT, READ_DRAFT, version="2", subject="Hej", text="Hej du"),
    sees("/draft/{draft}/review", READ_DRAFT),
    does("/draft/{draft}/news-read", OPENED, messages="1"),
    does("/draft/{draft}/ask", DRAFT, version="3"),
    does("/draft/{draft}/withdraw", DRAFT, version="4"),
    does("/draft/{draft}/ask", DRAFT, version="5"),
    does("/draft/{draft}/decline", DRAFT, version="6", reason="Nej", by="bo"),
    does("/draft/{draft}/ask", DRAFT, version="7"),
    does("/draft/{draft}/approve", DRAFT, version="8", by="bo"),
    does("/draft/{draft}/send", MKEvent.MK_MESSAGE_SUBMITTED, version="9"),
    sees("/draft/{draft}/sending", READ_DRAFT),
    does("/draft/{draft}/undo", MKEvent.MK_MESSAGE_UNDONE),
    does("/draft/{draft}/take-over", DRAFT, by="bo"),
    sees("/draft/{draft}/file/{none}", MKEvent.MK_ACCESS_DENIED),
    does("/draft/{draft}/discard", DRAFT, READ_DRAFT, version="{version}", sure="yes", by="bo"),
    does(
        "/conversation/{conversation}/registered",
        MKEvent.MK_CONVERSATION_REGISTERED,
        version="{version}",
        number="SN 2026-7",
    ),
    does(
        "/conversation/{conversation}/held",
        MKEvent.MK_CONVERSATION_HELD,
        version="{version}",
        reason="Begärd",
    ),
    does("/message/{message}/again", MKEvent.MK_ACCESS_DENIED),
    does("/conversation/{conversation}/move", CHANGED, version="{version}", mailbox="{other}"),
    sees("/search", OPENED),
    does("/search", OPENED, words="hej"),
    sees("/search/{search}", MKEvent.MK_READING_SEARCH),
    sees("/addresses", OPENED),
    does("/addresses", OPENED, words="x"),
    does("/addresses/favourite", OPENED, key="0203:x.se x", favourite="yes"),
    does("/suggest", OPENED, find="hej"),
    sees("/select/{mailbox}", OPENED),
    sees("/select", OPENED),
    does("/select", OPENED, mailbox="{mailbox}"),
    sees("/selected/{selection}", LIST),
    does("/selected/{selection}/keep", PRESET, name="Vy"),
    sees("/view/{view}", LIST),
    does("/view/{view}/remove", PRESET, sure="yes"),
    sees("/lists", OPENED),
    does("/lists", PRESET, name="Skolor"),
    sees("/list/{list}", OPENED),
    does("/list/{list}", PRESET, rename="yes", name="Skolan"),
    does("/list/{list}/remove", PRESET, sure="yes"),
    sees("/rights", OPENED),
    sees("/rights/{mailbox}", OPENED),
    does("/rights/{mailbox}", OPENED, day=day()),
    does("/rights/{mailbox}/table", OPENED),
    sees("/rights/{mailbox}/give", OPENED, by="eva"),
    does(
        "/rights/{mailbox}/give",
        OPENED,
        STATED,
        by="eva",
        rights="read",
        until=day(9),
        why="x",
        person="{bo}",
    ),
    sees("/rights/{mailbox}/substitute", OPENED, by="eva"),
    does(
        "/rights/{mailbox}/substitute",
        OPENED,
        STATED,
        by="eva",
        absent="{bo}",
        until=day(9),
        why="x",
        person="{anna}",
    ),
    sees("/rights/{mailbox}/end/{decision}", OPENED, by="eva"),
    does("/rights/{mailbox}/end/{decision}", OPENED, STATED, by="eva", why="x"),
    sees("/notices", OPENED),
    does("/notices", MKEvent.MK_NOTICE_CHOSEN, address="anna@habo.se", hour="8"),
    sees("/manning/{mailbox}", OPENED, by="eva"),
    does("/manning/{mailbox}", OPENED, MAILBOX, by="eva", hours="4"),
    sees("/administration", by="eva"),
    sees("/administration/mailboxes", OPENED, by="eva"),
    sees("/administration/mailboxes/new", OPENED, by="eva"),
    does("/administration/mailboxes/new", MAILBOX, by="eva", address=FREE_ADDRESS, name="Skola"),
    sees("/administration/mailbox/{mailbox}", OPENED, by="eva"),
    does(
        "/administration/mailbox/{mailbox}",
        OPENED,
        MAILBOX,
        by="eva",
        name="Soc",
        undo_seconds="9",
        needs_approval="no",
        asks_why="no",
    ),
    sees("/administration/mailbox/{mailbox}/end", OPENED, by="eva"),
    does("/administration/mailbox/{other}/end", OPENED, MAILBOX, by="eva"),
    sees("/administration/mailbox/{mailbox}/texts/new", OPENED, by="eva"),
    does("/administration/mailbox/{mailbox}/texts/new", OPENED, PRESET, by="eva", title="T", text="T"),
    sees("/administration/mailbox/{mailbox}/texts", OPENED, by="eva"),
    sees("/administration/mailbox/{mailbox}/texts/{text}", OPENED, by="eva"),
    does("/administration/mailbox/{mailbox}/texts/{text}", OPENED, PRESET, by="eva", title="U", text="T"),
    does("/administration/mailbox/{mailbox}/texts/{text}/delete", PRESET, by="eva", sure="yes"),
    does(
        "/administration/mailbox/{mailbox}/rules",
        OPENED,
        PRESET,
        by="eva",
        organisation="x",
        handler="{anna}",
    ),
    sees("/administration/mailbox/{mailbox}/rules", OPENED, by="eva"),
    does("/administration/mailbox/{mailbox}/rules/{rule}/delete", PRESET, by="eva", sure="yes"),
    sees("/administration/statistics", OPENED, by="eva"),
    sees("/administration/service", MKEvent.MK_SERVICE_CHECKED, by="eva"),
    does("/administration/service", MKEvent.MK_SERVICE_CHECKED, by="eva"),
    sees("/administration/service/confirm/{mailbox}", OPENED, by="eva"),
    does(
        "/administration/service/confirm/{mailbox}",
        MKEvent.MK_ADDRESS_CONFIRMED,
        by="eva",
        text="Ingen annan",
    ),
    does("/administration/service/confirm/{mailbox}/take-back", MKEvent.MK_ADDRESS_CONFIRMED, by="eva"),
    sees("/administration/log", MKEvent.MK_READING_LOG, by="siv"),
    does("/administration/log", MKEvent.MK_READING_LOG, by="siv", since=day(-1), until=day()),
    sees("/sessions", OPENED, by="eva"),
    does("/sessions", OPENED, VaultEvent.MK_SESSION_ENDED, by="eva", person="{anna}"),
    does("/administration/log/table", MKEvent.MK_READING_LOG, by="siv", since=day(-1), until=day()),
)
"""Every route of the role, in an order in which each has something to show or do.

A new route gets its row here. Everything that it shows of mail or of the organisation, or changes,
is in the log for that person before it is shown.
"""
LATER: tuple[Sight, ...] = (
    sees("/administration/disposal", OPENED),
    sees("/administration/disposal/{mailbox}", OPENED),
    does(
        "/administration/disposal/{mailbox}/rule",
        MKEvent.MK_DISPOSAL_RULED,
        days="1",
        since="done",
        decision="dnr 1",
    ),
    does("/administration/disposal/{mailbox}/propose", MKEvent.MK_DISPOSAL_PROPOSED),
    sees("/administration/disposal/{mailbox}/{disposal}", LIST),
    sees("/administration/disposal/{mailbox}/{disposal}/record", MKEvent.MK_DISPOSAL_SHOWN),
    does("/administration/disposal/{mailbox}/{disposal}", MKEvent.MK_DISPOSAL_DROPPED, act="drop"),
)
"""Routes of slow processes, which are walked two days after the others, with a done conversation."""
SHOWS_NOTHING = frozenset({"/accessibility", "/jwks", "/live/news", "/live/events"})
"""Routes that show only that something has changed, and who else is there."""
FOUND_IN_ANSWERS = {
    "draft": "/message/{message}/reply",
    "search": "/search",
    "selection": "/select",
    "view": "/selected/{selection}/keep",
    "list": "/lists",
    "disposal": "/administration/disposal/{mailbox}/propose",
}
"""Ids that the redirection of a posted form contains."""
NAMES = {"other": "mailbox", "unreadable": "message", "none": "file"}
"""Names in :data:`WALK` of a second id of a kind."""


async def prepared(whole: Whole) -> dict[str, str]:
    """Grant everyone rights, let messages arrive, and return the ids that the walk begins with."""
    for person in ("anna", "bo"):
        await whole.give(person, SOC, *ALL)
        await whole.give(person, ENVIRONMENT, *ALL)
    await whole.appoint("siv", Right.SECURITY_OFFICER)
    await whole.receives(label="Kallelse", files=(("a.pdf", "application/pdf", b"%PDF-1.7\n" + b"x" * 100),))
    await whole.receives(digitalDocument="none", label="Trasig")
    anna = await whole.visit("anna")
    ids = {"mailbox": SOC, "other": ENVIRONMENT, "folder": "open", "none": "none"}
    for line in hrefs(await anna.get("/mailbox/box/open"), '/conversation/[^"]+'):
        page = await anna.get(line.replace("&amp;", "&"))
        (message,) = {each.split("/")[2] for each in hrefs(page, '/message/[^"]+/way')}
        if "Trasig" in page.text.partition("<main")[2]:
            ids["unreadable"] = message
            continue
        ids |= {"conversation": line.split("/")[2].partition("?")[0], "message": message}
        ids["file"] = hrefs(page, '/message/[^"]+/file/[^"]+')[0].rpartition("/")[2]
    for person in ("anna", "bo", "eva"):
        ids[person] = await whole.person(person)
    return ids


async def test_every_route_leaves_entries_of_what_is_seen_and_done(whole: Whole) -> None:
    """The table of routes is compared with the log: no route is left out, and each leaves its entries.

    The entries name the person; a sight that left none would fail here.
    """
    ids = await prepared(whole)
    missing = await walked(whole, WALK, ids)
    await whole.receives(label="Klar")
    anna = await whole.visit("anna")
    (line, *_) = hrefs(await anna.get("/mailbox/box/open"), '/conversation/[^"]+')
    place = line.partition("?")[0]
    done = await anna.post(f"{place}/done", version=await version_of(anna, place))
    assert done.status_code == 303
    whole.clock.forward(2 * 86400)
    missing += await walked(whole, LATER, ids)
    assert missing == [], missing
    known = {(one.method, named(one.path)) for one in (*WALK, *LATER)}
    routes = {
        (method, route.path)
        for route in whole.role._routes()
        if isinstance(route, Route)
        for method in (route.methods or {"GET"}) - {"HEAD"}
    }
    untried = {each for each in routes if each not in known and each[1] not in SHOWS_NOTHING}
    assert untried == set(), "add a row for each of these to WALK"


async def walked(whole: Whole, walk: Sequence[Sight], ids: dict[str, str]) -> list[tuple[str, str, set[str]]]:
    """Make the requests; return those that left too few entries, or were refused."""
    visitors, missing = dict[str, Visitor](), []
    for one in walk:
        visitor = visitors.setdefault(one.by, await whole.visit(one.by))
        if "version" in one.form.get("version", ""):
            place = "/draft/{draft}" if one.path.startswith("/draft") else "/conversation/{conversation}"
            ids["version"] = await version_of(visitor, place.format(**ids))
        before = len(await whole.log())
        answer = await asked(visitor, one, ids)
        assert answer.status_code < 500, (one.path, answer.text[:3000])
        learn(one, answer, ids)
        left = [
            entry
            for entry in (await whole.log())[before:]
            if entry.principal == f"user:{await whole.person(one.by)}" or entry.event == STATED
        ]
        absent = {str(event) for event in one.events} - {entry.event for entry in left}
        if absent:
            missing.append((one.method, one.path, absent))
        if MKEvent.MK_ACCESS_DENIED not in one.events and answer.status_code in (404, 409, 422):
            missing.append((one.method, one.path, {str(answer.status_code)}))
    return missing


def named(path: str) -> str:
    """Return a path in the form that its route has."""
    return (
        re.sub(r"{(\w+)}", lambda found: f"{{{NAMES.get(found[1], found[1])}}}", path)
        .replace("{search}", "{token}")
        .replace("{selection}", "{token}")
    )


async def asked(visitor: Visitor, one: Sight, ids: Ids) -> httpx.Response:
    path = one.path.format(**ids)
    if one.method == "GET":
        return await visitor.get(path)
    return await visitor.post(path, **{name: value.format(**ids) for name, value in one.form.items()})


def learn(one: Sight, answer: httpx.Response, ids: dict[str, str]) -> None:
    """Store the ids that an answer contains."""
    for name, path in FOUND_IN_ANSWERS.items():
        if path == one.path and one.method == "POST":
            ids[name] = answer.headers["location"].rpartition("/")[2]
    for href in hrefs(answer, '/administration/mailbox/[^"]+/rules/[^"]+/delete'):
        ids["rule"] = href.split("/")[-2]
    for href in hrefs(answer, '/rights/box/end/[^"]+'):
        ids["decision"] = href.rpartition("/")[2]
    if one.path == "/administration/mailbox/{mailbox}/texts":
        for href in hrefs(answer, '/administration/mailbox/[^"]+/texts/(?!new)[^"]+'):
            ids["text"] = href.rpartition("/")[2]


async def version_of(visitor: Visitor, path: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', (await visitor.get(path)).text)
    assert found is not None
    return found[1]


# --- why do you open this ---------------------------------------------------------------------------------


async def test_who_does_not_work_in_a_mailbox_says_why_before_what_is_marked_is_shown(whole: Whole) -> None:
    """Every way to the content asks; the reason is in the log, and on the message's list of readers."""
    await whole.give("bo", SOC, Right.READ)
    await whole.give("anna", SOC, *READS)
    files = (("a.pdf", "application/pdf", b"%PDF-1.7\n" + b"x" * 100),)
    await whole.receives(label="Orosanmälan", text="Hemligt innehåll", files=files)
    await whole.receives(label="Öppen", text="Öppet innehåll", confidentiality=False)
    eva, bo, anna = [await whole.visit(name) for name in ("eva", "bo", "anna")]
    settings = {"needs_approval": "no", "undo_seconds": "10", "name": "Socialtjänst"}
    await eva.post(f"/administration/mailbox/{SOC}", asks_why="yes", **settings)
    listed = {
        (await anna.get(href.replace("&amp;", "&"))).text.partition('id="subject">')[2][:5]: href
        for href in hrefs(await anna.get("/mailbox/box/open"), '/conversation/[^"]+')
    }
    assert "Öppet innehåll" in (await bo.get(listed["Öppen"].replace("&amp;", "&"))).text
    place = listed["Orosa"].partition("?")[0]
    page = await anna.get(place)
    assert "Hemligt innehåll" in page.text, "a person who works in the mailbox is not asked for a reason"
    (way,) = hrefs(page, '/message/[^"]+/way')
    (file,) = hrefs(page, '/message/[^"]+/file/[^"]+')
    ways = (place, f"{place}/print", way, way.replace("/way", "/readers"), file)
    for path in ways:
        asked_why = await bo.get(path)
        assert (asked_why.status_code, "Varför öppnar du det här?" in asked_why.text) == (403, True), path
        assert "Hemligt" not in asked_why.text
    package = await bo.post(f"{place}/package", parts="files")
    assert (package.status_code, "Varför öppnar du det här?" in package.text) == (403, True)
    assert (await bo.post(f"{place}/why", reason="så klart")).status_code == 422
    opened = await bo.follow(await bo.post(f"{place}/why", reason="supervision"))
    assert "Hemligt innehåll" in opened.text
    assert [(await bo.get(path)).status_code for path in ways] == [200] * 5
    assert "Angav varför" in (await anna.get(way.replace("/way", "/readers"))).text
    (entry,) = [one for one in await whole.log() if one.event == MKEvent.MK_READING_REASON]
    assert (entry.ids["reason"], entry.principal) == ("supervision", f"user:{await whole.person('bo')}")
    whole.clock.forward(3601)
    again = await whole.visit("bo")
    assert (await again.get(place)).status_code == 403, "a stated reason is valid for an hour"


# --- who can read -----------------------------------------------------------------------------------------


async def test_who_can_read_says_since_when_until_when_last_here_and_on_another_day(whole: Whole) -> None:
    await whole.give("anna", SOC, *READS)
    await whole.receives(label="Kallelse")
    anna, eva = await whole.visit("anna"), await whole.visit("eva")
    page = await anna.get(f"/rights/{SOC}")
    for text in ("Anna", "Tilldelad", "sedan", "till", "inte än", "Spara som CSV"):
        assert text in page.text, text
    (href,) = hrefs(await anna.get("/mailbox/box/open"), '/conversation/[^"]+')
    await anna.get(href.replace("&amp;", "&"))
    assert "inte än" not in (await anna.get(f"/rights/{SOC}")).text
    bo = await whole.person("bo")
    absent = {"absent": await whole.person("anna"), "person": bo, "why": "Semester"}
    assert (
        await eva.post(f"/rights/{SOC}/substitute", since="x", until=day(30), **absent)
    ).status_code == 422
    begins = await eva.post(f"/rights/{SOC}/substitute", since=day(20), until=day(30), **absent)
    assert begins.status_code == 303
    whole.clock.forward()
    today = (await anna.get(f"/rights/{SOC}")).text.split("Börjar senare")
    assert ["Bo" in re.sub("<[^>]*>", "", part) for part in today] == [False, True]
    assert "Ersätter Anna" in today[1]
    later = await anna.post(f"/rights/{SOC}", day=day(25))
    assert ("Ersätter Anna" in later.text, "Vilka kommer att kunna läsa" in later.text) == (True, True)
    assert "Börjar senare" not in later.text
    earlier = await anna.post(f"/rights/{SOC}", day=day(-10))
    assert ("Ingen kan läsa" in earlier.text, "Vilka kunde läsa" in earlier.text) == (True, True)
    for wrong in ("snart", "0001-01-01", "9999-12-31"):
        assert (await anna.post(f"/rights/{SOC}", day=wrong)).status_code == 422, wrong
    table = await anna.post(f"/rights/{SOC}/table")
    rows = list(csv.reader(io.StringIO(table.text.removeprefix("\ufeff"))))
    assert (rows[0][0], rows[1][0], rows[1][1], rows[1][3]) == ("name", "Anna", "Tilldelad", "Eva")
    assert rows[1][8] != ""
    for path in (f"/rights/{ENVIRONMENT}", f"/rights/{ENVIRONMENT}/table"):
        assert (await anna.post(path, day=day())).status_code == 404


async def test_what_begins_later_is_ended_before_it_begins(whole: Whole) -> None:
    await whole.give("anna", SOC, *READS)
    eva, bo = await whole.visit("eva"), await whole.person("bo")
    about = {"absent": await whole.person("anna"), "person": bo, "why": "Semester"}
    assert (
        await eva.post(f"/rights/{SOC}/substitute", since=day(20), until=day(30), **about)
    ).status_code == 303
    whole.clock.forward()
    page = await eva.get(f"/rights/{SOC}")
    coming = httpx.Response(200, text=page.text.split("Börjar senare")[1])
    (ending,) = hrefs(coming, '/rights/[^"]+/end/[^"]+')
    assert "Bo" in (await eva.get(ending)).text
    assert (await eva.get(ending.replace(SOC, ENVIRONMENT))).status_code == 404
    assert (await eva.post(ending, why="Semestern är inställd")).status_code == 303
    whole.clock.forward()
    assert "Börjar senare" not in (await eva.get(f"/rights/{SOC}")).text
    assert "Ersätter Anna" not in (await eva.post(f"/rights/{SOC}", day=day(25))).text
