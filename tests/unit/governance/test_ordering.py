"""Orders: officers ask the operator's staff to look at something; all rights of a person end together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.rights import Approved, Ended, Given, Right, Rights, Scope, Subject
from samdrift.rights.consentfold import Stage, consents_of
from samdrift.rights.consents import EVERYTHING, AccessAsked, Extent, ExtentKind, Ground, Level
from samdrift.rights.keyacts import Enrolled, Lost
from tests.unit.governance.office import AUDITOR, Office, office, statement_on
from tests.unit.governance.test_entering import stated
from tests.unit.rights.building import ANNA, BO, CILLA, KARIN, KURT, ROBOT
from tests.unit.rights.signers import YEAR, Ssh
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)
ORDER, END_ALL = "/consents/order", "/rights/end-all"
OLLE = Subject.parse("operator:olle")
MESSAGE = "0d9b6c1e-6a3f-4f0e-9d7a-1c2b3a4d5e6f"


@pytest_asyncio.fixture
async def bare(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


@pytest_asyncio.fixture
async def open_office(bare: Office) -> Office:
    """Return an office whose record has the key of one of the operator's staff."""
    bare.house.signers[OLLE] = own = Ssh(OLLE, "olle")
    asked = await bare.state(KARIN, Enrolled(OLLE, "Olle Ohm", own.key, bare.house.now + YEAR))
    await bare.state(KURT, Approved(asked.digest))
    bare.in_another_second()
    return bare


def order(**changed: str) -> dict[str, str]:
    fields = {
        "to": str(OLLE),
        "extent": "message",
        "message": MESSAGE,
        "level": "metadata",
        "ground": "organisations-case",
        "ticket": "INC-4711",
        "minutes": "45",
        "why": "kvittens saknas",
    }
    return fields | changed


async def test_metadata_that_an_officer_orders_is_seen_from_the_signature_on(open_office: Office) -> None:
    anna = await open_office.visit(ANNA)
    assert f'href="{ORDER}"' in (await anna.get("/consents")).text
    assert "Olle Ohm" in (await anna.get(ORDER)).text
    act = await stated(open_office, ANNA, ORDER, order())
    assert act == AccessAsked(OLLE, Ground.CASE, "INC-4711", Extent.message(MESSAGE), Level.METADATA, 45)
    record = await open_office.role.records.read(open_office.organisation)
    (one,) = consents_of(record).all()
    assert one.stage(open_office.second()) is Stage.IN_FORCE
    assert [who for who, _, _ in one.approvals] == [ANNA]
    assert MESSAGE in (await anna.get("/consents")).text


