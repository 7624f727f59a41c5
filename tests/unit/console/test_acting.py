"""Acts at the console: each entry records how the person is known, and only the staff can act."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.config.staff import StaffKeysConfig
from samdrift.console.events import ConsoleEvent
from samdrift.contracts.principals import Role
from samdrift.web.formats import SWEDEN
from samdrift.wire.crypto.sshsig import SshKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.console.scene import Scene, config_of, stuck
from tests.unit.console.test_pages import words
from tests.unit.web.scene import ISSUER, LEVEL
from tests.vaults import Installation

ROLES = (Role.ACCESS_POINT,)
ORIGIN = "https://console.test"
KEY = SshKey.parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2sT0Twb24BUkl/op6pZ0BSF9sRxBSJPow1Zi8STSdZ")


@pytest_asyncio.fixture
async def scene(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> AsyncIterator[Scene]:
    opened = Scene(installation, config_of(tmp_path, [organisation]), ORIGIN)
    yield opened
    assert opened.failures == []


def with_staff(scene: Scene, *staff: StaffKeysConfig) -> Scene:
    """Return the console of an installation whose configuration names the staff with their keys."""
    return Scene(scene.installation, replace(scene.config, staff=staff), ORIGIN)


async def entries(scene: Scene, organisation: ParticipantIdentifier) -> list[LogEntry]:
    async with scene.installation.open(organisation, Role.ACCESS_POINT) as vault:
        return list(await vault.log(0, 10_000))


def outage(organisation: ParticipantIdentifier) -> dict[str, str]:
    starts = datetime.now(SWEDEN) + timedelta(days=40)
    ends = starts + timedelta(hours=1)
    form = "%Y-%m-%dT%H:%M"
    times = {"starts": starts.strftime(form), "ends": ends.strftime(form)}
    return {"text": "Byte av databas", "organisations": str(organisation), **times}


async def test_each_act_names_the_person_and_the_sign_in_that_they_are_known_by(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    """Each entry has the sign-in as the proof of the name, for acts as well as for looking."""
    transfer = await stuck(scene.installation, organisation)
    at = f"/queues/{organisation}/{transfer.id}"
    before = datetime.now(UTC).replace(microsecond=0)
    known = len(await scene.operators_log())
    async with scene.visit() as visitor:
        assert (await visitor.get("/queues")).status_code == 200
        assert (await visitor.post(f"{at}/retry")).status_code == 303
        assert (await visitor.post(f"{at}/give-up", {"reason": "stängd"})).status_code == 303
        assert (await visitor.post("/maintenance/new", outage(organisation))).status_code == 303
        announced = [
            each for each in await scene.operators_log() if each.event == ConsoleEvent.OUTAGE_ANNOUNCED
        ]
        withdraw = f"/maintenance/{announced[-1].ids['outage']}/withdraw"
        assert (await visitor.post(withdraw)).status_code == 303
    acts = {"ap:transfer:hastened", "ap:transfer:failed", "org:outage:announced", "org:outage:withdrawn"}
    own = [each for each in await entries(scene, organisation) if each.principal == "operator:anna-ap"]
    assert {each.event for each in own} == {*acts, "vault:opening:granted"}
    operators = [each for each in (await scene.operators_log())[known:] if each.ids.get("by") == "anna-ap"]
    assert {"org:outage:announced", "org:outage:withdrawn"} <= {each.event for each in operators}
    for entry in (*own, *(each for each in operators if each.event in acts)):
        facts = entry.ids
        assert (facts["proof"], facts["proof_issuer"], facts["proof_level"]) == ("session", ISSUER, LEVEL)
        assert before <= datetime.fromisoformat(facts["proof_at"]) <= datetime.now(UTC)
        assert "proof_certificate" not in facts


@pytest.mark.parametrize(
    ("staff", "said", "reason"),
    [
        (StaffKeysConfig("ola", (KEY,)), "anna-ap är inte en av dem", "unknown"),
        (StaffKeysConfig("anna-ap", (KEY,), ("backup create",)), "anna-ap en tjänst", "service"),
    ],
    ids=["not named", "a service"],
)
async def test_an_act_of_one_who_is_not_named_with_a_key_is_refused_in_words_and_noted(
    scene: Scene, organisation: ParticipantIdentifier, staff: StaffKeysConfig, said: str, reason: str
) -> None:
    transfer = await stuck(scene.installation, organisation)
    before = len(await scene.operators_log())
    named = with_staff(scene, staff)
    async with named.visit() as visitor:
        shown = await visitor.get(f"/queues/{organisation}/{transfer.id}")
        assert shown.status_code == 200, "a person who has signed in may look"
        answer = await visitor.post(f"/queues/{organisation}/{transfer.id}/retry")
    assert answer.status_code == 403
    assert "Inget gjordes" in words(answer.text)
    assert said in words(answer.text)
    events = {each.event for each in await entries(scene, organisation)}
    assert "ap:transfer:hastened" not in events
    noted = [
        (each.ids["by"], each.ids["command"], each.ids["reason"], each.ids["proof"])
        for each in (await scene.operators_log())[before:]
        if each.event == AdminEvent.COMMAND_REFUSED
    ]
    assert noted == [("anna-ap", "console retry", reason, "session")]
    assert named.failures == []


async def test_one_who_is_named_with_a_key_acts_under_that_name(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    transfer = await stuck(scene.installation, organisation)
    async with with_staff(scene, StaffKeysConfig("anna-ap", (KEY,))).visit() as visitor:
        answer = await visitor.post(f"/queues/{organisation}/{transfer.id}/retry")
    assert answer.status_code == 303
    (entry,) = (each for each in await entries(scene, organisation) if each.event == "ap:transfer:hastened")
    assert (entry.principal, entry.ids["proof"]) == ("operator:anna-ap", "session")


async def test_a_refusal_that_cannot_be_noted_is_asked_to_come_again(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    """While the database is away, a refusal cannot be recorded, so the answer asks to try again instead."""
    named = with_staff(scene, StaffKeysConfig("ola", (KEY,)))
    async with named.visit() as visitor:
        named.away = True
        assert (await visitor.post("/maintenance/new", outage(organisation))).status_code == 503
