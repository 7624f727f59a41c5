"""The console as its command serves it, on its own listener, even while nothing else runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from samdrift.config.console import ConsoleConfig, StaffConfig
from samdrift.config.errors import Unusable
from samdrift.config.model import Config, Environment, SocketAddress, VaultConfig
from samdrift.config.signin import SignInConfig
from samdrift.console.opened import Opened
from samdrift.console.service import console_served
from samdrift.installation.vaultsettings import key_store
from samdrift.net.server import listening_socket
from samdrift.vault.errors import VaultUnavailable
from samdrift.web.signin.faults import Fault, SignInFailed
from tests.secretfiles import secret_file
from tests.unit.console.scene import config_of, person
from tests.unit.web.scene import ISSUER, LEVEL
from tests.vaults import Installation

HOST = "console.localhost"


@pytest.fixture
def config(installation: Installation, tmp_path: Path) -> Config:
    settings = installation.settings
    assert isinstance(settings.database, Path)
    assert isinstance(settings.objects, Path)
    vaults = VaultConfig(
        settings.database,
        settings.objects,
        settings.secrets,
        settings.seals,
        secret_file(tmp_path / "passphrase", settings.passphrase or b""),
        control=tmp_path / "control",
    )
    sign_in = SignInConfig(
        "http://127.0.0.1:1", "console", ("mfa",), secret_file(tmp_path / "console.secret", "secret")
    )
    with listening_socket("127.0.0.1") as free:
        address = SocketAddress("127.0.0.1", free.getsockname()[1])
    own = ConsoleConfig(address, HOST, "Driftbolaget", (StaffConfig("anna", "anna-ap"),), sign_in, plain=True)
    return replace(config_of(tmp_path), vaults=vaults, console=own, environment=Environment.DEMONSTRATION)


async def test_it_serves_at_its_own_host_while_nothing_runs(config: Config) -> None:
    assert config.console is not None
    port = config.console.listen.port
    async with (
        console_served(config),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"host": f"{HOST}:{port}"}) as browser,
    ):
        assert (await browser.get("/health")).status_code == 204
        assert (await browser.get("/")).status_code == 401
        assert (await browser.get("/sign-in/start")).status_code == 503  # The sign-in service is down.
        for host in (f"127.0.0.1:{port}", "habo.messages.test"):
            assert (await browser.get("/", headers={"host": host})).status_code == 404


async def test_sign_ins_are_in_the_operators_log_and_refusals_up_to_a_limit(
    config: Config, installation: Installation
) -> None:
    async with console_served(config) as console:
        before = (await installation.gate.read_operator_log(0, 100_000))[-1].sequence
        sessions = console.site.sessions
        assert await sessions.begin(person(), b"1" * 16) is not None
        with pytest.raises(SignInFailed):
            await sessions.begin(person("olle"), b"2" * 16)
        for _ in range(30):
            with pytest.raises(SignInFailed):
                await console.site.sign_in.complete({}, None)
    entries = await installation.gate.read_operator_log(before, 1000)
    told = [(each.event, dict(each.ids)) for each in entries if each.event.startswith("org:console:")]
    event, facts = told[0]
    assert (event, facts["by"], facts["proof"]) == ("org:console:signed-in", "anna-ap", "session")
    assert (facts["proof_issuer"], facts["proof_level"]) == (ISSUER, LEVEL)
    assert told[1:] == [("org:console:refused", {"reason": Fault.UNSOLICITED.value})] * 20


async def test_without_its_table_it_says_where_it_is_explained(config: Config) -> None:
    with pytest.raises(Unusable, match=r"docs/console\.md"):
        async with console_served(replace(config, console=None)):
            pass


async def test_an_installation_that_cannot_be_opened_is_tried_again_and_said_once(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    keys = key_store(config)
    places = replace(config.vaults, database="postgresql://samdrift@127.0.0.1:1/samdrift")
    async with Opened(replace(config, vaults=places), keys) as opened:
        for _ in range(3):
            with pytest.raises(VaultUnavailable) as away:
                await opened()
            assert away.value.cause == "connection refused at 127.0.0.1:1"
    unfit = replace(config.vaults, database="postgresql://127.0.0.1:1/samdrift")
    async with Opened(replace(config, vaults=unfit), keys) as opened:
        with pytest.raises(VaultUnavailable):
            await opened()
    assert [record.getMessage() for record in caplog.records] == [
        "console: the installation cannot be opened: connection refused at 127.0.0.1:1",
        "console: the installation cannot be opened: the URL of the database names no user",
    ]
    async with Opened(config, keys) as opened:
        assert (await opened()).gate is (await opened()).gate
