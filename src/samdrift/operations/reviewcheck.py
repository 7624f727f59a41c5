"""The doctor's check of reviews of rights: unanswered, overdue, and not made for a year."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from samdrift.administration.administration import Administration
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.records import RecordBroken, Records
from samdrift.governance.reviews import EVERY, ItemState, never_reviewed, reviews
from samdrift.operations.findings import Finding, Subject
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

_WHY = "a right that is never reviewed outlasts its need"
_SOON = timedelta(days=7)
_YEAR_SOON = timedelta(days=30)


async def check_reviews(installation: Administration, now: datetime) -> AsyncIterator[Finding]:
    """Check that reviews are answered, closed and made yearly, for each organisation with governance here."""
    governed = {one.organisation for one in installation.gate.registry.all() if one.role is Role.GOVERNANCE}
    for organisation in sorted(governed, key=str):
        for finding in await _of(installation, organisation, now.astimezone(UTC)):
            yield finding


def judge(record: Record, organisation: str, now: datetime) -> list[Finding]:
    """Judge the reviews in one record; return no finding when no right was ever given."""
    subject = Subject("reviews", _WHY, organisation)
    found = reviews(record.state, now)
    over = [each for each in found if each.overdue(now)]
    waits = [
        each
        for each in found
        if each.closed is None and each.count(ItemState.WAITS) and each.opened.due - now <= _SOON
    ]
    oldest = never_reviewed(record, now)
    if not oldest and not found:
        return []
    listed = f"samdrift gov review list {organisation} --reason WHY; docs/reviews.md"
    late = [scope for scope, since in oldest.items() if now - since > EVERY]
    if over:
        return [
            subject.fail(
                f"{len(over)} reviews have ended but are not closed: no rights are removed without an answer",
                listed,
            )
        ]
    if late:
        return [subject.fail(f"rights in {len(late)} places were not reviewed for a year", listed)]
    if waits:
        return [
            subject.warn(f"{len(waits)} reviews end within {_SOON.days} days without all answers", listed)
        ]
    soon = [scope for scope, since in oldest.items() if now - since > EVERY - _YEAR_SOON]
    if soon:
        text = f"rights in {len(soon)} places are to be reviewed within {_YEAR_SOON.days} days"
        return [subject.warn(text, listed)]
    return [subject.ok(f"{len(oldest)} places, each reviewed or granted within a year")]


async def _of(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> list[Finding]:
    subject = Subject("reviews", _WHY, organisation.value)
    try:
        record = await Records(installation.gate, lambda: now).read(organisation)
    except VaultError as error:  # No review is closed while the vault is locked; its deadlines still run.
        return [subject.skipped(str(error))]
    except (RecordBroken, RightsBehind):
        return []  # The check of agreements reports this.
    return judge(record, organisation.value, now)
