"""An organisation's cover by agreements, as a command determines it: from the record of its governance, and
from the agreement that each of its vaults inherited.
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
    """The standing of each role of an organisation, and the copies that lack statements."""

    roles: Mapping[Role, Standing]
    behind: Mapping[Role, int]
    """The number of statements that a role has, where it has fewer than the record."""
    number: int
    """The number of statements in the record."""


async def standings(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Standings:
    """Return how an organisation's roles stand by its record.

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
    """Return from when until when one inherited agreement covers an organisation, if it does."""
    for role in Role:
        if installation.gate.registry.find(organisation, role) is not None:
            return (await _facts(installation, organisation, role)).inherited
    return None


async def _facts(installation: Administration, organisation: ParticipantIdentifier, role: Role) -> CoverFacts:
    async with installation.gate.open(workers.AGREEMENTS, organisation, role, Purpose.MAINTAIN) as vault:
        assert isinstance(vault, CoverKeeping)
        return await vault.cover_facts()
