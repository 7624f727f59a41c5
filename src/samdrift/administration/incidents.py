"""Incidents of one organisation, and incidents of the operator, reported to each organisation concerned."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC

from samdrift.administration.administration import Administration, note, record_command
from samdrift.administration.governing import Governance
from samdrift.audit.entries import LogEntry
from samdrift.config.errors import Unusable
from samdrift.contracts import workers
from samdrift.contracts.principals import ORGANISATIONS_OWN, Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.trace import Asked
from samdrift.governance.incidents import (
    EVENTS,
    IncidentEvent,
    Known,
    concerned,
    facts_of,
    from_log,
    id_of,
    known_incidents,
)
from samdrift.net.clock import system_clock
from samdrift.rights.incidentfold import Incident
from samdrift.rights.incidents import IncidentAct, IncidentOpened, IncidentTold
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 2000


async def incidents_of(
    installation: Administration, organisation: ParticipantIdentifier
) -> tuple[Known, ...]:
    """Return an organisation's incidents: its own, and those that the operator has reported to it."""
    record = Record(organisation.value)
    if installation.gate.registry.find(organisation, Role.GOVERNANCE) is not None:
        record = await Governance(installation, organisation).read()
    entries: list[LogEntry] = []
    role = _first_role(installation, organisation)
    if role is not None:
        async with installation.gate.open(workers.GOVERNANCE, organisation, role, Purpose.TRACE) as vault:
            after = 0
            while found := await vault.log(after, _PAGE):
                entries += [each for each in found if each.event in tuple(IncidentEvent)]
                after = found[-1].sequence
    return known_incidents(record, entries)


def _first_role(installation: Administration, organisation: ParticipantIdentifier) -> Role | None:
    """Return the role whose log records matters of the whole organisation."""
    find = installation.gate.registry.find
    return next((each for each in ORGANISATIONS_OWN if find(organisation, each)), None)


async def operators_incidents(
    installation: Administration,
) -> tuple[dict[str, Incident], dict[str, set[str]]]:
    """Return the operator's own incidents, and the organisations that each of them concerns."""
    entries: list[LogEntry] = []
    after = 0
    while found := await installation.gate.read_operator_log(after, _PAGE):
        entries += [each for each in found if each.event in tuple(IncidentEvent)]
        after = found[-1].sequence
    return from_log(entries), concerned(entries)


async def open_for(
    installation: Administration,
    act: IncidentOpened,
    organisations: Sequence[ParticipantIdentifier],
    asked: Asked,
) -> tuple[str, list[str]]:
    """Open an incident that concerns several organisations, and report it in each one's log.

    Returns its id, and the organisations whose logs could not be written because none of their vaults opens.
    """
    known = {one.organisation for one in installation.gate.registry.all()}
    strangers = [str(each) for each in organisations if each not in known]
    if strangers or not organisations:
        raise Unusable(f"not served here: {', '.join(strangers) or 'name an organisation'}")
    identifier = id_of(act, system_clock().astimezone(UTC))
    await _record(installation, act, identifier, sorted(set(organisations), key=str), asked)
    return identifier, await _unreported(installation, identifier, organisations)


async def add(
    installation: Administration, identifier: str, act: IncidentAct, asked: Asked
) -> tuple[str, ...]:
    """Add a statement to an incident of the operator, in the log of each organisation concerned."""
    known, whose = await operators_incidents(installation)
    incident = known.get(identifier)
    if incident is None:
        raise Unusable("there is no such incident of the operator's: samdrift gov incident shared list")
    if isinstance(act, IncidentTold) and (act.clock not in incident.clocks or act.clock in incident.told):
        raise Unusable("that clock is not running, or has already been stopped")
    served = {str(one.organisation): one.organisation for one in installation.gate.registry.all()}
    here = [served[each] for each in sorted(whose[identifier]) if each in served]
    await _record(installation, act, identifier, here, asked)
    return tuple(map(str, here))


async def _record(
    installation: Administration,
    act: IncidentAct,
    identifier: str,
    organisations: Sequence[ParticipantIdentifier],
    asked: Asked,
) -> None:
    await record_command(installation, "gov incident shared", asked, None)
    facts = facts_of(act, asked.reason) | {"incident": identifier} | asked.elsewhere().proof.facts()
    gate, event, principal = installation.gate, EVENTS[type(act)], Principal(PrincipalKind.OPERATOR, asked.by)
    for each in organisations:
        await note(installation, event, asked.by, each, facts)
        if _first_role(installation, each) is not Role.GOVERNANCE:  # The pages read only governance's log.
            await gate.record_for_organisation(principal, each, event, facts, (Role.GOVERNANCE,))


async def _unreported(
    installation: Administration, identifier: str, organisations: Sequence[ParticipantIdentifier]
) -> list[str]:
    unreported = []
    for each in organisations:
        reported = False
        with contextlib.suppress(VaultError):
            reported = any(
                known.incident.id == identifier for known in await incidents_of(installation, each)
            )
        unreported += [] if reported else [str(each)]
    return unreported
