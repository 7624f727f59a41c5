"""The path of one message, collected from the logs of the vaults that it passed through here.

The logs hold facts only and no content, and so does a trace (R8). Events at a supplier that the
organisation came from are in the logs that it brought with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import NOT_PROVEN, Principal, PrincipalKind, Proof, Purpose, Role
from samdrift.evidence.events import ProofEvent
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_PLACES = {
    Role.MESSAGE_CLIENT: "message client",
    Role.MESSAGE_SERVICE: "message service",
    Role.ACCESS_POINT: "access point",
    Role.GOVERNANCE: "governance",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The person who looks into an organisation's logs, and the reason, both recorded in each of them."""

    by: str
    reason: str
    """Empty if the person signed the reason, which is then in the record of statements."""
    account: str = ""
    """Operating system account that runs the command."""
    proof: Proof = NOT_PROVEN
    """Proof that the caller is the person named."""

    def facts(self) -> dict[str, str]:
        """Return the person and reason as facts of a log entry, with the account if it is another."""
        other = {"account": self.account} if self.account not in ("", self.by) else {}
        reason = {"reason": self.reason} if self.reason else {}
        return {"by": self.by, **reason, **other, **self.proof.facts()}

    def elsewhere(self) -> Asked:
        """Return a copy for each log when a command names several organisations.

        If the reason was signed, its proof only points to the operator's log, which has the signed text.
        """
        return replace(self, proof=self.proof.elsewhere())


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a message: its time, organisation and role, the event, and its ids."""

    at: datetime
    where: str
    what: str
    ids: dict[str, str]
    organisation: str
    role: Role
    principal: str
    """Kind and name of the actor, as in the log."""
    number: int
    """Number of the entry in its log."""
    former: bool = False
    """True for an entry in a log that the organisation brought from a former supplier."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A log entry about a message, and the log that it is in."""

    role: Role
    former: bool
    """True for an entry in a log that the organisation brought from a former supplier."""
    entry: LogEntry


async def trace(
    gate: Gate, organisation: ParticipantIdentifier, message_id: str, asked: Asked
) -> tuple[Step, ...]:
    """Return every logged step of a message and its receipt in this organisation, earliest first.

    The request is recorded in each of its logs before anything is read. Raises
    :class:`~samdrift.vault.errors.VaultUnavailable` if one of them cannot be opened now.
    """
    roles = [role for role in _PLACES if gate.registry.find(organisation, role)]
    tracer = Principal(PrincipalKind.WORKER, f"trace by {asked.by}")
    for role in roles:
        async with gate.open(tracer, organisation, role, Purpose.TRACE) as vault:
            facts = {"about": message_id, "by": asked.by, "reason": asked.reason}
            vault.record(ProofEvent.ORGANISATION_TRACED, **facts)
    found = await entries(gate, tracer, Purpose.TRACE, organisation, roles, message_id)
    return tuple(_step(organisation, one) for one in found)


async def entries(
    gate: Gate,
    principal: Principal,
    purpose: Purpose,
    organisation: ParticipantIdentifier,
    roles: Iterable[Role],
    message_id: str,
    most: int | None = None,
) -> tuple[Logged, ...]:
    """Return the entries of the organisation's logs about a message and its receipt, earliest first.

    Raises :class:`~samdrift.vault.errors.TooManyEntries` if a log has more than ``most`` about either.
    """
    found: dict[tuple[Role, bool, bytes], Logged] = {}
    wanted, seen = [message_id], set[str]()
    while wanted:
        identifier = wanted.pop()
        seen.add(identifier)
        for role in roles:
            async with gate.open(principal, organisation, role, purpose) as vault:
                own = await vault.find_log(identifier, most)
                former = await vault.find_former_log(identifier, most)
            named = [Logged(role, False, entry) for entry in own]
            named += [Logged(role, True, entry) for entry in former]
            for one in named:
                if identifier in (one.entry.ids.get("message"), one.entry.ids.get("envelope")):
                    found[role, one.former, one.entry.hash] = one
                    wanted += {*_receipt(one.entry)} - seen
    return tuple(sorted(found.values(), key=lambda one: one.entry.at))


def _receipt(entry: LogEntry) -> list[str]:
    """Return the envelope of the message's receipt, if an entry of the message service names it."""
    return [entry.ids["envelope"]] if "envelope" in entry.ids and "message" in entry.ids else []


def _step(organisation: ParticipantIdentifier, one: Logged) -> Step:
    where = f"{organisation.value} {_PLACES[one.role]}{' of a former supplier' if one.former else ''}"
    entry = one.entry
    return Step(
        entry.at,
        where,
        entry.event,
        dict(entry.ids),
        organisation.value,
        one.role,
        entry.principal,
        entry.sequence,
        one.former,
    )
