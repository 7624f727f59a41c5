"""An earlier backup reveals nothing about an organisation that was closed since, whatever keys remain."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.administration.closing import Order, close
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.keystore.seals import SEAL_BYTES
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.openkeys import open_keys
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.administration.closings import DECISION, PERSONS, administration, certify_operator, suspended
from tests.vaults import MINUTE, NOW, Installation, body, installed, message, server_folder, settings_in

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
SMALL, LARGE = b"<small/>", b"<large>" + bytes(300_000) + b"</large>"
Content = dict[ParticipantIdentifier, list[str]]
"""Ids of each organisation's messages: a small one stored in a row, a large one in the object store."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as made:
        yield made


async def with_content(installation: Installation) -> Content:
    """Return two organisations with messages that have been processed completely."""
    content: Content = {}
    for _ in range(2):
        organisation = await installation.organisation()
        content[organisation] = []
        for data in (SMALL, LARGE):
            record = message()
            async with installation.open(organisation, MT) as vault:
                assert await vault.create_outgoing(record, await body(vault, data), now=NOW, lease=MINUTE)
                await vault.set_status(
                    record.id, MessageStatus.ACCEPTED, [], now=NOW, deadline=None, direction=Direction.OUT
                )
            content[organisation].append(record.id)
        assert installation.objects(organisation)
    return content


def backed_up(settings: VaultSettings, folder: Path) -> VaultSettings:
    """Copy everything that a backup contains; seals are not part of any backup."""
    assert isinstance(settings.database, Path)
    assert isinstance(settings.objects, Path)
    copy = replace(
        settings, database=folder / "database", objects=folder / "objects", secrets=folder / "secrets"
    )
    for was, becomes in (
        (settings.database, folder / "database"),
        (settings.objects, folder / "objects"),
        (settings.secrets, folder / "secrets"),
    ):
        copied(was, becomes)
    return copy


def copied(was: Path, becomes: Path) -> None:
    """Copy a folder and keep its owners, because the database server runs as another user."""
    becomes.parent.mkdir(mode=0o755, exist_ok=True)
    subprocess.run(["/bin/cp", "-a", str(was), str(becomes)], check=True)


async def read(settings: VaultSettings, content: Content) -> set[ParticipantIdentifier]:
    """Return the organisations whose messages can all be read from there."""
    readable = set()
    async with installed(settings) as installation:
        for organisation, ids in content.items():
            try:
                async with installation.open(organisation, MT) as vault:
                    found = [await (await vault.body(one, Direction.OUT)).read_all() for one in ids]
                    assert found == [SMALL, LARGE]
                    assert len(await vault.messages()) == len(ids)
            except VaultUnavailable:
                continue
            readable.add(organisation)
    return readable


async def test_a_backup_from_before_opens_for_nobody_given_all_that_remains(folder: Path) -> None:
    settings = settings_in(folder / "installation")
    async with installed(settings) as installation:
        content = await with_content(installation)
    closed, other = content
    backup = backed_up(settings, folder / "backup")
    assert await read(backed_up(backup, folder / "control"), content) == {closed, other}
    async with installed(settings) as installation:
        vaults = {one.organisation: one.vault for one in installation.gate.registry.all() if one.role is MT}
        keys = open_keys(settings)
        certify_operator(keys)
        place = administration(installation, keys, folder / "installation")
        await suspended(installation, closed)
        await close(place, Order(closed, DECISION), PERSONS, lambda: NOW)
    assert await read(backed_up(backup, folder / "restored"), content) == {other}
    for secrets in (backup.secrets, settings.secrets):
        left = open_keys(replace(backup, secrets=secrets))
        assert left.data_keys(vaults[other])
        with pytest.raises(KeyStoreError):
            left.data_keys(vaults[closed])
    for seal in (*(file.read_bytes() for file in settings.seals.iterdir()), bytes(SEAL_BYTES)):
        pretended = settings.seals / f"{vaults[closed]}.1"
        pretended.write_bytes(seal)
        with pytest.raises(KeyStoreError):
            open_keys(backup).data_keys(vaults[closed])
        pretended.unlink()
