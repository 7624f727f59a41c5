"""Evidence for the compliance report: one collector for each thing that can be observed of an organisation.

A collector returns nothing when there is nothing to observe; the report then shows a gap. Each examines the
thing itself (the log, the keys, the listeners, the scanner) and states the time of its observation. The
organisation's log is read back only as far as evidence can count.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from samdrift.administration.administration import Administration
from samdrift.administration.checklist import Facts, checklist
from samdrift.administration.checklist import State as ItemState
from samdrift.administration.keyholder import HeldKeys, held_keys
from samdrift.administration.logs import Standing, logs_of, standing
from samdrift.administration.readiness import Federation, asking, gather
from samdrift.audit.entries import LogEntry
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.duties.catalogue import Text
from samdrift.governance.report import Collected
from samdrift.installation.events import RunEvent
from samdrift.installation.keyrows import key_rows
from samdrift.installation.logkeeping import Policies
from samdrift.installation.services import malware_scanner
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.net.clamd import ClamdScanner, ClamdVersion
from samdrift.operations.compliancelogs import Drills, drills, of_last_drill, of_logs_and_records
from samdrift.operations.doctor import Scope, targets
from samdrift.operations.findings import Finding
from samdrift.operations.findings import State as FindingState
from samdrift.operations.foundation import check_certificates
from samdrift.operations.machine import running
from samdrift.operations.tlsrules import check_tls
from samdrift.operations.witnessed import RootDiffers, verified
from samdrift.vault.errors import VaultError
from samdrift.vault.opening import Vault
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier

_ISOLATION = "isolation:checked"
"""An event of the isolation check, which is in a package that this one may not import."""
_RECONCILED = RunEvent.LOG_RECONCILED.value
_BACK = timedelta(days=40)
"""Age of the oldest log entries that are read: more than any limit on evidence that only a log provides."""
_PAGE = 500
_CLOCK_APART = timedelta(seconds=30)
"""Maximum difference between this machine's clock and a witness's that counts as correct time."""
_KEYS = (KeyName.SIGNING, KeyName.ENCRYPTION)


@dataclass(frozen=True, slots=True)
class Survey:
    """Evidence about the installation as a whole, gathered once for the reports of all organisations."""

    keys: Mapping[ParticipantIdentifier, HeldKeys]
    """Keys of each organisation's message service."""
    holders: Mapping[str, int]
    """Number of organisations that hold each key, by the fingerprint of its certificate."""
    drills: Drills
    federation: Federation | None
    """Client for the shared services, with one copy of the address book; ``None`` if they are not asked."""
    common: Mapping[str, Collected | None]
    """Evidence that is the same for every organisation, by collector."""


@contextlib.asynccontextmanager
async def surveying(installation: Administration, scope: Scope) -> AsyncIterator[Survey]:
    """Gather what all organisations have in common; the federation can be asked while the context lasts."""
    now = scope.clock().astimezone(UTC)
    vaults = {
        one.organisation: one.vault
        for one in installation.gate.registry.all()
        if one.role is Role.MESSAGE_SERVICE
    }
    keys = await asyncio.to_thread(
        lambda: {whose: held_keys(installation.keys, vault) for whose, vault in vaults.items()}
    )
    common = {
        "certificates.environment": of_findings(
            list(check_certificates(installation.config, installation.keys, now)), now
        ),
        "scanner.signatures": await _of_scanner(installation.config, now),
        "tls.in-force": await _of_listeners(installation.config, now),
    }
    async with contextlib.AsyncExitStack() as stack:
        federation = None
        if not scope.offline:
            with contextlib.suppress(Explained):
                federation = await stack.enter_async_context(asking(installation.config, now))
        yield Survey(keys, holders(keys.values()), await drills(installation), federation, common)


async def collect(
    installation: Administration, organisation: ParticipantIdentifier, scope: Scope, seen: Survey
) -> dict[str, Collected]:
    """Return all evidence about an organisation, by collector."""
    now = scope.clock().astimezone(UTC)
    found = {
        **seen.common,
        **await _of_logs(installation, organisation, now),
        **await of_logs_and_records(installation, organisation, now),
        "restore.drill": of_last_drill(seen.drills, organisation.value),
        "keys.inventory": _of_inventory(seen, organisation, now),
        "publication.compared": await _of_publication(installation, organisation, seen.federation, now),
    }
    return {name: each for name, each in found.items() if each is not None}


