"""`samdrift peers` on a running installation: peers that do not conform, and reports to DIGG about them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint.events import APEvent
from samdrift.administration.events import AdminEvent
from samdrift.contracts.principals import Principal
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.roles.letters import DRAFT, changed
from tests.roles.member import Member
from tests.roles.peer import Peer
from tests.roles.stage import Stage
from tests.unit.cli.commandline import Ended, in_process

EXPECTED = "ALARM access point"
BROKEN = b"edelivery:xhe:1<", b"edelivery:xhe:9<"


async def peers(member: Member, *arguments: str | Path) -> Ended:
    """Run the command as an operator does, on the running installation."""
    config = member.config.vaults.secrets.parent / "samdrift.toml"
    return await asyncio.to_thread(in_process, "peers", *arguments, "--by", "anna", "--config", config)


async def listed(member: Member, peer: Peer) -> list[dict[str, Any]]:
    """Return the entries about a peer, by its name."""
    ended = await peers(member, "list", "--json")
    assert (ended.status, ended.complaints) == (0, "")
    return [each for each in ended.document["peers"] if each["peer"] == peer.party]


async def misbehaves(stage: Stage, peer: Peer) -> list[str]:
    """Send a malformed envelope, one with a wrong sender, and one for an unknown recipient.

    Return their AS4 message ids.
    """
    whole = peer.encloses(stage.habo)
    sent = [
        await peer.posts(changed(whole, *BROKEN), stage.habo),
        await peer.posts(whole, stage.habo, {"original_sender": "0203:annan.example.se"}),
        await peer.posts(whole, stage.habo, {"final_recipient": "0203:okand.example.se"}),
    ]
    return [posted.message_id for posted in sent]


async def test_tf_09_a_peer_that_does_not_conform_is_reported_to_digg(stage: Stage, tmp_path: Path) -> None:
    """operator-common-rules 4.1.1 a: wrong recipient, envelope that does not conform.

    Clauses: accesspoint-test-cases 6.2.4 TF-09; transport-model-base 2.9.5 sentence 1.
    """
    peer = stage.peer()
    sent = await misbehaves(stage, peer)
    (found,) = await listed(stage.habo, peer)
    sha256 = hashlib.sha256(peer.key.certificate.public_bytes(Encoding.DER)).hexdigest()
    assert (found["refused"], found["certificate"]) == (3, sha256)
    clauses = {clause for each in found["reasons"] for clause in each["clauses"]}
    assert clauses == {
        "component-accesspoint 3.1.6 b",
        "component-accesspoint 3.2.1 a",
        "component-accesspoint 3.2.2 a",
        "envelope-profile-xhe 2.2",
    }
    ended = await peers(stage.habo, "report", peer.party, "--out", tmp_path / "report")
    assert (ended.status, ended.complaints) == (0, "")
    files = {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()}
    assert set(files) == {"rapport.txt", "rapport.json", "bevis.jsonl", "certifikat.pem"}
    assert x509.load_pem_x509_certificate(files["certifikat.pem"]) == peer.key.certificate
    text, document = files["rapport.txt"].decode(), json.loads(files["rapport.json"])
    assert "FÖLJSAMHETSFEL" in text
    assert document["peer"] == {"accessPoint": peer.party, "certificateSha256": sha256}
    assert document["reporter"]["accessPoint"] == stage.habo.access_point.party
    assert {each["as4"] for each in document["refusals"]} == set(sent)
    for refusal in document["refusals"]:
        assert refusal["as4"] in text
        assert refusal["reason"] in text
        assert all(clause in text for clause in refusal["clauses"])
    entries = [json.loads(line) for line in files["bevis.jsonl"].splitlines()]
    for refusal in document["refusals"]:
        entry = entries[refusal["evidenceLine"] - 1]
        assert json.loads(entry["content"])["ids"]["as4"] == refusal["as4"]
        salt, content = bytes.fromhex(entry["salt"]), entry["content"].encode()
        assert len(salt) == 16
        assert hashlib.sha256(salt + content).hexdigest() == entry["hash"]
    for words in (DRAFT.label, DRAFT.text, "CipherValue"):
        assert words.encode() not in b"".join(files.values()), "the report must not contain message content"
    log = await stage.habo.operator.gate.read_operator_log(limit=10_000)
    (reported,) = [e.ids for e in log if e.event == AdminEvent.AP_PEER_REPORTED]
    assert (reported["peer"], reported["by"], reported["refusals"]) == (peer.party, "anna", "3")
    assert reported["report"] == hashlib.sha256(files["rapport.json"]).hexdigest()


async def test_nobody_is_reported_for_what_another_sends_in_its_name(stage: Stage, tmp_path: Path) -> None:
    """The attacker made a certificate with the name of an approved access point in it."""
    peer = stage.peer()
    forged = replace(peer, key=SoftwareSigningKey(pki.key(1), pki.root(peer.party, 1).certificate))
    for _ in range(3):
        await forged.posts(changed(peer.encloses(stage.habo), *BROKEN), stage.habo)
    refused = await stage.habo.operator.gate.refused(100)
    assert len([entry for entry in refused if entry.ids.get("peer") == peer.party]) == 3
    assert await listed(stage.habo, peer) == []
    ended = await peers(stage.habo, "report", peer.party, "--out", tmp_path / "report")
    assert ended.status == 1
    assert not (tmp_path / "report").exists()


async def test_an_existing_report_is_not_written_over(stage: Stage, tmp_path: Path) -> None:
    peer = stage.peer()
    await peer.posts(changed(peer.encloses(stage.habo), *BROKEN), stage.habo)
    (tmp_path / "report").mkdir()
    ended = await peers(stage.habo, "report", peer.party, "--out", tmp_path / "report")
    assert ended.status == 2
    assert list((tmp_path / "report").iterdir()) == []


async def test_a_peer_that_does_it_too_often_raises_an_alarm_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The threshold is a setting, ten by default; both logs have the alarm, ours without the peer's name."""
    peer, other = stage.peer(), stage.peer()
    whole = peer.encloses(stage.habo)
    with caplog.at_level(logging.ERROR, "samdrift"):
        for _ in range(stage.habo.access_point.peer_alarm + 2):
            await peer.posts(whole, stage.habo, {"final_recipient": "0203:okand.example.se"})
        await other.posts(whole, stage.habo, {"final_recipient": "0203:okand.example.se"})
    alarms = [message for message in caplog.messages if message.startswith("ALARM access point")]
    assert len(alarms) == 1
    assert peer.party not in alarms[0]
    log = await stage.habo.operator.gate.read_operator_log(limit=10_000)
    (alarm,) = [e.ids for e in log if e.event == APEvent.AP_PEER_ALARM]
    assert alarm["peer"] == peer.party


async def test_a_vault_that_cannot_be_reached_is_named_and_hides_no_peer_that_others_refused(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, operate = stage.mullsjo.organisation, Gate.operate

    def operate_unless_gone(gate: Gate, principal: Principal, organisation: ParticipantIdentifier) -> object:
        if organisation == gone:
            raise VaultUnavailable("connection refused at 192.0.2.1:5432")
        return operate(gate, principal, organisation)

    peer = stage.peer()
    await peer.posts(changed(peer.encloses(stage.habo), *BROKEN), stage.habo)
    monkeypatch.setattr(Gate, "operate", operate_unless_gone)
    silent = f"{gone} could not be asked, and is not in this answer: connection refused at 192.0.2.1:5432"
    found = await peers(stage.habo, "list")
    assert (found.status, peer.party in found.output, silent in found.complaints) == (1, True, True)
    report = await peers(stage.habo, "report", peer.party, "--out", tmp_path / "report")
    assert (report.status, silent in report.complaints) == (1, True)
    assert (tmp_path / "report" / "certifikat.pem").is_file()
