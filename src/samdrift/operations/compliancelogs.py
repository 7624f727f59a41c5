"""Evidence for the compliance report that is recorded in logs and records.

It concerns the fields of transfers, retention, the operator's accounts, restore drills, and incident clocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeAlias

from samdrift.accesspoint.events import APEvent
from samdrift.administration import logs
from samdrift.administration.administration import Administration
from samdrift.administration.incidents import incidents_of
from samdrift.administration.inventory import basis_of
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent, LogEvent, Retention
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.duties.catalogue import Text
from samdrift.governance.incidents import collected
from samdrift.governance.report import Collected
from samdrift.governance.whouses import Uses
from samdrift.rights.fields import SubjectKind
from samdrift.rights.keyacts import PublicKey, Scheme
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.vault.events import VaultEvent
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 500
_MOST = 2000
"""Maximum number of entries of an access point's log that are examined, the latest first."""
_STAFF_BACK = timedelta(days=31)

_ALWAYS = frozenset({"as4", "conversation", "sender", "recipient", "message_type"})
_OF_PEER = frozenset({"peer", "certificate", "signature"})
FIELDS: Mapping[str, frozenset[str]] = {
    APEvent.AP_ENVELOPE_RECEIVED: _ALWAYS | _OF_PEER,
    APEvent.AP_TRANSFER_DELIVERED: _ALWAYS | _OF_PEER | {"sent"},
    VaultEvent.AP_TRANSFER_FAILED: _ALWAYS | {"reason"},
}
"""Facts that an entry about a transfer must have (component-accesspoint 3.4.1)."""
_HARDWARE = "sk-"
Drills: TypeAlias = Mapping[str, LogEntry]
"""The last drill of each organisation; under an empty name, that of the whole installation."""


class DrillEvent(AuditEvent):
    """An event of a restore drill, recorded in the operator's log by the person who ran it, once it is over.

    Its facts are ``organisation`` (the one restored; absent for the whole installation), ``backup`` (its
    SHA-256 or number), ``taken`` (time of the backup, ISO 8601), ``compared`` and ``differences`` (entries of
    the restored logs and records, against the running ones), ``seconds`` and ``passed`` (``true`` or
    ``false``).
    """

    ORGANISATION_RESTORE_DRILLED = "org:restore:drilled"
    """A backup was restored separately from the running installation, and compared with it."""


