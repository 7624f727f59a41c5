"""`samdrift evidence`: export an organisation's evidence about a message, and verify it."""

from __future__ import annotations

import typer

from samdrift.cli.subcommands import group_of

_COMMANDS = {"export": "evidenceexporting:export_evidence", "verify": "evidenceverification:verify"}

app = typer.Typer(cls=group_of("samdrift.cli", _COMMANDS), add_completion=False)


@app.callback()
def evidence() -> None:
    """Export evidence about one message, without its content, and verify it anywhere."""
