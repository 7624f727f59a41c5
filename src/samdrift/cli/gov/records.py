"""`samdrift gov export` and `verify`: the record as a file, and its verification without an installation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.audit.reading import Malformed
from samdrift.cli.gov.basis import record_of
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import print_json, print_line, print_verdict, require_new
from samdrift.cli.persons import Actor, Reason, asked
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.evidence.logreading import entries_of
from samdrift.installation.loop import run
from samdrift.rights.cedarview import policies
from samdrift.rights.fields import StatementError, SubjectKind
from samdrift.rights.folds import FOLDS
from samdrift.rights.openfgaview import document
from samdrift.rights.record import Broken, Record
from samdrift.rights.signing import Signed, timely
from samdrift.vault.events import VaultEvent

_MAX_BYTES = 256 << 20
WITHOUT_LOG = 3
"""Exit status for a record whose signatures and rules hold, but which was compared with no log."""
_FINDINGS = {
    "not_in_log": "not in the log",
    "not_in_file": "in the log alone",
    "not_at_its_time": "states another time than its entry in the log",
}
"""Labels of what is wrong with a record that was compared with a log."""


@dataclass(frozen=True)
class _Logged:
    """A statement's entry in the log."""

    sha256: str
    at: datetime


Export = Annotated[Path, typer.Argument(metavar="EXPORT", help="A file that samdrift gov export wrote.")]


def export(
    organisation: Organisation,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    config: ConfigFile,
    reason: Reason,
    by: Actor = None,
    cedar: Annotated[
        Path | None, typer.Option("--cedar", help="A new file for the rights as Cedar policies.")
    ] = None,
    openfga: Annotated[
        Path | None,
        typer.Option("--openfga", help="A new file for the rights as a model and tuples of OpenFGA."),
    ] = None,
) -> None:
    """Write the organisation's record of signed statements to a file: one line of JSON each, in order."""
    with reported_as_usage_errors():
        for file in (out, cedar, openfga):
            if file is not None:
                require_new(file)
        record = run(record_of(config, organisation, "export", asked(by, reason)))
    out.write_bytes(b"".join(each.signed.content + b"\n" for each in record.entries))
    if cedar is not None:
        cedar.write_text(policies(record.state, record.statements()), "utf-8")
    if openfga is not None:
        found = document(record.state, record.statements())
        openfga.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print_line(f"{shown(out)}: {record.number} statements")


def verify(
    file: Export,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            help="An export of governance's log, which samdrift log verify has verified: it names every"
            " statement.",
        ),
    ] = None,
    custodian: Annotated[
        list[str],
        typer.Option("--custodian", help="The fingerprint of a custodian's key that you know; repeatable."),
    ] = [],  # noqa: B006
    as_json: AsJson = False,
) -> int:
    """Verify every signature and every rule of a record, without an installation.

    The record begins with the custodians' keys: compare their fingerprints with those given to you. Exit
    status 1 if it fails, 3 if it holds but no log tells when its statements came, and whether any is missing.
    """
    with reported_as_usage_errors():
        lines = _lines(file)
        logged = None if log is None else _logged(log)
    moments, late = _moments(lines, logged or {})
    found = _verified(lines, moments)
    found["strangers"] = [each for each in found["custodians"] if custodian and each["key"] not in custodian]
    found["log"] = logged is not None
    if logged is not None:
        found["not_in_log"] = sorted(set(range(1, len(lines) + 1)) - set(moments) - set(late))
        found["not_in_file"] = sorted(set(logged) - set(range(1, len(lines) + 1)))
        found["not_at_its_time"] = late
    good = found["valid"] and not any(found.get(each) for each in ("strangers", *_FINDINGS))
    if as_json:
        print_json(found | {"valid": good})
    else:
        _show(found, good=good)
    if not good:
        return 1
    return 0 if log is not None else WITHOUT_LOG


def _lines(file: Path) -> list[bytes]:
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise Unusable(f"{shown(file)}: larger than {_MAX_BYTES} bytes")
    lines = content.split(b"\n")
    if not content or lines.pop():
        raise Unusable(f"{shown(file)}: is not an export: a signed statement a line")
    return lines


def _verified(lines: Sequence[bytes], moments: Mapping[int, datetime]) -> dict[str, Any]:
    try:
        organisation = Signed.parse(lines[0]).statement.organisation
    except StatementError:
        return {"valid": False, "statements": len(lines), "first_wrong": 1, "reason": "malformed"} | _NOBODY
    record, fault = Record(organisation, FOLDS), None
    try:
        for number, line in enumerate(lines, 1):
            record.accept(line, logged=moments.get(number))
    except Broken as broken:
        fault = broken
    roots = [
        {"name": each.act.to.id, "key": each.key.fingerprint, "ssh": each.key.ssh().fingerprint}
        for each in record.keys.all()
        if each.act.to.kind is SubjectKind.CUSTODIAN
    ]
    behind = record.not_understood
    return {
        "organisation": organisation,
        "statements": len(lines),
        "valid": fault is None and behind is None,
        "first_wrong": fault.number if fault is not None else behind,
        "reason": fault.verdict.value if fault is not None else "not understood" if behind else "",
        "last": "" if record.last is None else record.last.isoformat(),
        "custodians": roots,
    }


_NOBODY: dict[str, Any] = {"organisation": "", "last": "", "custodians": []}


def _logged(log: Path) -> dict[int, _Logged]:
    """Return what the log has of each statement that it says was stored: the first entry counts."""
    found: dict[int, _Logged] = {}
    try:
        for entry in entries_of(log):
            if entry.event == VaultEvent.GOV_STATEMENT_KEPT:
                one = _Logged(entry.ids["sha256"], entry.at)
                found.setdefault(int(entry.ids["statement"]), one)
    except (Malformed, KeyError, ValueError) as fault:
        raise Unusable(f"{shown(log)}: is not an export of governance's log ({fault})") from None
    return found


def _moments(lines: Sequence[bytes], logged: Mapping[int, _Logged]) -> tuple[dict[int, datetime], list[int]]:
    """Return when each statement in the log came, and the numbers of those that state another time."""
    moments, late = dict[int, datetime](), list[int]()
    for number, line in enumerate(lines, 1):
        entry = logged.get(number)
        if entry is None or entry.sha256 != hashlib.sha256(line).hexdigest():
            continue
        try:
            good = timely(Signed.parse(line).statement, entry.at)
        except StatementError:
            good = True  # The record says what is wrong with it.
        if good:
            moments[number] = entry.at
        else:
            late.append(number)
    return moments, late


def _show(found: dict[str, Any], *, good: bool) -> None:
    if not found["log"]:
        print_line(
            "without --log: nobody says when each statement came, nor whether the newest ones are missing;"
            " the times are those that the authors state"
        )
    print_line(f"{found['organisation']}  {found['statements']} statements, the last of {found['last']}")
    for each in found["custodians"]:
        print_line(f"begins with the custodian {each['name']}, whose key is {each['ssh']}")
    for name, label in _FINDINGS.items():
        if found.get(name):
            print_line(f"{label}: {', '.join(map(str, found[name]))}")
    for each in found["strangers"]:
        print_line(f"not a custodian that you named: {each['name']}")
    wrong = "" if found["valid"] else f"statement {found['first_wrong']}: {found['reason']}  "
    verdict = "the record holds" if found["log"] else "the signatures and rules hold; no log was compared"
    print_verdict(wrong, verdict if good else "the record does not hold", good=good)
