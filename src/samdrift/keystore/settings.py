"""Settings of the organisations' HSMs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class HsmAccess:
    """An organisation's HSM, by the label of its token, with the source of its PIN."""

    label: str
    pin_file: Path | None = None
    """File with the PIN; without one, a person has to enter the PIN."""
    owner_only: bool = True
    """True if the PIN file is refused when other users can read it; false for a credential from systemd."""


@dataclass(frozen=True, slots=True)
class HsmSettings:
    """The PKCS#11 library, and the organisations' HSMs."""

    module: Path
    """The PKCS#11 library of the HSM's vendor."""
    tokens: Mapping[ParticipantIdentifier, HsmAccess]
