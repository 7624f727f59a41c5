"""`samdrift org`: the organisations of an installation, from their first day to their last.

There is one module for each group of commands; this one registers them.
"""

from __future__ import annotations

import typer

from samdrift.cli.subcommands import group_of

_COMMANDS = {
    "add": "adding:add",
    "show": "adding:show",
    "list": "listing:list_organisations",
    "suspend": "state:suspend",
    "resume": "state:resume",
    "export": "moving:export_organisation",
    "import": "moving:import_organisation",
    "unpack": "unpacking:unpack_export",
    "close": "closing:close_organisation",
    "verify-closing": "closing:verify_closing",
    "lock": "locking:lock",
    "unlock": "locking:unlock",
    "use-hsm": "hsm:use_hsm",
    "use-token": "hsm:renamed",
    "keys": "keys:app",
    "sign-in": "signin:app",
}

app = typer.Typer(cls=group_of(__name__, _COMMANDS), add_completion=False)


@app.callback()
def org() -> None:
    """Add, examine, suspend, move and close organisations."""
