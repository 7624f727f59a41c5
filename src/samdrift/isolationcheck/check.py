"""The isolation check: plants records, makes every attempt in both directions, cleans up, signs and reports.

This module has the attempts at the gate: opening an organisation's vaults as each actor that may not, and
asking one's own vaults for another organisation's records. Those at the interfaces are in
:mod:`samdrift.isolationcheck.interface_c` and :mod:`samdrift.isolationcheck.interface_d`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from samdrift.audit.events import AuditEvent
from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.config.model import Config, OrganisationConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts import workers
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.installation import rolesettings
from samdrift.installation.accesspoints import name_of_own
from samdrift.installation.replaceable import newest_identity
from samdrift.installation.vaultsettings import vault_settings
from samdrift.isolationcheck import interface_c, interface_d, result
from samdrift.isolationcheck.canary import Planted, nonexistent, plant, remove, state
from samdrift.isolationcheck.interface_d import Door, over_interface_d
from samdrift.isolationcheck.ledger import Ledger
from samdrift.isolationcheck.whocan import against_what_is_so
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.net.client import http_client
from samdrift.net.tls import client_tls
from samdrift.vault.bodies import BodyReader
from samdrift.vault.crossing import Crossings
from samdrift.vault.errors import UnknownRecord, VaultDenied, VaultError
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

NAME = "isolation-check"


class CheckEvent(AuditEvent):
    """The event of an isolation check."""

    ISOLATION_CHECKED = "isolation:checked"
    """The operator tried to reach one organisation's data from another; the entry has the result."""


KINDS: Mapping[PrincipalKind, str] = {
    PrincipalKind.WORKER: "worker",
    PrincipalKind.SYSTEM: "system",
    PrincipalKind.USER: "user",
    PrincipalKind.OPERATOR: "operator's staff",
}
"""Name of each kind of principal in the result; every kind must have one."""

GATE, SEARCH, LOG = "gate", "search", "log"
Question = Callable[[Any, Planted], Awaitable[object]]
_MAX_ROWS = 1000
_OWN = "another organisation's own processes"


_EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Ground:
    """The installation to check, opened separately from its running processes."""

    config: Config
    own: IsolationCheckConfig
    gate: Gate
    keys: KeyStore
    crossings: Crossings

    def canaries(self) -> tuple[OrganisationConfig, OrganisationConfig]:
        by_name = {one.identifier: one for one in self.config.organisations}
        first, second = (by_name[canary] for canary in self.own.canaries)
        return first, second


async def check(
    config: Config, who: Mapping[str, str] = MappingProxyType({})
) -> tuple[result.Document, list[ParticipantIdentifier]]:
    """Check the installation; return the signed result, and the organisations whose logs lack it.

    Only the canaries' data is touched. ``who`` are facts that identify the person who runs the check, with
    proof; they are recorded with the result.
    """
    async with ground_of(config) as ground:
        key, at, ledger = _signing_key(ground), datetime.now(UTC), Ledger()
        await try_everything(ground, ledger)
        found = result.document(ledger, ground.own, config.federation.identifier, at)
        untold = await tell(ground.gate, found, who)
        return result.sign(found, key), untold


@contextlib.asynccontextmanager
async def ground_of(config: Config) -> AsyncIterator[Ground]:
    """Open the installation for the check; raise :class:`ConfigError` if it has no canaries."""
    if config.isolation_check is None:
        raise ConfigError("isolation_check", "is missing: name two canary organisations")
    settings = vault_settings(config)
    keys = await asyncio.to_thread(open_keys, settings)
    async with AsyncExitStack() as stack:
        gate = await Gate.start(settings, keys=keys)
        stack.push_async_callback(gate.close)
        crossings = await stack.enter_async_context(Crossings.of(settings, keys))
        ground = Ground(config, config.isolation_check, gate, keys, crossings)
        for canary in ground.canaries():
            _require_served(gate, canary)
        yield ground


