"""A review on its page: use next to names, an answer for each right, and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.governance.pages import uses
from samdrift.governance.reviews import ItemState, Review, reviews
from samdrift.governance.role import GovernanceRole
from samdrift.messageclient.events import MKEvent
from samdrift.rights import (
    ORGANISATION,
    Approved,
    Given,
    Outcome,
    Reviewed,
    Right,
    Rights,
    Scope,
    Statement,
    Subject,
)
from samdrift.rights.groups import MembersListed, changes
from samdrift.rights.memberships import Memberships
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from samdrift.vault.errors import VaultLocked
from samdrift.vault.gate import Gate
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.governance.office import AUDITOR, Office, Visitor, office
from tests.unit.messageclient.wholerole import ISSUER
from tests.unit.rights.building import AD, ANNA, BO, CILLA, DAG, LISTED, at, listed
from tests.unit.rights.signers import YEAR, Ssh
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
SOC = Scope("soc")
FAR = timedelta(days=30)


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation, roles=ROLES) as opened:
        yield opened


async def given(opened: Office, to: Subject, scope: Scope = SOC, right: Right = Right.READ) -> Statement:
    start = opened.second()
    return await opened.state(
        ANNA, Given(Rights(to, scope, frozenset({right})), start, start + YEAR, asked=False)
    )


async def review(opened: Office, *items: Statement, reviewer: Subject = ANNA, stand_in: Subject = BO) -> int:
    """Open a review, a second after the statements that it is about; return its number."""
    opened.in_another_second()
    digests = tuple(sorted(each.digest for each in items))
    about = f"mailbox:{SOC.mailbox}"
    await opened.state(ANNA, ReviewOpened(about, digests, reviewer, stand_in, opened.second() + FAR))
    opened.in_another_second()
    return (await opened.role.records.read(opened.organisation)).number


async def read(opened: Office, who: Subject, mailbox: str = "soc") -> None:
    """Record a reading in a mailbox, as the message client's log has it."""
    reader = Principal(PrincipalKind.USER, who.id, opened.organisation.value)
    async with opened.installation.gate.open(
        reader, opened.organisation, Role.MESSAGE_CLIENT, Purpose.READ
    ) as vault:
        vault.record(MKEvent.MK_READING_MESSAGE, mailbox=mailbox)


async def answered(
    opened: Office, visitor: Visitor, number: int, answer: str, of: Statement | None = None
) -> None:
    """Answer on the page, sign, and return to the review."""
    fields = {"answer": answer, "why": "talat med chefen"} | ({} if of is None else {"of": of.digest})
    page = await visitor.post(f"/reviews/{number}", fields)
    signed = await visitor.signs(page, opened.house.signers[ANNA], f"/reviews/{number}")
    assert signed.headers["location"] == f"/reviews/{number}?signed"


async def only(opened: Office) -> Review:
    record = await opened.role.records.read(opened.organisation)
    assert record.last is not None
    (found,) = reviews(record.state, record.last)
    return found


async def test_a_reviewer_sees_use_answers_for_each_right_and_closes_the_review(open_office: Office) -> None:
    used, unused = await given(open_office, CILLA), await given(open_office, DAG)
    await read(open_office, CILLA)
    await read(open_office, DAG, "skola")
    number = await review(open_office, used, unused)
    anna = await open_office.visit(ANNA)
    assert f'href="/reviews/{number}"' in (await anna.get("/")).text, "the page Today must list the review"
    page = (await anna.get(f"/reviews/{number}")).text
    assert page.count("inte på 90 dagar") == 1, (
        "only Dag has not used the right, having read in another mailbox"
    )
    assert "Avsluta och skriv under" not in page
    await answered(open_office, anna, number, "keep", used)
    page = (await anna.get(f"/reviews/{number}?signed")).text
    assert "Utan svar: 1." in page
    assert page.count('name="of"') == 1
    await answered(open_office, anna, number, "remove", unused)
    open_office.house.now = open_office.clock()
    open_office.in_another_second()
    assert "Inget tas bort" in (await anna.get(f"/reviews/{number}")).text
    await answered(open_office, anna, number, "close")
    page = (await anna.get(f"/reviews/{number}?signed")).text
    assert "avslutad" in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]
    found = await only(open_office)
    assert found.closed is not None
    assert {each.digest: (each.state, each.by) for each in found.items} == {
        used.digest: (ItemState.KEPT, str(ANNA)),
        unused.digest: (ItemState.ENDED, str(ANNA)),
    }
    assert f'href="/reviews/{number}"' not in (await anna.get("/")).text
    record = await open_office.role.records.read(open_office.organisation)
    assert [each.statement.act for each in record.entries[-3:]] == [
        Reviewed(used.digest, Outcome.KEEP),
        Reviewed(unused.digest, Outcome.REMOVE),
        ReviewClosed(found.id),
    ]


