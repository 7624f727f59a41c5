"""`samdrift gov`: an organisation's signed decisions on agreements and rights, and their consequences.

Each subject has a module; this one registers them.
"""

from __future__ import annotations

import typer

from samdrift.cli.subcommands import group_of

_COMMANDS = {
    "officer": "officers:app",
    "grant": "ceremony:grants",
    "group": "groups:app",
    "review": "reviews:app",
    "statement": "statements:app",
    "export": "records:export",
    "verify": "records:verify",
    "party": "agreements:parties",
    "agreement": "agreements:agreements",
    "duty": "duties:app",
    "coverage": "coverage:coverage",
    "report": "report:make_report",
    "declaration": "report:declare",
    "board": "board:board",
    "consent": "consent:app",
    "emergency": "emergency:app",
    "operator-view": "operatorview:operator_view",
    "incident": "incident:app",
    "who-can": "who:who_can",
    "who-could": "who:who_could",
    "who-did": "who:who_did",
    "count-doors": "who:count",
}

app = typer.Typer(cls=group_of(__name__, _COMMANDS), add_completion=False)


@app.callback()
def gov() -> None:
    """Manage an organisation's signed decisions: officers, rights, agreements, duties, compliance report."""
