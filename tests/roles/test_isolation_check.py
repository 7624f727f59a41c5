"""`samdrift isolation check` on a running installation: every attempt, by every kind of actor.

Its calls of interfaces C and D are compared with the routes, and a route without one
fails: this is both the test suite and the command that an operator schedules.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import make_conninfo
from starlette.routing import Route

from samdrift.accesspoint.interface_c import InterfaceC
from samdrift.administration.administration import administering
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.contracts.isolation import Verdict
from samdrift.contracts.principals import Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.isolationcheck import check as isolation
from samdrift.isolationcheck import interface_c, interface_d
from samdrift.isolationcheck.check import Ground, check, ground_of, try_everything
from samdrift.isolationcheck.ledger import Ledger
from samdrift.messageservice.interface_d.application import InterfaceD
from samdrift.messageservice.oauth.endpoint import AuthorizationServer
from samdrift.vault.database.server import Database
from samdrift.vault.registry import RegistrationState
from tests.roles.canaries import FIRST, OTHER, SECOND, Canaries
from tests.roles.member import MT
from tests.roles.stage import Stage
from tests.sizes import sampled
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import until

NOTHING = cast(Any, None)


@dataclass(frozen=True)
class Checked:
    """Result of the command, and all that it tried."""

    ended: Ended
    ledger: Ledger
    told: list[dict[str, str]]
    """Log entries about it at an organisation that is not a canary."""


@pytest_asyncio.fixture(scope="module")
async def checked(canaries: Canaries) -> Checked:
    ledgers: list[Ledger] = []

    async def kept(ground: Ground, ledger: Ledger) -> None:
        ledgers.append(ledger)
        await try_everything(ground, ledger)

    before = len(await canaries.results())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation, "try_everything", kept)
        ended = await asyncio.to_thread(
            in_process, "isolation", "check", "--json", "--config", canaries.config
        )
    (ledger,) = ledgers
    return Checked(ended, ledger, (await canaries.results())[before:])


@pytest.fixture(scope="module")
def ledger(checked: Checked) -> Ledger:
    return checked.ledger


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
    assert endpoints(*application.routes) == set(interface_c.CALLS), SAYS.format(interface_c.__name__)


def test_every_route_of_interface_d_is_tried() -> None:
    application = InterfaceD(NOTHING, NOTHING, (), NOTHING, NOTHING, NOTHING).application()
    assert endpoints(*application.routes) == set(interface_d.CALLS), SAYS.format(interface_d.__name__)


def test_every_route_of_the_authorisation_server_is_tried() -> None:
    gate: Any = SimpleNamespace(worker=lambda name, role: NOTHING)
    server = AuthorizationServer(NOTHING, NOTHING, gate, NOTHING, NOTHING, NOTHING)
    assert endpoints(*server.routes()) == set(interface_d.TOKEN_CALLS), SAYS.format(interface_d.__name__)


ATTEMPTS = [
    (interface, call.name, actor)
    for interface, routes, actors in (
        (interface_c.INTERFACE, interface_c.CALLS, interface_c.ACTORS),
        (interface_d.INTERFACE, interface_d.CALLS, interface_d.ACTORS),
        (interface_d.TOKENS, interface_d.TOKEN_CALLS, (interface_d.ANONYMOUS,)),
    )
    for calls in routes.values()
    for call in calls
    for actor in actors
]


@pytest.mark.parametrize("attempt", sampled(map(pytest.param, ATTEMPTS)), ids=": ".join)
async def test_a_call_that_names_anothers_records_is_denied_both_ways(
    ledger: Ledger, attempt: tuple[str, str, str]
) -> None:
    found = [
        (one.verdict, one.why)
        for one in ledger.of(*Verdict)
        if (one.interface, one.operation, one.actor) == attempt
    ]
    assert found == [(Verdict.DENIED, "")] * 2


async def test_nothing_leaks_anywhere_and_nothing_is_left_untried(ledger: Ledger) -> None:
    assert ledger.of(Verdict.LEAKED, Verdict.UNTRIED) == []
    assert ledger.passed
    everywhere = {"gate", "search", "log", "database", "object store", "sealed values", "key store", "logins"}
    assert everywhere < set(ledger.counts())


@pytest.mark.parametrize("role", list(Role), ids=str)
async def test_each_role_that_is_hosted_is_tried(ledger: Ledger, role: Role) -> None:
    """This includes message client and governance, whose vaults have little of their own yet."""
    denied = {(one.interface, one.operation) for one in ledger.of(Verdict.DENIED)}
    assert {("gate", f"open {role}"), ("log", f"{role}: log"), ("log", f"{role}: find_log")} <= denied
    if role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
        assert {("search", f"{role}: records"), ("database", "DELETE FROM {theirs}.records")} <= denied


async def test_what_was_planted_is_gone(canaries: Canaries, ledger: Ledger) -> None:
    for member in canaries.members:
        async with member.open(MT) as messages:
            assert await messages.messages() == ()
        async with member.open(Role.ACCESS_POINT) as transfers:
            assert await transfers.waiting(10) == ()
            assert await transfers.inbox(10) == ()
        for role in (Role.MESSAGE_CLIENT, Role.GOVERNANCE):
            async with member.open(role) as vault:  # type: ignore[call-overload]
                assert await vault.records(10) == ()


async def test_the_result_is_signed_and_stands_in_the_log_of_every_organisation(
    checked: Checked, tmp_path: Path
) -> None:
    ended = checked.ended
    assert (ended.status, ended.complaints) == (0, "")
    found = ended.document
    assert found["attempts"] == found["denied"] > 400
    assert found["leaks"] == found["untried"] == []
    (told,) = checked.told
    assert (told["sha256"], told["leaks"], told["passed"]) == (found["sha256"], "0", "true")
    file = tmp_path / "result.json"
    file.write_text(ended.output)
    verified = await asyncio.to_thread(in_process, "isolation", "verify", file)
    assert verified.status == 0
    assert FIRST.name in verified.output


async def test_a_leak_is_found_and_told_without_content(canaries: Canaries) -> None:
    """One canary's login has access to the other's database and schema, as after an administrator's error."""
    config = load(canaries.config)
    async with ground_of(config) as ground:
        mine, theirs = [await ground.crossings.find(one.identifier, MT) for one in (FIRST, SECOND)]
        database = await Database.start(vault_settings(config))
    try:
        address = make_conninfo(database.administrator(), dbname=theirs.where or "")
        with psycopg.connect(address, autocommit=True) as administrator:
            grants = (
                f"CONNECT ON DATABASE {theirs.where}",
                f"USAGE ON SCHEMA {theirs.schema}",
                f"SELECT ON {theirs.schema}.messages",
            )
            for grant in grants:
                administrator.execute(f"GRANT {grant} TO {mine.login.name}".encode())
            found, untold = await check(config)
            for grant in grants:
                administrator.execute(f"REVOKE {grant} FROM {mine.login.name}".encode())
    finally:
        await database.stop()
    assert (found["passed"], untold) == (False, [])
    leaks = [one["operation"] for one in found["leaks"]]
    assert "log in to the other's database as {my_login}" in leaks
    assert "SELECT count(*) FROM {theirs}.messages" in leaks
    assert found["attempts"] - found["denied"] >= len(leaks) > 0
    assert theirs.schema not in json.dumps(found)
    assert (await canaries.results())[-1]["passed"] == "false"


