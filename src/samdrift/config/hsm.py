"""Organisations' tokens in a hardware security module, as declared in the configuration file.

::

    [vaults.hsm]
    module = "/usr/lib/softhsm/libsofthsm2.so"

    [[organisations]]
    hsm = { label = "habo", pin_file = "habo.pin" }
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.credentials import credential_file
from samdrift.config.keys import Key
from samdrift.config.kinds import CREDENTIAL, PATH, kind
from samdrift.config.reading import Breaches
from samdrift.config.toml import Table
from samdrift.config.values import text
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.wire.identifiers import ParticipantIdentifier

_NOWHERE = Path("/run/credentials/none-were-handed-over")
"""Path that does not exist, for commands not started by systemd, which can work without a PIN."""
_LONGEST_LABEL = 32
"""Maximum number of bytes in a PKCS#11 label."""


def _label_of(value: Any) -> str:
    label = text(value).strip()
    if not label or len(label.encode()) > _LONGEST_LABEL:
        raise ValueError(f"is not 1 to {_LONGEST_LABEL} bytes, as labels of tokens are")
    return label


@dataclass(frozen=True, slots=True)
class HsmConfig:
    """The library that gives access to the hardware security module."""

    module: Annotated[
        Path,
        Key("PKCS#11 library of the module's vendor.", PATH, example='"/usr/lib/softhsm/libsofthsm2.so"'),
    ]


@dataclass(frozen=True, slots=True)
class HsmTokenConfig:
    """An organisation's token, and the source of its PIN: a file, a credential, or an officer."""

    label: Annotated[
        str,
        Key(
            "Label of the organisation's token; no two organisations share one.",
            kind(f"text of 1 to {_LONGEST_LABEL} bytes", _label_of),
            example='"habo"',
        ),
    ]
    pin_file: Annotated[
        Path | None,
        Key(
            "File with the token's PIN.",
            PATH,
            otherwise="`pin_credential`, or an officer enters the PIN",
            example='"habo.pin"',
        ),
    ] = None
    pin_credential: Annotated[
        str,
        Key(
            "Credential from systemd with the token's PIN, instead of `pin_file`.",
            CREDENTIAL,
            otherwise="`pin_file`, or an officer enters the PIN",
            example='"habo-pin"',
        ),
    ] = ""


def check_pin(token: HsmTokenConfig, _: Table) -> Breaches:
    """Reject a PIN in two places."""
    if token.pin_file is not None and token.pin_credential:
        yield "pin_credential", "cannot be combined with pin_file: use one of them"


def hsm_settings(
    tokens: HsmConfig | None,
    each: Mapping[ParticipantIdentifier, HsmTokenConfig | None],
    environment: Mapping[str, str] = os.environ,
) -> HsmSettings | None:
    """Return the HSM settings for the vaults; PINs are read when needed, so that they may change."""
    if tokens is None:
        return None
    access = {
        organisation: HsmAccess(
            token.label, _pin_file(token, environment), owner_only=not token.pin_credential
        )
        for organisation, token in each.items()
        if token is not None
    }
    return HsmSettings(tokens.module, access)


def _pin_file(token: HsmTokenConfig, environment: Mapping[str, str]) -> Path | None:
    if token.pin_credential:
        return credential_file(token.pin_credential, environment) or _NOWHERE / token.pin_credential
    return token.pin_file
