"""Programs of the system that tests talk to. Elsewhere than in CI, what is missing is skipped and named."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "SAMDRIFT_TESTS_REQUIRE_PROGRAMS"
"""Set where every program must be there, so that nothing is skipped unnoticed."""
HEADLESS = "chromium-headless-shell"
"""Chromium without its windows, which takes a third of the processor time for a page; its package, too."""


def found(program: str) -> str | None:
    """Return where the program is, also where Go's own archive is unpacked."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/go/bin")


def requires(program: str, package: str) -> pytest.MarkDecorator:
    """Skips a test where the program is missing, and says which package of Debian has it."""
    return pytest.mark.skipif(
        found(program) is None and REQUIRED not in os.environ,
        reason=f"there is no {program} here: Debian has it in {package}",
    )
