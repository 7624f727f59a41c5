"""The recorder of transfers' ends, over a gate of the tests."""

from __future__ import annotations

from typing import Any

from samdrift.accesspoint.settling import OUTBOUND, Settling
from samdrift.contracts.principals import Role
from samdrift.scheduling.signals import Signals
from samdrift.vault.gate import Gate


def settling(gate: Any, signals: Signals | None = None) -> Settling:
    """Return a recorder of transfers' ends; with a gate that cannot be opened, it must not be used."""
    vaults: Any = gate.worker(OUTBOUND, Role.ACCESS_POINT) if isinstance(gate, Gate) else None
    return Settling(vaults, signals or Signals())
