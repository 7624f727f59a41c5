"""Operations of the operator on an installation's logs: state, checkpoints, keys, disposal, decisions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from samdrift.administration.administration import Administration, note, signing_key
from samdrift.administration.events import AdminEvent
from samdrift.attestation.signatures import canonical, signed
from samdrift.audit.events import Retention
from samdrift.audit.reading import MAX_NUMBER
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.logstatements import FORMAT, NAMESPACE
from samdrift.installation.logkeeping import OPERATORS, LogKeeper, Policies, witness_caller
from samdrift.installation.logturns import LogPlace
from samdrift.keystore.custody import Custodian, TwoPersons
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.vault import logbook
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.forgetting import ForgettingVault
from samdrift.vault.grounds import JudgingVault
from samdrift.vault.logtree import LogTree, OpenRefusal, SigningStopped, TreeState, WitnessState
from samdrift.wire.crypto.sshsig import public_line
from samdrift.wire.crypto.sshsig import sign as sshsig
from samdrift.wire.identifiers import ParticipantIdentifier

KEPT_YEARS = {
    Retention.TRANSFER: 5,
    Retention.READING: 5,
    Retention.ACCESS: 5,
    Retention.ADMINISTRATION: 10,
}
"""Years for which facts in logs are kept by default.

A shorter time requires a decision, and is never less than one year.
"""
_OVERDUE = 2
"""Number of cadences after which a checkpoint or a cosignature is late."""


class NoSuchLog(Explained):
    """The organisation has no vault in that role here."""

    def __init__(self) -> None:
        super().__init__("that organisation has no such log in this installation")


class NothingToResolve(Explained):
    """No witness has refused the log, so there is nothing to decide."""

    def __init__(self) -> None:
        super().__init__("no witness has refused this log: there is nothing to decide")


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one log: its tree and its witnesses, or the reason why they cannot be read."""

    place: LogPlace
    state: TreeState | None
    witnesses: tuple[WitnessState, ...] = ()
    closed: str = ""
    """Reason why the vault does not open now."""
    unsigned_since: datetime | None = None
    """Time of the oldest entry that no checkpoint covers."""

    def faults(self, now: datetime, cadence: timedelta) -> list[str]:
        """Return descriptions of the faults that need attention."""
        if self.state is None:
            return [f"nothing is signed: {self.closed}"]
        found, late = [], now - _OVERDUE * cadence
        signed = max([self.state.signed or 0, *(each.size for each in self.witnesses)])
        if self.state.size < signed:
            found.append(
                f"ALARM the log {self.state.origin}: it has {self.state.size} entries, fewer than the"
                f" {signed} that were signed"
            )
        if self.state.refusal is not None:
            found.append(SigningStopped.text)
        elif self.state.signed is None:
            found.append("no checkpoint has been made yet")
        elif self.unsigned_since is not None and self.unsigned_since < late:
            found.append("an entry has been in no checkpoint for longer than two cadences")
        found += [
            f"the witness {each.witness.partition('+')[0]} {each.fault or 'was not asked'}"
            for each in self.witnesses
            if each.cosigned_at is None or each.cosigned_at < late.timestamp()
        ]
        return found


def logs_of(installation: Administration, organisation: ParticipantIdentifier | None) -> tuple[LogPlace, ...]:
    """Return the logs of an organisation; without one, the operator's own and all others."""
    hosted = [LogPlace(one.organisation, one.role) for one in installation.gate.registry.all()]
    if organisation is None:
        return (OPERATORS, *hosted)
    return tuple(place for place in hosted if place.organisation == organisation)


async def standing(installation: Administration, place: LogPlace) -> Standing:
    """Return the current state of a log."""
    try:
        async with opened(installation, place) as tree:
            state = await tree.state()
            return Standing(
                place, state, await tree.witnesses(), unsigned_since=await _unsigned_since(tree, state)
            )
    except VaultUnavailable as closed:
        return Standing(place, None, closed=str(closed))


async def _unsigned_since(tree: LogTree, state: TreeState) -> datetime | None:
    """Return the time of the oldest entry after the last checkpoint, or ``None`` if there is none."""
    rows = await tree.rows(state.first + (state.signed or 0) - 1, MAX_NUMBER, 1)
    return next((logbook.entry(row).at for row in rows if row[1] is not None), None)


async def checkpoint(
    installation: Administration, place: LogPlace, custodian: Custodian | None = None
) -> Standing:
    """Sign a checkpoint and have it witnessed, and state the log's key if that has not been done.

    ``custodian`` states the key of an organisation that has its message service, and its keys, elsewhere.
    Raises :class:`SigningStopped`, ``PolicyUnusable``, or the reason why the vault does not open.
    """
    config = installation.config
    async with witness_caller(config) as caller:
        cadence = timedelta(seconds=config.logs.checkpoint_seconds)
        keeper = LogKeeper(installation.gate, Policies(config).of, caller, system_clock, cadence)
        if not (await keeper.round(place)).stated:
            await state_key(installation, place, system_clock(), custodian)
        async with opened(installation, place) as tree:
            state = await tree.state()
        if state.size != state.signed:  # Cover the new entries about the key as well.
            await keeper.round(place)
    return await standing(installation, place)


