"""Queue lengths are measured rarely, and only where transfers may be waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.outbound import QueueLengths
from samdrift.contracts.principals import Role
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.records import Backlog
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, Installation, submitted

AP = Role.ACCESS_POINT
ROLES = (AP,)


@dataclass
class Busy:
    """A stand-in for the organisations with transfers under way in this process."""

    organisations: Collection[ParticipantIdentifier]

    def busy(self) -> Collection[ParticipantIdentifier]:
        return self.organisations


async def test_the_queue_is_counted_at_most_so_often(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting leaves no log entry, because no data is read or changed."""
    looks = Counter[str]()
    backlog = AccessPointVault.backlog

    async def counted(vault: AccessPointVault) -> Backlog:
        looks[vault._room.vault] += 1
        return await backlog(vault)

    monkeypatch.setattr(AccessPointVault, "backlog", counted)
    idle = await installation.organisation()
    registry, now = CollectorRegistry(), [NOW]
    sending: Any = Busy([organisation])
    lengths = QueueLengths(
        installation.gate, sending, Meters(registry), lambda: now[0], every=timedelta(seconds=30)
    )
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)

    async def told() -> tuple[float | None, float | None]:
        await lengths.measure()
        return (
            registry.get_sample_value("samdrift_ap_queued"),
            registry.get_sample_value("samdrift_ap_oldest_queued_seconds"),
        )

    assert await told() == (1, 0)
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    now[0] = NOW + timedelta(seconds=29)
    assert await told() == (1, 29), "ages must grow between counts"
    now[0] = NOW + MINUTE
    assert await told() == (2, 60)
    sending.organisations = []
    now[0] = NOW + 2 * MINUTE
    assert await told() == (0, 0)
    found = [installation.gate.registry.find(each, AP) for each in (organisation, idle)]
    assert [one and looks[one.vault] for one in found] == [2, 0]
    async with installation.open(organisation, AP) as vault:
        assert "measure" not in {entry.purpose for entry in await vault.log()}


async def test_a_queue_that_was_counted_while_the_clock_was_ahead_is_counted_again_when_it_is_right(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    registry, now = CollectorRegistry(), [NOW + timedelta(days=1)]
    sending: Any = Busy([organisation])
    lengths = QueueLengths(
        installation.gate, sending, Meters(registry), lambda: now[0], every=timedelta(seconds=30)
    )
    await lengths.measure()
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    now[0] = NOW
    await lengths.measure()
    assert registry.get_sample_value("samdrift_ap_queued") == 1
