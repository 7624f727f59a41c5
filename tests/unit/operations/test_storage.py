"""The storage of each organisation, explained by counts of its own vaults and backups."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.cli.storage import _print as show
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.operations import backupset
from samdrift.operations.backup import signers
from samdrift.operations.storage import Place, Stored, Use, read_backups, storage_of
from samdrift.vault.retention import DUPLICATE_WINDOW, Ending, Kind
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.operations.backingup import Ground, administration_of, grounded
from tests.vaults import NOW, Installation, submitted

AP = Role.ACCESS_POINT
PRESENT = datetime.now(UTC)


def administration(installation: Installation, kept: Path) -> Administration:
    own = administration_of(installation)
    config = SimpleNamespace(vaults=own.config.vaults, logs=SimpleNamespace(kept=kept))
    return replace(own, config=cast(Any, config))


async def stored(
    installation: Installation,
    organisation: ParticipantIdentifier,
    kept: Path,
    backups: tuple[backupset.BackupSet, ...] = (),
) -> Stored:
    (found,) = await storage_of(administration(installation, kept), organisation, backups, PRESENT)
    return found


def use(found: Stored, place: Place, what: str, role: Role | None = None, ends: str = "") -> Use:
    (one,) = [
        each
        for each in found.uses
        if each.place is place and each.what == what and each.role is role and ends in each.ends
    ]
    return one


@pytest.fixture
async def ground(installation: Installation, tmp_path: Path) -> Ground:
    return await grounded(installation, tmp_path / "backups")


async def test_bodies_are_counted_by_what_they_belong_to_as_large_as_they_are(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault, os.urandom(400_000))
        await submitted(vault, b"small")
    (path,) = installation.objects(organisation)
    found = await stored(installation, organisation, tmp_path)
    waiting = use(found, Place.OBJECTS, "outgoing", AP)
    assert (waiting.count, waiting.bytes, waiting.oldest) == (1, path.stat().st_size, NOW)
    assert waiting.ends == Ending.OWNER.text
    path.with_name("lost").write_bytes(b"x" * 17)
    lost = use(await stored(installation, organisation, tmp_path), Place.OBJECTS, "left behind", AP)
    assert (lost.count, lost.bytes) == (1, 17)


async def test_each_kind_of_row_has_count_size_age_and_rule(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    at = PRESENT - timedelta(days=20)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        for number in range(3):
            await vault.mark_processed(f"item {number}", now=at + timedelta(days=number))
    found = await stored(installation, organisation, tmp_path)
    items = use(found, Place.DATABASE, Kind.DUPLICATES, Role.MESSAGE_SERVICE, "180 days")
    assert (items.count, items.oldest, items.ends_at) == (3, at, at + DUPLICATE_WINDOW)
    assert items.bytes >= 8192
    log = use(found, Place.DATABASE, Kind.LOG, AP, "samdrift log dispose")
    assert log.count >= 1
    assert log.oldest is not None
    assert found.bytes == sum(each.bytes for each in found.uses)
    assert found.unread == ()
    assert found.backups is None


async def test_what_one_organisation_uses_is_the_same_whatever_another_one_stores(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    other = await installation.organisation()
    before = await stored(installation, organisation, tmp_path)
    async with installation.open(other, AP) as vault:
        await submitted(vault, os.urandom(400_000))
    after = await stored(installation, organisation, tmp_path)
    assert [(each.what, each.count) for each in after.uses] == [
        (each.what, each.count) for each in before.uses
    ]


async def test_to_ask_leaves_no_entry_in_the_organisations_log(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    async with installation.open(organisation, AP) as vault:
        before = await vault.log_end()
    await stored(installation, organisation, tmp_path)
    async with installation.open(organisation, AP) as vault:
        assert await vault.log_end() == before


async def test_backups_are_counted_where_they_lie_and_known_from_the_operators_log(
    ground: Ground, tmp_path: Path
) -> None:
    made = await ground.create(ground.organisation)
    copies = tuple(read_backups([ground.folder], signers(ground.administration.keys, None)))
    found = await stored(ground.installation, ground.organisation, tmp_path, copies)
    size = made.manifest.of(ground.organisation.value).bytes
    counted = use(found, Place.BACKUPS, "backups")
    assert (counted.count, counted.bytes) == (1, size)
    assert found.backups is not None
    assert found.backups.count == 1
    assert {each.role for each in found.uses} == {*Role, None}


def test_what_could_not_be_asked_is_not_shown_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The line shows that a suspended organisation uses more than was counted."""
    suspended = "the organisation is suspended here"
    show(Stored("0203:habo.se", (), ((AP, suspended), (Role.MESSAGE_SERVICE, suspended))))
    printed = capsys.readouterr().out
    assert printed.startswith("0203:habo.se: 0 B without ap, mt, which could not be asked; no backup")


async def test_an_organisation_that_is_not_here_is_said_so(
    installation: Installation, tmp_path: Path
) -> None:
    with pytest.raises(Unusable, match="has no data in this installation"):
        await stored(installation, ParticipantIdentifier("0203:nowhere.se"), tmp_path)
