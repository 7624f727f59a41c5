"""``samdrift validate``: validation of SDK messages, envelopes and receipts as a receiver would do it.

It checks only what needs neither lookups nor keys: structure and rules, with the receipt codes that
content-specification 5.3 assigns to each violation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.output import complain, print_json, print_line, print_verdict
from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import read_document
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.inspect import Inspection, inspect

app = typer.Typer(add_completion=False)

_VALID, _INVALID, _UNUSABLE = 0, 1, 2

Result = Inspection | Unusable


@app.command()
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="SDK messages, envelopes or receipts."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Check SDK messages, envelopes and receipts; each file is recognised by its root element.

    Exit status 0 when all are valid, 1 when one is invalid, 2 when one cannot be used at all.
    """
    results = [(file, _inspected(file)) for file in files]
    for _, result in results:
        if isinstance(result, Unusable):
            complain(str(result))
    if as_json:
        print_json({"files": [_document(file, result) for file, result in results]})
    else:
        for file, result in results:
            if not isinstance(result, Unusable):
                _print(file, result)
    return max(_status(result) for _, result in results)


def _inspected(file: Path) -> Result:
    try:
        return inspect(read_document(file))
    except WireError as error:
        return Unusable(f"{shown(file)}: {error}")
    except Unusable as error:
        return error


def _status(result: Result) -> int:
    if isinstance(result, Unusable):
        return _UNUSABLE
    return _INVALID if result.findings else _VALID


def _document(file: Path, result: Result) -> dict[str, Any]:
    if isinstance(result, Unusable):
        return {"file": shown(file), "kind": None, "valid": False, "findings": [], "error": str(result)}
    findings = [_finding(finding) for finding in result.findings]
    return {"file": shown(file), "kind": result.kind, "valid": not findings, "findings": findings}


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "reason": finding.reason,
        "detail": finding.detail,
        "text": finding.text,
        "path": finding.path,
    }


def _print(file: Path, result: Inspection) -> None:
    good = not result.findings
    print_verdict(f"{shown(file)}: {result.kind}, ", "valid" if good else "not valid", good=good)
    for finding in result.findings:
        print_line(f"  {finding.reason} {finding.detail}: {finding.text}")
        print_line(f"    at {finding.path}")