def _require_served(gate: Gate, canary: OrganisationConfig) -> None:
    """Require that a canary is served in all its roles, since attempts on a suspended one prove nothing."""
    for role in canary.roles:
        if not gate.registry.serves(canary.identifier, role):
            where, whom = "isolation_check.canaries", f"{canary.identifier} is not served in role {role}"
            raise ConfigError(where, f"{whom}: it is suspended, or has not been added")


async def try_everything(ground: Ground, ledger: Ledger) -> None:
    """Make all attempts in both directions.

    Logs are searched first, because later attempts leave the other canary's identifiers in them.
    """
    first, second = ground.canaries()
    async with _planted(ground, first) as one, _planted(ground, second) as other:
        pairs = ((first, one, second, other), (second, other, first, one))
        for mine, _, _, planted in pairs:
            await in_own_vaults(ground.gate, mine.identifier, planted, ledger)
        for mine, own, theirs, planted in pairs:
            before = await state(ground.gate, planted)
            await _at_gate(ground.gate, mine.identifier, theirs.identifier, ledger)
            await _without_the_gate(ground, mine, theirs, planted, ledger)
            await _over_interface_c(ground, mine, theirs, planted, ledger)
            await _over_interface_d(ground, own, planted, ledger)
            changed = await state(ground.gate, planted) != before
            leak = "the other's records have changed" if changed else ""
            ledger.tried("all", "change the other's records", _EVERYBODY, leak)
    ledger.add(await ground.crossings.of_logins())
    for canary in (first, second):
        await against_what_is_so(ground.config, ground.keys, canary.identifier, ledger)


@contextlib.asynccontextmanager
async def _planted(ground: Ground, canary: OrganisationConfig) -> AsyncIterator[Planted]:
    await remove(ground.gate, canary.identifier, datetime.now(UTC))
    try:
        yield await plant(ground.gate, canary, datetime.now(UTC))
    finally:
        await remove(ground.gate, canary.identifier, datetime.now(UTC))


async def _without_the_gate(
    ground: Ground, mine: OrganisationConfig, theirs: OrganisationConfig, planted: Planted, ledger: Ledger
) -> None:
    """Try database, objects, sealed values and keys, with everything that one canary's processes have."""
    crossings, serves = ground.crossings, ground.gate.registry.serves
    for role in _hosted_roles(ground.gate):
        if not (serves(mine.identifier, role) and serves(theirs.identifier, role)):
            why = "the canaries have no such vaults"
            ledger.untried("database", f"vaults of role {role}", _EVERYBODY, why, expected=True)
            continue
        own = await crossings.find(mine.identifier, role)
        other = await crossings.find(theirs.identifier, role)
        ledger.add(await crossings.in_database(own, other, role))
        ledger.add(crossings.in_seals(own, other))
        if role is Role.ACCESS_POINT and planted.body is not None:
            ledger.add(await crossings.in_objects(own, other, planted.body))
        if role is Role.MESSAGE_SERVICE:
            ledger.add(await asyncio.to_thread(crossings.in_keys, own, other))


