"""The doctor's check of cover by agreements: which roles have it, until when, and since when not.

Before that it looks whether each role's record of statements has what was stored in it.

An organisation without governance here, or with a record that has not begun, has only its inherited rights. A
role whose copy lacks the newest statements decides without them, and is reported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from samdrift.administration.administration import Administration
from samdrift.administration.covering import standings
from samdrift.contracts import workers
from samdrift.contracts.cover import Mode
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.coverage import Standing
from samdrift.governance.records import RecordBroken
from samdrift.installation.cover import canaries_of
from samdrift.operations.findings import Finding, Subject
from samdrift.vault.errors import VaultError
from samdrift.vault.heads import RecordBehind
from samdrift.vault.people import StatementKeeping
from samdrift.vault.signedstatements import SignedStatementKeeping
from samdrift.wire.identifiers import ParticipantIdentifier

_WHY = "functions without an agreement are performed without the duties that the federation's rules require"
_WHY_COPIED = "a role decides from its own copy: an end that the copy lacks has no effect there"
_WHY_BEHIND = "a right that ended would be had again by whoever deletes its end from the database"
_SOON = 30


async def check_agreements(installation: Administration, now: datetime) -> AsyncIterator[Finding]:
    """Check that agreements cover each role of each organisation, and for how long."""
    registry = installation.gate.registry
    served = {one.organisation for one in registry.all()} - set(canaries_of(installation.config))
    for organisation in sorted(served, key=str):
        for finding in await _of(installation, organisation, now.astimezone(UTC)):
            yield finding


def judge(found: Standing, organisation: str, now: datetime) -> Finding:
    """Judge the cover of one role."""
    subject = Subject(f"agreements.{found.function.value}", _WHY, organisation)
    todo = f"samdrift gov coverage {organisation} names each gap; docs/agreements.md"
    if found.mode is Mode.OFF:
        return subject.warn("has never been covered by agreements", todo)
    if found.mode is not Mode.ON:
        since = "" if found.since is None else f" since {found.since:%Y-%m-%d}"
        return subject.fail(f"is not covered by agreements{since}", todo)
    until = "" if found.until is None else f" until {found.until:%Y-%m-%d}"
    if found.inherited:
        return subject.fail(f"is covered only by inherited rights{until}", todo)
    warning = found.warning(now)
    if warning is None or warning > _SOON:
        return subject.ok(f"covered by agreements{until}")
    return subject.warn(f"covered by agreements{until}, within {warning} days", todo)


async def _of(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> list[Finding]:
    if gaps := await _behind_heads(installation, organisation):
        return gaps
    subject = Subject("agreements", _WHY, organisation.value)
    try:
        found = await standings(installation, organisation, now)
    except VaultError as error:  # The vault is locked or unreachable; its deadlines still run.
        return [subject.skipped(str(error))]
    except (RecordBroken, RightsBehind) as error:  # The other organisations are still judged.
        return [subject.fail(str(error), "docs/officers.md describes how a record is verified and restored")]
    judged = [judge(each, organisation.value, now) for each in found.roles.values()]
    behind = (_behind(role, has, found.number, organisation.value) for role, has in found.behind.items())
    return [*judged, *behind]


async def _behind_heads(installation: Administration, organisation: ParticipantIdentifier) -> list[Finding]:
    """Return a finding for each role that decides nothing because its statements are behind their head."""
    found = []
    for role in Role:
        if installation.gate.registry.find(organisation, role) is None:
            continue
        try:
            async with installation.gate.open(
                workers.AGREEMENTS, organisation, role, Purpose.MAINTAIN
            ) as vault:
                assert isinstance(vault, SignedStatementKeeping)
                await vault.last_signed_statement()
                if isinstance(vault, StatementKeeping):
                    await vault.last_statement()
        except RecordBehind as error:
            subject = Subject(f"record.{role.value}", _WHY_BEHIND, organisation.value)
            found.append(subject.fail(str(error), "docs/backup.md#a-record-behind-its-head"))
        except VaultError:  # Reported by what follows.
            continue
    return found


def _behind(role: Role, has: int, wanted: int, organisation: str) -> Finding:
    subject = Subject(f"statements.{role.value}", _WHY_COPIED, organisation)
    todo = f"samdrift gov statement copy {organisation}, once its vault is unlocked"
    return subject.fail(f"has {has} of {wanted} signed statements and decides without the rest", todo)
