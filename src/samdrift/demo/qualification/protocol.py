"""The test protocol, stored between runs: the known facts of each case, in a folder with the evidence."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from samdrift.config.errors import Unusable, shown
from samdrift.config.inputs import read_document
from samdrift.demo.qualification.cases import CASES
from samdrift.keystore.durablefiles import private_folder, remove, sync_folder, write_new

FILE = "protocol.json"
FORM = "test-protocol.md"
EVIDENCE = "evidence"
NO_REPORT = "Rapport till Digg saknas."
_FORMAT = "samdrift test protocol"
_VERSION = 1
Row = dict[str, Any]


class State(StrEnum):
    """State of a case."""

    NOT_BEGUN = "not begun"
    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (State.PASSED, State.FAILED)


@dataclass(slots=True)
class CaseRecord:
    """The facts of one case, and the evidence for them."""

    state: State = State.NOT_BEGUN
    begun_at: str = ""
    message: str = ""
    """Id of the message that the case is about, sent or received."""
    as4: str = ""
    """AS4 id of the incoming message for the case."""
    seen: str = ""
    code: str = ""
    """The error code that the form asks for."""
    comment: str = ""
    judged_by: str = ""
    """Person who decided the result, if the logs could not."""
    lacks_report: bool = False
    """True if the logs show the expected result, and only evidence of the report to DIGG is missing."""
    log: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class TestProtocol:
    """The protocol of one access point, for one participant and one transport model."""

    __test__ = False

    party: str
    participant: str
    model: str
    version: str
    tester: str
    cases: dict[str, CaseRecord] = field(default_factory=lambda: {case.id: CaseRecord() for case in CASES})

    @property
    def claimed(self) -> set[str]:
        """Return the AS4 ids that already belong to cases."""
        return {record.as4 for record in self.cases.values() if record.as4}


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock the protocol in ``folder``, so that no other command overwrites the changes of this one.

    :class:`Unusable` while another command holds the lock.
    """
    descriptor = os.open(private_folder(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unusable(f"{shown(folder)}: another command is writing to this test protocol") from None
    finally:
        os.close(descriptor)


def load(folder: Path) -> TestProtocol | None:
    """Return the protocol in ``folder``, if there is one; :class:`Unusable` when it cannot be read."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        return _read(json.loads(read_document(file)))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unusable(f"{shown(file)}: is not a test protocol of this version") from None


def save(folder: Path, protocol: TestProtocol, form: str) -> None:
    """Write protocol and form, each file atomically."""
    private_folder(folder)
    document = {"format": _FORMAT, "format_version": _VERSION, **asdict(protocol)}
    _replace(folder / FILE, (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode())
    _replace(folder / FORM, form.encode())


def keep_evidence(folder: Path, case: str, record: CaseRecord, file: Path, by: str) -> None:
    """Copy ``file`` into the protocol's folder, and record its name and digest in the case."""
    data = read_document(file)
    kept = private_folder(folder / EVIDENCE)
    name = f"{case}-{len(list(kept.glob(f'{case}-*'))) + 1}{_suffix(file)}"
    if not write_new(kept / name, data):
        raise Unusable(f"{shown(kept / name)}: already exists")
    record.files.append(
        {
            "name": f"{EVIDENCE}/{name}",
            "sha256": hashlib.sha256(data).hexdigest(),
            "by": by,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def require_judgeable(record: CaseRecord, expected: bool | None) -> None:
    """Check that a person may give this result for the case, which must not contradict a decided result."""
    decided = record.state.final or record.lacks_report
    if expected is not None and decided and expected is (record.state is State.FAILED):
        raise Unusable("the case is decided otherwise; run it again with --again")


def judge_by_person(record: CaseRecord, by: str, *, expected: bool | None, comment: str) -> None:
    """Record a person's comment on a case and their result, which decides it if the logs have not.

    Stored evidence completes a case that lacked a report to DIGG.
    """
    if expected is not None and not record.state.final:
        record.state, record.judged_by = State.PASSED if expected else State.FAILED, by
    elif record.lacks_report and record.files:
        record.state = State.PASSED
    if record.state.final and record.lacks_report:
        record.seen = record.seen.replace(
            NO_REPORT, "Rapport till Digg bifogas." if record.files else NO_REPORT
        )
        record.lacks_report = False
    record.comment = comment or record.comment


def _suffix(file: Path) -> str:
    """Return the file's extension if it is alphanumeric; the rest of the name may contain people's names."""
    suffix = file.suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() else ""


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    remove(draft)
    write_new(draft, data)
    os.replace(draft, path)
    sync_folder(path.parent)


def _read(document: Mapping[str, Any]) -> TestProtocol:
    if (document["format"], document["format_version"]) != (_FORMAT, _VERSION):
        raise ValueError
    texts = {name: _text(document[name]) for name in ("party", "participant", "model", "version", "tester")}
    cases = {case.id: _case(document["cases"][case.id]) for case in CASES}
    return TestProtocol(**texts, cases=cases)


def _case(document: Mapping[str, Any]) -> CaseRecord:
    rows = {
        "log": [_row(row, ("at", "where", "event"), facts=True) for row in document["log"]],
        "files": [_row(row, ("name", "sha256", "by", "at")) for row in document["files"]],
    }
    names = {each.name for each in fields(CaseRecord)} - {"state", "lacks_report", *rows}
    record = CaseRecord(State(document["state"]), lacks_report=document["lacks_report"] is True)
    for name, value in {name: _text(document[name]) for name in names}.items():
        setattr(record, name, value)
    record.log, record.files = rows["log"], rows["files"]
    if record.begun_at and datetime.fromisoformat(record.begun_at).tzinfo is None:
        raise ValueError
    return record


def _row(row: Mapping[str, Any], names: Sequence[str], *, facts: bool = False) -> Row:
    texts: Row = {name: _text(row[name]) for name in names}
    if facts:
        texts["facts"] = {name: _text(value) for name, value in row["facts"].items()}
    return texts


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