async def test_an_answer_without_a_reason_is_refused_at_its_own_field(open_office: Office) -> None:
    one, other = await given(open_office, CILLA), await given(open_office, DAG)
    number = await review(open_office, one, other)
    visitor = await open_office.visit(ANNA)
    page = await visitor.post(f"/reviews/{number}", {"of": other.digest, "answer": "keep", "why": " "})
    assert page.status_code == 422
    field = page.text.partition(f'value="{other.digest}"')[2].partition("</form>")[0]
    assert 'id="why"' in field
    assert page.text.count('id="why"') == 1
    assert 'href="#why"' in page.text


async def test_a_review_is_not_closed_while_something_in_it_waits(open_office: Office) -> None:
    number = await review(open_office, await given(open_office, CILLA))
    visitor = await open_office.visit(ANNA)
    page = await visitor.post(f"/reviews/{number}", {"answer": "close", "why": "klar"})
    assert page.status_code == 422
    assert "saknar ännu svar" in page.text
    assert (await only(open_office)).closed is None


def locked(locked_role: Role) -> Any:
    """Return a way to open vaults while the vault of one role waits for its officer."""
    opens: Any = Gate.open

    def open_vault(
        self: Gate, principal: Principal, organisation: ParticipantIdentifier, role: Role, purpose: Purpose
    ) -> Any:
        if role is locked_role:
            raise VaultLocked
        return opens(self, principal, organisation, role, purpose)

    return open_vault


