"""Machines as network namespaces: they leave the one that makes them as it is."""

from __future__ import annotations

import subprocess

import pytest

from tests.roles.namespaces import machine, missing


def _addresses() -> str:
    shown = ("ip", "-oneline", "address", "show")
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout


def test_a_machine_changes_no_address_of_the_one_that_makes_it() -> None:
    """Chromium drops every request under way when one changes, in whatever test it is open."""
    if missing():
        pytest.skip(f"this machine makes no network namespaces: {missing()}")
    before = _addresses()
    with machine() as made:
        assert _addresses() == before
        made.cut()
        made.join()
        assert _addresses() == before
