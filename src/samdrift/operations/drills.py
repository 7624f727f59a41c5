"""The record of a restore drill: an entry of the operator's log, which the compliance report reads.

Whoever drills records, when it is over, :attr:`DrillEvent.ORGANISATION_RESTORE_DRILLED` with these facts:
``organisation`` (of one that was restored; absent where it was the whole installation), ``backup`` (its
SHA-256 or number), ``taken`` (moment of the backup, ISO 8601), ``compared`` and ``differences`` (entries of
the restored logs and records, against the running ones), ``seconds`` (how long it took) and ``passed``
(``true`` or ``false``).
"""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.governance.duties.catalogue import Text
from samdrift.governance.report import Collected


class DrillEvent(AuditEvent):
    """An event of a restore drill."""

    ORGANISATION_RESTORE_DRILLED = "org:restore:drilled"
    """A backup was restored beside what runs, and compared with it."""


def of_drill(entry: LogEntry) -> Collected:
    """Judge a restore drill: good where it passed, compared something, and found no difference."""
    facts = entry.ids
    compared, differences = facts.get("compared", "0"), facts.get("differences", "?")
    seconds = facts.get("seconds", "?")
    good = facts.get("passed") == "true" and differences == "0" and compared.isdigit() and int(compared) > 0
    text = Text(
        f"{compared} jämförda, {differences} skiljer, {seconds} s",
        f"{compared} compared, {differences} differ, {seconds} s",
    )
    return Collected(entry.at, good, text)


def last_drill(entries: Iterable[LogEntry], organisation: str) -> LogEntry | None:
    """Return the last drill of an organisation, or of the whole installation, in the operator's log."""
    found = None
    for entry in entries:
        if entry.event == DrillEvent.ORGANISATION_RESTORE_DRILLED:
            about = entry.ids.get("organisation", "")
            found = entry if about in ("", organisation) else found
    return found
