"""Upgrades an installation repeatedly, with a process killed within each migration in turn.

``python -m tests.upgrade.killed CONFIG ORGANISATION [SCRIPT ...]`` prints, in JSON, the names of the scripts
within which a process was killed: first of the upgrade, then of adding an organisation with all roles. If
scripts are named, processes are killed only within those.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import KeyStore
from samdrift.vault.database import migrations
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier

Work = Callable[[Provisioner], Awaitable[object]]


def killed_in_each(
    settings: VaultSettings, keys: KeyStore, work: Work, seen: list[str], chosen: frozenset[str]
) -> None:
    """Do the work in processes that are killed within the first chosen script that is not in ``seen``.

    If none is chosen, all are.
    """
    while True:
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.close(reading)
            _kill_within_another_than(seen, writing, chosen)
            asyncio.run(_working(settings, keys, work))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            name = told.read()
        _, status = os.waitpid(process, 0)
        if status == 0:
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL or name in ("", *seen):
            raise SystemExit(f"ended with {status} within {name or 'no script'}")
        seen.append(name)


def _kill_within_another_than(seen: list[str], told: int, chosen: frozenset[str]) -> None:
    """Kill this process after it has run a script that is not in ``seen``, before that is committed."""
    script, reached_by = migrations.script, migrations.reached_by
    ran: list[str] = []

    def kill_if_it_ran() -> None:
        if ran:
            os.write(told, ran[0].encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(name: str) -> str:
        kill_if_it_ran()
        if name not in seen and name != "hardening" and (not chosen or name in chosen):
            ran.append(name)
        return script(name)

    def killing(part: str) -> str:
        kill_if_it_ran()
        return reached_by(part)

    migrations.script, migrations.reached_by = counted, killing  # type: ignore[assignment]


async def _working(settings: VaultSettings, keys: KeyStore, work: Work) -> None:
    provisioner = await Provisioner.connect(settings, keys=keys)
    await work(provisioner)
    await provisioner.close()


def main(config_file: Path, organisation: ParticipantIdentifier, chosen: frozenset[str]) -> list[str]:
    settings = vault_settings(load(config_file))
    keys = open_keys(settings)
    seen: list[str] = []
    killed_in_each(settings, keys, Provisioner.install, seen, chosen)

    async def add(one: Provisioner) -> object:
        return await one.add_organisation(organisation, tuple(Role))

    killed_in_each(settings, keys, add, seen, chosen)
    return seen


if __name__ == "__main__":
    config, added, *scripts = sys.argv[1:]
    print(json.dumps(main(Path(config), ParticipantIdentifier(added), frozenset(scripts))))
