"""`samdrift trace`: the way of one message through an organisation's vaults in this installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.evidence.trace import Step, trace
from samdrift.installation.loop import run
from samdrift.installation.operator import vault_settings
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier, is_uuid

app = typer.Typer(add_completion=False)


@app.command("trace")
def trace_command(
    organisation: Annotated[str, typer.Argument(help="Participant identifier, such as 0203:habo.se.")],
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE-ID")],
    config: Annotated[
        list[Path], typer.Option(help="Configuration file of an installation; may be repeated.")
    ] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show every logged step of a message and of its receipt. Facts only: logs hold no content.

    Without --config the installations of the demonstration are asked.
    """
    asked = read_participant(organisation), _message(message_id)
    with reported_as_usage_errors():
        steps = run(_steps(config or _demonstration(), *asked))
    if as_json:
        document = {"message": message_id, "steps": [_plain(step) for step in steps]}
        print_json(document)
    else:
        for step in steps:
            ids = "  ".join(f"{name}={value}" for name, value in step.ids.items())
            print_line(f"{step.at:%Y-%m-%d %H:%M:%S.%f}Z  {step.where}  {step.what}  {ids}")
    return 0 if steps else 1


async def _steps(
    configs: Sequence[Path], organisation: ParticipantIdentifier, message_id: str
) -> tuple[Step, ...]:
    found: tuple[Step, ...] = ()
    for path in configs:
        gate = await Gate.start(vault_settings(load(path)))
        try:
            if any(gate.registry.serves(organisation, role) for role in Role):
                found += await trace(gate, organisation, message_id)
        finally:
            await gate.close()
    return found


def _demonstration() -> list[Path]:
    files = sorted(Path(".samdrift/demo").glob("*/samdrift.toml"))
    if not files:
        raise Unusable("no --config given, and no demonstration has run here")
    return files


def _message(text: str) -> str:
    if not is_uuid(text):
        raise Unusable("the message id is not a UUID")
    return text


def _plain(step: Step) -> dict[str, object]:
    return asdict(step) | {"at": step.at.isoformat()}
