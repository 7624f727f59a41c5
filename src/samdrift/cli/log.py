"""`samdrift log`: the logs of an installation."""

from __future__ import annotations

import typer

from samdrift.cli import (
    logcontrol,
    logdisposal,
    logfollowing,
    logkept,
    lognames,
    logreconciling,
    logrunning,
    logverification,
)

app = typer.Typer(add_completion=False)


@app.callback()
def log() -> None:
    """The log of an organisation's vault: how it stands, what witnesses say of it, and whether it holds."""


app.command()(logrunning.status)
app.command()(logrunning.checkpoint)
app.command()(logrunning.resolve)
app.command()(logverification.export)
app.command()(logverification.verify)
app.command()(logfollowing.follow)
app.command()(logfollowing.promises)
app.command("reconcile")(logreconciling.reconcile_logs)
app.command()(logcontrol.search)
app.command()(logcontrol.sample)
app.command()(logcontrol.hints)
app.command()(logcontrol.outcome)
app.command()(lognames.names)
app.command()(logdisposal.retention)
app.command()(logdisposal.dispose)
app.command()(logkept.kept)
