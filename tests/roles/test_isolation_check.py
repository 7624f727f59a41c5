"""`samdrift isolation check` against an installation that runs: every attempt, by every kind of actor.

The calls of interfaces C and D are those of the routes, and a route without one
fails: this is both the suite and what an operator schedules.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio
from starlette.routing import Route

from samdrift.accesspoint.interface_c import InterfaceC
from samdrift.app.configfile import load
from samdrift.app.demo.cast import DemoOperator
from samdrift.app.operator import vault_settings
from samdrift.app.separation import interfacec, interfaced
from samdrift.app.separation.check import check, ground_of, try_everything
from samdrift.app.separation.ledger import Ledger
from samdrift.audit.events import AuditEvent
from samdrift.contracts.isolation import Verdict
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.authorization.endpoint import AuthorizationServer
from samdrift.messageservice.interfaced.application import InterfaceD
from samdrift.vault.database import Database
from tests.roles.member import MT, Member
from tests.roles.processes import Process, organisation, played
from tests.roles.stage import Stage
from tests.unit.app.commandline import samdrift
from tests.vaults import WORKER, server_folder

FIRST, SECOND, OTHER = (
    organisation(name, number)
    for name, number in (
        ("kanariegul", "2120000464"),
        ("kanariegron", "2120000522"),
        ("vetlanda", "2120000571"),
    )
)
NOTHING = cast(Any, None)


@dataclass(frozen=True)
class Checked:
    """An installation that runs, with two canaries and an organisation that is none."""

    process: Process
    members: list[Member]
    config: Path

    async def results(self, role: Role) -> list[dict[str, str]]:
        """What the log of the organisation that is no canary says of checks."""
        gate = self.process.gate
        async with gate.open(WORKER, OTHER.identifier, role, Purpose.TRACE) as vault:
            entries = await vault.log(limit=10_000)
        checks = [entry for entry in entries if entry.principal == "worker:isolation-check"]
        told = AuditEvent.ISOLATION_CHECKED
        assert {entry.event for entry in checks} <= {told, AuditEvent.VAULT_OPENING_GRANTED}
        return [dict(entry.ids) for entry in checks if entry.event == told]


@pytest_asyncio.fixture(scope="module")
async def checked(stage: Stage) -> AsyncIterator[Checked]:
    operator = DemoOperator("operator-e", "AP0031-SDK-DEMO", (FIRST, SECOND, OTHER))
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ["all"]}) as run:
            (process,) = run.processes
            await process.start()
            canaries = json.dumps([FIRST.identifier.value, SECOND.identifier.value])
            text = process.config_file.read_text()
            process.config_file.write_text(f"{text}\n[isolation_check]\ncanaries = {canaries}\n")
            yield Checked(process, run.members, process.config_file)


@pytest_asyncio.fixture(scope="module")
async def ledger(checked: Checked) -> Ledger:
    found = Ledger()
    async with ground_of(load(checked.config)) as ground:
        await try_everything(ground, found)
    return found


def endpoints(*routes: Any) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }


SAYS = "a route has no call that names another organisation's records: write one in {}"


def test_every_route_of_interface_c_is_tried() -> None:
    application = InterfaceC(NOTHING, NOTHING, NOTHING, NOTHING).application()
    assert endpoints(*application.routes) == set(interfacec.CALLS), SAYS.format(interfacec.__name__)


def test_every_route_of_interface_d_is_tried() -> None:
    application = InterfaceD(NOTHING, NOTHING, (), NOTHING, NOTHING).application()
    assert endpoints(*application.routes) == set(interfaced.CALLS), SAYS.format(interfaced.__name__)


def test_every_route_of_the_authorisation_server_is_tried() -> None:
    server = AuthorizationServer(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
    assert endpoints(*server.routes()) == set(interfaced.TOKEN_CALLS), SAYS.format(interfaced.__name__)


ATTEMPTS = [
    (interface, call.name, actor)
    for interface, routes, actors in (
        (interfacec.INTERFACE, interfacec.CALLS, interfacec.ACTORS),
        (interfaced.INTERFACE, interfaced.CALLS, interfaced.ACTORS),
        (interfaced.TOKENS, interfaced.TOKEN_CALLS, (interfaced.ANONYMOUS,)),
    )
    for calls in routes.values()
    for call in calls
    for actor in actors
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=": ".join)
def test_a_call_that_names_anothers_records_is_denied_both_ways(
    ledger: Ledger, attempt: tuple[str, str, str]
) -> None:
    found = [
        (one.verdict, one.why)
        for one in ledger.of(*Verdict)
        if (one.interface, one.operation, one.actor) == attempt
    ]
    assert found == [(Verdict.DENIED, "")] * 2


def test_nothing_leaks_anywhere_and_nothing_is_left_untried(ledger: Ledger) -> None:
    assert ledger.of(Verdict.LEAKED, Verdict.UNTRIED) == []
    assert ledger.passed
    everywhere = {"gate", "search", "log", "database", "object store", "sealed values", "key store"}
    assert everywhere < set(ledger.counts())


async def test_what_was_planted_is_gone(checked: Checked, ledger: Ledger) -> None:
    for member in checked.members:
        async with member.open(MT) as messages:
            assert await messages.messages() == ()
        async with member.open(Role.ACCESS_POINT) as transfers:
            assert await transfers.waiting(10) == ()
            assert await transfers.inbox(10) == ()


async def test_the_result_is_signed_and_stands_in_the_log_of_every_organisation(
    checked: Checked, tmp_path: Path
) -> None:
    before = {role: len(await checked.results(role)) for role in Role}
    ended = await asyncio.to_thread(samdrift, "isolation", "check", "--json", "--config", checked.config)
    assert (ended.status, ended.complaints) == (0, "")
    found = ended.document
    assert found["attempts"] == found["denied"] > 400
    assert found["leaks"] == found["untried"] == []
    for role in Role:
        *_, told = (await checked.results(role))[before[role] :]
        assert (told["sha256"], told["leaks"], told["passed"]) == (found["sha256"], "0", "true")
    file = tmp_path / "result.json"
    file.write_text(ended.output)
    verified = await asyncio.to_thread(samdrift, "isolation", "verify", file)
    assert verified.status == 0
    assert "AP0031-SDK-DEMO" in verified.output


async def test_a_leak_is_found_and_told_without_content(checked: Checked) -> None:
    """The database lets one canary's login into the other's schema, as after an error of an administrator."""
    config = load(checked.config)
    async with ground_of(config) as ground:
        mine, theirs = [await ground.crossings.find(one.identifier, MT) for one in (FIRST, SECOND)]
        database = await Database.start(vault_settings(config))
    try:
        with psycopg.connect(database.administrator(), autocommit=True) as administrator:
            grants = f"USAGE ON SCHEMA {theirs.schema}", f"SELECT ON {theirs.schema}.messages"
            for grant in grants:
                administrator.execute(f"GRANT {grant} TO {mine.login.name}".encode())
            found = await check(config)
            for grant in grants:
                administrator.execute(f"REVOKE {grant} FROM {mine.login.name}".encode())
    finally:
        await database.stop()
    assert not found["passed"]
    leaks = [one["operation"] for one in found["leaks"]]
    assert "SELECT count(*) FROM {theirs}.messages" in leaks
    assert found["attempts"] - found["denied"] >= len(leaks) > 0
    assert theirs.schema not in json.dumps(found)
    for role in Role:
        assert (await checked.results(role))[-1]["passed"] == "false"


async def test_what_cannot_be_tried_is_not_counted_as_denied(checked: Checked) -> None:
    await checked.process.stop()
    found = await check(load(checked.config))
    assert not found["passed"]
    assert {one["interface"] for one in found["untried"]} == {"interface C", "interface D"}
    assert found["leaks"] == []
    assert found["interfaces"]["interface D"]["denied"] == 0


async def test_without_canaries_there_is_no_check(stage: Stage) -> None:
    file = stage.habo.config.vaults.secrets.parent / "samdrift.toml"
    ended = await asyncio.to_thread(samdrift, "isolation", "check", "--config", file)
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "two canary organisations" in ended.complaints
