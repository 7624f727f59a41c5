"""An organisation whose officer has yet to unlock its vaults: nothing is lost, refused or held up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.cli.org.events import OrgEvent
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.installation.control import control_folder
from samdrift.installation.doors import Door
from samdrift.installation.events import RunEvent
from samdrift.installation.listeners import bound_socket
from samdrift.installation.operator import running
from samdrift.messageservice.incoming import polling
from samdrift.net.client import HttpClient
from samdrift.scheduling import dispatch
from samdrift.vault.errors import VaultLocked
from samdrift.vault.leasing import LeaseKeeper
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.member import AP, MT, Member
from tests.roles.stage import Stage, hasty, member_of
from tests.secretfiles import secret_file
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import server_folder

ANEBY = DemoOrganisation(
    ParticipantIdentifier("0203:aneby.se"),
    "Aneby kommun",
    "2120000449",
    FunctionalAddress("sdk.registrator.0203:aneby.se", "Registrator"),
)
YDRE = DemoOrganisation(
    ParticipantIdentifier("0203:ydre.se"),
    "Ydre kommun",
    "2120000340",
    FunctionalAddress("sdk.registrator.0203:ydre.se", "Registrator"),
)
OPERATOR = DemoOperator("operator-l", "AP0012-SDK-DEMO", (ANEBY, YDRE))
FIRST, SECOND = "the officer's own words", "other words of the officer"


@dataclass
class Place:
    """An operator that can be restarted, and its commands."""

    stage: Stage
    folder: Path
    config: Config

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Member, Member]]:
        async with running(self.config) as run:
            yield (
                replace(self._aneby, operator=run),
                replace(self._ydre, operator=run),
            )

    def know(self, aneby: Member, ydre: Member) -> None:
        self._aneby, self._ydre = aneby, ydre

    async def org(self, command: str, *arguments: str | Path) -> Ended:
        config = "--config", self.folder / "samdrift.toml"
        return await asyncio.to_thread(
            in_process, "org", command, ANEBY.identifier.value, *arguments, *config
        )

    def passphrase(self, text: str) -> Path:
        return secret_file(self.folder / f"{len(text)}.txt", text)


@pytest_asyncio.fixture(scope="module")
async def place(stage: Stage) -> AsyncIterator[Place]:
    with server_folder() as folder, pytest.MonkeyPatch.context() as soon:
        soon.setattr(dispatch, "_AFTER_FAILURE", timedelta(seconds=0.5))
        soon.setattr(polling, "_PAUSE", timedelta(seconds=0.5))
        enrolled = await enrol(stage.federation, OPERATOR, folder)
        config = hasty(enrolled.config, MalwareConfig(None))
        assert config.access_point is not None
        # The end of a run interrupts attempts, whose leases have to expire during the next run.
        patient = replace(config.access_point, attempts=1000, lease_seconds=5)
        place = Place(stage, folder, replace(config, access_point=patient))
        async with running(config) as run:
            place.know(*(member_of(stage.federation, run, one) for one in (ANEBY, YDRE)))
        yield place


async def test_messages_to_and_from_a_locked_organisation_wait_and_go_on_when_it_is_unlocked(
    place: Place,
) -> None:
    peer, agency = place.stage.peer(), place.stage.agency
    async with place.running() as (aneby, ydre):
        peer.respond = lambda message: 503
        waiting = await aneby.send(peer.address)
        await peer.gets(1)
        ended = await place.org("lock", "--passphrase-file", place.passphrase(FIRST))
        assert ended.status == 0, ended.complaints
        assert ended.output.startswith("its officer's passphrase opens it\nolder than this lock"), (
            ended.output
        )
        assert await aneby.record(waiting, Direction.OUT) is not None, (
            "the running process must keep the vault open"
        )
    peer.respond = None
    async with place.running() as (aneby, ydre):
        sent = len(peer.received)
        for role in (AP, MT):
            with pytest.raises(VaultLocked):
                async with aneby.open(role) as vault:
                    await vault.log()
        envelope = peer.encloses(aneby)
        message_id, packed = peer.packs(envelope, aneby)
        later = await peer.repeats(message_id, packed, aneby)
        assert (later.answer.status, later.answer.headers["retry-after"]) == (503, "60")
        other = await agency.send(ydre.address)
        assert await agency.ends(other) is MessageStatus.ACCEPTED, "other organisations must not be affected"
        refused = await place.org("unlock", "--passphrase-file", place.passphrase(SECOND))
        assert (refused.status, refused.complaints) == (2, "samdrift: the passphrase is not the officer's\n")
        assert len(peer.received) == sent
        opened = await place.org("unlock", "--passphrase-file", place.passphrase(FIRST))
        assert (opened.status, opened.output) == (0, "unlocked: ap mt\n"), opened.complaints
        await aneby.reaches(waiting, MessageStatus.WAITING_FOR_RECEIPT)
        assert len(peer.received) == sent + 1
        assert (await peer.repeats(message_id, packed, aneby)).is_receipt_of(aneby.certificate)
        await aneby.reaches(envelope.id, MessageStatus.NEW, Direction.IN)
        async with aneby.open(MT) as vault:
            assert RunEvent.VAULT_UNLOCKED in [entry.event for entry in await vault.log()]


async def test_a_passphrase_is_replaced_and_given_back_while_everything_runs(place: Place) -> None:
    first, second = place.passphrase(FIRST), place.passphrase(SECOND)
    present = "--present-passphrase-file"
    async with place.running() as (aneby, _):
        wrong = await place.org("lock", "--passphrase-file", second, present, second)
        assert (wrong.status, wrong.complaints) == (2, "samdrift: the passphrase is not the officer's\n")
        assert (await place.org("lock", "--passphrase-file", second, present, first)).status == 0
        async with aneby.open(MT) as vault:
            await vault.log()
        given_back = await place.org("lock", "--operator", present, second)
        assert (given_back.status, given_back.output) == (0, "the operator's passphrase opens it\n")
        async with aneby.open(MT) as vault:
            changed = [entry for entry in await vault.log() if entry.event == OrgEvent.VAULT_LOCK_CHANGED]
        assert [entry.ids["by"] for entry in changed] == ["officer", "officer", "operator"]
    stopped = await place.org("unlock", "--passphrase-file", first)
    assert (stopped.status, "start it first" in stopped.complaints) == (2, True)
    left = [each.name for each in control_folder(place.config.vaults).iterdir()]
    assert left == ["turn"], "only the file that serialises commands may be left"


async def test_an_installation_that_stops_ends_polling_before_it_closes_the_connections(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Closing is slow here, so polling that continued meanwhile would meet a closed connection."""
    monkeypatch.setattr(polling, "_PAUSE", timedelta(seconds=0.01))
    close = HttpClient.aclose

    async def slow(self: HttpClient) -> None:
        await close(self)
        await asyncio.sleep(0.3)

    async with place.running() as (_, ydre):
        message = await place.stage.agency.send(ydre.address)
        assert await place.stage.agency.ends(message) is MessageStatus.ACCEPTED
        monkeypatch.setattr(HttpClient, "aclose", slow)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_start_that_finds_an_address_taken_takes_no_work_from_a_process_that_serves(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    leasing: list[str] = []

    async def begin(keeper: LeaseKeeper) -> None:
        leasing.append(keeper.claimant.name)

    monkeypatch.setattr(LeaseKeeper, "start", begin)
    assert place.config.message_service is not None
    assert place.config.message_service.listen_d is not None
    with bound_socket(place.config, Door.D) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            async with running(place.config):
                pass
    assert leasing == []
