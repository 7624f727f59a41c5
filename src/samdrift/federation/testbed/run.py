"""Runs the cases, one after the other, and gives the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from samdrift.federation.testbed.announced import ANNOUNCED
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.cases import CASES, Case, Outcome

ALL = (*CASES, *ANNOUNCED)


@dataclass(frozen=True, slots=True)
class Line:
    """One case in the protocol."""

    case: Case
    outcome: Outcome


async def run(bed: Bed, cases: tuple[Case, ...] = ALL) -> AsyncIterator[Line]:
    """Each case with its outcome, as it is known. A case that breaks off has failed, and says with what."""
    for case in cases:
        try:
            outcome = await case.run(bed)
        except Exception as error:
            outcome = Outcome(False, f"broke off: {type(error).__name__}")
        yield Line(case, outcome)
