"""An operator whose clock is hours off: it accepts nothing, and senders through it are finally notified."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.installation import accesspoints, operator, services
from samdrift.installation.operator import running
from tests.roles.member import MT, Member
from tests.roles.processes import organisation
from tests.roles.stage import Stage, hasty, member_of
from tests.vaults import server_folder

_NUMBERS = {-6: "1", 6: "2"}


@dataclass
class Clock:
    """A clock that is wrong."""

    by: timedelta

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


@pytest.fixture(scope="module", params=_NUMBERS, ids=lambda hours: f"{hours} hours")
def clock(request: pytest.FixtureRequest) -> Clock:
    return Clock(timedelta(hours=request.param))


def with_timestamps(config: Config, peer: Config) -> Config:
    """Return the configuration with security timestamps, which reveal a fast clock, to the other operator."""
    assert config.access_point is not None
    assert peer.access_point is not None
    own = replace(config.access_point, timestamp_peers=(peer.access_point.party,))
    return replace(config, access_point=own)


@pytest_asyncio.fixture(scope="module")
async def lost_in_time(stage: Stage, clock: Clock) -> AsyncIterator[Member]:
    """An organisation at an operator with the wrong clock."""
    number = _NUMBERS[clock.by // timedelta(hours=1)]
    own = organisation(f"aneby{number}", "2120000464")
    demo = DemoOperator("operator-f", f"AP001{number}-SDK-DEMO", (own,))
    with server_folder() as folder, pytest.MonkeyPatch.context() as patched:
        for module in (operator, services, accesspoints):
            patched.setattr(module, "system_clock", clock)
        enrolled = await enrol(stage.federation, demo, folder / demo.folder)
        config = with_timestamps(hasty(enrolled.config, MalwareConfig(None)), stage.agency.config)
        async with running(config) as run:
            yield member_of(stage.federation, run, own)


async def test_what_is_sent_to_it_gets_no_receipt(stage: Stage, lost_in_time: Member) -> None:
    """The peer's certificate cannot be judged at that time, or the message is from another time."""
    peer = stage.peer()
    envelope = peer.encloses(lost_in_time)
    posted = await peer.posts(envelope, lost_in_time)
    if posted.answer.status != 503:
        ((code, detail),) = posted.errors()
        assert code == "EBMS:0103"
        assert "security timestamp" in detail
    assert not await lost_in_time.waiting()
    assert not await lost_in_time.happened(MT, envelope.id)


async def test_what_is_sent_through_it_ends_with_a_reason(
    stage: Stage, lost_in_time: Member, clock: Clock
) -> None:
    """With a slow clock no certificate can be judged, so the message waits until the clock is right."""
    message_id = await lost_in_time.send(stage.agency.address)
    behind = clock.by < timedelta(0)
    if behind:
        clock.by = timedelta(0)
    assert (await lost_in_time.ends(message_id) is MessageStatus.ACCEPTED) <= behind
    last = (await lost_in_time.events(message_id))[-1]
    assert last.title
    if not behind:
        assert "security timestamp" in f"{last.title} {last.detail}"
        assert await stage.agency.record(message_id, Direction.IN) is None
