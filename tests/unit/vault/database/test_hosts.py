"""A database whose host goes down, and a standby that takes its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from psycopg.conninfo import conninfo_to_dict

from samdrift.contracts.principals import Role
from samdrift.keystore.durablefiles import private_folder
from samdrift.vault.database.hosts import Hosts
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.replicas import replicated
from tests.vaults import Installation, installed, server_folder, settings_in, submitted

AP = Role.ACCESS_POINT
BOTH = "host=db1,db2 port=5432 dbname=x"


def order(address: str) -> list[tuple[str, ...]]:
    said = conninfo_to_dict(address)
    given = [str(said[name]).split(",") for name in ("host", "hostaddr", "port") if name in said]
    return list(zip(*given, strict=True))


def test_the_host_that_let_the_last_login_in_is_asked_first() -> None:
    """A host that was cut off and does not answer would otherwise delay each login."""
    hosts = Hosts()
    assert order(hosts.ordered(BOTH)) == [("db1", "5432"), ("db2", "5432")]
    hosts.let_in(BOTH, "db2", "192.0.2.2", "5432")
    assert order(hosts.ordered(BOTH)) == [("db2", "5432"), ("db1", "5432")]
    assert order(hosts.ordered(BOTH + " user=a")) == [("db2", "5432"), ("db1", "5432")], (
        "the order must apply to every login"
    )
    hosts.let_in(BOTH, "db1", "192.0.2.1", "5432")
    assert order(hosts.ordered(BOTH)) == [("db1", "5432"), ("db2", "5432")]


@pytest.mark.parametrize(
    ("address", "host", "hostaddr", "port", "ordered"),
    [
        ("host=db,db port=1,2", "db", "192.0.2.1", "2", [("db", "2"), ("db", "1")]),
        ("hostaddr=192.0.2.1,192.0.2.2", "192.0.2.2", "192.0.2.2", "5432", [("192.0.2.2",), ("192.0.2.1",)]),
        (
            "host=a,b,c hostaddr=192.0.2.1,192.0.2.2,192.0.2.3 port=7,7,8",
            "b",
            "192.0.2.2",
            "7",
            [("b", "192.0.2.2", "7"), ("c", "192.0.2.3", "8"), ("a", "192.0.2.1", "7")],
        ),
        ("host=a,b port=,5433", "b", "", "5433", [("b", "5433"), ("a", "")]),
        ("host=a,b", "elsewhere", "192.0.2.9", "5432", [("a",), ("b",)]),
    ],
)
def test_hosts_keep_their_own_ports_and_addresses(
    address: str, host: str, hostaddr: str, port: str, ordered: list[tuple[str, ...]]
) -> None:
    hosts = Hosts()
    hosts.let_in(address, host, hostaddr, port)
    assert order(hosts.ordered(address)) == ordered


def test_an_address_with_one_host_is_left_as_it_is() -> None:
    hosts, address = Hosts(), "host=db1 password='a,b' dbname=x"
    hosts.let_in(address, "db1", "", "5432")
    assert hosts.ordered(address) == address


async def test_a_standby_that_is_promoted_has_all_that_was_committed_and_takes_what_comes() -> None:
    with server_folder() as folder, replicated(folder / "servers") as servers:
        settings = settings_in(folder / "installation")
        (private_folder(settings.secrets) / "administrator").write_text(servers.password)
        async with installed(replace(settings, database=servers.url)) as installation:
            organisation = await installation.organisation([AP])
            async with installation.open(organisation, AP) as vault:
                await submitted(vault)
            await servers.lose_the_first()
            assert await refused(installation, organisation) == (
                "only a standby responds: no host of the URL accepts writes"
            )
            await servers.promote()
            async with installation.open(organisation, AP) as vault:
                assert len(await vault.waiting(10)) == 1
                await submitted(vault)
            async with installation.open(organisation, AP) as vault:
                assert len(await vault.waiting(10)) == 2


async def refused(installation: Installation, organisation: ParticipantIdentifier) -> str:
    """Return the reason that a vault does not open, after existing connections are found to be gone."""
    async with asyncio.timeout(60):
        while True:  # Server processes outlive a killed server for a moment.
            try:
                async with installation.open(organisation, AP) as vault:
                    await vault.waiting(10)
            except VaultError as error:
                why = error.cause if isinstance(error, VaultUnavailable) else type(error).__name__
                if why != "the connection to the database was lost":
                    return why


async def test_a_host_that_loses_its_power_is_noticed_though_it_closes_no_connection(
    installation: Installation,
) -> None:
    """The operating system would only check on a silent connection after two hours."""
    database = installation.provisioner.database
    said = conninfo_to_dict(database.login("a", "b").address)
    unnoticed = int(said["keepalives_idle"]) + int(said["tcp_user_timeout"]) / 1000
    assert unnoticed <= 30
    assert int(said["keepalives_interval"]) * 1000 < int(said["tcp_user_timeout"])
