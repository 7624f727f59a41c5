"""The Java class path of the peer."""

from __future__ import annotations

from pathlib import Path

from tests.interop.maven import MavenProject


def classpath() -> str:
    """Return the peer's class path, built if necessary; raise :class:`Unavailable` without Java or Maven."""
    return MavenProject(Path(__file__).parent).classpath()
