"""Passphrases of persons: what somebody is told who runs a command where nobody can be asked."""

from __future__ import annotations

import io

import pytest

from samdrift.cli.persons import passphrase
from samdrift.config.errors import Unusable


def test_without_a_terminal_it_says_whose_passphrase_is_missing_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(Unusable, match=r"^Passphrase of anna: .* --help names an option for a file$"):
        passphrase("Passphrase of anna", None)
