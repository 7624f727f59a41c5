"""accesspoint-test-cases 3.1, 4 to 6: an installation of ours against another operator's test bed.

A second federation stands in for the QA environment, with the access points of the test bed as its operator
and participants behind them. The installation runs as a process; the command knows its configuration file and
a file of participants, and otherwise only sees the network traffic between installation and test bed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from cryptography import x509

from samdrift.accesspoint.inbound import PATH
from samdrift.demo.cast import DemoOperator
from samdrift.demo.qualification.protocol import FILE, FORM
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.testbed import envelopes
from samdrift.federation.testbed.accesspoint import Sent, TestAccessPoint
from samdrift.federation.testbed.envelopes import Correspondent, Envelope
from samdrift.federation.testbed.setup import access_points
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.net.client import Answered, http_client, post
from samdrift.net.tls import client_tls
from samdrift.vault.openkeys import open_keys
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED
from tests.roles.member import MT, Member
from tests.roles.processes import Process, organisation, played
from tests.roles.runbooks import run_book
from tests.sizes import whole
from tests.unit.cli.commandline import Ended, in_process, samdrift
from tests.vaults import server_folder

LIMIT = "300"
"""Maximum seconds of a run, which ends earlier if nothing is under way any more."""
TESTED = organisation("testdeltagare", "2120000530")
LARGE = 38 << 20
"""Bytes of attachment in an envelope of more than 70 MB."""


@dataclass(frozen=True)
class Destination:
    """Address of our access point for DIGG's test leader."""

    party: str
    as4_address: str
    certificate: x509.Certificate


@dataclass
class Qa:
    """Stand-in for DIGG's QA environment, and our installation in it."""

    federation: LocalFederation
    ours: Process
    member: Member
    points: dict[str, TestAccessPoint]
    destination: Destination
    folder: Path
    recipient: Correspondent

    async def run(self, *arguments: str, as_json: bool = True) -> Ended:
        return await asyncio.to_thread(
            in_process,
            "testbed",
            "run",
            "--against",
            self.ours.config_file,
            "--participants",
            self.folder / "participants.toml",
            "--protocol",
            self.folder / "protocol",
            "--by",
            "Test Testare",
            *(["--json"] if as_json else []),
            *arguments,
        )

    async def evidence(self, *arguments: str | Path) -> Ended:
        kept = "--protocol", self.folder / "protocol", "--by", "Test Testare", "--json"
        return await asyncio.to_thread(in_process, "testbed", "evidence", *arguments, *kept)

    async def sends(
        self, name: str, broken: Callable[[bytes], bytes] = lambda data: data, **shape: Any
    ) -> Sent:
        """Send a message to our participant, as DIGG's test leader does."""
        point = self.points[name]
        envelope: Envelope = envelopes.message(
            point.correspondent,
            self.recipient,
            SDK_MESSAGE_EXTENDED,
            self.federation.identifier,
            point.keys.signing,
            **shape,
        )
        return await point.send(self.destination, envelope.broken(broken))


@pytest_asyncio.fixture(scope="module")
async def qa() -> AsyncIterator[Qa]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        operator = DemoOperator("ours", "AP0008-SDK-DEMO", (TESTED,))
        ours = await stack.enter_async_context(played(federation, folder, {operator: ("all",)}))
        (process,), (member,) = ours.processes, ours.members
        text = process.config_file.read_text()
        process.config_file.write_text(text.replace("attempts = 60", "attempts = 2"))
        async with member.open(MT) as vault:
            encryption = vault.keys().decryption[0].certificate
        own = process.config.access_point
        assert own is not None
        certificate = _certificate(process)
        destination = Destination(common_name(certificate) or "", own.address, certificate)
        assert own.address.endswith(PATH)
        client = await stack.enter_async_context(
            http_client(client_tls(None, process.config.federation.tls_issuers), public_only=False)
        )

        async def send(address: str, content_type: str, body: bytes) -> Answered:
            return await post(
                client, address, body, content_type=content_type, content_length=len(body), within=120
            )

        points = await stack.enter_async_context(
            access_points(federation, folder / "testbed", destination, send)
        )
        _write_participants(folder / "participants.toml", points)
        await process.start()
        recipient = Correspondent(TESTED.identifier, TESTED.mailbox.identifier, encryption)
        yield Qa(federation, process, member, points, destination, folder, recipient)


