"""Leftovers of crashes disappear without help."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.vault.upkeep import keep_up
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import Installation, installed, server_folder, settings_in, submitted, until


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Installation]:
    """Yield an installation without vaults that other tests have damaged."""
    with server_folder() as folder:
        async with installed(settings_in(folder)) as running:
            yield running


async def test_what_nobody_knows_is_removed_from_every_vault(own: Installation) -> None:
    ours, theirs = [await with_something_lost(own) for _ in range(2)]
    failures: list[BaseException] = []
    at_work = asyncio.create_task(keep_up(own.gate, Role.ACCESS_POINT, failures.append))
    try:
        await until(lambda: not ours.exists() and not theirs.exists())
    finally:
        at_work.cancel()
    assert not failures


async def with_something_lost(installation: Installation) -> Path:
    """Make an organisation with a transfer, and with an old object that belongs to none."""
    organisation: ParticipantIdentifier = await installation.organisation()
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await submitted(vault, os.urandom(300_000))
    (known,) = installation.objects(organisation)
    lost = known.with_name("lost")
    lost.write_bytes(b"x")
    os.utime(lost, (0, 0))
    return lost