def of_isolation(entry: LogEntry) -> Collected:
    """Judge the result of an isolation check in an organisation's log, by its counts and not its word alone.

    A check that attempted nothing proves nothing.
    """
    attempts, denied, leaks = (entry.ids.get(name, "?") for name in ("attempts", "denied", "leaks"))
    text = Text(f"{attempts} försök, {leaks} läckor", f"{attempts} attempts, {leaks} leaks")
    tried = attempts.isdecimal() and int(attempts) > 0
    held = tried and denied == attempts and leaks == "0"
    return Collected(entry.at, held and entry.ids.get("passed") == "true", text)


def of_reconciliation(entry: LogEntry) -> Collected:
    """Judge a reconciliation of an organisation's logs."""
    if "fault" in entry.ids:
        return Collected(entry.at, False, Text("en logg håller inte", "a log does not hold"))
    compared, differences = entry.ids.get("compared", "?"), entry.ids.get("differences", "?")
    text = Text(f"{compared} jämförda, {differences} skiljer", f"{compared} compared, {differences} differ")
    return Collected(entry.at, differences == "0", text, silent=compared == "0")


def of_witnesses(standings: Sequence[Standing]) -> Collected | None:
    """Judge the checkpoints of an organisation's logs by the witness that has been silent the longest.

    Returns ``None`` when any log lacks a checkpoint that its witnesses have cosigned.
    """
    moments: list[int] = []
    refused = False
    for each in standings:
        cosigned = [one.cosigned_at for one in each.witnesses if one.cosigned_at is not None]
        if each.state is None or len(cosigned) < max(1, len(each.witnesses)):
            return None
        refused = refused or each.state.refusal is not None
        moments += cosigned
    if not moments:
        return None
    count = len(standings)
    text = (
        Text("ett vittne har vägrat", "a witness has refused")
        if refused
        else Text(f"{count} loggar bevittnade", f"{count} logs witnessed")
    )
    return Collected(datetime.fromtimestamp(min(moments), UTC), not refused, text)


def of_time(standings: Sequence[Standing]) -> Collected | None:
    """Judge this machine's clock by the witnesses' clocks, as of their latest answers."""
    answers = [
        (one.asked_at, datetime.fromtimestamp(one.cosigned_at, UTC))
        for each in standings
        for one in each.witnesses
        if one.cosigned_at is not None and not one.fault
    ]
    if not answers:
        return None
    apart = max(abs(asked - cosigned) for asked, cosigned in answers)
    seconds = int(apart.total_seconds())
    text = Text(f"högst {seconds} s från vittnenas tid", f"at most {seconds} s from the witnesses' time")
    return Collected(min(asked for asked, _ in answers), apart <= _CLOCK_APART, text)


def holders(all_keys: Iterable[HeldKeys]) -> Mapping[str, int]:
    """Return the number of organisations that hold each key, by the fingerprint of its certificate."""
    return Counter(chain.from_iterable(map(_prints, all_keys)))


def of_keys(own: HeldKeys, held_by: Mapping[str, int], now: datetime) -> Collected | None:
    """Judge the keys of an organisation's message service: one of each kind in use, and none shared."""
    if own.problem:
        return None
    usable = {
        row.name
        for row in key_rows(own.keys, now, _KEYS)
        if row.in_use and row.key is not None and _is_valid(row.key, now)
    }
    lacking = set(_KEYS) - usable
    shared = [each for each in _prints(own) if held_by.get(each, 0) > 1]
    if lacking or shared:
        text = Text(
            f"{len(lacking)} slag av nyckel saknas, {len(shared)} delas",
            f"{len(lacking)} kinds of keys are missing, {len(shared)} are shared",
        )
        return Collected(now, False, text)
    count = len(own.keys)
    return Collected(now, True, Text(f"{count} nycklar, ingen delad", f"{count} keys, none shared"))


def of_publication(facts: Facts) -> Collected | None:
    """Judge the comparison of published data with ours; ``None`` when it could not be made."""
    items = [item for item in checklist(facts) if item.name.startswith(("SMP", "CertPub"))]
    if not items or any(item.state is ItemState.NOT_CHECKED for item in items):
        return None
    wrong = [item for item in items if item.state is not ItemState.DONE]
    text = Text(f"{len(items)} jämförda, {len(wrong)} skiljer", f"{len(items)} compared, {len(wrong)} differ")
    return Collected(facts.now, not wrong, text)


