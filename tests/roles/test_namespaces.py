"""Machines as network namespaces: the machine that makes them stays unchanged."""

from __future__ import annotations

import subprocess

import pytest

from tests.roles.namespaces import machine, missing


def _addresses() -> str:
    shown = ("ip", "-oneline", "address", "show")
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout


def test_a_machine_changes_no_address_of_the_one_that_makes_it() -> None:
    """Otherwise Chromium would drop every pending request, in any test that uses it."""
    if missing():
        pytest.skip(f"network namespaces cannot be made here: {missing()}")
    before = _addresses()
    with machine() as made:
        assert _addresses() == before
        made.cut()
        made.join()
        assert _addresses() == before
