"""`samdrift org use-hsm`: an organisation that was served without a token gets one."""

from __future__ import annotations

import asyncio
import base64
from itertools import pairwise
from pathlib import Path

import pytest
from pkcs11 import Mechanism

from samdrift.accesspoint.events import APEvent
from samdrift.administration.administration import administering
from samdrift.audit.notes import SignedCheckpoint, VerifierKey, announced
from samdrift.cli.org.events import OrgEvent
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.hsm.module import Token
from samdrift.operations.findings import State
from samdrift.operations.foundation import check_tokens
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.secretfiles import secret_file
from tests.softhsm import SoftHsm, requires_softhsm
from tests.unit.cli.test_log_commands import custodians
from tests.unit.cli.test_org_commands import beside, config, document, org, refused
from tests.vaults import NOW, WORKER, Installation

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
    assert "no token is configured" in await refused(config, "use-hsm", name)
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
    assert "is locked with its token" in told, "the passphrase must not be tried as a PIN"
    config.write_text(without)
    assert await asyncio.to_thread(states, config, name) == tokens("missing")


async def test_the_logs_key_moves_into_the_token_once_that_does_ed25519_and_the_log_announces_it(
    config: Path, installation: Installation, hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT, Role.MESSAGE_SERVICE])
    name, persons = organisation.value, present(custodians(installation, tmp_path))
    config.write_text(
        config.read_text()
        + f'\n[[organisations]]\nidentifier = "{name}"\nname = "K"\nroles = ["ap"]\n'
        + f'hsm = {{ label = "{hsm.unused()}", pin_file = "{hsm.pin_file()}" }}\n'
        + f'\n[vaults.hsm]\nmodule = "{hsm.library}"\n'
    )
    keys = [await signed_with(config, organisation)]
    offers = Token.offers
    with monkeypatch.context() as older:
        older.setattr(
            Token, "offers", lambda own, *asked: Mechanism.EDDSA not in asked and offers(own, *asked)
        )
        _, printed = await beside(config, "use-hsm", name)
        assert "ap: the HSM does not do Ed25519: the log is signed with a key in a file" in printed
        keys.append(await signed_with(config, organisation))
        assert await doctors(config, name) == {(State.WARN, "docs/hsm.md: what a module must do")}
    assert await doctors(config, name) == {(State.WARN, f"samdrift org use-hsm {name}")}
    for command in (("use-hsm", name), ("keys", "rotate-log-key", name, *persons)):
        _, printed = await beside(config, *command)
        assert "ap: the log is signed in the HSM\nmt: the log is signed in the HSM\n" in printed
        keys.append(await signed_with(config, organisation))
        assert await doctors(config, name) == {(State.OK, "")}
    assert len({*keys}) == len(keys), "each step must use a new key"
    gate = await opened(config)
    try:
        async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            entries = [one for one in await vault.log() if one.event == VaultEvent.LOG_KEY_ANNOUNCED]
            noted = [one for one in await vault.log() if one.event == OrgEvent.KEYS_LOG_KEY_ROTATED]
            held = vault._room.keys.log_keys(vault._room.vault)
    finally:
        await gate.close()
    assert [one.ids["key"] for one in entries] == keys
    for before, entry in pairwise(entries):
        assert entry.ids["by"] == before.ids["key"]
        former, new = VerifierKey.parse(before.ids["key"]), VerifierKey.parse(entry.ids["key"])
        assert former.verifies(announced(new), base64.b64decode(entry.ids["signature"]))
    assert ([one.ids["key"] for one in noted], held[0].remote, held[-1].remote) == (["hsm"] * 2, True, False)


async def test_a_log_gets_a_new_key_only_by_two_custodians_and_the_log_names_both(
    config: Path, installation: Installation, tmp_path: Path
) -> None:
    organisation = await installation.organisation([Role.ACCESS_POINT])
    both = present(custodians(installation, tmp_path))
    rotate = ("keys", "rotate-log-key", organisation.value)
    before = await signed_with(config, organisation, Role.ACCESS_POINT)
    assert "not done yet" in await refused(config, *rotate, *both[:4])
    assert await signed_with(config, organisation, Role.ACCESS_POINT) == before, "one person alone"
    await beside(config, *rotate, *both)
    assert await signed_with(config, organisation, Role.ACCESS_POINT) != before
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        (entry,) = [one for one in await vault.log() if one.event == OrgEvent.KEYS_LOG_KEY_ROTATED]
    assert (entry.ids["first"], entry.ids["second"]) == ("anna", "bo")


def present(named: list[tuple[str, Path]]) -> tuple[str, ...]:
    """Return the options by which two custodians are present."""
    (first, secret), (second, other) = named
    by = ("--by", first, "--by-passphrase-file", str(secret))
    return (*by, "--with", second, "--with-passphrase-file", str(other))


async def opened(config: Path) -> Gate:
    settings = vault_settings(load(config))
    return await Gate.start(settings, keys=open_keys(settings))


async def signed_with(config: Path, organisation: ParticipantIdentifier, *roles: Role) -> str:
    """Sign the logs as the process that serves them does; return the key of the access point's log."""
    gate, found = await opened(config), []
    try:
        for role in roles or (Role.ACCESS_POINT, Role.MESSAGE_SERVICE):
            async with gate.open(WORKER, organisation, role, Purpose.MAINTAIN) as vault:
                vault.record(APEvent.AP_TRANSFER_QUEUED)
            async with gate.open(WORKER, organisation, role, Purpose.MAINTAIN) as vault:
                found.append(await vault.tree.sign(NOW))
    finally:
        await gate.close()
    for state in found:
        assert state.key is not None
        assert state.note is not None
        SignedCheckpoint.parse(state.note, [VerifierKey.parse(state.key)])
    return str(found[0].key)


async def doctors(config: Path, name: str) -> set[tuple[State, str]]:
    """Return the doctor's findings about the keys of the organisation's logs."""

    async def look() -> set[tuple[State, str]]:
        async with administering(load(config)) as place:
            found = [one async for one in check_tokens(place)]
        own = [one for one in found if one.id == "hsm.log-key" and one.about.startswith(f"{name} ")]
        assert len(own) == 2, "one for each vault"
        return {(one.state, one.todo) for one in own}

    return await asyncio.to_thread(run, look())


async def test_one_that_is_not_served_here_is_told(config: Path) -> None:
    assert "is not served here" in await refused(config, "use-hsm", "0203:nobody.se")
