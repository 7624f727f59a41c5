"""Why nothing was built."""

from __future__ import annotations


class BuildFailure(Exception):
    """Nothing usable was built; the text says what is wrong and where, for the person at the terminal."""
