"""Every migration killed in its middle: what is there stays whole, and the next start goes on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from samdrift.audit.chain import verify_chain
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.database import migrations
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.softhsm import SoftHsm, requires_softhsm
from tests.upgrade.stored import VERSION_0_1, Stored, bring_tokens, unpacked
from tests.vaults import WORKER, server_folder

pytestmark = requires_softhsm

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ADDED = ParticipantIdentifier("0203:tillagd.se")
OF_0_1 = {"registry-1", "registry-2"}
"""Scripts that no newer version runs: the installation has a registry."""


async def killed(stored: Stored) -> list[str]:
    """Have everything migrated, by processes that are killed within each migration; their names."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.upgrade.killed", str(stored.config_file), ADDED.value),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    names: list[str] = json.loads(out)
    return names


async def test_a_process_that_is_killed_within_any_migration_leaves_what_the_next_one_goes_on_from(
    hsm: SoftHsm,
) -> None:
    with server_folder() as folder:
        folder.chmod(0o711)
        stored = unpacked(VERSION_0_1, folder)
        (stored.folder / "hsm" / "pin").chmod(0o600)
        bring_tokens(stored, hsm.folder / "tokens")
        hsm.begin_anew()
        settings = vault_settings(stored.config)
        keys = open_keys(settings)
        provisioner = await Provisioner.connect(settings, keys=keys)  # The server outlives all of them.
        try:
            names = await killed(stored)
            parts = {
                *migrations.REGISTRY,
                *migrations.WORKERS,
                *(each for of in migrations.VAULT.values() for each in of),
            }
            scripts = {
                f"{part}-{number}" for part in parts for number in range(1, migrations.versions(part) + 1)
            }
            assert set(names) == scripts - OF_0_1
            registered = {(one.organisation, one.role) for one in await provisioner.registrations()}
            assert {role for organisation, role in registered if organisation == ADDED} == set(Role)
            await assert_whole(stored)
        finally:
            await provisioner.close()


async def assert_whole(stored: Stored) -> None:
    """All messages in their states, and whole logs, where no officer has to unlock the vault."""
    gate = await Gate.start(vault_settings(stored.config))
    try:
        for name, known in stored.facts["organisations"].items():
            if name in stored.facts["locked"]:
                continue
            organisation = ParticipantIdentifier(name)
            async with gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
                for each, about in known["messages"].items():
                    direction, _, message_id = each.partition("/")
                    record = await vault.message(message_id, Direction(direction))
                    assert record is not None
                    assert record.status.value == about["status"]
            for role in (AP, MT):
                async with gate.open(WORKER, organisation, role, Purpose.TRACE) as vault:
                    entries = await vault.log(limit=100_000)
                    assert verify_chain(entries, vault.log_origin).intact
                before = known["logs"][role.value]
                assert entries[before["entries"] - 1].hash.hex() == before["last"]
        async with gate.open(WORKER, ADDED, Role.MESSAGE_CLIENT, Purpose.TRACE) as vault:
            assert verify_chain(await vault.log(), vault.log_origin).intact
    finally:
        await gate.close()
