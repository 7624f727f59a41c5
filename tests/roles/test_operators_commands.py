"""`samdrift queue` on a running installation: list, explain, retry, give up, refuse."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from samdrift.contracts.principals import Principal, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.records import OutgoingEnvelope
from samdrift.wire.as4 import Compressor
from samdrift.wire.identifiers import NO_PROCESS, ParticipantIdentifier
from tests.roles.letters import Envelope, changed, enclose, letter
from tests.roles.member import AP, Member
from tests.roles.peer import Peer
from tests.roles.stage import Stage
from tests.roles.test_life import suspended
from tests.unit.cli.commandline import Ended, in_process

HOUR = timedelta(hours=1)
DETAIL = "EBMS:0004 the disk is full \x1b[31m"


def config_of(member: Member) -> Path:
    return member.config.vaults.secrets.parent / "samdrift.toml"


async def queue(member: Member, *arguments: str, config: Path | None = None) -> Ended:
    """Run the command as an operator does, on the running installation."""
    config = config or config_of(member)
    return await asyncio.to_thread(in_process, "queue", *arguments, "--by", "anna", "--config", config)


@dataclass(frozen=True)
class Parked:
    """A transfer to a peer that failed once and waits for an hour."""

    sender: Member
    transfer_id: str
    envelope: Envelope

    @classmethod
    async def at(cls, sender: Member, peer: Peer, *, under_way: bool = False) -> Parked:
        message = letter(sender.address, peer.address)
        await sender.plant(message)
        envelope = enclose(message, await sender.signing(), peer.encryption, encrypted=True)
        compressor, now = Compressor(), datetime.now(UTC)
        outgoing = OutgoingEnvelope(
            envelope.id,
            envelope.id,
            sender.organisation,
            peer.address.organisation,
            envelope.header.document,
            NO_PROCESS,
        )
        async with sender.open(AP) as vault:
            writer = vault.new_body(digested=True)
            await writer.write(compressor.feed(envelope.data) + compressor.finish())
            transfer, _ = await vault.submit(
                outgoing, await writer.finish(), as4_message_id=f"{uuid4()}@test", now=now, lease=HOUR
            )
            if not under_way:
                await vault.postpone(
                    transfer.id,
                    now=now,
                    next_attempt=now + HOUR,
                    reason=TransferReason.PEER_REFUSED,
                    detail=DETAIL,
                )
        return cls(sender, transfer.id, envelope)


@pytest.fixture
async def parked(stage: Stage) -> tuple[Parked, Peer]:
    peer = stage.peer()
    return await Parked.at(stage.habo, peer), peer


async def test_what_waits_is_listed_with_what_its_last_attempt_met(
    stage: Stage, parked: tuple[Parked, Peer]
) -> None:
    waiting, peer = parked
    ended = await queue(stage.habo, "list", "--json", "--organisation", stage.habo.organisation.value)
    found = {one["transfer"]: one for one in ended.document["transfers"]}[waiting.transfer_id]
    assert (found["envelope"], found["organisation"]) == (waiting.envelope.id, "0203:habo.se")
    assert found["recipient"] == peer.address.organisation.value
    assert (found["attempts"], found["reason"], found["detail"]) == (1, "peer-refused", DETAIL)
    assert found["nextAttempt"] > found["lastAttempt"]
    of_another = await queue(stage.habo, "list", "--organisation", stage.mullsjo.organisation.value)
    assert (of_another.status, waiting.transfer_id in of_another.output) == (0, False)


async def test_why_shows_every_attempt_with_the_peers_own_words_and_no_escape_sequence(
    stage: Stage, parked: tuple[Parked, Peer]
) -> None:
    waiting, _ = parked
    ended = await queue(stage.habo, "why", waiting.envelope.id)
    assert "the disk is full \\x1b[31m" in ended.output
    assert "\x1b" not in ended.output
    document = (await queue(stage.habo, "why", waiting.transfer_id, "--json")).document
    assert [(one["reason"], one["detail"]) for one in document["tried"]] == [("peer-refused", DETAIL)]


async def test_a_running_access_point_takes_up_a_retry_at_once(
    stage: Stage, parked: tuple[Parked, Peer]
) -> None:
    waiting, peer = parked
    ended = await queue(stage.habo, "retry", waiting.envelope.id)
    assert ended.status == 0
    assert ended.output.startswith("is attempted now; its last attempt met peer-refused  EBMS:0004")
    (received,) = await peer.gets(1)
    assert received.payload == waiting.envelope.data
    (hastened,) = [
        entry
        for entry in await stage.habo.log(AP, waiting.envelope.id)
        if entry.event == "ap:transfer:hastened"
    ]
    assert (hastened.principal, hastened.purpose) == ("operator:anna", "operate")
    again = await queue(stage.habo, "retry", waiting.envelope.id)
    assert (again.status, again.output) == (1, "")


async def test_a_retry_says_that_it_waits_for_a_process_that_serves(
    stage: Stage, parked: tuple[Parked, Peer], tmp_path: Path
) -> None:
    """This is also so if nothing runs, since the control sockets would be in another folder."""
    waiting, _ = parked
    apart = config_of(stage.habo).with_name("apart.toml")
    apart.write_text(
        config_of(stage.habo).read_text().replace("[vaults]", f'[vaults]\ncontrol = "{tmp_path}/control"')
    )
    ended = await queue(stage.habo, "retry", waiting.envelope.id, config=apart)
    assert ended.status == 0
    told = "waits for serve: no process on this machine serves the access point of 0203:habo.se"
    assert ended.output.startswith(f"{told}; its last attempt met peer-refused")


async def test_a_retry_says_since_when_an_attempt_is_under_way(stage: Stage) -> None:
    waiting = await Parked.at(stage.habo, stage.peer(), under_way=True)
    ended = await queue(stage.habo, "retry", waiting.envelope.id)
    assert (ended.status, ended.output) == (1, "")
    time = r"[0-9-]{10} [0-9:]{8}Z"
    told = rf"an attempt is under way since {time}, until {time} at most; nothing was done"
    assert re.search(told, ended.complaints)


async def test_the_sender_of_what_is_given_up_is_told_why(stage: Stage, parked: tuple[Parked, Peer]) -> None:
    waiting, peer = parked
    ended = await queue(stage.habo, "give-up", waiting.transfer_id, "--reason", "the recipient has moved")
    assert ended.status == 0
    failure = await stage.habo.failure(waiting.envelope.id)
    assert "given-up" in failure
    assert "the recipient has moved" in failure
    assert peer.received == []


async def test_refused_envelopes_are_shown_as_facts(stage: Stage) -> None:
    peer = stage.peer()
    whole = peer.encloses(stage.habo)
    envelope = changed(whole, b"edelivery:xhe:1<", b"edelivery:xhe:9<")
    posted = await peer.posts(envelope, stage.habo)
    for_nobody = await peer.posts(envelope, stage.habo, {"final_recipient": "0203:okand.example.se"})
    ended = await queue(stage.habo, "refused", "--json")
    found = {one["facts"].get("as4"): one for one in ended.document["refused"]}
    assert found[posted.message_id]["organisation"] == stage.habo.organisation.value
    assert found[posted.message_id]["facts"]["peer"] == peer.party
    assert found[posted.message_id]["reason"].startswith("R3-XHE")
    assert found[for_nobody.message_id]["organisation"] is None
    assert found[for_nobody.message_id]["reason"] == "EBMS:0004: NOT_SERVICED"


@pytest.mark.parametrize(
    "arguments", [("why", "none"), ("retry", "none"), ("give-up", "none", "--reason", "x")]
)
async def test_what_is_not_there_is_said_to_be_unknown(stage: Stage, arguments: tuple[str, ...]) -> None:
    ended = await queue(stage.habo, *arguments)
    assert (ended.status, ended.output) == (1, "")
    assert "no transfer has that id here" in ended.complaints


async def test_an_organisation_of_another_operator_cannot_be_asked_about(stage: Stage) -> None:
    assert not stage.habo.operator.gate.registry.serves(stage.agency.organisation, Role.ACCESS_POINT)
    ended = await queue(stage.habo, "list", "--organisation", stage.agency.organisation.value)
    assert (ended.status, ended.output) == (2, "")


@pytest.fixture
def silent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an organisation's vault unreachable for the operator's commands; return the expected line."""
    gone, operate, opened = stage.mullsjo.organisation, Gate.operate, Gate.open

    def operate_unless_gone(gate: Gate, principal: Principal, organisation: ParticipantIdentifier) -> object:
        if organisation == gone:
            raise VaultUnavailable("connection refused at 192.0.2.1:5432")
        return operate(gate, principal, organisation)

    def open_unless_gone(
        gate: Gate, principal: Principal, organisation: ParticipantIdentifier, *more: Any
    ) -> object:
        if organisation == gone and principal.name.startswith("queue by "):
            raise VaultUnavailable("connection refused at 192.0.2.1:5432")
        return opened(gate, principal, organisation, *more)

    monkeypatch.setattr(Gate, "operate", operate_unless_gone)
    monkeypatch.setattr(Gate, "open", open_unless_gone)
    return f"{gone} could not be asked, and is not in this answer: connection refused at 192.0.2.1:5432"


