"""An organisation's cover by agreements, as determined by a command.

It depends on the record of the organisation's governance, and on the agreement that its vaults inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from samdrift.administration.administration import Administration
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.coverage import Basis, Standing, standing
from samdrift.governance.duties.catalogue import shipped
from samdrift.governance.records import Records
from samdrift.installation.cover import COVERED_ROLES, operator_of
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import Function
from samdrift.rights.folding import State
from samdrift.vault.coverkeeping import CoverFacts, CoverKeeping
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Standings:
    """Cover of each role of an organisation, and the copies that lack statements."""

    roles: Mapping[Role, Standing]
    behind: Mapping[Role, int]
    """Number of statements in the copy of each role that has fewer than the record."""
    number: int
    """Number of statements in the record."""


async def standings(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Standings:
    """Return the standing of an organisation's roles according to its record.

    Raises the vault's error if one is locked or unreachable, and the record's if it is invalid.
    """
    find, operator = installation.gate.registry.find, operator_of(installation.config)
    agreements, number = Agreements.of(State(organisation.value)), 0
    if find(organisation, Role.GOVERNANCE) is not None:
        record = await Records(installation.gate, lambda: now).read(organisation)
        agreements = next(each for each in record.folds if isinstance(each, Agreements))
        number = record.number
    found, behind = dict[Role, Standing](), dict[Role, int]()
    for role in COVERED_ROLES:
        if find(organisation, role) is None:
            continue
        facts = await _facts(installation, organisation, role)
        function = Function(role.value)
        moment = max(now, facts.inherited[0]) if facts.inherited is not None else now
        basis = Basis(agreements, shipped(), {function: operator}, facts.inherited)
        found[role] = standing(basis, function, moment)
        if facts.statements < number:
            behind[role] = facts.statements
    return Standings(found, behind, number)


async def inherited_by(
    installation: Administration, organisation: ParticipantIdentifier
) -> tuple[datetime, datetime] | None:
    """Return start and end of the cover by one inherited agreement, or ``None`` if there is none."""
    for role in Role:
        if installation.gate.registry.find(organisation, role) is not None:
            return (await _facts(installation, organisation, role)).inherited
    return None


async def _facts(installation: Administration, organisation: ParticipantIdentifier, role: Role) -> CoverFacts:
    async with installation.gate.open(workers.AGREEMENTS, organisation, role, Purpose.MAINTAIN) as vault:
        assert isinstance(vault, CoverKeeping)
        return await vault.cover_facts()
