"""Options and arguments that the commands about organisations share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samdrift.app.output import Unusable
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
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
