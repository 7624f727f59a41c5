"""What records the ends of transfers, over a gate of the tests."""

from __future__ import annotations

from typing import Any

from samdrift.accesspoint.settling import OUTBOUND, Settling
from samdrift.contracts.principals import Role
from samdrift.scheduling.signals import Signals
from samdrift.vault.gate import Gate


def settling(gate: Any, signals: Signals | None = None) -> Settling:
    """The ends of transfers; of a gate that cannot be opened none is to be recorded."""
    vaults: Any = gate.worker(OUTBOUND, Role.ACCESS_POINT) if isinstance(gate, Gate) else None
    return Settling(vaults, signals or Signals())