async def test_a_vault_that_cannot_be_reached_is_named_and_hides_no_other_transfers(
    stage: Stage, parked: tuple[Parked, Peer], silent: str
) -> None:
    waiting, _ = parked
    listed = await queue(stage.habo, "list")
    assert (listed.status, waiting.transfer_id in listed.output, silent in listed.complaints) == (
        1,
        True,
        True,
    )
    assert (await queue(stage.habo, "list", "--json")).document["transfers"]
    refused = await queue(stage.habo, "refused")
    assert (refused.status, silent in refused.complaints) == (1, True)
    assert (await queue(stage.habo, "why", waiting.transfer_id)).status == 0
    unknown = await queue(stage.habo, "why", "none")
    assert (unknown.status, silent in unknown.complaints) == (1, True), (
        "the transfer may be in the vault that cannot be reached"
    )
    alone = await queue(stage.habo, "list", "--organisation", stage.mullsjo.organisation.value)
    assert (alone.status, alone.output) == (2, "")
    assert (await queue(stage.habo, "give-up", waiting.transfer_id, "--reason", "x")).status == 0


async def test_a_suspended_organisation_is_named_and_not_left_out(
    stage: Stage, parked: tuple[Parked, Peer]
) -> None:
    """Its transfers wait as well: an empty list would suggest that there are none."""
    waiting, _ = parked
    named = f"{stage.habo.organisation} could not be asked, and is not in this answer: the organisation"
    async with suspended(stage.habo, AP):
        listed = await queue(stage.mullsjo, "list")
        assert (listed.status, named in listed.complaints) == (1, True)
        refused = await queue(stage.mullsjo, "refused")
        assert (refused.status, named in refused.complaints) == (1, True)
        why = await queue(stage.mullsjo, "why", waiting.transfer_id)
        assert (why.status, named in why.complaints) == (1, True), "the transfer is in the suspended vault"
    assert (await queue(stage.habo, "give-up", waiting.transfer_id, "--reason", "x")).status == 0
