"""Credentials that systemd passes to a service (``LoadCredentialEncrypted=``).

Systemd decrypts a credential, with the machine's TPM if it has one, and keeps it in memory for this service
only: no secret is on the disk in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samdrift.config.values import text

_FOLDER = "CREDENTIALS_DIRECTORY"


def credential(value: Any) -> str:
    """Read the name of a credential in a configuration file."""
    name = text(value)
    if "/" in name or name.startswith("."):
        raise ValueError("is not the name of a credential")
    return name


def credential_file(name: str, environment: Mapping[str, str]) -> Path | None:
    """Return the path of a credential; ``None`` when systemd has passed none."""
    folder = environment.get(_FOLDER)
    return Path(folder) / name if folder else None
