"""`samdrift log kept`: the logs of organisations that were closed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from samdrift.administration.administration import Administration, administering, record_command
from samdrift.administration.keptlogs import KeptLog, KeptState, kept_logs, remove_over
from samdrift.cli.org.options import AsJson, ConfigFile
from samdrift.cli.output import print_json, print_line
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.net.clock import system_clock

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
        typer.Option("--remove", help="Remove those whose time is over."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """List the logs of closed organisations, which are kept for a year; log verify and log search read them.

    Exit status 1 when one is missing or was changed.
    """
    who = asked(by, reason)

    async def listed(installation: Administration) -> list[KeptLog]:
        closings = await installation.provisioner.closings.all()
        return list(kept_logs(installation.config, closings, system_clock()))

    async def look() -> list[KeptLog]:
        async with administering(load(config)) as installation:
            await record_command(installation, "log kept", who, None)
            found = await listed(installation)
            if remove:
                await remove_over(installation, found, who.by, who.reason)
            return found

    with reported_as_usage_errors():
        found = run(look())
    if as_json:
        print_json({"logs": [_document(one) for one in found]})
    for one in () if as_json else found:
        where = "" if one.file is None else f"  {shown(one.file)}"
        print_line(
            f"{one.organisation} {one.role.value}  {one.entries} entries  until {one.until:%Y-%m-%d}"
            f"  {_WORDS[one.state]}{where}"
        )
    return 1 if any(one.state in (KeptState.MISSING, KeptState.CHANGED) for one in found) else 0


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
