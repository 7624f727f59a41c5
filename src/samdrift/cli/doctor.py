"""`samdrift doctor`: checks everything that an installation depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.operations.doctor import Scope, examine, wrong
from samdrift.operations.findings import Finding, State, exit_status

app = typer.Typer(add_completion=False)

_SIGNS = {State.OK: "ok", State.WARN: "WARN", State.FAIL: "FAIL", State.SKIPPED: "skipped"}


@app.command()
def doctor(
    config: Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")],
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Contact nothing outside this machine, its scanner and database."),
    ] = False,
    time_server: Annotated[
        str, typer.Option("--time-server", help="The NTP server to compare the clock with.")
    ] = Scope.time_server,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Examine an installation: show what is wrong, why it matters, and what to type. Changes nothing.

    Run it as the user that serves, even while it serves.

    Exit status 0 when nothing is wrong, 1 when something needs attention soon, 2 when something fails.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        findings = run(examine(loaded, Scope(offline=offline, time_server=time_server)))
    if as_json:
        print_json({"checks": [_document(one) for one in findings]})
    else:
        _print(findings)
    return exit_status(findings)


def _document(finding: Finding) -> dict[str, str | None]:
    """Return one finding as JSON; an empty value is ``null``."""
    return {name: str(value) or None for name, value in asdict(finding).items()}


def _print(findings: Sequence[Finding]) -> None:
    for one in findings:
        about = f" of {one.about}" if one.about else ""
        print_line(f"{_SIGNS[one.state]:<8} {one.id}{about}: {one.found}")
        if one.todo:
            print_line(f"{'':<8}   why: {one.why}")
            print_line(f"{'':<8}   do:  {one.todo}")
    numbers = Counter(one.state for one in findings)
    text = ", ".join(f"{numbers[state]} {state.value}" for state in State if numbers[state])
    print_line()
    print_verdict("", text, good=not wrong(findings))
