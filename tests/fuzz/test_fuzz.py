"""Every reader of other parties' data gets a number of coverage-guided inputs, and none causes a fault."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from samdrift.bootstrap.environment import EnvironmentFailure
from tests.fuzz.run import Outcome, fuzz, install
from tests.fuzz.targets import PROOF, TARGETS
from tests.sizes import count, seed, soak

RUNS = count(3000, 100_000)
AT_ONCE = 2


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """Run all targets, and the faulty one, and return their outcomes."""
    try:
        install()
    except EnvironmentFailure as failure:
        pytest.skip(f"atheris cannot be installed here: {failure}")
    return fuzz([*TARGETS, *PROOF], RUNS, seed(20260302), AT_ONCE)


@soak
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_fault(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    shown = base64.b64encode(outcome.input or b"").decode()
    assert outcome.good, f"{outcome.output[-4000:]}\nthe input, in base64: {shown}"
    assert f"Done {RUNS} runs" in outcome.output


def test_a_fault_is_found_and_reported(outcomes: Mapping[str, Outcome]) -> None:
    """The faulty target shows that the other tests can fail."""
    outcome = outcomes["faulty"]
    assert not outcome.good
    assert outcome.input is not None
    assert outcome.input[:1] == b"!"
    assert "LookupError" in outcome.output
