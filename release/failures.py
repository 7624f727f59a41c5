"""Failure of a build."""

from __future__ import annotations


class BuildFailure(Exception):
    """A build failed; the text tells the person at the terminal what is wrong and where."""
