"""Credentials that systemd hands over to a service (``LoadCredentialEncrypted=``).

A credential is decrypted by systemd, with the machine's TPM if it has one, and
lies in memory for this service alone: nothing that opens anything lies on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samdrift.config.values import text

_FOLDER = "CREDENTIALS_DIRECTORY"


def credential(value: Any) -> str:
    """The name of a credential, in a configuration file."""
    name = text(value)
    if "/" in name or name.startswith("."):
        raise ValueError("is not the name of a credential")
    return name


def credential_file(name: str, environment: Mapping[str, str]) -> Path | None:
    """Return the path of the credential of that name; ``None`` when none were handed over."""
    folder = environment.get(_FOLDER)
    return Path(folder) / name if folder else None
