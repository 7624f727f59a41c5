"""`samdrift log verify`: verification of an exported log, without trusting operator and database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.attestation.trustfolder import TrustFolder, read_trust
from samdrift.audit.ages import MAX_AGE, fault_of_age, fault_of_tail
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.notes import MAX_NOTE, SignedCheckpoint
from samdrift.audit.policies import MAX_POLICY, Policy
from samdrift.audit.reading import Malformed, Unverified, to_base64
from samdrift.cli.org.options import AsJson
from samdrift.cli.output import complain, print_json, print_line, print_verdict, progress
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_certificates
from samdrift.evidence.logexport import describe_log, verify_log
from samdrift.evidence.logstamps import LogStamp, judge_stamps, read_stamps
from samdrift.evidence.logstatements import KeyStatement, check_statements
from samdrift.transparency.timestamps import Trusted

PolicyFile = Annotated[
    Path,
    typer.Option(
        "--policy", help="Your policy (c2sp.org/tlog-policy): keys of the log, witnesses, and the quorum."
    ),
]
MaxAge = Annotated[
    int,
    typer.Option(
        "--max-age",
        min=0,
        metavar="SECONDS",
        help="Maximum age of the newest cosigned checkpoint: three times what the operator has between two."
        " 0: age is not judged.",
    ),
]


def verify(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="A file that samdrift log export wrote.")],
    policy: PolicyFile,
    known: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="A checkpoint of the log from elsewhere, which it must reach; may be repeated.",
        ),
    ] = [],  # noqa: B006
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A file that records progress, so that an interrupted run continues there."
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of certificates that are trusted to state whose log keys these are."
        ),
    ] = None,
    authorities: Annotated[
        Path | None,
        typer.Option("--tsa", metavar="FILE", help="Certificates (PEM) that its time stamps must lead to."),
    ] = None,
    max_age: MaxAge = MAX_AGE,
    as_json: AsJson = False,
) -> int:
    """Verify a log offline: entries, checkpoints, witnesses, times, age, disposals, the owner of its keys.

    Exit status 0 when it is valid, 1 when it is not or stands still, 2 when the file cannot be used.
    """
    with reported_as_usage_errors():
        rules = read_policy(policy)
        folder = read_trust(trust) if trust is not None else None
        trusted = Trusted(read_certificates(authorities)) if authorities is not None else None
        seen = [_checkpoint(file, rules) for file in known]
        found = _judged(export, rules, seen, state, folder, trusted, max_age)
    if as_json:
        print_json(_document(found))
    else:
        _print(export, found)
    return 0 if found.holds else 1


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that was found about a log."""

    verdict: LogVerdict
    statements: Sequence[KeyStatement]
    stamps: Sequence[LogStamp]
    stale: Sequence[str]
    """Reasons why the log is not up to date."""

    @property
    def holds(self) -> bool:
        stated = all(each.holds for each in self.statements)
        return (
            self.verdict.holds and stated and not self.stale and not any(each.fault for each in self.stamps)
        )


def _judged(
    export: Path,
    rules: Policy,
    known: Sequence[SignedCheckpoint],
    state: Path | None,
    folder: TrustFolder | None,
    trusted: Trusted | None,
    max_age: int,
) -> _Found:
    now = datetime.now(UTC)
    try:
        described = describe_log(export)
        keys = {*(each.key for each in described.keys), *(member.key for member in rules.logs)}
        stamps = read_stamps(export, keys, trusted)
    except Malformed as fault:
        raise Unusable(f"{shown(export)}: {fault}") from None
    times = [
        (each.checkpoint, int(each.at.timestamp()) if each.checked and each.at else None)
        for each in stamps
        if each.checkpoint is not None and not each.fault
    ]
    verdict = _verified(export, LogVerifier(rules, int(now.timestamp()), known, times), state)
    statements = check_statements(described, verdict.stated, folder) if verdict.holds else ()
    stale = _stale(verdict, now, max_age) if verdict.holds else ()
    return _Found(verdict, statements, judge_stamps(stamps, verdict.stamped, verdict.first, now), stale)


def _stale(verdict: LogVerdict, now: datetime, max_age: int) -> Sequence[str]:
    found = (
        fault_of_age(verdict.witnessed_at, now, max_age),
        fault_of_tail(verdict.tail_at, now, max_age),
    )
    return [each for each in found if each]


def read_policy(file: Path) -> Policy:
    """Return the policy in a file."""
    try:
        return Policy.parse(_content(file, MAX_POLICY))
    except Malformed as fault:
        raise Unusable(f"{shown(file)}: {fault}") from None


def _checkpoint(file: Path, policy: Policy) -> SignedCheckpoint:
    try:
        return SignedCheckpoint.parse(_content(file, MAX_NOTE), [member.key for member in policy.logs])
    except (Malformed, Unverified) as fault:
        raise Unusable(f"{shown(file)}: not a checkpoint of a log in the policy: {fault}") from None


