"""`samdrift gov`: who has agreed to what, who may do what, and what follows from it.

One module for each thing that can be done; this one puts them together.
"""

from __future__ import annotations

import typer

from samdrift.cli.gov import coverage, duties, report

app = typer.Typer(add_completion=False)


@app.callback()
def gov() -> None:
    """Agreements, duties, their coverage, and the compliance report."""


app.add_typer(duties.app, name="duty")
app.command("coverage")(coverage.coverage)
app.command("report")(report.make_report)