def _certificate(process: Process) -> x509.Certificate:
    """Return the access point's own certificate, as SMP publishes it."""
    keys = open_keys(vault_settings(process.config))
    return keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT).certificate


def _write_participants(file: Path, points: dict[str, TestAccessPoint]) -> None:
    lines = []
    for name in ("TestAP-01", "TestAP-03", "TestAP-04", "TestAP-05"):
        one = points[name].correspondent
        lines += [
            f"[{name}]",
            f"identifier = {json.dumps(one.participant.value)}",
            f"address = {json.dumps(one.mailbox)}",
        ]
    file.write_text("\n".join(lines))


def states(ended: Ended) -> dict[str, str]:
    return {case["id"]: case["state"] for case in ended.document["cases"]}


def row(qa: Qa, case: str) -> str:
    (found,) = (
        line
        for line in (qa.folder / "protocol" / FORM).read_text().splitlines()
        if line.startswith(f"| {case} (")
    )
    return found


@whole
async def test_a_session_from_the_first_message_to_a_form_that_can_be_sent(qa: Qa) -> None:
    """Each run continues where the previous one ended; cases that need DIGG or a person wait.

    Clauses: accesspoint-test-cases 4.2.1 TF-01, 4.2.2 TF-02, 4.3.1 TF-03, TF-04, 6.1.1 TF-05, 6.2.1 TF-06,
    6.2.2 TF-07, 6.2.3 TF-08, 6.2.4 TF-09, 6.2.5 TF-10.
    """
    own = [word for case in ("TF-01", "TF-02", "TF-05") for word in ("--case", case)]
    assert (await qa.run(*own, "--wait", LIMIT)).status == 0
    first = await qa.run("--wait", "0")
    assert first.complaints == ""
    waiting = {"TF-03": "waiting", "TF-04": "waiting"}
    not_begun = dict.fromkeys(("TF-06", "TF-07", "TF-08", "TF-09", "TF-10"), "not begun")
    ours = dict.fromkeys(("TF-01", "TF-02", "TF-05"), "passed")
    assert states(first) == ours | waiting | not_begun
    assert first.status == 1

    refused = await qa.sends("TestAP-05")
    assert not refused.receipt
    for shape in ({}, {}, {"handling_service": False}, {}):
        assert (await qa.sends("TestAP-01", **shape)).receipt
    await qa.sends("TestAP-01", lambda data: data.replace(b"edelivery:xhe:1<", b"edelivery:xhe:9<", 1))
    other = f">{TESTED.identifier.value}<".encode()
    await qa.sends("TestAP-01", lambda data: data.replace(other, b">0203:annan.example.se<", 1))
    second = await qa.run("--wait", LIMIT)
    assert states(second) == dict.fromkeys([*states(first)], "passed") | {
        "TF-08": "failed",  # The message was far smaller than 70 MB.
        "TF-09": "waiting",  # The peer has not been reported to DIGG yet.
    }

    report = qa.folder / "report.txt"
    report.write_text("Rapport om följsamhetsfel, skickad till DIGG.")
    reported = await qa.evidence("TF-09", report, "--comment", "Rapporterat | per e-post.")
    assert (reported.status, states(reported)) == (0, {"TF-09": "passed"})

    again = await qa.run("--again", "--case", "TF-08", "--wait", "0")
    assert states(again) == {"TF-08": "waiting"}
    assert (await qa.sends("TestAP-01", attachment=LARGE)).receipt
    last = await qa.run("--wait", LIMIT)
    assert set(states(last).values()) == {"passed"}, last.output
    assert last.status == 0

    for case in last.document["cases"]:
        assert case["passed"] is True
        assert case["expected"]
        assert case["seen"]
        assert case["log"], case["id"]
        assert "| förväntat |" in row(qa, case["id"])
    codes = {case["id"]: case["code"] for case in last.document["cases"]}
    assert "revoked" in codes["TF-02"]
    assert "peer-unreachable" in codes["TF-05"]
    assert all(codes[case] for case in ("TF-03", "TF-09", "TF-10"))
    form = (qa.folder / "protocol" / FORM).read_text()
    for text in (qa.destination.party, TESTED.identifier.value, "Samdrift", "Test Testare", "Utökad Bas"):
        assert text in form
    assert r"Rapporterat \| per e-post." in row(qa, "TF-09")
    assert (qa.folder / "protocol" / "evidence" / "TF-09-1.txt").read_text() == report.read_text()
    assert (qa.folder / "protocol" / FILE).stat().st_mode & 0o077 == 0
    assert _messages_came_by_the_network(qa, last)


