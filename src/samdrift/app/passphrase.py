"""The passphrase of an installation's key store: in a file, or a credential that systemd hands over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from samdrift.app.config import VaultConfig
from samdrift.app.credentials import credential_file
from samdrift.app.toml import ConfigError


def read_passphrase(config: VaultConfig, environment: Mapping[str, str] = os.environ) -> bytes:
    """The passphrase, without white space around it; :class:`ConfigError` when there is none."""
    if config.passphrase_file is not None:
        return _read(config.passphrase_file, "vaults.passphrase_file")
    file = credential_file(config.passphrase_credential, environment)
    if file is None:
        raise ConfigError(
            "vaults.passphrase_credential", "no credentials were handed over: start it by systemd"
        )
    return _read(file, "vaults.passphrase_credential")


def _read(file: Path, setting: str) -> bytes:
    try:
        passphrase = file.read_bytes().strip()
    except FileNotFoundError:
        raise ConfigError(setting, "the passphrase is not there") from None
    if not passphrase:
        raise ConfigError(setting, "the passphrase is empty")
    return passphrase
