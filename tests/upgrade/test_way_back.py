"""Downgrade to version 0.1: its own program works with what this version moved back, then upgrade again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import KeyStore
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.archives import unpack
from tests.sizes import whole
from tests.softhsm import SoftHsm, requires_softhsm
from tests.upgrade.stored import PROGRAM_0_1, VERSION_0_1, Stored, bring_tokens, unpacked
from tests.vaults import WORKER, server_folder

pytestmark = requires_softhsm

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
EARLIER = Path(__file__).with_name("earlier.py")
_SECONDS = 300


@dataclass(frozen=True)
class Back:
    """An installation of 0.1 that was upgraded, used, moved back and used by 0.1."""

    stored: Stored
    found: dict[str, Any]
    """Everything that 0.1 found, as :mod:`tests.upgrade.earlier` prints it."""
    listed: str
    """Output of 0.1's own command ``org list``."""


@asynccontextmanager
async def provisioned(stored: Stored, keys: KeyStore) -> AsyncIterator[Provisioner]:
    provisioner = await Provisioner.connect(vault_settings(stored.config), keys=keys)
    try:
        yield provisioner
    finally:
        await provisioner.close()


@asynccontextmanager
async def opened(stored: Stored) -> AsyncIterator[Gate]:
    """Open the installation with this version, in this version's format."""
    settings = vault_settings(stored.config)
    keys = open_keys(settings)
    async with provisioned(stored, keys) as provisioner:
        await provisioner.install()
    gate = await Gate.start(settings, keys=keys)
    try:
        for name, passphrase in stored.facts["locked"].items():
            for role in (AP, MT):
                registration = gate.registry.find(ParticipantIdentifier(name), role)
                assert registration is not None
                keys.unlock(registration.vault, passphrase.encode())
        yield gate
    finally:
        await gate.close()


async def by_the_earlier_program(folder: Path, *arguments: str | Path) -> str:
    """Run Python with version 0.1's source instead of this one, and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONSAFEPATH": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_SECONDS):
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


@pytest_asyncio.fixture(scope="module")
async def back(hsm: SoftHsm) -> AsyncIterator[Back]:
    with server_folder() as folder:
        folder.chmod(0o711)
        stored = unpacked(VERSION_0_1, folder)
        (stored.folder / "hsm" / "pin").chmod(0o600)
        bring_tokens(stored, hsm.folder / "tokens")
        hsm.begin_anew()
        async with opened(stored) as gate:
            for name in stored.facts["organisations"]:
                async with gate.open(WORKER, ParticipantIdentifier(name), MT, Purpose.TRACE) as vault:
                    await vault.log(limit=1)
        async with provisioned(stored, open_keys(vault_settings(stored.config))) as provisioner:
            assert await provisioner.move_back() == 3
        program = folder / "program"
        unpack(PROGRAM_0_1, program)
        facts = stored.folder / "facts.json"
        said = await by_the_earlier_program(program, EARLIER, stored.config_file, facts)
        listed = await by_the_earlier_program(
            program, "-m", "samdrift.app.main", "org", "list", "--config", stored.config_file
        )
        yield Back(stored, json.loads(said), listed)


@whole
async def test_the_earlier_program_finds_every_message_byte_for_byte_in_its_state(back: Back) -> None:
    for name, known in back.stored.facts["organisations"].items():
        found = back.found["organisations"][name]
        assert len(found["messages"]) > 60
        assert found["messages"] == known["messages"]
        assert found["signs"]


@whole
async def test_the_earlier_program_finds_every_entry_of_the_logs_and_what_waits(back: Back) -> None:
    for name, known in back.stored.facts["organisations"].items():
        found = back.found["organisations"][name]
        for role in (AP, MT):
            before, hashes = known["logs"][role.value], found["logs"][role.value]
            assert hashes[before["entries"] - 1] == before["last"]
            assert len(hashes) > before["entries"], "entries of the newer version must be there, too"
    ((organisation, envelope),) = back.stored.facts["waits_at_access_point"].items()
    assert envelope in back.found["organisations"][organisation]["inbox"]


@whole
async def test_a_command_of_the_earlier_program_names_every_organisation(back: Back) -> None:
    for name in back.stored.facts["organisations"]:
        assert name in back.listed


@whole
async def test_what_the_earlier_program_did_is_there_when_the_installation_goes_forward_again(
    back: Back,
) -> None:
    stored, deleted = back.stored, back.found["deleted"]
    async with opened(stored) as gate:
        for name, known in stored.facts["organisations"].items():
            organisation = ParticipantIdentifier(name)
            async with gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
                for each, about in known["messages"].items():
                    direction, _, message_id = each.partition("/")
                    record = await vault.message(message_id, Direction(direction))
                    if (name, each) == (stored.facts["moved_in"], deleted):
                        assert record is None
                    else:
                        assert record is not None
                        assert record.status.value == about["status"]
                hashes = [entry.hash.hex() for entry in await vault.log(limit=100_000)]
            seen = back.found["organisations"][name]["logs"][MT.value]
            assert hashes[: len(seen)] == seen
