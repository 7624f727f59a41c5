"""The table ``isolation_check`` of the configuration file: the two canaries of the isolation check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.keys import Key
from samdrift.config.kinds import PATH, kind, participant
from samdrift.config.values import texts
from samdrift.wire.identifiers import ParticipantIdentifier


def _two(value: Any) -> tuple[ParticipantIdentifier, ParticipantIdentifier]:
    named = [participant(each) for each in texts(value)]
    if len(named) != 2 or named[0] == named[1]:
        raise ValueError("is not a list of two different organisations")
    return named[0], named[1]


@dataclass(frozen=True, slots=True)
class IsolationCheckConfig:
    """The canaries: organisations used only by the isolation check, without contact with any others."""

    canaries: Annotated[
        tuple[ParticipantIdentifier, ParticipantIdentifier],
        Key(
            "Two of the organisations, which receive nothing from any other.",
            kind("list of two participant identifiers", _two),
            example='["0203:canary-a.example.se", "0203:canary-b.example.se"]',
        ),
    ]
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of interface D's certificate.",
            PATH,
            otherwise="`federation.tls_issuers`",
            example='"interface-d.pem"',
        ),
    ] = None
