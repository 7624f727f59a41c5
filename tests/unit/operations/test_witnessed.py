"""Cosignatures count as they verify, against a superuser of the database who writes what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.audit.policies import Member
from samdrift.contracts.principals import Role
from samdrift.governance.report import Collected
from samdrift.installation.logturns import LogPlace
from samdrift.operations import compliance
from samdrift.transparency.witnessstate import WitnessState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.audit.signing import ONE, TWO
from tests.unit.installation.test_logkeeping import AP, Scene
from tests.vaults import Installation

HOUR = timedelta(hours=1)
FORGED_TIME = (
    "UPDATE {}.log_witnesses SET cosigned_at = cosigned_at + 86400, asked_at = asked_at + '1 day' RETURNING 1"
)
FORGED_SIZE = "UPDATE {}.log_witnesses SET size = size + 3 RETURNING 1"
OTHER_ENTRY = "UPDATE {}.log SET hash = sha256(hash) WHERE sequence = 2 RETURNING 1"
NO_ENTRY = "DELETE FROM {}.log WHERE sequence = 2 RETURNING 1"
OTHER_SIGNATURE = "UPDATE {}.log_cosignatures SET last = set_byte(last, length(last) - 9, 66) RETURNING 1"
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def scene(installation: Installation, tmp_path: Path) -> Iterator[Scene]:
    with WitnessState(tmp_path / "state.sqlite", ONE.key, new=True) as state:
        yield Scene(installation, cast(Any, None), state)


async def witnessed(scene: Scene) -> ParticipantIdentifier:
    """Return an organisation whose only log its witness has just cosigned."""
    organisation = await scene.installation.organisation((Role.ACCESS_POINT,))
    scene.place = LogPlace(organisation, AP)
    scene.restart()
    await scene.known()
    await scene.log(5)
    await scene.keeper.round(scene.place)
    return organisation


async def seen(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, members: tuple[Member, ...] | None = None
) -> dict[str, Collected | None]:
    of = SimpleNamespace(of=lambda _: scene.members if members is None else members)
    monkeypatch.setattr(compliance, "Policies", lambda _: of)
    here = cast(Administration, SimpleNamespace(gate=scene.installation.gate, config=None))
    return await compliance.of_cosignatures(here, scene.organisation, scene.now + HOUR)


async def change(scene: Scene, statement: str) -> None:
    login = await vault_login(scene.installation, scene.organisation, Role.ACCESS_POINT)
    assert (await superuser(scene.installation)).rows(statement.format(login.schema))


async def test_the_time_of_a_cosignature_is_the_one_that_the_witness_signed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await witnessed(scene)
    before = (await seen(scene, monkeypatch))["log.witnessed"]
    assert before is not None
    assert (before.good, before.at) == (True, scene.now.replace(microsecond=0))
    await change(scene, FORGED_TIME)
    assert (await seen(scene, monkeypatch))["log.witnessed"] == before


@pytest.mark.parametrize("statement", [OTHER_ENTRY, NO_ENTRY])
async def test_entries_that_a_superuser_changed_are_not_those_that_were_witnessed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    await witnessed(scene)
    await change(scene, statement)
    found = (await seen(scene, monkeypatch))["log.witnessed"]
    assert found is not None
    assert not found.good


@pytest.mark.parametrize("statement", [FORGED_SIZE, OTHER_SIGNATURE])
async def test_a_cosignature_that_does_not_verify_is_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    await witnessed(scene)
    await change(scene, statement)
    assert (await seen(scene, monkeypatch))["log.witnessed"] is None


async def test_a_witness_that_the_policy_does_not_name_does_not_count(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await witnessed(scene)
    assert (await seen(scene, monkeypatch, ()))["log.witnessed"] is None
    other = Member(TWO.key, "https://other.example.se")
    assert (await seen(scene, monkeypatch, (*scene.members, other)))["log.witnessed"] is None