def _content(file: Path, most: int) -> bytes:
    """Return a file's content up to one byte over the limit, so that its reader notices an overlong file."""
    with file.open("rb") as opened:
        return opened.read(most + 1)


def _verified(export: Path, verifier: LogVerifier, state: Path | None) -> LogVerdict:
    def again() -> None:
        complain(
            f"{shown(state or export)}: the saved state is of another log, policy or version, or other known"
            " checkpoints or time stamps; the log is verified from its beginning"
        )

    try:
        with progress("verifying", os.stat(export).st_size) as advance:
            return verify_log(export, verifier, state, advance, again)
    except Malformed as fault:
        raise Unusable(f"{shown(export)}: {fault}") from None


def _document(found: _Found) -> dict[str, Any]:
    verdict = found.verdict
    wrong = verdict.first_wrong
    return {
        "holds": found.holds,
        "origin": verdict.origin,
        "entries": verdict.entries,
        "size": verdict.size,
        "root": to_base64(verdict.root) if verdict.size else None,
        "witnessed_at": _time(verdict.witnessed_at),
        "first_wrong": {"number": wrong.number, "why": wrong.why} if wrong else None,
        "stale": list(found.stale),
        "disposed": [
            {"class": each.retention, "entries": each.entries, "decision": each.decision, "at": each.at}
            for each in verdict.disposed
        ],
        "unproved": verdict.unproved,
        "outside": verdict.outside,
        "not_understood": verdict.not_understood,
        "keys": [
            {
                "key": each.key,
                "stated_by": each.by or None,
                "organisation": each.organisation or None,
                "role": each.role or None,
                "signed_with": each.signed_with or None,
                "signer_checked": each.checked,
                "fault": each.fault or None,
            }
            for each in found.statements
        ],
        "stamps": [
            {
                "size": each.size,
                "at": each.at.isoformat() if each.at else None,
                "until": each.until.isoformat() if each.until else None,
                "signer": each.signer or None,
                "signer_checked": each.checked,
                "fault": each.fault or None,
            }
            for each in found.stamps
        ],
    }


def _print(export: Path, found: _Found) -> None:
    verdict = found.verdict
    print_verdict(f"{shown(export)}: ", "holds" if found.holds else "DOES NOT HOLD", good=found.holds)
    if verdict.first_wrong is not None:
        print_line(f"  first wrong: entry {verdict.first_wrong.number}: {verdict.first_wrong.why}")
    for why in found.stale:
        print_line(f"  {why}")
    print_line(f"  log {verdict.origin or 'of unknown name'}, {verdict.entries} entries read")
    if verdict.size:
        witnessed = _time(verdict.witnessed_at)
        by = f"witnessed at {witnessed}" if witnessed else "the policy requires no witness"
        last = verdict.first + verdict.size - 1
        print_line(f"  proved up to entry {last}: root {to_base64(verdict.root)}, {by}")
    if verdict.unproved:
        print_line(f"  the last {verdict.unproved} entries: unproved, as no accepted checkpoint has them")
    for each in verdict.disposed:
        print_line(
            f"  {each.entries} entries of class {each.retention}, disposed of {each.at[:10]}"
            f" under decision {each.decision}"
        )
    if verdict.outside:
        print_line(f"  {verdict.outside} entries: their time is not between the witnessed times around them")
    if verdict.not_understood:
        print_line(f"  {verdict.not_understood} entries: their form is not understood, they are in the tree")
    for statement in found.statements:
        print_line(f"  key {statement.key}: {_said_of(statement)}")
    for line in _said_of_stamps(found.stamps):
        print_line(f"  {line}")


def _said_of_stamps(stamps: Sequence[LogStamp]) -> Iterator[str]:
    """Yield a line for each invalid time stamp, and one about the last valid stamp."""
    for each in stamps:
        if each.fault:
            yield f"time stamp {each.place}: {each.fault}"
    good = [each for each in stamps if not each.fault]
    if good:
        last = good[-1]
        checked = "" if last.checked else "; who gave it was not checked (--tsa)"
        yield f"{len(good)} time stamps hold, the last of {last.at:%Y-%m-%d %H:%M}Z by {last.signer}{checked}"


def _said_of(statement: KeyStatement) -> str:
    """Return who states that a key belongs to the log."""
    if statement.fault:
        return statement.fault
    if not statement.by:
        return "its owner has not been stated"
    whose = f"{statement.organisation} {statement.role}".strip() or "the operator's own log"
    checked = "trusted" if statement.checked else "compare it, or give --trust"
    return f"that of {whose}, as the {statement.by} states, with {statement.signed_with}; {checked}"


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