async def test_a_login_of_neither_canary_that_is_a_superuser_is_a_leak(canaries: Canaries) -> None:
    """Nothing that a canary's login tries shows that another vault's login may do everything."""
    config = load(canaries.config)
    async with ground_of(config) as ground:
        ours = (await ground.crossings.find(OTHER.identifier, MT)).login.name
        database = await Database.start(vault_settings(config))
    made = ("CREATE ROLE somebody LOGIN", "GRANT pg_read_server_files TO somebody")
    try:
        with psycopg.connect(database.administrator(), autocommit=True) as administrator:
            for statement in (f"ALTER ROLE {ours} SUPERUSER", *made):
                administrator.execute(statement.encode())
            found, _ = await check(config)
            for statement in (f"ALTER ROLE {ours} NOSUPERUSER", "DROP ROLE somebody"):
                administrator.execute(statement.encode())
    finally:
        await database.stop()
    assert not found["passed"]
    assert [one["why"] for one in found["leaks"]] == [
        f"the login {ours} is a superuser",
        "the login that is not Samdrift's somebody is a member of pg_read_server_files",
    ]


async def test_what_cannot_be_tried_is_not_counted_as_denied(canaries: Canaries) -> None:
    """The interfaces' addresses do not answer."""
    config = load(canaries.config)
    assert config.message_service is not None
    silent = replace(
        config,
        message_service=replace(config.message_service, address_d="https://127.0.0.1:1"),
        organisations=tuple(replace(one, access_point="https://127.0.0.1:1") for one in config.organisations),
    )
    found, untold = await check(silent, {"by": "timer", "proof": "none"})
    assert (found["passed"], untold) == (False, [])
    facts = (await canaries.results())[-1]
    assert (facts["by"], facts["proof"]) == ("timer", "none"), (
        "the log must name who started the check, and the proof"
    )
    assert {one["interface"] for one in found["untried"]} == {"interface C", "interface D"}
    assert found["leaks"] == []
    denied = {name for name, row in found["interfaces"].items() if row["denied"]}
    assert denied.isdisjoint({"interface C", "interface D"})


async def test_a_canary_that_is_suspended_proves_nothing(canaries: Canaries) -> None:
    config, registry = load(canaries.config), canaries.process.gate.registry
    async with administering(config) as installation:
        provisioner, canary = installation.provisioner, FIRST.identifier
        await provisioner.set_state(canary, MT, RegistrationState.SUSPENDED)
        try:
            with pytest.raises(ConfigError, match="not served"):
                await check(config)
        finally:
            await provisioner.set_state(canary, MT, RegistrationState.ACTIVE)
    await until(lambda: registry.serves(FIRST.identifier, MT))


async def test_without_canaries_there_is_no_check(stage: Stage) -> None:
    file = stage.habo.config.vaults.secrets.parent / "samdrift.toml"
    ended = await asyncio.to_thread(in_process, "isolation", "check", "--config", file)
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "two canary organisations" in ended.complaints
