"""`samdrift log reconcile`: comparison of an organisation's logs with each other, or with another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.attestation.errors import MoveError
from samdrift.audit.logverifying import LogVerdict
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed
from samdrift.cli.logverification import read_policy
from samdrift.cli.org.options import AsJson
from samdrift.cli.output import print_json, print_line, print_verdict, progress
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.evidence.logreconciling import VerifiedLog, read_verified
from samdrift.evidence.reconciliation import Difference, ReadLog, Reconciliation, reconcile

_SHOWN = 50
"""Maximum number of differences shown to people; ``--json`` shows all."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """The logs of both sides, and the outcome if all of them are valid."""

    own: Sequence[VerifiedLog]
    theirs: Sequence[VerifiedLog]
    outcome: Reconciliation | None

    @property
    def holds(self) -> bool:
        return self.outcome is not None and self.outcome.holds


def reconcile_logs(
    exports: Annotated[
        list[Path],
        typer.Argument(
            metavar="EXPORT...", help="Logs of one organisation, which samdrift log export wrote."
        ),
    ],
    policies: Annotated[
        list[Path],
        typer.Option("--policy", help="Your policy for the logs (c2sp.org/tlog-policy); may be repeated."),
    ],
    others: Annotated[
        list[Path],
        typer.Option("--other", metavar="EXPORT", help="A log of the other side; may be repeated."),
    ] = [],  # noqa: B006
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=["%Y-%m-%d"], help="Compare what was logged from that day on."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Compare logs with each other: each transfer is in all of them, with the same identifiers.

    It compares access point with message service, transfers with receipts, messages with readings, and with
    --other one organisation's logs with another's. Each log is verified first. Exit status 0 when they agree,
    1 when they do not or one is invalid, 2 when a file cannot be used.
    """
    begin = None if since is None else since.replace(tzinfo=UTC)
    with reported_as_usage_errors():
        rules = [read_policy(file) for file in policies]
        found = _compared(exports, others, rules, begin)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    return 0 if found.holds else 1


def _compared(
    exports: Sequence[Path], others: Sequence[Path], rules: Sequence[Policy], since: datetime | None
) -> _Compared:
    own, theirs = [[_verified(path, rules, since) for path in paths] for paths in (exports, others)]
    sides = [[each.read for each in side if each.read is not None] for side in (own, theirs)]
    _require_sides(*sides)
    whole = len(sides[0]) + len(sides[1]) == len(own) + len(theirs)
    return _Compared(own, theirs, reconcile(*sides) if whole else None)


def _verified(path: Path, rules: Sequence[Policy], since: datetime | None) -> VerifiedLog:
    try:
        with progress("verifying", path.stat().st_size) as advance:
            return read_verified(path, rules, since, advance)
    except (Malformed, MoveError) as fault:
        raise Unusable(f"{shown(path)}: {fault}") from None


def _require_sides(own: Sequence[ReadLog], theirs: Sequence[ReadLog]) -> None:
    here, there = ({each.organisation for each in side} for side in (own, theirs))
    if len(here) > 1 or len(there) > 1:
        raise Unusable(
            "the logs of one side are of one organisation; those of the other are given with --other"
        )
    if here & there:
        raise Unusable("--other is for the logs of another organisation")


def _document(found: _Compared) -> dict[str, Any]:
    outcome = found.outcome
    return {
        "agrees": found.holds,
        "logs": [_log(each) for each in found.own],
        "others": [_log(each) for each in found.theirs],
        "compared": {}
        if outcome is None
        else {kind.value: n for kind, n in sorted(outcome.compared.items())},
        "under_way": 0 if outcome is None else outcome.under_way,
        "differences": [] if outcome is None else [_difference(each) for each in outcome.differences],
    }


def _log(log: VerifiedLog) -> dict[str, Any]:
    wrong, read = log.verdict.first_wrong, log.read
    return {
        "log": log.name,
        "origin": log.verdict.origin,
        "holds": log.verdict.holds,
        "first_wrong": {"number": wrong.number, "why": wrong.why} if wrong else None,
        "size": log.verdict.size,
        "begins": read.begins.isoformat() if read and read.begins else None,
        "ends": read.ends.isoformat() if read and read.ends else None,
    }


def _difference(each: Difference) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "about": each.about,
        "log": each.log,
        "entry": each.number,
        "at": each.at.isoformat(),
        "other": each.other,
        "text": each.text,
        "ids": dict(each.ids),
    }


def _print(found: _Compared) -> None:
    print_verdict("logs: ", "agree" if found.holds else "DO NOT AGREE", good=found.holds)
    for log in (*found.own, *found.theirs):
        print_line(f"  {log.name}: {_state(log.verdict, log.read)}")
    outcome = found.outcome
    if outcome is None:
        print_line("  nothing was compared: a log that does not hold proves nothing")
        return
    print_line(
        f"  {sum(outcome.compared.values())} comparisons of {len(outcome.compared)} kinds,"
        f" {outcome.under_way} steps still under way, {len(outcome.differences)} differences"
    )
    for each in outcome.differences[:_SHOWN]:
        print_line(f"  {each.kind.value}: {each.about}: {each.text}")
        print_line(
            f"    entry {each.number} of {each.log}, {each.at:%Y-%m-%d %H:%M:%S}Z; against {each.other}"
        )
    if len(outcome.differences) > _SHOWN:
        print_line(f"  and {len(outcome.differences) - _SHOWN} more (--json)")


def _state(verdict: LogVerdict, read: ReadLog | None) -> str:
    if verdict.first_wrong is not None:
        return f"DOES NOT HOLD, entry {verdict.first_wrong.number}: {verdict.first_wrong.why}"
    if read is None or read.begins is None or read.ends is None:
        return "holds, and has nothing of that time"
    return f"holds, {verdict.size} entries proved, from {read.begins:%Y-%m-%d} to {read.ends:%Y-%m-%d %H:%M}Z"
