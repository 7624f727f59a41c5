"""Every reader of what others send gets a fixed number of inputs that coverage leads, and none is a fault."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from samdrift.app.environment import EnvironmentFailure
from tests.fuzz.run import Outcome, fuzz, install
from tests.fuzz.targets import TARGETS

RUNS = 3000
SEED = 20260302
AT_ONCE = 2


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Mapping[str, Future[Outcome]]]:
    """All targets, a few at once."""
    try:
        install()
    except EnvironmentFailure as failure:
        pytest.skip(f"atheris cannot be installed here: {failure}")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {name: threads.submit(fuzz, name, RUNS, SEED) for name in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_fault(outcomes: Mapping[str, Future[Outcome]], name: str) -> None:
    outcome = outcomes[name].result()
    shown = base64.b64encode(outcome.input or b"").decode()
    assert outcome.good, f"{outcome.output[-4000:]}\nthe input, in base64: {shown}"
    assert f"Done {RUNS} runs" in outcome.output


@pytest.mark.usefixtures("outcomes")
def test_a_fault_is_found_and_reported() -> None:
    """Which shows that the others can fail."""
    outcome = fuzz("faulty", RUNS, SEED)
    assert not outcome.good
    assert outcome.input is not None
    assert outcome.input[:1] == b"!"
    assert "LookupError" in outcome.output
