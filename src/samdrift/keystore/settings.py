"""Where the tokens of organisations are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class HsmAccess:
    """An organisation's token in a hardware security module."""

    label: str
    pin_file: Path | None = None
    """Source of its PIN; without one a person has to enter it."""
    owner_only: bool = True
    """The file is refused when others can read it; a credential has the rights that systemd gave it."""


@dataclass(frozen=True, slots=True)
class HsmSettings:
    """The tokens of those organisations that have one."""

    module: Path
    """The PKCS#11 library of the module's vendor."""
    tokens: Mapping[ParticipantIdentifier, HsmAccess]
