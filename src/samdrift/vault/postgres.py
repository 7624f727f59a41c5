"""The embedded PostgreSQL server."""

from __future__ import annotations

from pathlib import Path


class EmbeddedPostgres:
    """A PostgreSQL of our own in a folder."""

    def __init__(self, folder: Path, password: str) -> None:
        raise NotImplementedError

    def start(self) -> str:
        """Start it, or find it running; gives its URL without a password."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it, unless another process still uses it."""
        raise NotImplementedError
