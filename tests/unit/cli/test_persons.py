"""Passphrases of people: the error when a command runs where no one can be asked for one."""

from __future__ import annotations

import io
import os
import pwd
from pathlib import Path

import pytest

from samdrift.cli.persons import acting, asked, login, passphrase
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import NOT_PROVEN


def test_without_a_terminal_it_says_whose_passphrase_is_missing_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(Unusable, match=r"^Passphrase of anna: .* --help names an option for a file$"):
        passphrase("Passphrase of anna", None)


def test_the_login_is_the_account_that_was_logged_in_to_whatever_sudo_made_of_it(tmp_path: Path) -> None:
    kept, own = tmp_path / "loginuid", pwd.getpwuid(os.getuid()).pw_name
    other = next(each for each in pwd.getpwall() if each.pw_uid not in (os.getuid(), 2**32 - 1))
    kept.write_text(str(other.pw_uid))
    assert login(kept) == pwd.getpwuid(other.pw_uid).pw_name
    kept.write_text(str(2**32 - 1))
    assert login(kept) == own, "without a login session the process's own account counts"
    assert login(tmp_path / "none") == own


def test_a_name_that_is_another_than_the_accounts_stands_beside_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("samdrift.cli.persons.prove", lambda name: NOT_PROVEN)
    why = {"reason": "x", "proof": "none"}
    assert asked(login(), "x").facts() == asked(None, "x").facts() == {"by": login(), **why}
    assert asked("eva", "x").facts() == {"by": "eva", "account": login(), **why}
    assert acting("eva").facts() == {"account": login(), "proof": "none"}
