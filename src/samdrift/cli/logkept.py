"""`samdrift log kept`: the logs of organisations that were closed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.administration import keptlogs
from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.keptlogs import HandedOver, KeptLog, KeptState, kept_logs, remove_over
from samdrift.cli.org.options import AsJson, ConfigFile, one_line
from samdrift.cli.output import print_json, print_line, print_table
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_participant
from samdrift.config.reader import load
from samdrift.evidence.trace import Asked
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock
from samdrift.wire.identifiers import ParticipantIdentifier

_WORDS = {
    KeptState.THERE: "there, unchanged",
    KeptState.MISSING: "MISSING",
    KeptState.CHANGED: "CHANGED since the organisation was closed",
    KeptState.NEVER: "never written: its vault waited for its officer",
    KeptState.OVER: "its time is over",
}


def kept(
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Remove those whose retention period is over."),
    ] = False,
    hand_over: Annotated[
        ParticipantIdentifier | None,
        typer.Option(
            "--hand-over",
            parser=read_participant,
            metavar="ORGANISATION",
            help="Copy the logs of that organisation for a person of its own, with --to and --out.",
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="For --hand-over: who gets them; recorded in the operator's log.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="For --hand-over: the folder to write them to.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the logs of closed organisations, which are kept for a year; log verify and log search read them.

    Exit status 1 when one is missing or was changed.
    """
    if hand_over is not None:
        if out is None or to is None:
            raise Unusable("--hand-over needs --to, the person who gets the logs, and --out, a folder")
        person = one_line("--to", to)
        return _handed_over(config, asked(by, reason), hand_over, person, out, as_json=as_json)
    if to is not None or out is not None:
        raise Unusable("--to and --out are for --hand-over")
    who = asked(by, reason)

    async def look() -> list[KeptLog]:
        async with administering(load(config)) as installation:
            await record_command(installation, "log kept", who, None)
            found = await _listed(installation)
            if remove:
                await remove_over(installation, found, who.by, who.reason)
            return found

    with reported_as_usage_errors():
        found = run(look())
    if as_json:
        print_json({"logs": [_document(one) for one in found]})
    else:
        print_table(("organisation", "role", "entries", "until", "state", "file"), map(_cells, found))
    return 1 if any(one.state in (KeptState.MISSING, KeptState.CHANGED) for one in found) else 0


def _cells(one: KeptLog) -> tuple[str, ...]:
    where = "-" if one.file is None else shown(one.file)
    until = f"{one.until:%Y-%m-%d}"
    return one.organisation, one.role.value, str(one.entries), until, _WORDS[one.state], where


async def _listed(installation: Administration) -> list[KeptLog]:
    closings = await installation.provisioner.closings.all()
    return list(kept_logs(installation.config, closings, system_clock()))


def _handed_over(
    config: Path, who: Asked, organisation: ParticipantIdentifier, to: str, out: Path, *, as_json: bool
) -> int:
    async def handed() -> list[HandedOver]:
        async with administering(load(config)) as installation:
            await record_command(installation, "log kept", who, None)
            own = [one for one in await _listed(installation) if one.organisation == organisation.value]
            return await keptlogs.hand_over(installation, own, out, to, who.by, who.reason)

    with reported_as_usage_errors():
        receipts = run(handed())
    if as_json:
        print_json(
            {
                "handed_over": [
                    asdict(one) | {"role": one.role.value, "file": str(one.file)} for one in receipts
                ]
            }
        )
    for one in () if as_json else receipts:
        print_line(
            f"{shown(one.file)}  {one.role.value}  {one.entries} entries  SHA-256 {one.sha256}  to {one.to}"
        )
    return 0


def _document(one: KeptLog) -> dict[str, Any]:
    return {
        "organisation": one.organisation,
        "role": one.role.value,
        "decision": one.decision,
        "until": one.until.isoformat(),
        "file": None if one.file is None else str(one.file),
        "entries": one.entries,
        "state": one.state.value,
    }