async def state_key(
    installation: Administration, place: LogPlace, now: datetime, custodian: Custodian | None = None
) -> bool:
    """State that the current key is the log's, signed by its organisation, a custodian or the operator.

    The operator signs only for its own log. False if no signer is available, or it has no key for this yet.
    """
    async with opened(installation, place) as tree:
        state = await tree.state()
    document = {
        "format": FORMAT,
        "organisation": "" if place.organisation is None else place.organisation.value,
        "role": "" if place.role is None else place.role.value,
        "origin": state.origin,
        "key": state.key or "",
        "at": now.isoformat(),
    }
    spoken = await _spoken(installation, place, document, custodian)
    if spoken is None:
        return False
    by, statement = spoken
    text = json.dumps(statement, ensure_ascii=False, indent=2).encode()
    facts = {"key": state.key or "", "by": by, "statement": hashlib.sha256(text).hexdigest()}
    async with opened(installation, place) as tree:
        await tree.keep_statement(state.key or "", text, facts)
    return True


async def require_log(installation: Administration, place: LogPlace) -> None:
    """Require that a log can be opened here, before people are asked to decide about it."""
    async with opened(installation, place) as tree:
        await tree.state()


async def dispose(
    installation: Administration,
    place: LogPlace,
    retention: Retention,
    before: datetime,
    decision: str,
    agreed: TwoPersons,
) -> int:
    """Dispose of a class's facts from before a given time, by two people's decision; return their number.

    For facts of transfers, the grounds of their certificates and the proofs of the exchanges are removed too.
    """
    if place.organisation is None or place.role is None:
        tree = installation.gate.operator_tree()
        return await tree.dispose(retention, before, decision, agreed.first, agreed.second)
    async with installation.gate.open(workers.LOG, place.organisation, place.role, Purpose.MAINTAIN) as vault:
        gone = await vault.tree.dispose(retention, before, decision, agreed.first, agreed.second)
        if isinstance(vault, JudgingVault) and retention is Retention.TRANSFER:
            await vault.dispose_grounds(before)
    more = retention is Retention.TRANSFER
    while more:
        async with installation.gate.open(
            workers.LOG, place.organisation, place.role, Purpose.MAINTAIN
        ) as vault:
            more = isinstance(vault, ForgettingVault) and await vault.dispose_proofs(before)
    return gone


async def record_control(
    installation: Administration, place: LogPlace, custodian: Custodian, facts: Mapping[str, str]
) -> bool:
    """Record the outcome of a log's review in that log; return false if the vault waits for its officer.

    Raises :class:`NoSuchLog` if there is no such log.
    """
    organisation, role = place.organisation, place.role
    if organisation is None or role is None or installation.gate.registry.find(organisation, role) is None:
        raise NoSuchLog
    actor = Principal(PrincipalKind.OPERATOR, custodian.name)
    return await installation.gate.record_for_organisation(
        actor, organisation, AdminEvent.LOG_CONTROL_RECORDED, facts, (role,)
    )


def kept_until(retention: Retention, now: datetime) -> datetime:
    """Return the time before which facts of a class may be disposed of by default.

    It is the beginning of a day in UTC: two people agree to a day, nothing of which may be included.
    """
    until = now - timedelta(days=365 * KEPT_YEARS[retention] + KEPT_YEARS[retention] // 4 + 1)
    return until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def require_refusal(installation: Administration, place: LogPlace) -> tuple[str, OpenRefusal]:
    """Return the name of a log and its refusal; raise :class:`NothingToResolve` if there is none."""
    async with opened(installation, place) as tree:
        state = await tree.state()
    if state.refusal is None:
        raise NothingToResolve
    return state.origin, state.refusal


async def resolve(
    installation: Administration,
    place: LogPlace,
    decision: str,
    agreed: TwoPersons,
    now: datetime,
    proof: Mapping[str, str],
) -> str:
    """Record two people's decision about a refusal; return the name under which the log continues.

    ``proof`` is the text that they have signed, if they are the organisation's own officers. Raises
    :class:`NothingToResolve` if no witness has refused the log.
    """
    async with opened(installation, place) as tree:
        renamed = await tree.resolve(decision, agreed.first, agreed.second, now, proof)
    if renamed is None:
        raise NothingToResolve
    if place.organisation is not None:
        facts = {"origin": renamed, "decision": decision, "first": agreed.first, "second": agreed.second}
        await note(installation, VaultEvent.LOG_WITNESS_RESOLVED, agreed.first, None, facts)
    return renamed


@asynccontextmanager
async def opened(installation: Administration, place: LogPlace) -> AsyncIterator[LogTree]:
    """Open the tree of a log for one unit of work."""
    if place.organisation is None or place.role is None:
        yield installation.gate.operator_tree()
        return
    async with installation.gate.open(workers.LOG, place.organisation, place.role, Purpose.MAINTAIN) as vault:
        yield vault.tree


async def _spoken(
    installation: Administration, place: LogPlace, document: dict[str, str], custodian: Custodian | None
) -> tuple[str, dict[str, Any]] | None:
    """Return the signer and the signed statement, or ``None`` if no signer is available."""
    service, organisation = Role.MESSAGE_SERVICE, place.organisation
    if organisation is not None and installation.gate.registry.find(organisation, service) is None:
        if custodian is None:
            return None
        document = document | {"by": f"custodian {custodian.name}", "public": public_line(custodian.key)}
        return document["by"], document | {"sshsig": sshsig(custodian.key, canonical(document), NAMESPACE)}
    document = document | {"by": "operator" if organisation is None else "organisation"}
    try:
        if organisation is None:
            keys = installation.keys
            key = await asyncio.to_thread(keys.signing_key, OPERATOR_KEYS, KeyName.ACCESS_POINT)
        else:
            key = await signing_key(installation, organisation, (service,))
    except KeyStoreError:
        return None
    return document["by"], {**document, "signature": await asyncio.to_thread(signed, document, key)}
