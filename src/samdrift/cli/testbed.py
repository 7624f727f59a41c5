"""`samdrift testbed run`: DIGG's test cases for access points, with a protocol for an application."""

from __future__ import annotations

import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.output import print_json, print_line, print_text
from samdrift.config.errors import Unusable
from samdrift.demo.testbed import local_bed
from samdrift.federation.testbed.run import ALL, Line, run
from samdrift.installation import loop

app = typer.Typer(add_completion=False)


@app.callback()
def testbed() -> None:
    """DIGG's test cases for access points."""


@app.command("run")
def run_cases(
    case: Annotated[list[str], typer.Option(help="Only this case, such as TF-01; may be repeated.")] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Run the test cases against an access point of this version, in a federation on this machine.

    Prints for each case what is expected, what was seen, and what the event
    log of the access point says. Exit status 0 when every case passed.
    """
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    unknown = set(case) - {one.id for one in ALL}
    if unknown:
        raise Unusable(f"no such case: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        lines = loop.run(_run(Path(folder), frozenset(case), quiet=as_json))
    if as_json:
        print_json({"cases": [_plain(line) for line in lines]})
    else:
        passed = sum(line.outcome.passed for line in lines)
        print_text(f"\n{passed} of {len(lines)} cases passed")
    return 0 if all(line.outcome.passed for line in lines) else 1


async def _run(folder: Path, only: frozenset[str], *, quiet: bool) -> list[Line]:
    chosen = tuple(case for case in ALL if not only or case.id in only)
    lines = []
    if not quiet:
        print_line(f"Test protocol, access point of Samdrift, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    async with local_bed(folder) as bed:
        async for line in run(bed, chosen):
            lines.append(line)
            if not quiet:
                _print(line)
    return lines


def _print(line: Line) -> None:
    case, outcome = line.case, line.outcome
    print_line()
    print_line(f"{case.id}  {'passed' if outcome.passed else 'FAILED'}  {case.title}")
    print_line(f"  expected  {case.expected}")
    print_line(f"  seen      {outcome.seen}")
    if outcome.evidence:
        print_line(f"  log       {outcome.evidence}")


def _plain(line: Line) -> dict[str, Any]:
    return {
        "id": line.case.id,
        "title": line.case.title,
        "passed": line.outcome.passed,
        "expected": line.case.expected,
        "seen": line.outcome.seen,
        "evidence": line.outcome.evidence,
    }
