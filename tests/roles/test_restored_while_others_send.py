"""Restore of one organisation while others exchange messages, in real processes: nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyrage

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from tests.roles.member import AP
from tests.roles.processes import organisation, played
from tests.roles.stage import Stage
from tests.secretfiles import secret_file
from tests.sizes import whole
from tests.unit.cli.commandline import samdrift
from tests.vaults import server_folder, until

FIRST, SECOND, THIRD = (
    organisation(name, number)
    for name, number in (("aneby", "2120000449"), ("tranas", "2120000597"), ("eksjo", "2120000548"))
)
WHY = ("--by", "anna", "--reason", "test")


@whole
async def test_one_is_put_back_while_others_exchange_and_what_waited_is_not_sent_twice(
    stage: Stage, tmp_path: Path
) -> None:
    """Its message waited at the backup, was delivered afterwards, and waits again in the restored vault."""
    operator = DemoOperator("operator-backup", "AP0077-SDK-DEMO", (FIRST, SECOND, THIRD))
    key, backups = pyrage.x25519.Identity.generate(), tmp_path / "backups"
    backups.mkdir()
    identity, own = secret_file(tmp_path / "identity", str(key)), FIRST.identifier.value
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ["all"]}) as run:
            (process,), (first, second, third) = run.processes, run.members

            async def command(*arguments: str | Path) -> str:
                ended = await asyncio.to_thread(samdrift, *arguments, "--config", process.config_file)
                assert ended.status == 0, ended.complaints
                return ended.output

            waited = await first.send(second.address)
            named = "--organisation", own
            made = await command(
                "backup", "create", backups, "--to", str(key.to_public()), *named, *WHY, "--json"
            )
            backup = json.loads(made)["backup"]
            await process.start()
            assert await first.ends(waited) is MessageStatus.ACCEPTED
            assert await second.ends(waited, Direction.IN) is MessageStatus.NEW

            sent: list[str] = []
            restoring = asyncio.create_task(
                command("backup", "restore", backup, "--identity", identity, *named, *WHY)
            )
            while not restoring.done() or not sent:
                sent.append(await third.send(second.address))
                assert await third.ends(sent[-1]) is MessageStatus.ACCEPTED, (
                    "other organisations must not be affected"
                )
            assert f"is not sent again: message {waited}" in await restoring

            registry = process.gate.registry
            await until(lambda: not registry.serves(FIRST.identifier, Role.MESSAGE_SERVICE))
            await command("org", "resume", own, "--by", "anna", "--why", "looked at")
            await until(lambda: registry.serves(FIRST.identifier, Role.MESSAGE_SERVICE))
            assert await first.ends(waited) is MessageStatus.MESSAGE_EXCHANGE_ERROR
            later = await first.send(second.address)
            assert await first.ends(later) is MessageStatus.ACCEPTED, "sending must work after the restore"
            answer = await second.send(first.address)
            assert await second.ends(answer) is MessageStatus.ACCEPTED
            happened = await second.happened(AP, waited)
            assert happened.count(APEvent.AP_ENVELOPE_RECEIVED) == 1, "the message must arrive only once"
            assert not any(each == APEvent.AP_ENVELOPE_DUPLICATE for each in happened)
