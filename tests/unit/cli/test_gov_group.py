"""`samdrift gov group`: officers enrol a directory and grant its group a right; the command reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from tests.programs import requires
from tests.secretfiles import secret_file
from tests.slapd import GROUPS, PASSWORD, PEOPLE, READER, Slapd, group, person, requires_slapd
from tests.unit.cli import test_gov_signing
from tests.unit.cli.test_gov_agreements import two_officers
from tests.unit.cli.test_gov_signing import Desk, in_days
from tests.vaults import Installation

pytestmark = [requires("ssh-keygen", "openssh-client"), requires_slapd]
config, two = test_gov_signing.config, test_gov_signing.two
NIGHT = f"group:ad#cn=Nattskiftet,{GROUPS}"
WHY = ("--reason", "test")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Slapd]:
    made = Slapd(tmp_path / "slapd")
    made.fill(
        person("anna"), person("bo"), group("Nattskiftet", *(f"uid={one},{PEOPLE}" for one in ("anna", "bo")))
    )
    await made.start()
    yield made
    made.stop()


def with_directory(desk: Desk, server: Slapd, folder: Path) -> Desk:
    """Return the same desk with a configuration that has the organisation and its directory."""
    secret_file(folder / "ad.password", PASSWORD.encode())
    desk.key("ad-key")
    text = (
        desk.config.read_text().replace('environment = "test"', 'environment = "demonstration"')
        + f"""
[message_client]
listen = "127.0.0.1:1"
[governance]
listen = "127.0.0.1:2"
[[organisations]]
identifier = "{desk.organisation}"
name = "Håbo kommun"
roles = ["mk", "gov"]
message_client_host = "habo.messages.test"
governance_host = "habo.governance.test"
[organisations.sign_in]
issuer = "https://login.habo.test"
client_id = "samdrift"
levels = ["loa3"]
[[organisations.directories]]
name = "ad"
host = "localhost"
port = {server.plain_port}
security = "none"
user = "{READER}"
password_file = "ad.password"
key_file = "ad-key"
people = "{PEOPLE}"
subject = "employeeNumber"
"""
    )
    file = folder / "with-directory.toml"
    file.write_text(text)
    return replace(desk, config=file)


async def test_a_directory_is_enrolled_a_group_gets_a_right_and_is_read(
    installation: Installation, config: Path, two: list[str], tmp_path: Path, server: Slapd
) -> None:
    roles = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
    desk = await two_officers(installation, config, two, tmp_path, roles)
    desk = with_directory(desk, server, tmp_path)
    assert "no group of it has a right" in await desk.run("group synchronise", *WHY)
    given = ("grant give", "--to", NIGHT, "--rights", "read", "--mailbox", "soc", "--until", in_days(60))
    await desk.state("kim", *given, "--by", "kim")
    assert "its key is not enrolled" in await desk.run("group synchronise", *WHY)
    assert f"{NIGHT}  0 people, never read" in await desk.run("group show", *WHY)

    enrol = ("officer enrol", "--key", desk.folder / "ad-key.pub", "--name", "AD", "--person", "directory:ad")
    asked = await desk.state("kim", *enrol, "--by", "kim")
    await desk.state("alex", "grant approve", str(asked["statement"]), "--by", "alex")
    ((read,),) = [
        one["groups"]
        for one in json.loads(await desk.run("group synchronise", *WHY, "--json"))["directories"]
    ]
    assert (read["group"], read["outcome"], read["joined"], read["members"]) == (NIGHT, "changed", 2, 2)

    (row,) = json.loads(await desk.run("group show", *WHY, "--json"))["groups"]
    assert (row["members"], row["server"]) == (2, f"ldap://localhost:{server.plain_port}")
    assert row["age_seconds"] < 3600
    assert "joined" not in await desk.run("statement list")
    who = json.loads(await desk.run("who-can", "--json", *WHY[2:]))
    members = [each for each in who["paths"] if each["through"].startswith(f"{NIGHT}, read ")]
    assert len(members) == 2

    export = tmp_path / "exported"
    await desk.run("export", "--out", export)
    script = Path(__file__).parents[2] / "interop" / "signed" / "verify.py"
    by_others = subprocess.run(
        [sys.executable, "-P", script, export], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert by_others.returncode == 0, by_others.stderr

    server.stop()
    shown = await desk.run("group synchronise", *WHY)
    assert "ad: nothing was changed: " in shown
    (row,) = json.loads(await desk.run("group show", *WHY, "--json"))["groups"]
    assert row["members"] == 2


async def test_a_directory_that_the_configuration_does_not_have_is_said_so(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = Desk(config, await installation.organisation([Role.GOVERNANCE]), tmp_path)
    with pytest.raises(Unusable, match="no such directory in the configuration"):
        await desk.run("group synchronise", *WHY)