async def of_logs_and_records(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> dict[str, Collected | None]:
    """Return the evidence in an organisation's logs and records, leaving out what cannot be read now."""
    found: dict[str, Collected | None] = {
        "log.event-fields": await _event_fields(installation, organisation, now),
        "log.retention": await _retention(installation, organisation, now),
    }
    if installation.gate.registry.find(organisation, Role.GOVERNANCE) is None:
        return found
    try:
        basis = await basis_of(installation, organisation, now - _STAFF_BACK, now)
        found["staff.accounts"] = of_staff(basis.record, basis.uses, now)
        found["grants.logged"] = of_changes(basis.record, await _kept(installation, organisation), now)
        found["incidents.clocks"] = collected(await incidents_of(installation, organisation), now)
    except (VaultError, Explained):
        return found
    return found


def of_event_fields(entries: Iterable[LogEntry], now: datetime) -> Collected | None:
    """Judge whether each entry about a transfer has all its facts; ``None`` when there were no transfers.

    Transfers that a member of the operator's staff gave up are ignored: their entries name that person and
    the reason, but no peer.
    """
    looked = lacking = 0
    for entry in entries:
        wanted = FIELDS.get(entry.event)
        if wanted is None or entry.principal.startswith("operator:"):
            continue
        looked += 1
        lacking += any(not entry.ids.get(name) for name in wanted)
    if not looked:
        return None
    text = Text(f"{looked} överföringar, {lacking} saknar fält", f"{looked} transfers, {lacking} lack fields")
    return Collected(now, not lacking, text)


def of_retention(
    ages: Iterable[Mapping[Retention, tuple[int, int, int]]],
    decided: Mapping[Retention, int],
    now: datetime,
) -> Collected:
    """Judge the retention of an organisation's logs: facts may be missing only by a recorded decision."""
    gone: Counter[Retention] = Counter()
    kept = 0
    for each in ages:
        for retention, (here, _, missing) in each.items():
            kept, gone[retention] = kept + here, gone[retention] + missing
    unexplained = sum(count for retention, count in gone.items() if count != decided.get(retention, 0))
    disposed = sum(decided.values())
    text = Text(
        f"{kept} poster, {disposed} gallrade efter beslut, {unexplained} saknas utan",
        f"{kept} entries, {disposed} disposed of by decision, {unexplained} missing without one",
    )
    return Collected(now, kept > 0 and not unexplained, text)


def of_staff(record: Record, uses: Uses, now: datetime) -> Collected | None:
    """Judge whether everyone of the operator's staff who ran commands has a key in hardware.

    Returns ``None`` when no commands were run.
    """
    used = uses.actors("operator")
    if not used:
        return None
    secured = {
        str(each.act.to).partition(":")[2]
        for each in record.keys.in_force(now)
        if each.act.to.kind in (SubjectKind.OPERATOR, SubjectKind.CUSTODIAN) and _in_hardware(each.key)
    }
    without = [name for name in used if name.partition(":")[2] not in secured]
    text = Text(
        f"{len(used)} konton använda, {len(without)} utan nyckel i hårdvara",
        f"{len(used)} accounts used, {len(without)} without a key in hardware",
    )
    return Collected(max(count.last for count in used.values()), not without, text)


def of_changes(record: Record, kept: Mapping[int, str], now: datetime) -> Collected | None:
    """Judge whether the log has an entry for each signed statement, by which alone permissions change.

    ``kept`` has the SHA-256 of each statement, by number, that the log says was stored. Returns ``None``
    when nothing was stated.
    """
    if not record.entries:
        return None
    digests = {each.number: sha256(each.signed.content).hexdigest() for each in record.entries}
    without = sum(kept.get(number) != digest for number, digest in digests.items())
    text = Text(
        f"{len(digests)} ändringar, {without} utan post",
        f"{len(digests)} changes, {without} without an entry",
    )
    return Collected(now, not without, text)


def of_drill(entry: LogEntry) -> Collected:
    """Judge a restore drill: good if it passed, compared something, and found no difference."""
    facts = entry.ids
    compared, differences = facts.get("compared", "0"), facts.get("differences", "?")
    seconds = facts.get("seconds", "?")
    good = facts.get("passed") == "true" and differences == "0" and compared.isdigit() and int(compared) > 0
    text = Text(
        f"{compared} jämförda, {differences} skiljer, {seconds} s",
        f"{compared} compared, {differences} differ, {seconds} s",
    )
    return Collected(entry.at, good, text)


def take_drills(found: dict[str, LogEntry], entries: Iterable[LogEntry]) -> None:
    """Keep the last drill of each organisation and, under an empty name, of the whole installation."""
    for entry in entries:
        if entry.event == DrillEvent.ORGANISATION_RESTORE_DRILLED:
            found[entry.ids.get("organisation", "")] = entry


def of_last_drill(found: Drills, organisation: str) -> Collected | None:
    """Judge the last drill of an organisation: its own or, if later, that of the whole installation."""
    both = [found[whose] for whose in ("", organisation) if whose in found]
    return of_drill(max(both, key=lambda each: each.sequence)) if both else None


def _in_hardware(key: PublicKey) -> bool:
    return key.scheme is Scheme.WEBAUTHN or key.public.startswith(_HARDWARE)


async def _kept(installation: Administration, organisation: ParticipantIdentifier) -> Mapping[int, str]:
    """Return the SHA-256 of each signed statement, by number, that governance's log says was stored."""
    found: dict[int, str] = {}
    async for each in _entries(installation, organisation, Role.GOVERNANCE):
        if each.event == VaultEvent.GOV_STATEMENT_KEPT:
            found.setdefault(int(each.ids["statement"]), each.ids["sha256"])
    return found


async def _event_fields(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Collected | None:
    if installation.gate.registry.find(organisation, Role.ACCESS_POINT) is None:
        return None
    try:
        async with installation.gate.open(
            workers.COMPLIANCE, organisation, Role.ACCESS_POINT, Purpose.TRACE
        ) as vault:
            end = await vault.log_end()
            return of_event_fields(await vault.log(max(0, end - _MOST), _MOST), now)
    except VaultError:
        return None


async def _retention(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Collected | None:
    moments = {each: logs.kept_until(each, now) for each in logs.KEPT_YEARS}
    ages: list[Mapping[Retention, tuple[int, int, int]]] = []
    decided: Counter[Retention] = Counter()
    for place in logs.logs_of(installation, organisation):
        assert place.role is not None
        try:
            async with logs.opened(installation, place) as tree:
                found = await tree.ages(moments)
            ages.append(found)
            if any(gone for *_, gone in found.values()):
                decided += await _decisions(installation, organisation, place.role)
        except VaultError:
            return None
    return of_retention(ages, decided, now) if ages else None


async def _decisions(
    installation: Administration, organisation: ParticipantIdentifier, role: Role
) -> Counter[Retention]:
    """Return how many entries of each class the log records as disposed of by decision."""
    found: Counter[Retention] = Counter()
    async for each in _entries(installation, organisation, role):
        if each.event == LogEvent.LOG_FACTS_DISPOSED:
            found[Retention[each.ids["class"].upper()]] += int(each.ids["entries"])
    return found


async def _entries(
    installation: Administration, organisation: ParticipantIdentifier, role: Role
) -> AsyncIterator[LogEntry]:
    """Yield the whole log of one role, a page at a time."""
    async with installation.gate.open(workers.COMPLIANCE, organisation, role, Purpose.TRACE) as vault:
        after = 0
        while entries := await vault.log(after, _PAGE):
            for each in entries:
                yield each
            after = entries[-1].sequence


async def drills(installation: Administration) -> Drills:
    """Read the operator's log for the last drill of each organisation and of the whole installation."""
    after, found = 0, dict[str, LogEntry]()
    while entries := await installation.gate.read_operator_log(after, _PAGE):
        take_drills(found, entries)
        after = entries[-1].sequence
    return found
