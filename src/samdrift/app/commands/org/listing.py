"""`samdrift org list`: who is hosted here, in which roles and in which state."""

from __future__ import annotations

import typer

from samdrift.app.administration import administering
from samdrift.app.commands.org.options import AsJson, ConfigFile
from samdrift.app.config import Config
from samdrift.app.configfile import load
from samdrift.app.failures import told
from samdrift.app.loop import run
from samdrift.app.output import print_json, printable


def list_organisations(config: ConfigFile, as_json: AsJson = False) -> None:
    """Show every organisation that has a vault here, with its roles and their states."""
    with told():
        rows = run(_rows(load(config)))
    if as_json:
        print_json({"organisations": rows})
    else:
        for row in rows:
            typer.echo(printable("  ".join(row.values())))


async def _rows(config: Config) -> list[dict[str, str]]:
    async with administering(config) as installation:
        return [
            {
                "organisation": one.organisation.value,
                "role": one.role.value,
                "state": one.state.value,
            }
            for one in installation.gate.registry.all()
        ]
