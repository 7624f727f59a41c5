"""Files with secrets, with the permissions that they must have."""

from __future__ import annotations

from pathlib import Path


def secret_file(path: Path, content: bytes | str) -> Path:
    """Write a file that only its owner can read."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
