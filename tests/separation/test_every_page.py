"""Every route of the message client, requested by every kind of person who may not see its target.

They know ids that they would first have to learn: of another mailbox of the same organisation, and of another
organisation. No response reveals any content or changes anything, and each attempt is recorded in the log
of the organisation in which it was made.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from samdrift.contracts.principals import Role
from samdrift.messageclient.events import MKEvent
from samdrift.rights import Right
from tests.sizes import sampled
from tests.unit.messageclient.test_who_sees import ALL, LATER, WALK, Sight, hrefs, named, walked
from tests.unit.messageclient.wholerole import ENVIRONMENT, SOC, Visitor, Whole, deleting_service, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
WORDS = ("Planterat-ord", "Planterad-notis", "Planterat-utkast", "Planterad-mall", "Planterad-lista")
PDF = b"%PDF-1.7\n" + b"Planterat-ord" * 10
OF_MANAGERS = (
    "/administration/mailbox/",
    "/rights/{mailbox}/",
    "/manning/",
    "/administration/service/confirm/",
)
"""Pages for people who manage a mailbox or administer the organisation."""
MADE = (
    "/message/{message}/reply",
    "/conversation/{conversation}/note",
    "/search",
    "/select",
    "/selected/{selection}/keep",
    "/lists",
    "/administration/mailbox/{mailbox}/texts/new",
    "/administration/mailbox/{mailbox}/texts",
    "/administration/mailbox/{mailbox}/rules",
    "/rights/{mailbox}/give",
    "/rights/{mailbox}",
)
"""Routes of :data:`WALK` that create a record of each kind."""
NOT_SAVED = "Inte sparat: utkastet finns inte längre här. Kopiera din text innan du lämnar sidan."
"""What a draft that is saved by itself is told if it is not here, whether it exists or not."""


@dataclass
class Scene:
    """An organisation with records of every kind in one mailbox, and another organisation."""

    whole: Whole
    other: Whole
    ids: dict[str, str]

    async def state(self) -> object:
        """Return the state that must not change."""
        async with self.whole.installation.open(self.whole.organisation, Role.MESSAGE_CLIENT) as vault:
            return (
                await vault.conversations_by_id([self.ids["conversation"]]),
                await vault.notes(self.ids["conversation"]),
                await vault.draft(self.ids["draft"]),
                await vault.mailboxes(),
                await vault.sole_readers(),
                await vault.disposals([SOC]),
                await vault.disposal_rules([SOC]),
                await vault.registrations([self.ids["conversation"]]),
                await vault.holds([self.ids["conversation"]]),
                await vault.readings([self.ids["message"]]),
            )


@pytest_asyncio.fixture
async def scene(installation: Installation) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        whole, other = [
            await stack.enter_async_context(whole_role(installation, deleting_service(), origin=origin))
            for origin in ("https://habo.sdk.test", "https://mullsjo.sdk.test")
        ]
        await whole.give("anna", SOC, *ALL)
        await whole.give("mia", ENVIRONMENT, *ALL)
        await whole.appoint("siv", Right.SECURITY_OFFICER)
        await other.give("olle", SOC, *ALL)
        await other.give("olle", ENVIRONMENT, *ALL)
        ids = {"mailbox": SOC, "other": ENVIRONMENT, "folder": "open", "none": "none", "unreadable": "none"}
        for person in ("anna", "bo", "eva"):
            ids[person] = await whole.person(person)
        await whole.receives(label=WORDS[0], files=(("Planterat-ord.pdf", "application/pdf", PDF),))
        anna = await whole.visit("anna")
        (line,) = hrefs(await anna.get(f"/mailbox/{SOC}/open"), '/conversation/[^"]+')
        page = await anna.get(line.replace("&amp;", "&"))
        ids["conversation"] = line.split("/")[2].partition("?")[0]
        (ids["message"],) = {each.split("/")[2] for each in hrefs(page, '/message/[^"]+/way')}
        ids["file"] = hrefs(page, '/message/[^"]+/file/[^"]+')[0].rpartition("/")[2]
        rows = [planted(one) for one in WALK if one.path in MADE]
        assert await walked(whole, rows, ids) == []
        text = await anna.post(f"/draft/{ids['draft']}/save", version="1", subject=WORDS[2], text=WORDS[2])
        assert text.status_code == 200
        ids.setdefault("disposal", "none")
        yield Scene(whole, other, ids)


def planted(one: Sight) -> Sight:
    """Return the row with a planted word in each field that a person fills in."""
    words = {"note": WORDS[1], "title": WORDS[3], "text": WORDS[3]}
    if one.path == "/lists":
        words["name"] = WORDS[4]
    if one.path == "/search":
        words["words"] = WORDS[0]
    form = {name: words.get(name, value) for name, value in one.form.items()}
    return Sight(one.path, one.events, one.method, one.by, form)


def rows() -> list[Sight]:
    """Return one request for each route whose address names a record."""
    once: dict[tuple[str, str], Sight] = {}
    for one in (*WALK, *LATER):
        if "{" in one.path and "{other}" not in one.path:
            once.setdefault((one.method, one.path), one)
    return list(once.values())


def test_every_route_that_names_something_is_tried(scene_routes: set[str]) -> None:
    tried = {named(one.path) for one in rows()}
    assert {each for each in scene_routes if "{" in each} - tried == set(), (
        "add a row for each of these to WALK"
    )


@pytest_asyncio.fixture
async def scene_routes(scene: Scene) -> set[str]:
    return {route.path for route in scene.whole.role._routes() if isinstance(route, Route)}


class Asking:
    """A person who makes one request after another."""

    def __init__(self, scene: Scene, whole: Whole, visitor: Visitor, denied: int) -> None:
        self._scene, self._whole, self._visitor, self._denied = scene, whole, visitor, denied

    @classmethod
    async def of(cls, scene: Scene, whole: Whole, by: str) -> Asking:
        return cls(scene, whole, await whole.visit(by), await denials(whole))

    async def ask(self, one: Sight) -> tuple[httpx.Response, int]:
        """Make a request, and return the response with the number of denials that it added to the log."""
        ids, visitor, before = self._scene.ids, self._visitor, self._denied
        form = {name: "1" if "version" in value else value.format(**ids) for name, value in one.form.items()}
        path = one.path.format(**ids)
        answer = await (visitor.get(path) if one.method == "GET" else visitor.post(path, **form))
        self._denied = await denials(self._whole)
        return answer, self._denied - before


def is_refusal(one: Sight, answer: httpx.Response) -> bool:
    """Return whether a response is the same as for what does not exist."""
    if one.path == "/draft/{draft}/save" and answer.status_code == 200:
        return answer.json() == {"said": NOT_SAVED, "over": True}
    return answer.status_code == 404


async def denials(whole: Whole) -> int:
    return [one.event for one in await whole.log()].count(MKEvent.MK_ACCESS_DENIED)


@pytest.mark.parametrize("by", sampled(["mia", "eva", "siv", "nils"], every=2))
async def test_no_kind_of_person_without_the_right_reaches_another_mailbox(scene: Scene, by: str) -> None:
    """The person manages another mailbox, is an administrator or security officer, or has no right at all."""
    before, wrong, asking = await scene.state(), [], await Asking.of(scene, scene.whole, by)
    for one in rows():
        if by == "eva" and one.path.startswith(OF_MANAGERS):
            continue  # An administrator may open these pages; the next test checks what they show.
        answer, denials = await asking.ask(one)
        if any(word in answer.text for word in WORDS):
            wrong.append((one.method, one.path, "shows it"))
        reads_rights = one.path in ("/rights/{mailbox}", "/rights/{mailbox}/table")
        if by in ("eva", "siv") and reads_rights:
            assert answer.status_code == 200, one.path
        elif by == "nils":
            assert answer.status_code in (401, 403, 404), (one.path, answer.status_code)
        elif (is_refusal(one, answer), denials > 0) != (True, True):
            wrong.append((one.method, one.path, f"{answer.status_code}, {denials} denials"))
    assert wrong == []
    assert await scene.state() == before


async def test_what_an_administrator_does_with_a_mailbox_shows_nothing_of_what_lies_in_it(
    scene: Scene,
) -> None:
    asking = await Asking.of(scene, scene.whole, "eva")
    for one in rows():
        if one.path.startswith(OF_MANAGERS) and one.method == "GET":
            answer, _ = await asking.ask(one)
            shown = [word for word in WORDS if word in answer.text and word != WORDS[3]]
            assert shown == [], one.path  # WORDS[3] is in a text template, which is a setting of the mailbox.


async def test_no_id_of_another_organisation_opens_anything(scene: Scene) -> None:
    """A person with every right in their own organisation uses the ids of another organisation."""
    own = {"{mailbox}", "{folder}", "{decision}"}  # Both organisations have these ids.
    before, wrong, tried = await scene.state(), [], 0
    asking = await Asking.of(scene, scene.other, "olle")
    for one in rows():
        if not set(re.findall(r"{\w+}", one.path)) - own:
            continue
        answer, denials = await asking.ask(one)
        assert not any(word in answer.text for word in WORDS), one.path
        if (is_refusal(one, answer), denials > 0) != (True, True):
            wrong.append((one.method, one.path, f"{answer.status_code}, {denials} denials"))
        tried += 1
    assert (wrong, tried > 40) == ([], True)
    assert await scene.state() == before
