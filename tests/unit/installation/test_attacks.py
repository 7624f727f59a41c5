"""The database's superuser rewrites a log with correct salts and hashes, and each change is found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.logexport import write_tree
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.notes import SignedCheckpoint
from samdrift.audit.policies import Member, Policy
from samdrift.evidence.logexport import verify_log
from samdrift.vault.errors import VaultError
from samdrift.vault.logtree import SigningStopped
from samdrift.vault.opening import promised
from tests.separation.vaultlogin import superuser, vault_login
from tests.sizes import sampled
from tests.unit.installation.test_logkeeping import AP, MEMBER, Scene, scene

__all__ = ["scene"]
FIRST, SECOND, LATER = 6, 9, 4
"""Numbers of entries up to the first witnessed checkpoint, from it to the second, and after that."""


def changed(log: str, at: int) -> str:
    """Change a fact in an entry, and its commitment."""
    return rewritten(log, at, "replace(convert_from(content, 'UTF8'), 'envelope', 'envelopf')")


def backdated(log: str, at: int) -> str:
    """Set the date of an entry back six days, and change its commitment."""
    year = "substring(convert_from(content, 'UTF8') FOR 11)"
    return rewritten(log, at, f"replace(convert_from(content, 'UTF8'), {year}, '{{\"at\":\"2025-')")


def rewritten(log: str, at: int, content: str) -> str:
    return (
        f"UPDATE {log} SET content = convert_to({content}, 'UTF8') WHERE sequence = {at};"
        f" UPDATE {log} SET hash = sha256(salt || content) WHERE sequence = {at};"
    )


def dropped(log: str, at: int) -> str:
    """Remove an entry and all after it, and set the head back."""
    return (
        f"DELETE FROM {log} WHERE sequence >= {at};"
        f" UPDATE {log}_head SET sequence = (SELECT max(sequence) FROM {log});"
    )


def taken_out(log: str, at: int) -> str:
    """Remove one entry from the middle; the later ones move up."""
    return (
        f"DELETE FROM {log} WHERE sequence = {at};"
        f" UPDATE {log} SET sequence = -sequence WHERE sequence > {at};"
        f" UPDATE {log} SET sequence = -sequence - 1 WHERE sequence < 0;"
        f" UPDATE {log}_head SET sequence = sequence - 1;"
    )


def put_in(log: str, at: int) -> str:
    """Insert a copied entry in the middle; the later ones move down."""
    columns = "content, previous, hash, traces, retention, salt"
    return (
        f"UPDATE {log} SET sequence = -sequence WHERE sequence >= {at};"
        f" UPDATE {log} SET sequence = -sequence + 1 WHERE sequence < 0;"
        f" INSERT INTO {log} (sequence, {columns})"
        f" SELECT {at}, {columns} FROM {log} WHERE sequence = {at} - 1;"
        f" UPDATE {log}_head SET sequence = sequence + 1;"
    )


def swapped(log: str, at: int) -> str:
    return (
        f"UPDATE {log} SET sequence = -sequence WHERE sequence IN ({at}, {at} + 1);"
        f" UPDATE {log} SET sequence = 2 * {at} + 1 + sequence WHERE sequence < 0;"
    )


ATTACKS = (changed, dropped, taken_out, put_in, swapped, backdated)


async def rewrite(scene: Scene, attack: Callable[[str, int], str], at: int) -> None:
    login = await vault_login(scene.installation, scene.organisation, AP)
    database = await superuser(scene.installation)
    statements = attack(f"{login.schema}.log", at)
    database.rows(
        f"SET session_replication_role = replica; {statements} RESET session_replication_role; SELECT 1"
    )


async def verified(scene: Scene, folder: Path, known: SignedCheckpoint) -> LogVerdict:
    """Verify an export as the organisation does, with the last checkpoint that it saw."""
    async with scene.installation.open(scene.organisation, AP) as vault:
        await write_tree(vault.tree, vault.log_origin.hash, "log", folder / "log")
    (keys,) = scene.logs.values()
    policy = Policy(witnesses={"one": MEMBER}, quorum="one")
    policy.logs = [Member(key) for key in keys]
    return verify_log(folder / "log", LogVerifier(policy, int(scene.now.timestamp()), [known]))


@pytest.mark.parametrize("attack", sampled(ATTACKS, every=2))
async def test_a_log_that_its_database_s_superuser_rewrote_is_found_by_an_export(
    scene: Scene,
    tmp_path: Path,
    attack: Callable[[str, int], str],
) -> None:
    """`log verify` with a witnessed checkpoint places the first wrong entry at or before the attack.

    It is after the last checkpoint that still holds, even if the log has since grown and been signed
    again.
    """
    scene.now = datetime.now(UTC)
    await scene.known()
    for entries in (FIRST, SECOND):
        await scene.log(entries)
        state = await scene.keeper.round(scene.place)
        scene.now = datetime.now(UTC)
        if entries == FIRST:
            holding = state.size
    known = SignedCheckpoint.parse(state.note or b"", scene.logs[state.origin])
    assert (await verified(scene, tmp_path, known)).holds
    (tmp_path / "log").unlink()
    at = holding + 4
    await rewrite(scene, attack, at)
    await scene.log(LATER)
    with contextlib.suppress(VaultError, SigningStopped):
        await scene.keeper.round(scene.place)
    scene.now = datetime.now(UTC)
    verdict = await verified(scene, tmp_path, known)
    assert verdict.first_wrong is not None
    assert holding < verdict.first_wrong.number <= at


async def test_an_append_log_that_keeps_nothing_is_found_by_promises(
    scene: Scene,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Answers then have no promise, not even that of an earlier entry, and there is an alarm."""
    await scene.known()
    await scene.log(3)
    login = await vault_login(scene.installation, scene.organisation, AP)
    database = await superuser(scene.installation)
    named = f"{login.schema}.append_log(contents bytea[], traces bigint[], ends int[])"
    database.rows(
        f"CREATE OR REPLACE FUNCTION {named} RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN END'; SELECT 1"
    )
    with promised() as gathered:
        async with scene.installation.open(scene.organisation, AP) as vault:
            vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="unseen")
    assert gathered == []
    assert "ALARM a log: the database did not store" in caplog.text
