"""Every organisation is informed of a check; one that cannot be is named to the operator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from samdrift.isolationcheck.check import tell
from samdrift.vault.errors import VaultUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier

TOLD, LOCKED, OUT_OF_REACH = (ParticipantIdentifier(f"0203:{name}.se") for name in ("told", "locked", "away"))
RESULT = {"attempts": 1, "denied": 1, "leaks": [], "untried": [], "passed": True}


class Gate:
    """Three organisations: one is informed, one vault is locked, and one cannot be reached."""

    def __init__(self) -> None:
        each = (TOLD, LOCKED, OUT_OF_REACH)
        self.registry = SimpleNamespace(all=lambda: [SimpleNamespace(organisation=one) for one in each])

    async def record_for_organisation(self, _: object, organisation: object, *rest: object) -> bool:
        if organisation == OUT_OF_REACH:
            raise VaultUnavailable
        return organisation == TOLD


async def test_an_organisation_whose_log_cannot_be_written_is_not_counted_as_told() -> None:
    assert await tell(cast(Any, Gate()), RESULT, {"by": "anna"}) == [OUT_OF_REACH, LOCKED]
