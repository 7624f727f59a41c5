"""`samdrift org use-hsm`: an organisation that was served without a token gets one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from samdrift.cli.org.events import OrgEvent
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from tests.secretfiles import secret_file
from tests.softhsm import SoftHsm, requires_softhsm
from tests.unit.cli.test_org_commands import config, document, org, refused
from tests.vaults import WORKER, Installation

__all__ = ["config"]


def states(config: Path, organisation: str) -> dict[str, str]:
    items = document(config, "show", organisation, "--offline")["items"]
    return {each["item"]: each["state"] for each in items if each["item"].startswith("token")}


def tokens(state: str) -> dict[str, str]:
    return {f"token {role}": state for role in Role}


@requires_softhsm
async def test_from_files_to_a_token(config: Path, installation: Installation, hsm: SoftHsm) -> None:
    organisation = await installation.organisation()
    name = organisation.value
    entry = f'\n[[organisations]]\nidentifier = "{name}"\nname = "K"\nroles = ["ap"]\n'
    without = config.read_text() + entry
    config.write_text(without)
    assert "names no token" in await refused(config, "use-hsm", name)
    token = f'hsm = {{ label = "{hsm.unused()}", pin_file = "{hsm.pin_file()}" }}\n'
    library = f'\n[vaults.hsm]\nmodule = "{hsm.library}"\n'
    config.write_text(without + token + library)
    assert await asyncio.to_thread(states, config, name) == tokens("missing")
    for command in ("use-hsm", "use-token"):
        await asyncio.to_thread(org, config, command, name)
    assert await asyncio.to_thread(states, config, name) == tokens("done")
    settings = vault_settings(load(config))
    gate = await Gate.start(settings, keys=open_keys(settings))
    try:
        for role in Role:
            async with gate.open(WORKER, organisation, role, Purpose.TRACE) as vault:
                changed = [one for one in await vault.log() if one.event == OrgEvent.VAULT_LOCK_CHANGED]
            assert [one.ids["by"] for one in changed] == ["token"]
    finally:
        await gate.close()
    officer = hsm.pin_file().with_name("officer")
    secret_file(officer, "what the officer knows")
    config.write_text(without + token.partition(", pin_file")[0] + " }\n" + library)
    told = await refused(config, "lock", name, "--passphrase-file", str(officer))
    assert "is locked with its token" in told, "and it was not tried as a PIN"
    config.write_text(without)
    assert await asyncio.to_thread(states, config, name) == tokens("missing")


async def test_one_that_is_not_served_here_is_told(config: Path) -> None:
    assert "is not served here" in await refused(config, "use-hsm", "0203:nobody.se")
