"""The check of isolation in the configuration file: which two organisations are its canaries."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.config.toml import ConfigError, Table, texts
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class IsolationCheckConfig:
    """Organisations that exist to be tried on: they receive nothing from anybody else."""

    canaries: tuple[ParticipantIdentifier, ParticipantIdentifier]
    tls_issuers: Path | None = None
    """Bundle (PEM) of issuers of interface D's certificate, where they are not those of the federation."""


def read_isolation_check(table: Table, hosted: Collection[ParticipantIdentifier]) -> IsolationCheckConfig:
    """The table ``isolation_check``."""
    canaries = table.take("canaries", _two)
    config = IsolationCheckConfig(canaries, table.path("tls_issuers") if "tls_issuers" in table else None)
    table.finish()
    for canary in canaries:
        if canary not in hosted:
            raise ConfigError(table.at("canaries"), f"names {canary}, which is none of the organisations")
    return config


def _two(value: Any) -> tuple[ParticipantIdentifier, ParticipantIdentifier]:
    try:
        named = [ParticipantIdentifier.parse(each) for each in texts(value)]
    except WireError as error:
        raise ValueError(error.text) from None
    if len(named) != 2 or named[0] == named[1]:
        raise ValueError("is not a list of two different organisations")
    return named[0], named[1]
