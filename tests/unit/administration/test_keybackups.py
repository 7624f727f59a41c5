"""Closing an organisation names every wrapped backup of its keys, and none of another organisation."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from samdrift.administration.closing import made_backups
from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import NOW

HABO, MULLSJO = ParticipantIdentifier("0203:habo.se"), ParticipantIdentifier("0203:mullsjo.se")


def entry(
    sequence: int, event: AuditEvent, organisation: ParticipantIdentifier, backup: str = ""
) -> LogEntry:
    ids = {"organisation": organisation.value, "backup": backup, "first": "anna", "second": "bo"}
    return LogEntry(sequence, NOW, event, "platform", "", ids, b"", b"")


class Log:
    """An operator's log that returns at most two entries at a time."""

    def __init__(self, *entries: LogEntry) -> None:
        self._entries = entries

    async def read(self, after: int, limit: int) -> Sequence[LogEntry]:
        return [each for each in self._entries if each.sequence > after][:2]


async def test_every_backup_of_the_organisation_is_named_however_long_the_log() -> None:
    log = Log(
        entry(1, AdminEvent.KEYS_BACKED_UP, HABO, "20260302-3f2a91"),
        entry(2, OrgEvent.KEYS_CREATED, HABO),
        entry(3, AdminEvent.KEYS_BACKED_UP, MULLSJO, "20260302-77aa01"),
        entry(4, OrgEvent.KEYS_RESTORED, HABO, "20260302-3f2a91"),
        entry(5, AdminEvent.KEYS_BACKED_UP, HABO, "20260303-0c0d0e"),
    )
    found = await made_backups(cast(Any, SimpleNamespace(read_operator_log=log.read)), HABO)
    assert [each["number"] for each in found] == ["20260302-3f2a91", "20260303-0c0d0e"]
    assert {name for each in found for name in each["held_by"]} == {"anna", "bo"}