def _messages_came_by_the_network(qa: Qa, ended: Ended) -> bool:
    """Return whether the test bed received exactly the messages that TF-01 lists, over all runs."""
    named = {case["id"]: case["message"] for case in ended.document["cases"]}
    got = {message for point in qa.points.values() for message in point.inbox.messages}
    return got == {named["TF-01"]}


async def test_a_tester_at_a_terminal_is_told_what_to_ask_for(qa: Qa) -> None:
    other = "--protocol", str(qa.folder / "terminal")
    ended = await qa.run("--case", "TF-06", "--case", "TF-07", "--wait", "0", *other, as_json=False)
    ours = TESTED.identifier.value
    assert ended.output.splitlines() == [
        "TF-06  waiting  Inget har kommit in för testfallet ännu.",
        f"       ask DIGG's test leader to send the message of TF-06 from TestAP-01 to {ours}",
        f"0 of 2 cases passed, 0 failed; the form is {qa.folder / 'terminal' / FORM}",
    ]
    assert ended.status == 1


async def test_the_protocol_of_another_model_is_another_protocol(qa: Qa) -> None:
    """Clauses: accesspoint-test-cases 5.2.1 sentence 1."""
    await qa.run("--case", "TF-06", "--wait", "0")
    ended = await qa.run("--model", "base", "--wait", "0")
    assert ended.status == 2
    assert "another model" in ended.complaints


async def test_the_base_model_is_run_with_a_protocol_of_its_own(qa: Qa) -> None:
    """Clauses: accesspoint-test-cases 5.2.1 sentence 1."""
    other = "--protocol", str(qa.folder / "base")
    ended = await qa.run("--model", "base", "--case", "TF-01", "--wait", LIMIT, *other)
    assert (ended.status, states(ended)) == (0, {"TF-01": "passed"})
    (case,) = ended.document["cases"]
    received = qa.points["TestAP-01"].inbox.messages[case["message"]]
    assert not received.document.requires_protection


@whole
async def test_the_run_book_of_digg_asking_is_tried(qa: Qa) -> None:
    """It has a rehearsal, a case against the other federation, requests to the test leader, and evidence."""
    report = qa.folder / "told.txt"
    report.write_text("Rapport om följsamhetsfel, skickad till DIGG.")
    kept = f"--protocol {qa.folder / 'book'}"
    names = {
        "--against qa.toml": f"--against {qa.ours.config_file} {kept}",
        "participants.toml": qa.folder / "participants.toml",
        "report.txt": f"{report} {kept}",
    }
    async with run_book("digg-asks-for-test-cases", names, run=samdrift) as at:
        rehearsed = await at.types("./samdrift testbed run --case TF-01")
        assert rehearsed.status == 0, rehearsed.complaints
        assert (await at.types("./samdrift testbed run --against")).status == 0
        begun = await at.types("./samdrift testbed run --against")
        assert "ask DIGG's test leader to send the message of TF-04 from TestAP-01" in begun.output
        told = await at.types("./samdrift testbed evidence TF-09")
        assert told.complaints == ""
        stands = await at.types("./samdrift testbed run --against")
        assert "0 failed; the form is" in stands.output
        form = (qa.folder / "book" / FORM).read_text()
        (first,) = [line for line in form.splitlines() if line.startswith("| TF-01 (")]
        assert "| förväntat |" in first
