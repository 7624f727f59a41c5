"""Options and arguments shared by the commands about organisations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.output import complain
from samdrift.config.errors import Unusable
from samdrift.config.inputs import read_participant
from samdrift.wire.identifiers import ParticipantIdentifier

LONGEST = 300
"""Maximum number of characters in a text that a person writes for a log."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Contact no service of the federation; what they say is then not checked."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


Organisation = Annotated[
    ParticipantIdentifier,
    typer.Argument(
        parser=read_participant, metavar="ORGANISATION", help="Participant identifier, like 0203:habo.se."
    ),
]
FormerOrganisation = Annotated[
    ParticipantIdentifier | None,
    typer.Argument(
        parser=read_participant,
        metavar="[ORGANISATION]",
        hidden=True,
        help="The former spelling of --organisation, with a warning until the next version.",
    ),
]
OnlyOrganisation = Annotated[
    ParticipantIdentifier | None,
    typer.Option(
        "--organisation",
        parser=read_participant,
        metavar="ORGANISATION",
        help="Only this organisation, like 0203:habo.se.",
    ),
]


def named(
    organisation: ParticipantIdentifier | None, former: ParticipantIdentifier | None
) -> ParticipantIdentifier | None:
    """Return the organisation from the option, or from its former spelling as an argument, with a warning."""
    if former is None:
        return organisation
    if organisation not in (None, former):
        raise Unusable("two organisations are named: name one with --organisation")
    complain(f"write --organisation {former}: without the option the next version refuses it")
    return former


def one_line(option: str, value: str) -> str:
    """Check a text that a person wrote for the logs: one line, not empty, and not too long."""
    text = value.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise Unusable(f"{option} is one line of 1 to {LONGEST} characters")
    return text


def fingerprint(option: str, value: str) -> str:
    """Return a SHA-256 in normal form: lower-case hexadecimal digits without colons."""
    digits = value.lower().replace(":", "")
    if not _SHA256.fullmatch(digits):
        raise Unusable(f"{option} is a SHA-256: 64 hexadecimal digits")
    return digits
