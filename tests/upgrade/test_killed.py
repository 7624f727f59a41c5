"""Every migration is killed midway: the data stays intact, and the next start resumes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.sizes import whole
from tests.softhsm import SoftHsm, requires_softhsm
from tests.upgrade.stored import VERSION_0_1, Stored, bring_tokens, unpacked
from tests.vaults import WORKER, server_folder

pytestmark = requires_softhsm

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ADDED = ParticipantIdentifier("0203:tillagd.se")
OF_0_1 = {"registry-1", "registry-2"}
"""Scripts that no newer version runs, because the installation already has a registry."""
SAMPLE = frozenset(
    {
        *("registry-3", "workers-1", "databases-1", "log-2", "log-tree-1", "accesspoint-3", "accesspoint-1"),
        *("messageservice-8", "message-steps-1", "mail-1", "people-2", "governance-arrival-1"),
    }
)


async def killed(stored: Stored, within: frozenset[str] = frozenset()) -> list[str]:
    """Migrate everything in processes that are killed within each migration, or within those named."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.upgrade.killed",
            str(stored.config_file),
            ADDED.value,
            *sorted(within),
        ),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    names: list[str] = json.loads(out)
    return names


@whole
async def test_a_process_that_is_killed_within_any_migration_leaves_what_the_next_one_goes_on_from(
    hsm: SoftHsm,
) -> None:
    async with upgraded_in_pieces(hsm) as stored:
        assert set(await killed(stored)) == scripts()


async def test_one_that_is_killed_within_a_migration_of_each_kind_does(hsm: SoftHsm) -> None:
    """The sample has migrations of the registry, of workers and of each role, from 0.1 and from later."""
    async with upgraded_in_pieces(hsm) as stored:
        assert set(await killed(stored, SAMPLE)) == SAMPLE <= scripts()


def scripts() -> set[str]:
    """Return all scripts that this version runs, in an upgrade or for a new organisation."""
    parts = {
        *migrations.REGISTRY,
        *migrations.WORKERS,
        *(each for of in migrations.VAULT.values() for each in of),
    }
    names = {f"{part}-{number}" for part in parts for number in range(1, migrations.versions(part) + 1)}
    return names - OF_0_1


@asynccontextmanager
async def upgraded_in_pieces(hsm: SoftHsm) -> AsyncIterator[Stored]:
    """Unpack the installation of 0.1; after the body, which upgrades it, check that everything is intact."""
    with server_folder() as folder:
        folder.chmod(0o711)
        stored = unpacked(VERSION_0_1, folder)
        (stored.folder / "hsm" / "pin").chmod(0o600)
        bring_tokens(stored, hsm.folder / "tokens")
        hsm.begin_anew()
        settings = vault_settings(stored.config)
        keys = open_keys(settings)
        # This keeps the server running while upgrading processes are killed.
        provisioner = await Provisioner.connect(settings, keys=keys)
        try:
            yield stored
            registered = {(one.organisation, one.role) for one in await provisioner.registrations()}
            assert {role for organisation, role in registered if organisation == ADDED} == set(Role)
            await assert_whole(stored)
        finally:
            await provisioner.close()


async def assert_whole(stored: Stored) -> None:
    """Check that all messages have their states and logs are whole, except in vaults locked by an officer."""
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
