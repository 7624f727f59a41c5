"""What only tests need from the system: installed where it may be, never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samdrift.app import systempackages

NEEDED = (("no-such-program", "its-package"), ("sh", "dash"))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with an apt that only notes what it is asked for."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path / "asked"}\ntest ! -e {tmp_path / "fails"}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path / "asked"


def test_what_is_missing_is_installed(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systempackages.install_missing(NEEDED)
    update, install = asked.read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends its-package")
    assert capsys.readouterr().err == "samdrift: installing its-package for the tests\n"


def test_what_is_there_is_left_alone(asked: Path) -> None:
    systempackages.install_missing(NEEDED[1:])
    assert not asked.exists()


def test_only_root_installs(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    systempackages.install_missing(NEEDED)
    assert not asked.exists()


def test_a_system_without_apt_is_left_alone(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (asked.parent / "apt-get").unlink()
    systempackages.install_missing(NEEDED)
    assert capsys.readouterr().err == ""


def test_that_it_failed_is_told_and_hinders_nothing(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (asked.parent / "fails").touch()
    systempackages.install_missing(NEEDED)
    assert len(asked.read_text().splitlines()) == 1
    assert "could not be installed" in capsys.readouterr().err
