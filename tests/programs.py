"""System programs that tests use. Outside CI, tests of missing programs are skipped and listed."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "SAMDRIFT_TESTS_REQUIRE_PROGRAMS"
"""Environment variable that makes a missing program an error, so that nothing is skipped unnoticed."""
HEADLESS = "chromium-headless-shell"
"""Headless Chromium, which uses a third of the full browser's processor time; also its package's name."""


def found(program: str) -> str | None:
    """Return the path of a program, also from the place to which Go's own archive is unpacked."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/go/bin")


def requires(program: str, package: str) -> pytest.MarkDecorator:
    """Skip a test if the program is missing, and name the Debian package that contains it."""
    return pytest.mark.skipif(
        found(program) is None and REQUIRED not in os.environ,
        reason=f"there is no {program} here: Debian has it in {package}",
    )