async def _over_interface_c(
    ground: Ground, mine: OrganisationConfig, theirs: OrganisationConfig, planted: Planted, ledger: Ledger
) -> None:
    serves = ground.gate.registry.serves
    if ground.config.access_point is None or not serves(theirs.identifier, Role.ACCESS_POINT):
        why = "this installation has no access point"
        ledger.untried(interface_c.INTERFACE, "all", _EVERYBODY, why, expected=True)
        return
    if not (serves(mine.identifier, Role.MESSAGE_SERVICE) and theirs.access_point):
        why = "a canary has no message service here, whose certificate could be shown"
        ledger.untried(interface_c.INTERFACE, "all", _EVERYBODY, why)
        return
    async with AsyncExitStack() as stack:
        issuers = ground.config.inner_issuers
        async with ground.gate.open(
            workers.ISOLATION_CHECK, mine.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as vault:
            own = newest_identity(vault.tls_client())
        name = name_of_own(ground.config, theirs.access_point)
        actors = {
            actor: await stack.enter_async_context(http_client(tls, public_only=False, server_name=name))
            for actor, tls in (
                (interface_c.OTHER, client_tls(own, issuers)),
                (interface_c.ANONYMOUS, client_tls(None, issuers)),
            )
        }
        await interface_c.over_interface_c(ground.gate, theirs.access_point, actors, planted, ledger)


async def _over_interface_d(ground: Ground, own: Planted, planted: Planted, ledger: Ledger) -> None:
    service = ground.config.message_service
    if service is None or service.listen_d is None:
        why = "interface D is not served here"
        ledger.untried(interface_d.INTERFACE, "all", _EVERYBODY, why, expected=True)
        return
    if not (own.client and planted.client):
        why = "a canary has no message client; register one for each"
        ledger.untried(interface_d.INTERFACE, "all", _EVERYBODY, why)
        return
    issuers = OwnIssuers(service.address_d, ground.gate.registry, rolesettings.profiles(ground.config))
    async with http_client(client_tls(trust=_issuers_of_d(ground)), public_only=False) as http:
        await over_interface_d(Door(ground.gate, http, issuers, datetime.now(UTC)), own, planted, ledger)


def _issuers_of_d(ground: Ground) -> Path | None:
    return ground.own.tls_issuers or ground.config.federation.tls_issuers


async def tell(gate: Gate, found: result.Document, who: Mapping[str, str]) -> list[ParticipantIdentifier]:
    """Log the result for every organisation hosted here; return those whose logs lack it."""
    untold, facts = [], {**result.facts(found), **who}
    for organisation in sorted({one.organisation for one in gate.registry.all()}, key=str):
        try:
            told = await gate.record_for_organisation(
                workers.ISOLATION_CHECK, organisation, CheckEvent.ISOLATION_CHECKED, facts
            )
        except VaultError:
            told = False
        if not told:
            untold.append(organisation)
    return untold


def _signing_key(ground: Ground) -> SigningKey:
    """Return the first canary's log signing key or, if there is none, the access point's key."""
    registration = ground.gate.registry.find(ground.own.canaries[0], Role.MESSAGE_SERVICE)
    if registration is not None:
        with contextlib.suppress(KeyStoreError):
            return ground.keys.signing_key(registration.vault, KeyName.LOG_SIGNING)
    return ground.keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT)


