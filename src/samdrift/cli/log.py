"""`samdrift log`: the logs of an installation."""

from __future__ import annotations

import typer

from samdrift.cli.subcommands import group_of

_COMMANDS = {
    "status": "logrunning:status",
    "checkpoint": "logrunning:checkpoint",
    "resolve": "logrunning:resolve",
    "export": "logexporting:export",
    "verify": "logverification:verify",
    "follow": "logfollowing:follow",
    "promises": "logfollowing:promises",
    "reconcile": "logreconciling:reconcile_logs",
    "search": "logcontrol:search",
    "sample": "logcontrol:sample",
    "hints": "logcontrol:hints",
    "outcome": "logcontrol:outcome",
    "names": "lognames:names",
    "retention": "logdisposal:retention",
    "dispose": "logdisposal:dispose",
    "kept": "logkept:kept",
}

app = typer.Typer(cls=group_of("samdrift.cli", _COMMANDS), add_completion=False)


@app.callback()
def log() -> None:
    """Inspect an organisation's logs: their state, what witnesses signed, and whether they verify."""
