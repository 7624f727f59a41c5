"""Attempts at the gate: as everybody who is somebody else, and for another's records in one's own vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.isolationcheck.canary import CHECKER, Planted, nonexistent
from samdrift.isolationcheck.ledger import Ledger
from samdrift.vault.bodies import BodyReader
from samdrift.vault.errors import UnknownRecord, VaultDenied
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

NAME = "isolation-check"
KINDS: Mapping[PrincipalKind, str] = {
    PrincipalKind.WORKER: "worker",
    PrincipalKind.SYSTEM: "system",
    PrincipalKind.USER: "user",
    PrincipalKind.OPERATOR: "operator's staff",
}
"""The name of each kind in a result; a kind without a name has not been considered."""


def strangers(own: ParticipantIdentifier, theirs: ParticipantIdentifier) -> dict[str, Principal]:
    """Everybody who may not open a vault of ``theirs``: those of ``own``, those of nobody, the staff.

    A user of another organisation is a user whatever that organisation lets it
    do, so that its administrator is one too.
    """
    found = {
        f"another organisation's {name}": Principal(kind, NAME, own.value) for kind, name in KINDS.items()
    }
    for kind in (PrincipalKind.SYSTEM, PrincipalKind.USER):
        found[f"anonymous {KINDS[kind]}"] = Principal(kind, "")
    found["another organisation's administrator"] = Principal(PrincipalKind.USER, "administrator", own.value)
    for which, organisation in (("", None), (" in the organisation's name", theirs.value)):
        found[f"operator's staff{which}"] = Principal(PrincipalKind.OPERATOR, NAME, organisation)
    return found


def not_staff(own: ParticipantIdentifier, theirs: ParticipantIdentifier) -> dict[str, Principal]:
    """Everybody who may not do what the operator's staff may: the organisation's own among them."""
    others = {actor: one for actor, one in strangers(own, theirs).items() if not _is_staff(one)}
    of_its_own = {
        f"the organisation's own {KINDS[kind]}": Principal(kind, NAME, theirs.value)
        for kind in PrincipalKind
        if kind is not PrincipalKind.OPERATOR
    }
    return others | of_its_own


def _is_staff(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.OPERATOR


GATE, SEARCH, LOG = "gate", "search", "log"
Question = Callable[[Any, Planted], Awaitable[object]]
_MOST = 1000
_OWN = "another organisation's own processes"


async def at_gate(
    gate: Gate, own: ParticipantIdentifier, theirs: ParticipantIdentifier, ledger: Ledger
) -> None:
    """Open the other's vaults as everybody who may not; each denial must be recorded in the other's log.

    In every role in which an organisation is hosted here.
    """
    for role in hosted_roles(gate):
        if not gate.registry.serves(theirs, role):
            ledger.untried(GATE, f"open {role}", "anybody", "the canary has no such vault", expected=True)
            continue
        end = await _log_end(gate, theirs, role)
        everybody = strangers(own, theirs)
        for actor, principal in everybody.items():
            opening = gate.open(principal, theirs, role, Purpose.READ)
            ledger.tried(GATE, f"open {role}", actor, await _enters(opening))
        noted = await _denials(gate, theirs, role, end)
        leak = "" if noted >= len(everybody) else "the organisation's log does not tell of each denial"
        ledger.tried(LOG, f"open {role} without a trace", "anybody", leak)
    if gate.registry.serves(theirs, Role.ACCESS_POINT):
        for actor, principal in not_staff(own, theirs).items():
            ledger.tried(GATE, "operate", actor, await _enters(gate.operate(principal, theirs)))


def hosted_roles(gate: Gate) -> tuple[Role, ...]:
    """The roles in which any organisation has a vault here: there is nothing to try in the others."""
    hosted = {one.role for one in gate.registry.all()}
    return tuple(role for role in Role if role in hosted)


async def in_own_vaults(gate: Gate, own: ParticipantIdentifier, planted: Planted, ledger: Ledger) -> None:
    """Ask one's own vaults for another's records, by all that can be asked for without changing anything."""
    for role, (everything, by_name) in QUESTIONS.items():
        if gate.registry.serves(own, role):
            async with gate.open(CHECKER, own, role, Purpose.MAINTAIN) as vault:
                for name, question in {**everything, **by_name}.items():
                    leak = await _learned(vault, question, planted, compare=name in by_name)
                    ledger.tried(LOG if "log" in name else SEARCH, f"{role}: {name}", _OWN, leak)


async def _learned(vault: Any, question: Question, planted: Planted, *, compare: bool) -> str:
    """Return the leak: another organisation's records are returned, or answered differently from nonexistent
    ones.
    """
    told = await _told(vault, question, planted)
    if any(trace in told for trace in planted.traces):
        return "the answer tells of it"
    if compare and told != await _told(vault, question, nonexistent(planted.created_at)):
        return "the answer is another one than for what nobody has"
    return ""


async def _told(vault: Any, question: Question, planted: Planted) -> str:
    try:
        return repr(await question(vault, planted))
    except UnknownRecord:
        return "unknown"


async def _content(body: Awaitable[BodyReader]) -> bytes:
    return await (await body).read_all()


_OF_RECORDS: tuple[Mapping[str, Question], Mapping[str, Question]] = (
    {
        "log": lambda vault, planted: vault.log(limit=_MOST),
        "records": lambda vault, planted: vault.records(_MOST),
    },
    {"find_log": lambda vault, planted: vault.find_log(planted.message_id)},
)
QUESTIONS: Mapping[Role, tuple[Mapping[str, Question], Mapping[str, Question]]] = {
    Role.ACCESS_POINT: (
        {
            "log": lambda vault, planted: vault.log(limit=_MOST),
            "waiting": lambda vault, planted: vault.waiting(_MOST),
            "events": lambda vault, planted: vault.events(0, _MOST),
            "inbox": lambda vault, planted: vault.inbox(_MOST),
            "refused": lambda vault, planted: vault.refused(_MOST),
        },
        {
            "find_log": lambda vault, planted: vault.find_log(planted.envelope_id),
            "status": lambda vault, planted: vault.status(planted.envelope_id),
            "attempts": lambda vault, planted: vault.attempts(planted.transfer_id),
            "proof": lambda vault, planted: vault.proof(planted.transfer_id),
            "outgoing_body": lambda vault, planted: _content(vault.outgoing_body(planted.transfer_id)),
        },
    ),
    Role.MESSAGE_SERVICE: (
        {
            "log": lambda vault, planted: vault.log(limit=_MOST),
            "messages": lambda vault, planted: vault.messages(limit=_MOST),
            "messages after a place": lambda vault, planted: vault.messages(
                before=(planted.created_at, planted.message_id, Direction.OUT)
            ),
            "mailboxes": lambda vault, planted: vault.messages(mailboxes=[planted.address]),
            "messages by sender": lambda vault, planted: vault.messages(
                sender_addresses=[planted.address], limit=_MOST
            ),
            "changes": lambda vault, planted: vault.changes(0, _MOST),
        },
        {
            "find_log": lambda vault, planted: vault.find_log(planted.message_id),
            "message": lambda vault, planted: vault.message(planted.message_id),
            "body": lambda vault, planted: _content(vault.body(planted.message_id, Direction.OUT)),
            "status_events": lambda vault, planted: vault.status_events(planted.message_id, Direction.OUT),
            "receipt_for_message": lambda vault, planted: vault.receipt_for_message(planted.message_id),
        },
    ),
    Role.MESSAGE_CLIENT: _OF_RECORDS,
    Role.GOVERNANCE: _OF_RECORDS,
}
"""Queries to a vault: for everything, and for a record by its name."""


async def _enters(opening: Any) -> str:
    """Return the leak if the opening is not denied."""
    try:
        async with opening:
            return "the vault was opened"
    except VaultDenied:
        return ""


async def _log_end(gate: Gate, organisation: ParticipantIdentifier, role: Role) -> int:
    async with gate.open(CHECKER, organisation, role, Purpose.MAINTAIN) as vault:
        return await vault.log_end()


async def _denials(gate: Gate, organisation: ParticipantIdentifier, role: Role, after: int) -> int:
    """How many denials the organisation's log has got since."""
    async with gate.open(CHECKER, organisation, role, Purpose.MAINTAIN) as vault:
        entries = await vault.log(after, _MOST)
    return sum(entry.event == AuditEvent.VAULT_OPENING_DENIED for entry in entries)
