"""Cover by agreements, as the doctor sees it: which roles have it, until when, and since when not.

Nothing about an organisation without governance here, or whose record does not begin: it keeps none yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from samdrift.administration.administration import Administration
from samdrift.contracts.cover import Mode
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.coverage import Basis, Standing, standing
from samdrift.governance.duties.catalogue import shipped
from samdrift.governance.records import RecordBroken, Records
from samdrift.operations.findings import Finding, Subject
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import ROLES, Function, Party
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

_WHY = "what no agreement covers is performed without the duties that the federation's rules demand"
_SOON = 30


async def check_agreements(installation: Administration, now: datetime) -> AsyncIterator[Finding]:
    """Check for each role of each organisation that agreements cover it, and for how long."""
    registry = installation.gate.registry
    governed = {one.organisation for one in registry.all() if one.role is Role.GOVERNANCE}
    for organisation in sorted(governed, key=str):
        for finding in await _of(installation, organisation, now.astimezone(UTC)):
            yield finding


def judge(found: Standing, organisation: str, now: datetime) -> Finding:
    """Judge how one role stands."""
    subject = Subject(f"agreements.{found.function.value}", _WHY, organisation)
    todo = f"samdrift gov coverage {organisation} names each gap; docs/agreements.md"
    if found.mode is Mode.OFF:
        return subject.warn("has never been covered by agreements", todo)
    if found.mode is not Mode.ON:
        since = "" if found.since is None else f" since {found.since:%Y-%m-%d}"
        return subject.fail(f"is not covered by agreements{since}", todo)
    until = "" if found.until is None else f" until {found.until:%Y-%m-%d}"
    if found.inherited:
        return subject.fail(f"rests on what was there before agreements{until}", todo)
    warning = found.warning(now)
    if warning is None or warning > _SOON:
        return subject.ok(f"covered by agreements{until}")
    return subject.warn(f"covered by agreements{until}, within {warning} days", todo)


async def _of(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> list[Finding]:
    subject = Subject("agreements", _WHY, organisation.value)
    try:
        record = await Records(installation.gate, lambda: now).read(organisation)
    except VaultError as error:  # A locked vault shows nothing now; its clocks run on.
        return [subject.skipped(str(error))]
    except (RecordBroken, RightsBehind) as error:  # The others' are judged all the same.
        return [subject.fail(str(error), "docs/officers.md says how a record is verified and restored")]
    if not record.number:
        return []
    agreements = next(each for each in record.folds if isinstance(each, Agreements))
    find = installation.gate.registry.find
    here = [role for role in Role if role.value in ROLES and find(organisation, role) is not None]
    performers: dict[Function, Party | None] = {Function(role.value): None for role in here}
    basis = Basis(agreements, shipped(), performers)
    return [judge(standing(basis, each, now), organisation.value, now) for each in performers]
