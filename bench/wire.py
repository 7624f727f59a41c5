"""The wire formats in memory: AS4 between access points, the envelope between organisations."""

from __future__ import annotations

from bench import wire_as4, wire_envelope
from bench.measure import Row


def rows() -> list[Row]:
    """Measure both rows of the benchmark ``wire``."""
    return [wire_as4.row(), wire_envelope.row()]
