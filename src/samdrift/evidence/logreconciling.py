"""Reconciliation of exported logs: each is verified first, and only proved entries are compared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import Retention
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed
from samdrift.evidence.logexport import Description, Progress, describe_log, verify_log
from samdrift.evidence.logreading import entries_of
from samdrift.evidence.reconciliation import SOURCES, ReadLog


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """An exported log with its verdict and, if it is valid, the proved entries to compare."""

    name: str
    verdict: LogVerdict
    read: ReadLog | None


def read_verified(
    path: Path,
    policies: Sequence[Policy],
    since: datetime | None = None,
    progress: Progress = lambda done: None,
) -> VerifiedLog:
    """Verify an exported log by the policy that has its key, and read its proved entries from ``since`` on.

    Raise :class:`Malformed` if it cannot be used, or is not a log of transfers.
    """
    described = describe_log(path)
    organisation, _, role = described.name.rpartition(" ")
    if role not in SOURCES or not organisation:
        raise Malformed("it is not the log of an organisation's access point, message service or client")
    verifier = LogVerifier(_policy(described, policies), int(time.time()))
    verdict = verify_log(path, verifier, progress=progress)
    if not verdict.holds:
        return VerifiedLog(described.name, verdict, None)
    return VerifiedLog(
        described.name,
        verdict,
        ReadLog.of(
            described.name,
            organisation,
            role,
            _proved(path, verdict, role, since),
            whole=since is None,
            disposed=[Retention[each.retention.upper()] for each in verdict.disposed],
        ),
    )


def _policy(described: Description, policies: Sequence[Policy]) -> Policy:
    """Return the policy that has a key of the log; raise :class:`Malformed` if none has."""
    keys = {each.key for each in described.keys}
    for policy in policies:
        if keys & {member.key for member in policy.logs}:
            return policy
    raise Malformed("none of the given policies has a key of this log")


def _proved(path: Path, verdict: LogVerdict, role: str, since: datetime | None) -> Iterator[LogEntry]:
    """Yield the entries that a checkpoint covers; raise :class:`Malformed` for one of another role's log."""
    end = verdict.first + verdict.size
    for entry in entries_of(path):
        if entry.sequence >= end:
            return
        source = entry.event.partition(":")[0]
        if source in SOURCES and source != role:
            raise Malformed(
                f"it claims to be the log {role} but contains events of {source}", f"entry {entry.sequence}"
            )
        if since is None or entry.at >= since:
            yield entry