async def test_after_its_time_the_page_says_how_much_closing_removes_and_with_all_vaults_open_it_does(
    open_office: Office, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, silent = await given(open_office, CILLA), await given(open_office, DAG)
    number = await review(open_office, kept, silent)
    anna = await open_office.visit(ANNA)
    await answered(open_office, anna, number, "keep", kept)
    open_office.role = GovernanceRole(
        installation.gate,
        {open_office.origin.partition("://")[2]: open_office.organisation},
        open_office.sites,
        lambda: datetime.now(UTC) + FAR + timedelta(hours=1),
    )
    anna = await open_office.visit(ANNA)
    assert "tiden är ute" in (await anna.get("/")).text
    assert "Det som saknar svar tas bort: 1." in (await anna.get(f"/reviews/{number}")).text
    with monkeypatch.context() as patched:
        patched.setattr(Gate, "open", locked(Role.MESSAGE_CLIENT))
        page = await anna.post(f"/reviews/{number}", {"answer": "close", "why": "klart"})
        page = await anna.signs(page, open_office.house.signers[ANNA], f"/reviews/{number}")
        assert page.status_code == 422
        assert "är låst" in page.text
    assert (await only(open_office)).closed is None
    await answered(open_office, anna, number, "close")
    found = await only(open_office)
    assert {each.digest: each.state for each in found.items} == {
        kept.digest: ItemState.KEPT,
        silent.digest: ItemState.SILENCE,
    }


async def test_nobody_but_reviewer_and_stand_in_answers_in_a_review(open_office: Office) -> None:
    right = await given(open_office, DAG)
    await open_office.appoint(CILLA, Right.SECURITY_OFFICER)
    number = await review(open_office, right)
    for who, answers in ((ANNA, 200), (BO, 200), (CILLA, 404), (AUDITOR, 404)):
        visitor = await open_office.visit(who)
        shown = await visitor.get(f"/reviews/{number}")
        assert shown.status_code == 200
        assert ('value="keep"' in shown.text) == (answers == 200)
        fields = {"of": right.digest, "answer": "keep", "why": "behövs"}
        assert (await visitor.post(f"/reviews/{number}", fields)).status_code == answers
        offered = "Granskad: behåll" in (await visitor.get(f"/decide/{right.digest}")).text
        assert offered == (answers == 200), (
            "other pages must not offer an answer to a person who may not give one"
        )


async def test_nobody_answers_for_a_right_of_their_own(open_office: Office) -> None:
    record = await open_office.role.records.read(open_office.organisation)
    (own,) = record.state.holdings(record.last or open_office.house.now, ANNA)
    number = await review(open_office, record.state.statement(own.statements[0]))
    visitor = await open_office.visit(ANNA)
    assert "en annan person svarar" in (await visitor.get(f"/reviews/{number}")).text
    page = await visitor.post(
        f"/reviews/{number}", {"of": own.statements[0], "answer": "keep", "why": "behövs"}
    )
    assert page.status_code == 422
    assert "en annan person svarar" in page.text


async def test_nobody_is_offered_an_answer_for_a_group_that_they_are_in(open_office: Office) -> None:
    """The answer would be signed without counting, and the right would end by silence."""
    key = Ssh(AD, "ad")
    asked = await open_office.state(ANNA, open_office.house.enrolment(key))
    await open_office.state(BO, Approved(asked.digest))
    open_office.house.signers[AD] = key
    right = await given(open_office, LISTED)
    open_office.in_another_second()
    (act,) = changes(LISTED, "ldaps://dc1.habo.se", open_office.second(), (), [BO.id])
    await open_office.state(AD, act)
    number = await review(open_office, right)
    for who, offered in ((ANNA, True), (BO, False)):
        visitor = await open_office.visit(who)
        for path in (f"/reviews/{number}", f"/decide/{right.digest}"):
            assert ('value="keep"' in (await visitor.get(path)).text) is offered, path


async def test_a_manager_without_a_role_answers_in_their_own_review_and_sees_no_other(
    open_office: Office,
) -> None:
    managing = await given(open_office, CILLA, right=Right.MANAGE)
    right = await given(open_office, DAG)
    assert managing.digest != right.digest
    open_office.in_another_second()
    own = await review(open_office, right, reviewer=CILLA)
    other = await review(open_office, managing)
    visitor = await open_office.visit(CILLA)
    assert f'href="/reviews/{own}"' in (await visitor.get("/keys")).text
    page = await visitor.get(f"/reviews/{own}")
    assert page.status_code == 200
    assert 'value="remove"' in page.text
    for path in ("/reviews", f"/reviews/{other}", f"/reviews/{own + 100}", "/reviews/1"):
        assert (await visitor.get(path)).status_code == 404


@pytest.mark.parametrize(
    "change", [{"of": "0" * 64}, {"of": ""}, {"answer": ""}, {"answer": "approve"}], ids=str
)
async def test_what_is_no_answer_in_this_review_is_not_found(
    open_office: Office, change: dict[str, str]
) -> None:
    right = await given(open_office, DAG)
    number = await review(open_office, right)
    visitor = await open_office.visit(ANNA)
    fields = {"of": right.digest, "answer": "keep", "why": "behövs", **change}
    assert (await visitor.post(f"/reviews/{number}", fields)).status_code == 404


async def test_use_is_said_to_be_unknown_where_no_log_can_be_read(installation: Installation) -> None:
    async with office(installation, roles=(Role.GOVERNANCE,)) as opened:
        number = await review(opened, await given(opened, CILLA))
        page = (await (await opened.visit(ANNA)).get(f"/reviews/{number}")).text
        assert "Okänt här" in page
        assert "inte på 90 dagar" not in page


async def test_a_log_that_is_read_in_part_says_from_when_on(
    open_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await given(open_office, DAG)
    for _ in range(6):
        await read(open_office, CILLA)
    number = await review(open_office, right)
    monkeypatch.setattr(uses, "_PAGE", 2)
    monkeypatch.setattr(uses, "_MOST", 2)
    page = (await (await open_office.visit(ANNA)).get(f"/reviews/{number}")).text
    assert "längre tillbaka lästes inte loggen" in page
    assert "inte på 90 dagar" not in page


async def test_a_groups_use_is_that_of_its_members_and_a_roles_that_in_governance(
    open_office: Office,
) -> None:
    claim = Subject.claim(ISSUER, "groups", "vård")
    async with open_office.installation.open(open_office.organisation, Role.MESSAGE_CLIENT) as vault:
        person = await vault.know_person(Identity(ISSUER, "eva", "Eva Ek", {"groups": ("vård",)}))
    await read(open_office, Subject.parse(f"person:{person}"))
    await (await open_office.visit(AUDITOR)).get("/rights")
    reader = uses.UseReader(open_office.installation.gate)
    now = datetime.now(UTC)
    group, lonely = (
        Rights(each, SOC, frozenset({Right.READ})) for each in (claim, Subject.claim(ISSUER, "groups", "kök"))
    )
    roles = [
        Rights(each, ORGANISATION, frozenset({Right.AUDITOR}))
        for each in (AUDITOR, Subject.parse("person:x"))
    ]
    memberships = Memberships()
    act = listed(1, [Subject.parse(f"person:{person}")]).act
    assert isinstance(act, MembersListed)
    memberships.put(lambda table, key, value: table.setdefault(key, value), "0" * 64, at(1), act)
    directory = Rights(LISTED, SOC, frozenset({Right.READ}))
    asked = (group, lonely, directory, *roles)
    found = await reader.read(open_office.organisation, asked, now, memberships)
    assert [found.of(each).last is not None for each in asked] == [True, False, True, True, False]