def of_findings(findings: Sequence[Finding], now: datetime) -> Collected | None:
    """Judge findings of the doctor; ``None`` when all were skipped."""
    seen = [each for each in findings if each.state is not FindingState.SKIPPED]
    if not seen:
        return None
    wrong = [each for each in seen if each.state is FindingState.FAIL]
    text = Text(f"{len(seen)} undersökta, {len(wrong)} fel", f"{len(seen)} examined, {len(wrong)} wrong")
    return Collected(now, not wrong, text)


def of_scanner(version: ClamdVersion, *, finds: bool) -> Collected | None:
    """Judge the malware scanner by the age of its signatures and by its detection of the test file."""
    if version.signatures is None:
        return None
    good = Text("finner provfilen", "finds the test file")
    bad = Text("finner inte provfilen", "does not find the test file")
    return Collected(version.signatures, finds, good if finds else bad)


def _is_valid(key: HeldKey, now: datetime) -> bool:
    certificate = key.certificate
    if certificate is None:
        return False
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _prints(held: HeldKeys) -> set[str]:
    return {fingerprint(each.certificate) for each in held.keys if each.certificate is not None}


async def _of_logs(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> dict[str, Collected | None]:
    found = await of_cosignatures(installation, organisation, now)
    last = await _last_entries(installation, organisation, now)
    if _ISOLATION in last:
        found["isolation.check"] = of_isolation(last[_ISOLATION])
    if _RECONCILED in last:
        found["log.reconciled"] = of_reconciliation(last[_RECONCILED])
    return found


async def of_cosignatures(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> dict[str, Collected | None]:
    """Judge the cosignatures of an organisation's logs that verify over the entries that are there now."""
    policies = Policies(installation.config)
    try:
        standings = [
            await verified(installation, policies, await standing(installation, place))
            for place in logs_of(installation, organisation)
        ]
    except RootDiffers:
        text = Text("poster är inte de som bevittnades", "entries are not those that were witnessed")
        return {"log.witnessed": Collected(now, False, text), "time.witnessed": None}
    return {"log.witnessed": of_witnesses(standings), "time.witnessed": of_time(standings)}


async def _last_entries(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Mapping[str, LogEntry]:
    """Return the last entry of each kind of evidence in the organisation's logs."""
    last: dict[str, LogEntry] = {}
    for role in Role:
        if installation.gate.registry.find(organisation, role) is None:
            continue
        try:
            async with installation.gate.open(workers.COMPLIANCE, organisation, role, Purpose.TRACE) as vault:
                for event, entry in (await _last_in(vault, now - _BACK)).items():
                    if event not in last or last[event].at < entry.at:
                        last[event] = entry
        except VaultError:
            continue  # A locked vault cannot be read; its evidence is missing.
    return last


async def _last_in(vault: Vault, since: datetime) -> dict[str, LogEntry]:
    last: dict[str, LogEntry] = {}
    end = await vault.log_end()
    while end > 0 and len(last) < 2:
        start = max(0, end - _PAGE)
        entries = await vault.log(start, end - start)
        for entry in reversed(entries):
            if entry.event in (_ISOLATION, _RECONCILED):
                last.setdefault(entry.event, entry)
        if entries and entries[0].at < since:
            break
        end = start
    return last


def _of_inventory(seen: Survey, organisation: ParticipantIdentifier, now: datetime) -> Collected | None:
    mine = seen.keys.get(organisation, HeldKeys(problem="no message service"))
    return of_keys(mine, seen.holders, now)


async def _of_publication(
    installation: Administration,
    organisation: ParticipantIdentifier,
    federation: Federation | None,
    now: datetime,
) -> Collected | None:
    if federation is None:
        return None
    try:
        return of_publication(await gather(installation, organisation, federation, now))
    except Explained:
        return None


async def _of_scanner(config: Config, now: datetime) -> Collected | None:
    malware = config.malware
    if malware is None or malware.clamd is None:
        return None
    try:
        version = await ClamdScanner(malware.clamd, malware.answer_seconds).version()
    except ScannerUnavailable:
        return None
    try:
        await malware_scanner(malware).scan([b"samdrift"])
    except ScannerUnavailable:
        return of_scanner(version, finds=False)
    return of_scanner(version, finds=True)


async def _of_listeners(config: Config, now: datetime) -> Collected | None:
    if not await running(config):
        return None
    try:
        found = [each for target in targets(config) for each in [one async for one in check_tls(target)]]
    except (Explained, OSError):
        return None
    return of_findings(found, now)
