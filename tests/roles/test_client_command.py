"""docs/integration.md as an integrator follows it: commands and curl against a running message service."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import write_client
from samdrift.federation.directory import FunctionalAddress
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.roles.member import until
from tests.roles.processes import played
from tests.roles.stage import Stage
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import server_folder

ANEBY, EKSJO = (
    DemoOrganisation(
        ParticipantIdentifier(f"0203:{name}.se"),
        name,
        number,
        FunctionalAddress(f"sdk.registrator.0203:{name}.se", "Registrator"),
    )
    for name, number in (("aneby", "2120000464"), ("eksjo", "2120000522"))
)
ROOT = Path(__file__).parents[2]
PDF = b"%PDF-1.7 beslut"


@dataclass(frozen=True)
class Integrator:
    """An integrator with a configuration file, filled in with the operator's information."""

    config: Path

    async def client(self, command: str, *arguments: str | Path) -> Ended:
        return await asyncio.to_thread(in_process, "client", command, *arguments, "--config", self.config)

    async def status(self, message_id: str) -> str:
        ended = await self.client("get", message_id, "--json")
        return str(ended.document["attributes"]["messageStatus"]) if ended.status == 0 else ""


@pytest_asyncio.fixture(scope="module")
async def integrators(stage: Stage) -> AsyncIterator[tuple[Integrator, Integrator]]:
    operator = DemoOperator("operator-d", "AP0021-SDK-DEMO", (ANEBY, EKSJO))
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ["all"]}) as run:
            (process,) = run.processes
            await process.start()
            own = process.config.message_service
            assert own is not None
            served = [one.identifier for one in operator.organisations]
            issuers = OwnIssuers(own.address_d, process.gate.registry, served)
            aneby, eksjo = (write_client(folder / operator.folder, one, issuers) for one in (ANEBY, EKSJO))
            yield Integrator(aneby), Integrator(eksjo)


async def test_a_message_and_its_answer(integrators: tuple[Integrator, Integrator], tmp_path: Path) -> None:
    """Clauses: api-mt-mk 4.1 step 1, step 3, step 6, 4.2 step 1, step 3, step 6."""
    aneby, eksjo = integrators
    (tmp_path / "beslut.pdf").write_bytes(PDF)
    sent = await aneby.client(
        "send", "--to", EKSJO.identifier.value, "--address", EKSJO.mailbox.identifier,
        "--label", "Fråga om ärende", "--text", "Kan ni *svara*?", "--attach", tmp_path / "beslut.pdf",
    )  # fmt: skip
    message_id = sent.output.strip()
    await _becomes(aneby, message_id, "ACCEPTED")
    await _becomes(eksjo, message_id, "NEW")
    assert message_id in (await eksjo.client("list", "--status", "NEW")).output

    saved = tmp_path / "saved"
    saved.mkdir()
    shown = await eksjo.client("get", message_id, "--save", saved)
    assert "Kan ni *svara*?" in shown.output
    assert (saved / "beslut.pdf").read_bytes() == PDF

    answer = await eksjo.client("send", "--answers", message_id, "--text", "Ja.", "--json")
    await _becomes(eksjo, answer.document["id"], "ACCEPTED")
    (answered,) = [
        one["attributes"]
        for one in (await aneby.client("list", "--json")).document["messages"]
        if one["id"] == answer.document["id"]
    ]
    assert (answered["refToMessageId"], answered["conversationId"]) == (message_id, message_id)

    assert (await eksjo.client("delete", message_id)).status == 0
    assert (await eksjo.client("get", message_id)).status == 1
    assert await aneby.status(message_id) == "ACCEPTED"


async def test_the_same_id_again_sends_nothing_twice(integrators: tuple[Integrator, Integrator]) -> None:
    aneby, eksjo = integrators
    message_id = "19c7e876-ef6f-4fb0-bccb-e93e3ab6e701"
    arguments = ("--to", EKSJO.identifier.value, "--address", EKSJO.mailbox.identifier, "--label", "En gång")
    for _ in range(2):
        ended = await aneby.client("send", *arguments, "--text", "Hej", "--id", message_id)
        assert (ended.status, ended.output) == (0, f"{message_id}\n")
    await _becomes(aneby, message_id, "ACCEPTED")
    found = (await eksjo.client("list", "--json")).document["messages"]
    assert [one["id"] for one in found].count(message_id) == 1


async def test_a_message_that_must_not_be_sent_is_refused_with_its_place(
    integrators: tuple[Integrator, Integrator],
) -> None:
    ended = await integrators[0].client(
        "send", "--to", EKSJO.identifier.value, "--address", EKSJO.mailbox.identifier,
        "--label", "x" * 257, "--text", "Hej",
    )  # fmt: skip
    assert ended.status == 1
    assert "/data/attributes/label" in ended.complaints
    assert ended.complaints.count("\n") == 1


async def test_one_organisations_client_sees_nothing_of_anothers(
    integrators: tuple[Integrator, Integrator], tmp_path: Path
) -> None:
    """It cannot read them through its own token endpoint, nor with its own key at the other's."""
    aneby, eksjo = integrators
    stolen = tmp_path / "stolen.toml"
    text = eksjo.config.read_text().replace('"eksjo.se.pem"', f'"{aneby.config.with_name("aneby.se.pem")}"')
    stolen.write_text(text.replace("../trust", str(eksjo.config.parent.parent / "trust")))
    ended = await Integrator(stolen).client("list")
    assert (ended.status, ended.output) == (1, "")
    assert "invalid_client" in ended.complaints


async def test_from_python(integrators: tuple[Integrator, Integrator], tmp_path: Path) -> None:
    """The document's program is started as the document describes."""
    aneby, eksjo = integrators
    sent = await aneby.client(
        "send", "--to", EKSJO.identifier.value, "--address", EKSJO.mailbox.identifier,
        "--label", "Till Python", "--text", "Hej",
    )  # fmt: skip
    message_id = sent.output.strip()
    await _becomes(eksjo, message_id, "NEW")
    text = (ROOT / "docs" / "integration.md").read_text()
    program = tmp_path / "waiting.py"
    program.write_text(text.partition("```python\n")[2].partition("```")[0])
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, program, eksjo.config],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert message_id in ended.stdout.splitlines()


@requires("curl", "curl")
async def test_with_curl(integrators: tuple[Integrator, Integrator]) -> None:
    aneby = integrators[0]
    token = (await aneby.client("token")).output.strip()
    settings = dict(line.split(" = ", 1) for line in aneby.config.read_text().splitlines())
    base = json.loads(settings["interface"])
    issuers = aneby.config.parent / json.loads(settings["issuers"])
    asked = await asyncio.to_thread(
        subprocess.run,
        ["curl", "--silent", "--globoff", "--cacert", issuers, "-H", f"Authorization: Bearer {token}",
         f"{base}/sdk/messages?filter[messagestatus]=ACCEPTED"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert {one["attributes"]["messageStatus"] for one in json.loads(asked.stdout)["data"]} <= {"ACCEPTED"}


async def _becomes(who: Integrator, message_id: str, status: str) -> None:
    async def reached() -> bool | None:
        return True if await who.status(message_id) == status else None

    await until(reached, f"the message is {status}")
