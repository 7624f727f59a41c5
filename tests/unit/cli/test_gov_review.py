"""`samdrift gov review` as officers use it, and the doctor's findings about reviews."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.administration.governing import Governance
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.governance.records import StatementRefused
from samdrift.governance.reviews import ItemState, ReviewEvent, items_about, reminders, reviews
from samdrift.messageclient.events import MKEvent
from samdrift.net.clock import system_clock
from samdrift.operations.findings import State
from samdrift.operations.reviewcheck import check_reviews, judge
from samdrift.rights import ORGANISATION, Given, Outcome, Reviewed, Right, Rights, Scope, Statement
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Record
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from tests.programs import requires
from tests.unit.cli import test_gov_signing
from tests.unit.cli.test_gov_agreements import two_officers
from tests.unit.cli.test_gov_signing import in_another_second, in_days
from tests.unit.rights.building import ANNA, BO, CILLA, HABO, KURT, ROBOT, SCHOOL
from tests.unit.rights.signers import House, founded
from tests.vaults import Installation

config, two = test_gov_signing.config, test_gov_signing.two
WEEK = timedelta(days=7)


@requires("ssh-keygen", "openssh-client")
async def test_a_review_is_opened_shown_with_use_answered_and_listed(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await two_officers(installation, config, two, tmp_path)
    given = ("--mailbox", "6c1d", "--rights", "read", "--until", in_days(180), "--by", "kim")
    numbers = [
        str((await desk.state("kim", "grant give", "--to", name, *given))["statement"])
        for name in ("dag", "eva")
    ]
    in_another_second()
    until = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    opening = ("review open", "--mailbox", "6c1d", "--reviewer", "kim", "--stand-in", "alex")
    opened = await desk.state("kim", *opening, "--until", until, "--by", "kim")
    with pytest.raises(Unusable, match="nothing to review"):
        await desk.signed("kim", *opening, "--until", in_days(25), "--by", "kim")
    await desk.state("kim", "review answer", numbers[0], "--outcome", "keep", "--by", "kim")
    await desk.state("alex", "review answer", numbers[1], "--outcome", "remove", "--by", "alex")
    in_another_second()
    number = str(opened["statement"])
    found = json.loads(await desk.run("review show", number, "--json"))
    assert [(each["who"], each["state"], each["by"]) for each in found["items"]] in (
        [("person:dag", "kept", "person:kim"), ("person:eva", "ended", "person:alex")],
        [("person:eva", "ended", "person:alex"), ("person:dag", "kept", "person:kim")],
    )
    assert "last used not shown" in await desk.run("review show", number)
    asked_for = ("--extent", "everything", "--ground", "organisations-case", "--ticket", "INC-1")
    await desk.state("kim", "consent request", *asked_for, "--to", "operator:ola", "--by", "kim")
    assert "last used never" in await desk.run("review show", number, "--by", "ola")
    await desk.state("alex", "review close", number, "--by", "alex")
    (listed,) = json.loads(await desk.run("review list", "--find", "person:eva", "--json"))["reviews"]
    assert listed["closed"] is not None
    assert json.loads(await desk.run("review list", "--find", "nowhere", "--json"))["reviews"] == []
    with pytest.raises(Unusable):
        await desk.run("review show", numbers[0])


@requires("ssh-keygen", "openssh-client")
async def test_a_review_shows_when_a_right_was_last_used_only_within_a_consent(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    roles = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
    desk = await two_officers(installation, config, two, tmp_path, roles)
    given = ("--mailbox", "6c1d", "--rights", "read", "--until", in_days(180), "--by", "kim")
    await desk.state("kim", "grant give", "--to", "dag", *given)
    in_another_second()
    dag = Principal(PrincipalKind.USER, "dag", desk.organisation.value)
    async with installation.gate.open(dag, desk.organisation, Role.MESSAGE_CLIENT, Purpose.READ) as vault:
        vault.record(MKEvent.MK_READING_MESSAGE, mailbox="6c1d")
    opening = ("review open", "--mailbox", "6c1d", "--reviewer", "kim", "--stand-in", "alex")
    review = str((await desk.state("kim", *opening, "--until", in_days(5), "--by", "kim"))["statement"])
    asked_for = ("--extent", "everything", "--ground", "security", "--ticket", "INC-1")
    await desk.state("kim", "consent request", *asked_for, "--to", "operator:ola", "--by", "kim")
    in_another_second()
    used = {}
    for who in ("ola", "pia"):
        found = json.loads(await desk.run("review show", review, "--by", who, "--json"))
        (item,) = found["items"]
        used[who] = (found["use_shown"], item["used"])
    assert used["ola"][0]
    assert used["ola"][1] is not None
    assert used["pia"] == (False, None), "the time of use is metadata, for which Pia has no consent"


@requires("ssh-keygen", "openssh-client")
async def test_a_reminder_names_who_is_to_answer_in_the_organisations_log(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await two_officers(installation, config, two, tmp_path)
    until = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    opening = ("review open", "--roles", "--reviewer", "alex", "--stand-in", "kim", "--until", until)
    await desk.state("kim", *opening, "--by", "kim")
    assert "person:alex, or person:kim" in await desk.run("review remind")
    async with installation.open(desk.organisation, Role.GOVERNANCE) as vault:
        log = [each for each in await vault.log(limit=1000) if each.event in tuple(ReviewEvent)]
    assert [each.ids["waiting"] for each in log] == ["2"]
    findings = [each async for each in check_reviews(cast(Administration, installation), system_clock())]
    (mine,) = [each for each in findings if each.about == desk.organisation.value]
    assert mine.state is State.WARN
    assert await desk.run("review remind", "--days", "1") == ""


@dataclass
class Locked:
    """A key store in which one vault is locked."""

    vault: str

    def locked(self, vault: str) -> bool:
        return vault == self.vault


@dataclass
class Beside:
    gate: Any
    keys: Any


async def test_nothing_ends_by_silence_while_a_vault_is_locked(installation: Installation) -> None:
    organisation = await installation.organisation([Role.GOVERNANCE, Role.MESSAGE_CLIENT])
    other = await installation.organisation([Role.MESSAGE_CLIENT])
    of = installation.gate.registry.find
    act = ReviewClosed("0" * 64)
    closing = Statement(organisation.value, ANNA, founded().now, "x", act)
    signed = founded().signers[ANNA].sign(closing)
    for whose, refused in ((organisation, True), (other, False)):
        registration = of(whose, Role.MESSAGE_CLIENT)
        assert registration is not None
        beside = cast(Administration, Beside(installation.gate, Locked(registration.vault)))
        governance = Governance(beside, organisation)
        (found,) = await asyncio.gather(governance.append(signed), return_exceptions=True)
        if refused:
            assert isinstance(found, Unusable)
            assert "is locked" in str(found)
        else:
            assert isinstance(found, StatementRefused), "it must reach the record, which has no such review"


def house() -> House:
    made = founded()
    contents = [each.signed.content for each in made.record.entries]
    made.record = Record.of(HABO, contents, FOLDS)
    return made


def gives(made: House, to: Any = CILLA, scope: Scope = SCHOOL) -> Statement:
    start = made.now + timedelta(minutes=1)
    what = Rights(to, scope, frozenset({Right.READ}))
    return made.state(ANNA, Given(what, start, start + timedelta(days=300), asked=False))


def opens(made: House, about: str = str(SCHOOL)) -> Statement:
    made.now += timedelta(minutes=2)
    items = items_about(made.record, about, made.now)
    return made.state(ANNA, ReviewOpened(about, items, ANNA, BO, made.now + WEEK + WEEK))


def test_a_review_is_about_a_mailbox_systems_or_roles() -> None:
    made = house()
    of_person, of_system = gives(made), gives(made, ROBOT)
    made.now += timedelta(minutes=2)
    assert set(items_about(made.record, str(SCHOOL), made.now)) == {of_person.digest, of_system.digest}
    assert items_about(made.record, "systems", made.now) == (of_system.digest,)
    assert len(items_about(made.record, str(ORGANISATION), made.now)) == 2
    opens(made, "systems")
    assert items_about(made.record, str(SCHOOL), made.now) == (of_person.digest,), (
        "the other right is already in a review"
    )


def test_the_doctor_says_what_waits_what_is_over_and_what_was_never_looked_at() -> None:
    made = house()
    assert judge(Record(HABO, FOLDS), HABO, made.now) == []

    def state() -> State:
        (finding,) = judge(made.record, HABO, made.now)
        return finding.state

    given = gives(made)
    opened = opens(made)
    assert state() is State.OK
    made.now += WEEK
    assert state() is State.WARN
    made.now += WEEK + timedelta(hours=1)
    assert state() is State.FAIL
    made.state(ANNA, Reviewed(given.digest, Outcome.KEEP))
    made.state(BO, ReviewClosed(opened.digest))
    assert state() is State.OK
    made.now += timedelta(days=336)
    assert state() is State.OK, "a right that has ended needs no review"


def test_an_administrator_whom_silence_spared_is_reminded_of_until_somebody_decides() -> None:
    made = house()
    opened = opens(made, str(ORGANISATION))
    made.now += WEEK + WEEK
    made.state(KURT, ReviewClosed(opened.digest))
    (found,) = reviews(made.record.state, made.now)
    assert {str(each.given.what.subject): each.state for each in found.items} == {
        str(ANNA): ItemState.SPARED,
        str(BO): ItemState.SILENCE,
    }
    ((event, facts, _),) = reminders(found, made.record, made.now, WEEK)
    assert (event, facts["spared"]) == (ReviewEvent.GOV_REVIEW_SPARED, "1")