async def test_what_a_message_says_takes_another_officer_besides_the_one_who_orders(
    open_office: Office,
) -> None:
    await stated(open_office, ANNA, ORDER, order(level="content"))
    record = await open_office.role.records.read(open_office.organisation)
    (one,) = consents_of(record).all()
    assert one.stage(open_office.second()) is Stage.WAITING
    assert f"/decide/{one.id}" in (await (await open_office.visit(BO)).get("/")).text
    await stated(open_office, BO, f"/decide/{one.id}", {"decision": "approve", "why": "läst"})
    record = await open_office.role.records.read(open_office.organisation)
    (one,) = consents_of(record).all()
    assert one.stage(open_office.second()) is Stage.IN_FORCE


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"extent": "mailbox", "mailbox": "soc"}, ExtentKind.MAILBOX, "soc"),
        ({"extent": "everything"}, ExtentKind.SPAN, "Allt till "),
        (
            {"extent": "span", "since": "2026-11-02T08:00", "until": "2026-11-03T08:00"},
            ExtentKind.SPAN,
            "2026-11-02",
        ),
    ],
    ids=["a mailbox", "everything", "a span of time"],
)
async def test_a_mailbox_a_span_of_time_or_everything_is_ordered_and_shown_in_words(
    open_office: Office, fields: dict[str, str], kind: ExtentKind, words: str
) -> None:
    visitor = await open_office.visit(ANNA)
    page = await visitor.post(ORDER, order(**fields))
    act = statement_on(page).act
    assert isinstance(act, AccessAsked)
    assert act.extent.kind is kind
    assert words in page.text
    if fields["extent"] == "everything":
        assert act.extent.start == EVERYTHING
        assert "1970-01-01 " not in page.text
        assert act.extent.end >= open_office.clock() + timedelta(days=4), (
            "the extent must last until the access has certainly ended"
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": str(BO)}, "to"),
        ({"to": "operator:eva"}, "to"),
        ({"extent": "all"}, "extent"),
        ({"message": "INC-4711"}, "message"),
        ({"extent": "mailbox"}, "mailbox"),
        ({"extent": "span", "since": "2026-11-02T08:00"}, "until"),
        ({"extent": "span", "since": "2026-11-03T08:00", "until": "2026-11-02T08:00"}, "until"),
        ({"level": "much"}, "level"),
        ({"ground": "curiosity"}, "ground"),
        ({"ticket": " "}, "ticket"),
        ({"ticket": "x" * 101}, "ticket"),
        ({"ticket": "a\u202eb"}, "ticket"),
        ({"minutes": "0"}, "minutes"),
        ({"minutes": "481"}, "minutes"),
        ({"minutes": "en timme"}, "minutes"),
        ({"minutes": "٤٥"}, "minutes"),
        ({"why": ""}, "why"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_order_that_cannot_be_is_refused_with_the_field_and_keeps_what_was_typed(
    open_office: Office, change: dict[str, str], field: str
) -> None:
    before = (await open_office.role.records.read(open_office.organisation)).number
    answer = await (await open_office.visit(ANNA)).post(ORDER, order(**change))
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    if field != "why":
        assert "kvittens saknas" in answer.text
    assert (await open_office.role.records.read(open_office.organisation)).number == before


async def test_where_none_of_the_staff_has_a_key_the_page_says_so_and_an_auditor_orders_nothing(
    bare: Office,
) -> None:
    anna = await bare.visit(ANNA)
    assert f'value="{KARIN}"' in (await anna.get(ORDER)).text, "custodians belong to the staff"
    record = await bare.role.records.read(bare.organisation)
    for key in [each for each in record.keys.in_force(bare.second()) if each.act.to in (KARIN, KURT)]:
        await bare.state(BO, Lost(key.id, bare.house.now))
        bare.in_another_second()
    shown = (await anna.get(ORDER)).text
    assert "Ingen av driftens personal har en nyckel" in shown
    assert 'name="ticket"' not in shown
    rut = await bare.visit(AUDITOR)
    assert (await rut.get(ORDER)).status_code == 404
    assert (await rut.post(ORDER, order(to=str(KARIN)))).status_code == 404


async def gave(opened: Office, to: Subject, *mailboxes: str) -> None:
    for mailbox in mailboxes:
        what = Rights(to, Scope(mailbox), frozenset({Right.READ, Right.WRITE}))
        start = opened.second()
        await opened.state(ANNA, Given(what, start, start + YEAR, asked=False))
        opened.in_another_second()


@pytest.mark.parametrize("who", [CILLA, ROBOT], ids=["a person who leaves", "a system"])
async def test_all_that_somebody_was_given_ends_by_one_signature_that_lists_it_before(
    bare: Office, who: Subject
) -> None:
    await gave(bare, who, "soc", "skola")
    anna = await bare.visit(ANNA)
    assert f'href="{END_ALL}"' in (await anna.get("/rights")).text
    assert f'value="{who}"' in (await anna.get(END_ALL)).text
    page = await anna.post(END_ALL, {"subject": str(who), "why": "slutar"})
    assert statement_on(page).act == Ended(subject=who)
    for words in ("Avslutar allt som någon har fått", "soc", "skola", "Läsa, Skriva"):
        assert words in page.text
    assert await stated(bare, ANNA, END_ALL, {"subject": str(who), "why": "slutar"}) == Ended(subject=who)
    bare.in_another_second()
    record = await bare.role.records.read(bare.organisation)
    assert [*record.state.holdings(bare.second(), who)] == []
    assert f'value="{who}"' not in (await anna.get(END_ALL)).text


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"subject": "person:nobody", "why": "x"}, "subject"), ({"subject": str(BO)}, "why")],
    ids=["nobody", "no reason"],
)
async def test_an_end_of_nothing_or_without_a_reason_is_refused_with_the_field(
    bare: Office, fields: dict[str, str], field: str
) -> None:
    answer = await (await bare.visit(ANNA)).post(END_ALL, fields)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
