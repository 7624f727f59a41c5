"""`samdrift testbed`: DIGG's test cases for access points, with a protocol for an application."""

from __future__ import annotations

import logging
import tempfile
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift import __version__
from samdrift.cli.output import print_json, print_line, print_text
from samdrift.cli.persons import login
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load as load_config
from samdrift.demo.qualification import protocol as protocols
from samdrift.demo.qualification.cases import Model, QaCase
from samdrift.demo.qualification.form import filled
from samdrift.demo.qualification.protocol import CaseRecord, State, TestProtocol
from samdrift.demo.qualification.session import (
    Participants,
    Subject,
    chosen,
    read_participants,
    session,
    subject_of,
)
from samdrift.demo.testbed import local_bed
from samdrift.federation.testbed.cases import ALL, Line, run
from samdrift.installation import loop

app = typer.Typer(add_completion=False)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Folder = Annotated[Path, typer.Option("--protocol", help="Folder in which the test protocol is kept.")]
By = Annotated[str | None, typer.Option("--by", help="Name of the tester. Your login by default.")]
_FOLDER = Path("test-protocol-qa")


class Result(StrEnum):
    """The result of a case, in the words of DIGG's form."""

    EXPECTED = "expected"
    UNEXPECTED = "unexpected"


@app.callback()
def testbed() -> None:
    """Run DIGG's test cases for access points."""


@app.command("run")
def run_cases(
    case: Annotated[list[str], typer.Option(help="Only this case, such as TF-01; may be repeated.")] = [],  # noqa: B006
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Test the running installation of this configuration, with DIGG's test bed.",
        ),
    ] = None,
    participants: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The participants of DIGG's test bed (TOML).")
    ] = None,
    folder: Folder = _FOLDER,
    model: Annotated[Model, typer.Option(help="The transport model.")] = Model.EXTENDED,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is under way.")] = 60,
    again: Annotated[bool, typer.Option("--again", help="Start the cases named by --case again.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Run the test cases, and print the expected and observed results with the entries of the event log.

    By default an access point of this version is tested, in a federation on this machine. With --against, a
    running installation exchanges messages with DIGG's test bed and test leader; the protocol is kept between
    runs, and DIGG's form is filled in its folder. Exit status 0 when every case passed.
    """
    if against is None and participants is not None:
        raise Unusable("--participants needs --against")
    if against is None:
        return _run_here(case, as_json)
    if participants is None:
        raise Unusable("--against needs --participants")
    if again and not case:
        raise Unusable("--again needs --case")
    with reported_as_usage_errors():
        bed = read_participants(participants)
        subject = subject_of(load_config(against), bed.tested, model)
    with reported_as_usage_errors(), protocols.alone(folder):
        kept = _protocol(folder, subject, by or login())
        cases = chosen(case)
        for one in cases if again else ():
            kept.cases[one.id] = CaseRecord()
        loop.run(_run_against(subject, bed, kept, cases, folder, wait, quiet=as_json))
    return _report(kept, cases, folder, as_json)


@app.command()
def evidence(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Such as TF-09.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to attach; it is copied.")],
    result: Annotated[Result | None, typer.Option(help="The outcome, if the logs do not decide it.")] = None,
    comment: Annotated[str, typer.Option(help="A comment for DIGG.")] = "",
    folder: Folder = _FOLDER,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Attach evidence to a case, and record its result: a report to DIGG, an answer of the test leader.

    Exit status 0 when the case has passed, 1 when it has failed or is not complete.
    """
    (one,) = chosen([case])
    with reported_as_usage_errors(), protocols.alone(folder):
        kept = protocols.load(folder)
        if kept is None:
            raise Unusable(f"{shown(folder)}: no test protocol is kept there")
        record, name = kept.cases[one.id], by or login()
        expected = None if result is None else result is Result.EXPECTED
        protocols.require_judgeable(record, expected)
        protocols.keep_evidence(folder, one.id, record, file, name)
        protocols.judge_by_person(record, name, expected=expected, comment=comment)
        _save(folder, kept)
    return _report(kept, (one,), folder, as_json)


def _protocol(folder: Path, subject: Subject, tester: str) -> TestProtocol:
    """Return the existing protocol, which must be for the same access point and participant, or a new one."""
    new = subject.protocol(tester)
    kept = protocols.load(folder)
    if kept is None:
        return new
    for what in ("party", "participant", "model", "version"):
        if getattr(kept, what) != getattr(new, what):
            raise Unusable(
                f"{shown(folder)}: keeps the protocol of another {what}; name another folder with --protocol"
            )
    return kept


async def _run_against(
    subject: Subject,
    bed: Participants,
    kept: TestProtocol,
    cases: tuple[QaCase, ...],
    folder: Path,
    wait: float,
    *,
    quiet: bool,
) -> None:
    async with session(subject, bed, kept, lambda: _save(folder, kept)) as running:
        async for case in running.run(cases, wait):
            record = kept.cases[case.id]
            if not quiet:
                print_line(f"{case.id}  {record.state}  {record.seen}  {record.code}".rstrip())
                if not case.sends and record.state is State.WAITING and not record.as4:
                    print_line(_asking(case, kept))


def _asking(case: QaCase, kept: TestProtocol) -> str:
    return (
        f"       ask DIGG's test leader to send the message of {case.id}"
        f" from {case.participant} to {kept.participant}"
    )


def _save(folder: Path, kept: TestProtocol) -> None:
    protocols.save(folder, kept, filled(kept, datetime.now(UTC)))


def _report(kept: TestProtocol, cases: tuple[QaCase, ...], folder: Path, as_json: bool) -> int:
    states = [kept.cases[case.id].state for case in cases]
    form = folder / protocols.FORM
    if as_json:
        print_json(
            {
                "access_point": f"samdrift {__version__}",
                "party": kept.party,
                "participant": kept.participant,
                "model": kept.model,
                "form": str(form),
                "cases": [_case_document(case, kept) for case in cases],
            }
        )
    else:
        passed, failed = states.count(State.PASSED), states.count(State.FAILED)
        print_line(f"{passed} of {len(states)} cases passed, {failed} failed; the form is {shown(form)}")
    return 0 if all(state is State.PASSED for state in states) else 1


def _case_document(case: QaCase, kept: TestProtocol) -> dict[str, Any]:
    record = kept.cases[case.id]
    return {
        "id": case.id,
        "title": case.title,
        "participant": case.participant,
        "passed": record.state is State.PASSED if record.state.final else None,
        "state": record.state.value,
        "expected": case.expected,
        "seen": record.seen,
        "code": record.code,
        "comment": record.comment,
        "judged_by": record.judged_by,
        "message": record.message,
        "as4": record.as4,
        "log": record.log,
        "files": record.files,
    }


def _run_here(only: list[str], as_json: bool) -> int:
    """Run the cases against an access point of this version, in a federation on this machine."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    unknown = set(only) - {one.id for one in ALL}
    if unknown:
        raise Unusable(f"no such case: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        lines = loop.run(_run(Path(folder), frozenset(only), quiet=as_json))
    if as_json:
        print_json({"cases": [_plain(line) for line in lines]})
    else:
        passed = sum(line.outcome.passed for line in lines)
        print_text(f"\n{passed} of {len(lines)} cases passed")
    return 0 if all(line.outcome.passed for line in lines) else 1


async def _run(folder: Path, only: frozenset[str], *, quiet: bool) -> list[Line]:
    wanted = tuple(case for case in ALL if not only or case.id in only)
    lines = []
    if not quiet:
        print_line(f"Test protocol, access point of Samdrift, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    async with local_bed(folder) as bed:
        async for line in run(bed, wanted):
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
