"""Options and arguments that the commands about organisations share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from samdrift.app.inputs import reason
from samdrift.app.output import Unusable, shown
from samdrift.trust.keys import KeyMaterialError, certificates
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

LONGEST = 300
"""Characters that a person writes for a log."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Ask nobody: what the federation says is then not checked.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def _participant(value: str) -> ParticipantIdentifier:
    try:
        return ParticipantIdentifier.parse(value)
    except WireError as error:
        raise Unusable(f"the organisation's identifier {error.text}") from None


Organisation = Annotated[
    ParticipantIdentifier,
    typer.Argument(
        parser=_participant, metavar="ORGANISATION", help="Participant identifier, like 0203:habo.se."
    ),
]
OptionalOrganisation = Annotated[
    ParticipantIdentifier | None,
    typer.Argument(parser=_participant, metavar="[ORGANISATION]", help="Only this one, like 0203:habo.se."),
]


def one_line(option: str, value: str) -> str:
    """What a person wrote for the logs: one line, not empty, not too long."""
    text = value.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise Unusable(f"{option} is one line of 1 to {LONGEST} characters")
    return text


def fingerprint(option: str, value: str) -> str:
    """The SHA-256 of a certificate, however it was written down."""
    digits = value.lower().replace(":", "")
    if not _SHA256.fullmatch(digits):
        raise Unusable(f"{option} is the SHA-256 of a certificate: 64 hexadecimal digits")
    return digits


def read_certificates(file: Path) -> tuple[x509.Certificate, ...]:
    """The certificates in a file that somebody was sent; at least one."""
    try:
        return certificates(file.read_bytes())
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    except KeyMaterialError as error:
        raise Unusable(f"{shown(file)}: {error}") from None
