"""Run books for faults that a running installation survives: their commands, typed in that state."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samdrift.contracts.messages import MessageStatus
from samdrift.federation.server import Service
from samdrift.installation.health import Dependency
from tests.monitoring import alerts
from tests.roles.letters import changed
from tests.roles.member import Member, until
from tests.roles.runbooks import run_book, text
from tests.roles.stage import Stage
from tests.roles.test_health import held_of, state_of
from tests.roles.test_operators_commands import Parked
from tests.roles.test_outages import outage
from tests.roles.test_peers_command import BROKEN
from tests.scanner import requires_clamd
from tests.unit.cli.commandline import Ended, in_process


def names(member: Member, **more: str | Path) -> dict[str, str | Path]:
    """Return the placeholders of a run book, with their values at an operator of the stage."""
    assert member.config.file is not None
    return {
        "production.toml": member.config.file,
        "0203:habo.se": member.organisation.value,
        "/srv/samdrift": member.config.vaults.secrets.parent,
        **more,
    }


async def is_gone(member: Member, dependency: str) -> None:
    async def look() -> bool | None:
        return True if await state_of(member, dependency) == "gone" else None

    await until(look, f"it is known that {dependency} is gone")


async def is_there(member: Member, dependency: str) -> None:
    async def look() -> bool | None:
        return True if await state_of(member, dependency) == "there" else None

    await until(look, f"it is known that {dependency} is there")


@requires_clamd
async def test_the_scanner_is_down(stage: Stage) -> None:
    habo = stage.habo
    await is_there(habo, "scanner")

    async def restart() -> None:
        await stage.scanner.start()

    assert habo.config.file is not None
    file = habo.config.file.with_name("scanned.toml")
    text_of = habo.config.file.read_text()
    file.write_text(
        text_of.replace('scanner = "none"', f'scanner = "clamd"\nsocket = "{stage.scanner.socket}"')
    )
    known = {**names(habo), "production.toml": file}
    async with run_book("scanner-down", known, {"systemctl restart clamav-daemon": restart}) as at:
        stage.scanner.stop()
        try:
            message_id = await habo.send(stage.agency.address)
            await is_gone(habo, "scanner")

            async def waits() -> bool | None:
                return True if await held_of(habo, "scanner") else None

            await until(waits, "the message waits")
            seen = await at.types("./samdrift status")
            assert seen.status == 1
            assert "scanner: " in seen.output
            assert "HELD       1 mt: scanner" in seen.output
        finally:
            await at.types("systemctl restart")
        found = await at.types("./samdrift doctor")
        assert re.search(r"^ok +scanner: ", found.output, re.MULTILINE), found.output
        assert await habo.ends(message_id) is MessageStatus.ACCEPTED
        await is_there(habo, "scanner")
        over = await at.types("./samdrift status")
        assert (over.status, "HELD" in over.output) == (0, False)


async def test_the_smp_does_not_answer_and_has_a_wrong_registration(stage: Stage) -> None:
    """First it is down; then it has another access point's certificate for the organisation."""
    habo, peer = stage.habo, stage.peer()
    waiting = await Parked.at(habo, stage.peer())
    services = stage.federation.smp.services(habo.organisation)
    async with run_book("smp-wrong", names(habo, TRANSFER=waiting.transfer_id)) as at:
        with outage(stage, Service.SMP):
            message_id = await habo.send(peer.address)
            await is_gone(habo, "smp")
            seen = await at.types("./samdrift status")
            assert seen.status == 1
            assert "it answers 503" in seen.output
        await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
        stage.federation.publish(
            replace(
                one,
                endpoints=tuple(replace(each, certificate=peer.key.certificate) for each in one.endpoints),
            )
            for one in services
        )
        try:
            wrong = await at.types("./samdrift org show")
            assert wrong.status == 1
            assert "is registered with another certificate than our access point’s" in wrong.output
        finally:
            stage.federation.publish(services)
        assert waiting.transfer_id in (await at.types("./samdrift queue list")).output
        assert (await at.types("./samdrift queue retry")).status == 0
        shown = await at.types("./samdrift org show")
        assert "registered with our access point’s certificate" in shown.output
        assert "another certificate" not in shown.output
        assert (await at.types("./samdrift status")).status == 0


