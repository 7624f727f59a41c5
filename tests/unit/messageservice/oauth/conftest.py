"""A fresh scene for each test, with two organisations per file, because making these takes longer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageservice.oauth.scene import Scene
from tests.vaults import Installation

Pair = tuple[ParticipantIdentifier, ParticipantIdentifier]


@pytest_asyncio.fixture(scope="module")
async def pair(installation: Installation) -> Pair:
    roles = [Role.MESSAGE_SERVICE]
    return await installation.organisation(roles), await installation.organisation(roles)


@pytest_asyncio.fixture
async def scene(installation: Installation, pair: Pair) -> AsyncIterator[Scene]:
    made = Scene(installation, *pair)
    await made.begin()
    async with made.http:
        yield made
