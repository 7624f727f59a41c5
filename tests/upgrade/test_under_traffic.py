"""An upgrade while version 0.1's own program continues to write: nothing that it committed is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from samdrift.audit.chain import verify_chain
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.archives import unpack
from tests.sizes import whole
from tests.softhsm import SoftHsm, requires_softhsm
from tests.upgrade.stored import PROGRAM_0_1, VERSION_0_1, bring_tokens, unpacked
from tests.vaults import WORKER, server_folder

pytestmark = requires_softhsm

EARLIER = Path(__file__).with_name("earlier.py")
MT = Role.MESSAGE_SERVICE
_SECONDS = 300


@whole
async def test_what_the_earlier_program_commits_during_an_upgrade_is_there_afterwards(hsm: SoftHsm) -> None:
    with server_folder() as folder:
        folder.chmod(0o711)
        stored = unpacked(VERSION_0_1, folder)
        (stored.folder / "hsm" / "pin").chmod(0o600)
        bring_tokens(stored, hsm.folder / "tokens")
        hsm.begin_anew()
        program = folder / "program"
        unpack(PROGRAM_0_1, program)
        settings = vault_settings(stored.config)
        provisioner = await Provisioner.connect(settings, keys=open_keys(settings))
        try:
            writer = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    str(EARLIER),
                    str(stored.config_file),
                    str(folder / "facts.json"),
                    "--write",
                ),
                env={**os.environ, "PYTHONPATH": str(program / "src"), "PYTHONSAFEPATH": "1"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert writer.stderr is not None
            async with asyncio.timeout(_SECONDS):
                while line := await writer.stderr.readline():
                    if line == b"writing\n":
                        break
                await provisioner.install()
                said, _ = await writer.communicate()
            assert writer.returncode == 0
        finally:
            await provisioner.close()
        committed: dict[str, dict[str, str]] = json.loads(said)
        gate = await Gate.start(settings)
        try:
            for name, entries in committed.items():
                assert entries, "the earlier program was not writing when the upgrade began"
                async with gate.open(WORKER, ParticipantIdentifier(name), MT, Purpose.TRACE) as vault:
                    log = await vault.log(limit=100_000)
                    assert verify_chain(log, vault.log_origin).intact
                there = {str(entry.sequence): entry.hash.hex() for entry in log}
                assert entries.items() <= there.items()
        finally:
            await gate.close()
