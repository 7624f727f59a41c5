"""Organisations' tokens in a hardware security module: what the configuration file says of them.

::

    [vaults.tokens]
    module = "/usr/lib/softhsm/libsofthsm2.so"

    [[organisations]]
    token = { label = "habo", pin_file = "habo.pin" }
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.config.credentials import credential, credential_file
from samdrift.config.toml import ConfigError, Table, text
from samdrift.keystore.settings import TokenAccess, TokenSettings
from samdrift.wire.identifiers import ParticipantIdentifier

_NOWHERE = Path("/run/credentials/none-were-handed-over")
"""A command that is not started by systemd gets no PIN, and does all that needs none."""
_LONGEST_LABEL = 32
"""PKCS#11 has no room for more bytes."""


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """How tokens are reached."""

    module: Path
    """The PKCS#11 library of the module's vendor."""


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """An organisation's token."""

    label: str
    pin_file: Path | None = None
    pin_credential: str = ""
    """Where its PIN is: in a file, in a credential of that name from systemd, or with an officer alone."""


def read_tokens(table: Table) -> TokensConfig:
    """The table ``vaults.tokens``."""
    config = TokensConfig(table.path("module"))
    table.finish()
    return config


def read_token(table: Table) -> TokenConfig:
    """The table ``token`` of an organisation."""
    token = TokenConfig(
        label=table.take("label", _label),
        pin_file=table.path("pin_file") if "pin_file" in table else None,
        pin_credential=table.take("pin_credential", credential, ""),
    )
    table.finish()
    if token.pin_file is not None and token.pin_credential:
        raise ConfigError(table.at("pin_credential"), "stands beside pin_file; a PIN is in one place")
    return token


def check_tokens(tokens: TokensConfig | None, each: Iterable[TokenConfig | None]) -> None:
    """There is a library for tokens, and no two organisations share one (R6)."""
    labels = [token.label for token in each if token is not None]
    if labels and tokens is None:
        raise ConfigError("vaults.tokens", "is missing, and an organisation has a token")
    if len(set(labels)) < len(labels):
        raise ConfigError("organisations.token.label", "two organisations have the same token")


def token_settings(
    tokens: TokensConfig | None,
    each: Mapping[ParticipantIdentifier, TokenConfig | None],
    environment: Mapping[str, str] = os.environ,
) -> TokenSettings | None:
    """The tokens as the vaults reach them; PINs are read when they are needed, so that they may change."""
    if tokens is None:
        return None
    access = {
        organisation: TokenAccess(
            token.label, _pin_file(token, environment), owner_only=not token.pin_credential
        )
        for organisation, token in each.items()
        if token is not None
    }
    return TokenSettings(tokens.module, access)


def _pin_file(token: TokenConfig, environment: Mapping[str, str]) -> Path | None:
    if token.pin_credential:
        return credential_file(token.pin_credential, environment) or _NOWHERE / token.pin_credential
    return token.pin_file


def _label(value: Any) -> str:
    label = text(value).strip()
    if not label or len(label.encode()) > _LONGEST_LABEL:
        raise ValueError(f"is not 1 to {_LONGEST_LABEL} bytes, as labels of tokens are")
    return label
