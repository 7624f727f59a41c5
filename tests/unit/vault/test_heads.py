"""Heads of records that only grow: sealed for vault and record, and moved forward alone."""

from __future__ import annotations

import os

import pytest

from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.keystore.interface import KeyStore
from samdrift.vault.errors import SealBroken
from samdrift.vault.heads import Head, Heads, RecordBehind
from samdrift.vault.openkeys import open_keys
from samdrift.vault.sealing import Sealer
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT
ROLES = (MK,)
FIRST, SECOND = Head.of(1, b"one"), Head.of(2, b"two")


async def opened(installation: Installation) -> tuple[KeyStore, str, Heads]:
    organisation = await installation.organisation(ROLES)
    vault = (await vault_login(installation, organisation, MK)).vault
    keys = open_keys(installation.settings)
    return keys, vault, Heads(keys, vault, Sealer(vault, keys.data_keys(vault)))


async def test_a_head_moves_forward_alone(installation: Installation) -> None:
    *_, heads = await opened(installation)
    assert heads.of("statements") is None
    for moved, there in ((FIRST, FIRST), (SECOND, SECOND), (FIRST, SECOND), (Head.of(2, b"other"), SECOND)):
        heads.move("statements", moved)
        assert heads.of("statements") == there


async def test_a_head_is_of_its_record(installation: Installation) -> None:
    keys, vault, heads = await opened(installation)
    heads.move("statements", SECOND)
    sealed = keys.head(vault, "statements")
    assert sealed is not None
    assert b"two" not in sealed
    keys.move_head(vault, "signed_statements", sealed, lambda present: True)
    with pytest.raises(SealBroken):
        heads.of("signed_statements")


async def test_no_link_in_place_of_a_head_is_followed(installation: Installation) -> None:
    keys, vault, heads = await opened(installation)
    heads.move("statements", FIRST)
    file = installation.settings.secrets / ".marks" / vault / "statements.head"
    other = file.rename(file.with_name("elsewhere"))
    os.symlink(other, file)
    with pytest.raises(OSError, match="symbolic links"):
        keys.head(vault, "statements")


async def test_no_other_statement_gets_the_number_of_the_head(installation: Installation) -> None:
    """Attack: delete an end, and have something stated that takes its number and moves the head on."""
    organisation = await installation.organisation(ROLES)
    async with installation.open(organisation, MK) as vault:
        await vault.append_statements([NumberedStatement(1, b"given"), NumberedStatement(2, b"ended")])
    schema = (await vault_login(installation, organisation, MK)).schema
    (await superuser(installation)).rows(f"DELETE FROM {schema}.statements WHERE number = 2")
    with pytest.raises(RecordBehind):
        async with installation.open(organisation, MK) as vault:
            await vault.append_statements([NumberedStatement(2, b"again"), NumberedStatement(3, b"further")])
    async with installation.open(organisation, MK) as vault:
        assert await vault.stored_statements() == 1
        assert await vault.append_statements([NumberedStatement(2, b"ended")]) == 2
    async with installation.open(organisation, MK) as vault:
        assert await vault.last_statement() == 2
