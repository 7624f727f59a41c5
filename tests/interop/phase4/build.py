"""Where Java finds the peer."""

from __future__ import annotations

from pathlib import Path

from tests.interop.maven import MavenProject


def classpath() -> str:
    """Return the class path of the peer, built if need be; :class:`Unavailable` without Java or Maven."""
    return MavenProject(Path(__file__).parent).classpath()