async def test_another_service_is_gone(stage: Stage) -> None:
    habo, peer = stage.habo, stage.peer()
    async with run_book("service-gone", names(habo)) as at:
        with outage(stage, Service.RESPONDER):
            message_id = await habo.send(peer.address)
            await is_gone(habo, "revocation")
            seen = await at.types("./samdrift status")
            assert seen.status == 1
            assert "revocation" in seen.output
            assert "health.revocation" in (await at.types("./samdrift doctor")).output
        await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
        await is_there(habo, "revocation")
        assert (await at.types("./samdrift status")).status == 0


def test_every_dependency_has_an_alert_of_its_own_or_a_row() -> None:
    named = "".join(one.expression for one in alerts())
    rows = text("service-gone")
    for one in Dependency:
        assert f'"{one.value}"' in named or f"| `{one.value}` |" in rows, one


async def test_a_peer_refuses_and_is_refused(stage: Stage, tmp_path: Path) -> None:
    habo, peer, hopeless = stage.habo, stage.peer(), stage.peer()
    waiting, other = await Parked.at(habo, peer), await Parked.at(habo, hopeless)
    posted = await peer.posts(changed(peer.encloses(habo), *BROKEN), habo)
    known = names(
        habo,
        **{
            "ANOTHER-TRANSFER": other.transfer_id,
            "TRANSFER": waiting.transfer_id,
            "AP0040-SDK-PROD": peer.party,
            "--out report": f"--out {tmp_path / 'report'}",
        },
    )
    async with run_book("peer-refuses", known) as at:
        listed = (await at.types("./samdrift queue list")).output
        assert waiting.transfer_id in listed
        assert other.transfer_id in listed
        assert "the disk is full" in (await at.types("./samdrift queue why")).output
        assert (await at.types("./samdrift queue retry")).status == 0
        (received,) = await peer.gets(1)
        assert received.payload == waiting.envelope.data
        assert (await at.types("./samdrift queue give-up")).status == 0
        assert "their operator has no date" in await habo.failure(other.envelope.id)
        assert posted.message_id in (await at.types("./samdrift queue refused")).output
        assert peer.party in (await at.types("./samdrift peers list")).output
        assert (await at.types("./samdrift peers report")).status == 0
        assert posted.message_id in (tmp_path / "report" / "rapport.txt").read_text()
        left = (await at.types("./samdrift queue list")).output
        assert other.transfer_id not in left


async def test_a_clock_of_the_operators_incident_is_about_to_end(stage: Stage) -> None:
    habo = stage.habo
    assert habo.config.file is not None
    aware = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    opening = ("--organisation", habo.organisation.value, "--title", "Avbrott", "--aware", aware)
    opened = await asyncio.to_thread(
        in_process,
        *("gov", "incident", "shared", "open", *opening, "--reason", "INC-7", "--by", "anna"),
        *("--config", habo.config.file),
    )
    assert opened.status == 0, opened.complaints
    doctor = await asyncio.to_thread(in_process, "doctor", "--offline", "--config", habo.config.file)
    assert "running clocks of the operator's incidents: 1, the next until" in doctor.output
    async with run_book("incident-due", names(habo, INCIDENT=opened.output[:12])) as at:
        listed = await at.types("./samdrift gov incident shared list")
        assert re.search(r"those concerned, within 6 hours: 0 h \d+ min left", listed.output), listed.output
        assert (await at.types("./samdrift gov incident shared tell")).status == 0
        assert (
            "those concerned, within 6 hours: notified"
            in (await at.types("./samdrift gov incident shared list")).output
        )
        assert "incidents" not in (await at.types("./samdrift doctor")).output


async def test_trace_says_why_a_message_did_not_arrive_and_when_it_did(stage: Stage) -> None:
    habo, peer = stage.habo, stage.peer()

    async def why(message_id: str) -> Ended:
        assert habo.config.file is not None
        asked = "trace", habo.organisation.value, message_id, "--why", "--reason", "dnr 7"
        return await asyncio.to_thread(in_process, *asked, "--config", habo.config.file)

    peer.answers(503, 503, 503)
    lost = await habo.send(peer.address)
    await habo.ends(lost)
    ended = await why(lost)
    *passed, stopped, todo = ended.output.splitlines()
    assert ended.status == 1, ended.output
    assert [line.split()[:2] for line in passed] == [["passed", "sender"], ["passed", "message"]]
    assert stopped.startswith("stopped  access point")
    assert "peer-unreachable" in stopped
    assert "queue why" in todo
    arrived = await habo.send(stage.agency.address)
    assert await habo.ends(arrived) is MessageStatus.ACCEPTED
    ended = await why(arrived)
    assert (ended.status, "stopped" in ended.output) == (0, False)
