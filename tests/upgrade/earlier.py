"""Works with an installation as version 0.1 does; run by that version's own program, never by this one.

``python earlier.py CONFIG FACTS --write`` opens vaults, which writes to their logs, again and again until no
vault can be opened; then it prints the hashes of the log entries that it had committed.

``python earlier.py CONFIG FACTS`` starts as 0.1's commands do, opens every vault, and prints in JSON what it
found there: messages with their states and the SHA-256 of their content, log entries, waiting items. Then it
does some work: it deletes an accepted message of the organisation that moved in.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier

load = import_module("samdrift.app.configfile").load
vault_settings = import_module("samdrift.app.operator").vault_settings
open_keys = import_module("samdrift.vault.keys.opened").open_keys
"""Imported from its place in version 0.1; it has been moved since."""

WORKER = Principal(PrincipalKind.WORKER, "test")
ROUNDS_SHUT = 20
"""Rounds without an open vault after which writing ends; a vault is also shut while it is migrated."""
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


async def main(config_file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    settings = vault_settings(load(config_file))
    keys = open_keys(settings)
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install()
    finally:
        await provisioner.close()
    gate = await Gate.start(settings, keys=keys)
    try:
        found: dict[str, Any] = {}
        for name in facts["organisations"]:
            organisation = ParticipantIdentifier(name)
            for role in (AP, MT):
                registration = gate.registry.find(organisation, role)
                if name in facts["locked"] and keys.locked(registration.vault):
                    keys.unlock(registration.vault, facts["locked"][name].encode())
            found[name] = await seen(gate, organisation, facts["organisations"][name])
        deleted = await worked(gate, facts)
        return {"organisations": found, "deleted": deleted}
    finally:
        await gate.close()


async def seen(gate: Any, organisation: ParticipantIdentifier, known: dict[str, Any]) -> dict[str, Any]:
    """Return the state in an organisation's vaults of everything that is known about it."""
    found: dict[str, Any] = {"messages": {}, "logs": {}}
    for role in (AP, MT):
        async with gate.open(WORKER, organisation, role, Purpose.TRACE) as vault:
            entries = await vault.log(limit=100_000)
            found["logs"][role.value] = [each.hash.hex() for each in entries]
            if role is AP:
                found["inbox"] = [item.envelope_id for item in await vault.inbox(100)]
            else:
                found["signs"] = vault.keys().signing.certificate is not None
    async with gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
        for name in known["messages"]:
            direction, _, message_id = name.partition("/")
            record = await vault.message(message_id, Direction(direction))
            body = await vault.body(record.id, record.direction) if record.size else None
            content = await body.read_all() if body else b""
            found["messages"][name] = {
                "status": record.status.value,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    return found


async def worked(gate: Any, facts: dict[str, Any]) -> str:
    """Delete an accepted message, which makes 0.1 write states and a log entry."""
    organisation = ParticipantIdentifier(facts["moved_in"])
    known = facts["organisations"][organisation.value]["messages"]
    name: str = next(each for each, about in known.items() if about["status"] == "ACCEPTED")
    async with gate.open(WORKER, organisation, MT, Purpose.PROCESS) as vault:
        assert await vault.delete(name.partition("/")[2], Direction.OUT)
    return name


async def written(config_file: Path, facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Open the vaults that no officer has locked, which writes to their logs, until all of them are shut."""
    settings = vault_settings(load(config_file))
    gate = await Gate.start(settings, keys=open_keys(settings))
    names = [name for name in facts["organisations"] if name not in facts["locked"]]
    committed: dict[str, dict[str, str]] = {name: {} for name in names}
    reached = {name: facts["organisations"][name]["logs"][MT.value]["entries"] for name in names}
    shut = 0
    try:
        while shut < ROUNDS_SHUT:
            let_in = 0
            for name in names:
                try:
                    organisation = ParticipantIdentifier(name)
                    async with gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
                        for entry in await vault.log(after=reached[name]):
                            committed[name][str(entry.sequence)] = entry.hash.hex()
                            reached[name] = entry.sequence
                    let_in += 1
                except Exception:  # Whatever 0.1 raises, the vault is not open.
                    await asyncio.sleep(0.01)
            if all(committed.values()) and let_in == len(names):
                print("writing", file=sys.stderr, flush=True)
            shut = 0 if let_in else shut + 1
        return committed
    finally:
        await gate.close()


if __name__ == "__main__":
    work = written if "--write" in sys.argv else main
    print(json.dumps(asyncio.run(work(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))))
