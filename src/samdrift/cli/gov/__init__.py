"""`samdrift gov`: who has agreed to what, who may do what, and what follows from it.

One module for each thing that can be done; this one puts them together.
"""

from __future__ import annotations

import typer

from samdrift.cli.gov import (
    agreements,
    board,
    ceremony,
    consent,
    coverage,
    duties,
    emergency,
    grants,
    incident,
    officers,
    operatorview,
    records,
    report,
    reviews,
    statements,
    who,
)

app = typer.Typer(add_completion=False)


@app.callback()
def gov() -> None:
    """Decisions of an organisation, signed: officers, rights, agreements, duties, the compliance report."""


app.add_typer(officers.app, name="officer")
app.add_typer(grants.app, name="grant")
grants.app.command("unsigned")(ceremony.unsigned)
grants.app.command("sign-over")(ceremony.sign_over)
grants.app.command("settle")(ceremony.settle)
app.add_typer(reviews.app, name="review")
app.add_typer(statements.app, name="statement")
app.command("export")(records.export)
app.command("verify")(records.verify)
app.add_typer(agreements.parties, name="party")
app.add_typer(agreements.agreements, name="agreement")
app.add_typer(duties.app, name="duty")
app.command("coverage")(coverage.coverage)
app.command("report")(report.make_report)
app.command("declaration")(report.declare)
app.command("board")(board.board)
app.add_typer(consent.app, name="consent")
app.add_typer(emergency.app, name="emergency")
app.command("operator-view")(operatorview.operator_view)
app.add_typer(incident.app, name="incident")
for name, command in who.COMMANDS.items():
    app.command(name)(command)