def strangers(own: ParticipantIdentifier, theirs: ParticipantIdentifier) -> dict[str, Principal]:
    """Return everyone who may not open a vault of ``theirs``: other organisations, strangers, the staff.

    Another organisation's administrator is an ordinary user here, whatever rights that organisation grants.
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
    """Return everyone without the rights of the operator's staff, including the organisation's own actors."""
    others = {actor: one for actor, one in strangers(own, theirs).items() if not _is_staff(one)}
    of_its_own = {
        f"the organisation's own {KINDS[kind]}": Principal(kind, NAME, theirs.value)
        for kind in PrincipalKind
        if kind is not PrincipalKind.OPERATOR
    }
    return others | of_its_own


def _is_staff(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.OPERATOR


async def _at_gate(
    gate: Gate, own: ParticipantIdentifier, theirs: ParticipantIdentifier, ledger: Ledger
) -> None:
    """Try to open the other's vaults as everyone who may not; each denial must be in the other's log.

    This is tried in every role in which any organisation is hosted here.
    """
    for role in _hosted_roles(gate):
        if not gate.registry.serves(theirs, role):
            ledger.untried(GATE, f"open {role}", "anybody", "the canary has no such vault", expected=True)
            continue
        end = await _log_end(gate, theirs, role)
        everybody = strangers(own, theirs)
        for actor, principal in everybody.items():
            opening = gate.open(principal, theirs, role, Purpose.READ)
            ledger.tried(GATE, f"open {role}", actor, await _enters(opening))
        noted = await _denials(gate, theirs, role, end)
        leak = "" if noted >= len(everybody) else "the organisation's log does not record each denial"
        ledger.tried(LOG, f"open {role} without a trace", "anybody", leak)
    if gate.registry.serves(theirs, Role.ACCESS_POINT):
        for actor, principal in not_staff(own, theirs).items():
            ledger.tried(GATE, "operate", actor, await _enters(gate.operate(principal, theirs)))


def _hosted_roles(gate: Gate) -> tuple[Role, ...]:
    """Return the roles in which any organisation has a vault here; there is nothing to try in others."""
    hosted = {one.role for one in gate.registry.all()}
    return tuple(role for role in Role if role in hosted)


async def in_own_vaults(gate: Gate, own: ParticipantIdentifier, planted: Planted, ledger: Ledger) -> None:
    """Ask one's own vaults for another's records, with every query that changes nothing."""
    for role, (everything, by_name) in QUESTIONS.items():
        if gate.registry.serves(own, role):
            async with gate.open(workers.ISOLATION_CHECK, own, role, Purpose.MAINTAIN) as vault:
                for name, question in {**everything, **by_name}.items():
                    leak = await _learned(vault, question, planted, compare=name in by_name)
                    ledger.tried(LOG if "log" in name else SEARCH, f"{role}: {name}", _OWN, leak)


async def _learned(vault: Any, question: Question, planted: Planted, *, compare: bool) -> str:
    """Return the leak, if a query returns another organisation's records or reveals that they exist.

    The latter is found by comparing the answer with that about nonexistent records.
    """
    told = await _told(vault, question, planted)
    if any(trace in told for trace in planted.traces):
        return "the answer reveals it"
    if compare and told != await _told(vault, question, nonexistent(planted.created_at)):
        return "the answer differs from the one for what does not exist"
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
        "log": lambda vault, planted: vault.log(limit=_MAX_ROWS),
        "records": lambda vault, planted: vault.records(_MAX_ROWS),
    },
    {"find_log": lambda vault, planted: vault.find_log(planted.message_id)},
)
QUESTIONS: Mapping[Role, tuple[Mapping[str, Question], Mapping[str, Question]]] = {
    Role.ACCESS_POINT: (
        {
            "log": lambda vault, planted: vault.log(limit=_MAX_ROWS),
            "waiting": lambda vault, planted: vault.waiting(_MAX_ROWS),
            "events": lambda vault, planted: vault.events(0, _MAX_ROWS),
            "inbox": lambda vault, planted: vault.inbox(_MAX_ROWS),
            "refused": lambda vault, planted: vault.refused(_MAX_ROWS),
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
            "log": lambda vault, planted: vault.log(limit=_MAX_ROWS),
            "messages": lambda vault, planted: vault.messages(limit=_MAX_ROWS),
            "messages after a place": lambda vault, planted: vault.messages(
                before=(planted.created_at, planted.message_id, Direction.OUT)
            ),
            "mailboxes": lambda vault, planted: vault.messages(mailboxes=[planted.address]),
            "messages by sender": lambda vault, planted: vault.messages(
                sender_addresses=[planted.address], limit=_MAX_ROWS
            ),
            "changes": lambda vault, planted: vault.changes(0, _MAX_ROWS),
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
"""Queries to a vault by role: for everything, and for a single record."""


async def _enters(opening: Any) -> str:
    """Return the leak if the opening is not denied."""
    try:
        async with opening:
            return "the vault was opened"
    except VaultDenied:
        return ""


async def _log_end(gate: Gate, organisation: ParticipantIdentifier, role: Role) -> int:
    async with gate.open(workers.ISOLATION_CHECK, organisation, role, Purpose.MAINTAIN) as vault:
        return await vault.log_end()


async def _denials(gate: Gate, organisation: ParticipantIdentifier, role: Role, after: int) -> int:
    """Return the number of denials in the organisation's log since ``after``."""
    async with gate.open(workers.ISOLATION_CHECK, organisation, role, Purpose.MAINTAIN) as vault:
        entries = await vault.log(after, _MAX_ROWS)
    return sum(entry.event == VaultEvent.VAULT_OPENING_DENIED for entry in entries)
