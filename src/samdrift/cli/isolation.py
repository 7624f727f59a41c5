"""`samdrift isolation`: a check that organisations are isolated in the running installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.output import complain, print_json, print_line
from samdrift.cli.persons import Actor, acting
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_document
from samdrift.config.reader import load
from samdrift.installation.loop import run
from samdrift.isolationcheck import check as checking
from samdrift.isolationcheck import result

app = typer.Typer(add_completion=False)
ConfigFile = Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.callback()
def isolation() -> None:
    """Prove that no organisation reaches another, with two canary organisations."""


@app.command()
def check(config: ConfigFile, by: Actor = None, as_json: Json = False) -> int:
    """Attack each canary from the other in every known way; the result is recorded in every log here.

    Exit status 0 when nothing leaked, nothing was left untried and every log has the result; 1 otherwise.
    """
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        found, untold = run(checking.check(loaded, {"by": who.name, **who.facts()}))
    if as_json:
        print_json(found)
    else:
        _show(found)
    for organisation in untold:
        complain(f"the log of {organisation} could not be notified: its vault is locked, or out of reach")
    return 0 if found["passed"] and not untold else 1


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="A result that was signed.")
    ],
    signer: Annotated[
        str | None, typer.Option(help="SHA-256 of the certificate that must have signed it, in hex.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Verify the signature of a result that `isolation check --json` printed, and show the result.

    Exit status 0 when it is validly signed and passed, 1 otherwise, 2 when the file is not a result.
    """
    try:
        found, certificate = result.verify(read_document(file))
    except result.NoResult as error:
        raise Unusable(f"{shown(file)}: {error}") from None
    by = result.signer(certificate)
    if signer is not None and signer.lower().replace(":", "") != by["certificate_sha256"]:
        raise Unusable(f"{shown(file)}: was signed with another certificate")
    if as_json:
        print_json({**found, "signer": by})
    else:
        _show(found)
        print_line(f"signed by {by['subject']}, certificate {by['certificate_sha256']}")
    return 0 if found["passed"] else 1


def _show(found: dict[str, Any]) -> None:
    for name, row in found["interfaces"].items():
        print_line(f"{name:15} {row['attempts']:5} attempts, {row['denied']} denied")
    for title, rows in (("LEAK", found["leaks"]), ("not tried", found["untried"])):
        for row in rows:
            where = f"{row['interface']}: {row['operation']}, by {row['actor']}: {row['why']}"
            print_line(f"{title:10} {where}")
    print_line(f"{found['attempts']} attempts, {found['denied']} denied, {len(found['leaks'])} leaks")
    print_line(f"sha256 {found['sha256']}")
