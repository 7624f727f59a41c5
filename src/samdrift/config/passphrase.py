"""The passphrase of an installation's key store, from a file or a systemd credential; secrets in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from samdrift.config.credentials import credential_file
from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import reason
from samdrift.config.model import VaultConfig
from samdrift.config.toml import ConfigError
from samdrift.keystore import durablefiles


def read_passphrase(config: VaultConfig, environment: Mapping[str, str] = os.environ) -> bytes:
    """Read the passphrase without surrounding whitespace; raise :class:`ConfigError` if there is none.

    A file must be accessible only to its owner. A credential has the permissions that systemd gave it.
    """
    if config.passphrase_file is not None:
        return _read(config.passphrase_file, "vaults.passphrase_file", read_private)
    file = credential_file(config.passphrase_credential, environment)
    if file is None:
        raise ConfigError("vaults.passphrase_credential", "no credentials were passed: start it with systemd")
    return _read(file, "vaults.passphrase_credential", Path.read_bytes)


def read_private(file: Path) -> bytes:
    """Read a file; raise :class:`Unusable` if anyone but its owner may read or write it."""
    try:
        return durablefiles.read_private(file)
    except durablefiles.NotPrivate:
        text = "users other than its owner can read or write it: chmod 600"
        raise Unusable(f"{shown(file)}: {text}") from None


def read_named(file: Path, where: str, read: Callable[[Path], bytes] = durablefiles.read_private) -> bytes:
    """Read a private file that the configuration names.

    Raises :class:`ConfigError` for the key ``where`` that names it if the file cannot be read, or if anyone
    but its owner may read or write it.
    """
    try:
        return read(file)
    except durablefiles.NotPrivate:
        raise ConfigError(where, "users other than its owner can read or write it: chmod 600") from None
    except OSError as error:
        raise ConfigError(where, f"cannot be read: {reason(error)}") from None


def read_secret(file: Path, where: str) -> str:
    """Read the secret in a private file, without whitespace; raise :class:`ConfigError` if there is none."""
    try:
        secret = read_named(file, where).decode().strip()
    except UnicodeError:
        raise ConfigError(where, "is not text") from None
    if not secret:
        raise ConfigError(where, "is empty")
    return secret


def _read(file: Path, setting: str, read: Callable[[Path], bytes]) -> bytes:
    try:
        passphrase = read(file).strip()
    except FileNotFoundError:
        raise ConfigError(setting, "there is no passphrase") from None
    if not passphrase:
        raise ConfigError(setting, "the passphrase is empty")
    return passphrase
