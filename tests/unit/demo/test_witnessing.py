"""The demonstration's witnesses: each log verifies with the other operator's, and a changed one does not."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.audit.entries import LogEntry
from samdrift.config.model import Config
from samdrift.demo.cast import OPERATORS as CAST
from samdrift.demo.scenario import DemoFailed
from samdrift.demo.witnessing import POLICY, DemoWitness, prove_logs
from samdrift.installation.operator import Operator
from samdrift.vault.gate import Gate
from tests.vaults import Installation


class OperatorsAlone:
    """A gate that shows only the operator's own log, and no organisations."""

    def __init__(self, gate: Gate) -> None:
        self.operator_tree = gate.operator_tree
        self.read_operator_log = gate.read_operator_log
        self.registry = SimpleNamespace(all=lambda: ())


async def test_a_log_is_verified_as_the_witness_saw_it_and_not_with_another_entry(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = OperatorsAlone(installation.gate)
    operator = cast(Operator, SimpleNamespace(gate=gate))
    config = cast(
        Config,
        SimpleNamespace(
            organisations=(),
            file=None,
            access_point=None,
            federation=SimpleNamespace(private_addresses=True),
            logs=SimpleNamespace(checkpoint_seconds=300, witnesses=tmp_path / POLICY, witness_networks=()),
        ),
    )
    witness = DemoWitness.of(CAST[0], tmp_path)
    assert DemoWitness.of(CAST[0], tmp_path).key == witness.key, "the key must be the same at the next start"
    witness.write_policy(tmp_path)
    await witness.enter(operator)
    async with AsyncExitStack() as stack:
        await witness.serve(stack)
        (verified,) = await prove_logs([(config, operator, witness)])
        assert verified.witness == witness.name
        assert verified.entries == (await gate.operator_tree().state()).signed

        async def changed(after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
            """Replace the hash of the first entry, which stays well-formed in itself."""
            page = list(await installation.gate.read_operator_log(after, limit))
            if after == 0:
                document: dict[str, Any] = json.loads(json.dumps(page[0].document()))
                page[0] = LogEntry.read(document | {"hash": "00" * 32})
            return tuple(page)

        monkeypatch.setattr(gate, "read_operator_log", changed)
        with pytest.raises(DemoFailed, match="the log of the operator does not hold"):
            await prove_logs([(config, operator, witness)])
        monkeypatch.undo()
    strange = DemoWitness.of(CAST[1], tmp_path / "another")
    with pytest.raises(DemoFailed, match="too few of the policy's witnesses"):
        await prove_logs([(config, operator, strange)])
