"""`samdrift custodian`: a new custodian's fingerprint is on every screen, and in the agreed request."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from samdrift.cli.custodian import app
from samdrift.config.errors import Unusable
from samdrift.keystore.custody import Custodians
from tests.secretfiles import secret_file
from tests.unit.cli import test_org_commands
from tests.vaults import Installation

config = test_org_commands.config
CECILIA = "known to cecilia alone"


def custodian(config: Path, *arguments: str) -> tuple[str, str]:
    """Run the command; return its output and its error output."""
    ended = CliRunner().invoke(app, [*arguments, "--config", str(config)], standalone_mode=False)
    if ended.exception is not None:
        raise ended.exception
    return ended.stdout, ended.stderr


async def beside(config: Path, *arguments: str) -> str:
    return (await asyncio.to_thread(custodian, config, *arguments))[0]


async def refused(config: Path, *arguments: str) -> str:
    with pytest.raises(Unusable) as caught:
        await asyncio.to_thread(custodian, config, *arguments)
    return str(caught.value)


async def test_both_screens_show_the_fingerprint_of_the_key_that_the_new_custodian_made(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    """Anna requests cecilia, and cannot enter a passphrase in her name."""
    two = test_org_commands.staff(installation, tmp_path)
    hers = str(secret_file(tmp_path / "cecilia", CECILIA))
    annas = str(secret_file(tmp_path / "annas", "typed by anna herself"))
    shown = await beside(config, "key", "cecilia", "--passphrase-file", hers)
    found = re.search(r"([0-9a-f]{4} ){7}[0-9a-f]{4}", shown)
    assert found is not None
    fingerprint = found[0]
    try:
        asked = await refused(config, "add", "cecilia", *two[:4])
        assert ("asked, not done yet" in asked, fingerprint in asked) == (True, True)
        another = await refused(config, "add", "cecilia", "--passphrase-file", annas, *two[:4])
        assert ("another key of cecilia waits" in another, fingerprint in another) == (True, True)
        listed = json.loads(await beside(config, "list", "--json"))
        (request,) = [one for one in listed["requests"] if one["action"] == "custodian add"]
        bo = ("--by", "bo", "--by-passphrase-file", two[7])
        said = await beside(config, "approve", request["request"], *bo)
        assert fingerprint in said.partition("approved")[0], "bo must see the fingerprint before approving"
        assert fingerprint in await beside(config, "add", "cecilia", *two[:4])
        listed = json.loads(await beside(config, "list", "--json"))
        assert listed["fingerprints"]["cecilia"] == fingerprint
        assert Custodians(installation.settings.secrets).prove("cecilia", CECILIA.encode()).name == "cecilia"
        kept = await refused(config, "restart", "--why", "to be alone")
        assert "3 custodians can agree to whatever is needed" in kept
    finally:
        if "cecilia" in Custodians(installation.settings.secrets).names():
            await beside(config, "remove", "cecilia", *two)
    assert Custodians(installation.settings.secrets).names() == ("anna", "bo")


async def test_a_file_that_is_no_request_is_named_and_the_others_are_listed(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    test_org_commands.staff(installation, tmp_path)
    folder = installation.settings.secrets / "custodians" / "requests"
    folder.mkdir(exist_ok=True)
    file = folder / "0badcafe.request"
    file.write_bytes(b"[" * 100_000)
    try:
        printed, complaints = await asyncio.to_thread(custodian, config, "list")
        assert "0badcafe.request is not a valid request" in complaints
        assert printed.splitlines()[1].startswith("anna  ")
        assert json.loads(await beside(config, "list", "--json"))["unusable"] == [file.name]
    finally:
        file.unlink()
