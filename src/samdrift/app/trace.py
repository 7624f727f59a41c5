"""The way of one message, put together from the logs of the vaults that it passed here.

Facts only: the logs hold no content, and so does a trace (R8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_TRACER = Principal(PrincipalKind.WORKER, "trace")
_PLACES = {Role.MESSAGE_SERVICE: "message service", Role.ACCESS_POINT: "access point"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a message: when, in whose part of which role, what, under which ids."""

    at: datetime
    where: str
    what: str
    ids: dict[str, str]


async def trace(gate: Gate, organisation: ParticipantIdentifier, message_id: str) -> tuple[Step, ...]:
    """Every logged step of a message and of its receipt, at this organisation, the earliest first."""
    roles = [role for role in _PLACES if gate.registry.serves(organisation, role)]
    found: dict[tuple[Role, int], Step] = {}
    wanted, seen = [message_id], set[str]()
    while wanted:
        identifier = wanted.pop()
        seen.add(identifier)
        for role in roles:
            for entry in await _entries(gate, organisation, role, identifier):
                found[role, entry.sequence] = _step(organisation, role, entry)
                wanted += {*_receipt(entry)} - seen
    return tuple(sorted(found.values(), key=lambda step: step.at))


async def _entries(
    gate: Gate, organisation: ParticipantIdentifier, role: Role, identifier: str
) -> Iterable[LogEntry]:
    """Entries about that message or envelope; those that only share its conversation are of others."""
    async with gate.open(_TRACER, organisation, role, Purpose.TRACE) as vault:
        entries = await vault.find_log(identifier)
    return [entry for entry in entries if identifier in (entry.ids.get("message"), entry.ids.get("envelope"))]


def _receipt(entry: LogEntry) -> list[str]:
    """The envelope of the receipt for the message, where an entry of the message service names it."""
    return [entry.ids["envelope"]] if "envelope" in entry.ids and "message" in entry.ids else []


def _step(organisation: ParticipantIdentifier, role: Role, entry: LogEntry) -> Step:
    return Step(entry.at, f"{organisation.value} {_PLACES[role]}", entry.event, dict(entry.ids))
