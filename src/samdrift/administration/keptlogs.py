"""Logs of closed organisations: their transfers stay readable for as long as the rules require.

DIGG requires event logs of an access point to be kept for at least twelve months, even for an organisation
that has left (information-security 6.6). Closing destroys vault and keys; before that, the logs that contain
transfers are written to files in the format of :mod:`samdrift.evidence.logexport`, which anyone can verify.
The record of the closing lists them, so that a missing or changed file is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import file_digest
from pathlib import Path
from typing import Any

from samdrift.administration.administration import Administration
from samdrift.administration.events import AdminEvent
from samdrift.administration.logexport import write_tree
from samdrift.attestation.archive import new_file
from samdrift.audit.logverifying import LogVerifier
from samdrift.audit.notes import VerifierKey
from samdrift.audit.policies import Member, Policy
from samdrift.config.errors import Unusable
from samdrift.config.inputs import reason
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.evidence.logexport import verify_log
from samdrift.vault.closing import Closing, Stock
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.logtree import SigningStopped
from samdrift.wire.identifiers import ParticipantIdentifier

ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
"""Roles whose logs contain transfers."""
KEPT = timedelta(days=366)
"""Time for which logs are kept after a closing; nothing younger is disposed of earlier either."""


class KeptState(StrEnum):
    """State of a kept log's file."""

    THERE = "there"
    MISSING = "missing"
    CHANGED = "changed"
    NEVER = "never-written"
    """The vault was waiting for its officer at the closing, so its log could not be read."""
    OVER = "over"
    """The retention period is over, and the file may be removed."""


@dataclass(frozen=True, slots=True)
class KeptLog:
    """A kept log of a closed organisation."""

    organisation: str
    role: Role
    decision: str
    until: datetime
    file: Path | None
    entries: int
    sha256: str
    """Digest of the file according to the record of the closing."""
    state: KeptState


def folder_of(config: Config) -> Path:
    """Return the folder in which kept logs are stored."""
    return config.logs.kept or config.vaults.secrets.parent / "kept-logs"


async def keep(
    installation: Administration,
    organisation: ParticipantIdentifier,
    stock: Sequence[Stock],
    by: tuple[str, str],
    decision: str,
    now: datetime,
) -> list[dict[str, Any]]:
    """Write the logs that contain transfers, and return their entries for the record of the closing.

    Files of a closing that was interrupted before it was recorded are written again.
    """
    folder = folder_of(installation.config)
    kept = []
    for one in stock:
        if one.role not in ROLES:
            continue
        file = folder / f"{one.vault}.log"
        said: dict[str, Any] = {"role": one.role.value, "until": (now + KEPT).isoformat(timespec="seconds")}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            said |= await _written(installation.gate, organisation, one.role, file, by, decision, now)
        except VaultUnavailable as closed:
            if not installation.keys.locked(one.vault):
                raise
            said |= {"file": None, "why": str(closed)}
        except OSError as error:
            raise Unusable(f"the log of role {one.role.value} cannot be kept: {reason(error)}") from None
        kept.append(said)
    return kept


async def _written(
    gate: Gate,
    organisation: ParticipantIdentifier,
    role: Role,
    file: Path,
    by: tuple[str, str],
    decision: str,
    now: datetime,
) -> dict[str, Any]:
    """Write a log with a final checkpoint over it, and verify the file."""
    async with gate.open(workers.CLOSING, organisation, role, Purpose.EXPORT) as vault:
        facts = {"by": by[0], "with": by[1], "reason": f"closing, decided {decision}"}
        vault.record(AdminEvent.LOG_EXPORTED, **facts)
        begins = vault.log_origin.hash
    async with gate.open(workers.CLOSING, organisation, role, Purpose.EXPORT) as vault:
        with contextlib.suppress(SigningStopped):
            await vault.tree.sign(now)
    async with gate.open(workers.CLOSING, organisation, role, Purpose.EXPORT) as vault:
        keys = [VerifierKey.parse(each.key) for each in await vault.tree.keys()]
        exported = await write_tree(vault.tree, begins, f"{organisation.value} {role.value}", file)
    # A log that a decision renamed has one key under two names, which a policy in a file cannot have.
    policy = Policy(logs=[Member(key) for key in keys])
    return await asyncio.to_thread(_judged, file, policy, exported.size, now)


def _judged(file: Path, policy: Policy, entries: int, now: datetime) -> dict[str, Any]:
    verdict = verify_log(file, LogVerifier(policy, int(now.timestamp())))
    return {
        "file": file.name,
        "sha256": _digest(file),
        "entries": entries,
        "root": verdict.root.hex(),
        "holds": verdict.holds,
        "first_wrong": None if verdict.first_wrong is None else verdict.first_wrong.number,
    }


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def kept_logs(config: Config, closings: Iterable[Closing], now: datetime) -> Iterator[KeptLog]:
    """Yield the kept logs that the records of closings list, with their current state."""
    folder = folder_of(config)
    for closing in closings:
        facts = json.loads(closing.facts)
        for one in facts.get("logs_kept", ()):
            until = datetime.fromisoformat(one["until"])
            file = None if one["file"] is None else folder / one["file"]
            yield KeptLog(
                facts["organisation"],
                Role(one["role"]),
                facts["decision"],
                until,
                file,
                one.get("entries", 0),
                one.get("sha256", ""),
                _state(one, file, until, now),
            )


def _state(one: Mapping[str, Any], file: Path | None, until: datetime, now: datetime) -> KeptState:
    if until <= now:
        return KeptState.OVER
    if file is None:
        return KeptState.NEVER
    return _found(file, one["sha256"])


def _found(file: Path | None, digest: str) -> KeptState:
    if file is None or not file.is_file():
        return KeptState.MISSING
    return KeptState.THERE if _digest(file) == digest else KeptState.CHANGED


async def remove_over(installation: Administration, kept: Iterable[KeptLog], by: str, why: str) -> int:
    """Remove expired files, logging each with name and reason in the operator's log; return their number."""
    removed = 0
    for one in kept:
        if one.state is KeptState.OVER and one.file is not None and one.file.is_file():
            facts = {"organisation": one.organisation, "role": one.role.value, "by": by, "reason": why}
            await installation.gate.operator_log(AdminEvent.LOG_KEPT_REMOVED, **facts)
            one.file.unlink()
            removed += 1
    return removed


class KeptUnusable(Explained, ValueError):
    """Kept logs that cannot be handed over in their current state."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The receipt for a kept log, which is recorded in the operator's log."""

    organisation: str
    role: Role
    file: Path
    sha256: str
    entries: int
    to: str


async def hand_over(
    installation: Administration, kept: Sequence[KeptLog], out: Path, to: str, by: str, why: str
) -> list[HandedOver]:
    """Copy a closed organisation's logs to the folder ``out``, for the person ``to``; return the receipts.

    All are copied or none: each must be present and unchanged, and its copy must match the record of the
    closing. The operator's log has the receipt of each; a copy without one is removed.
    """
    ready = [one for one in kept if one.state is not KeptState.NEVER]
    if not ready:
        raise KeptUnusable("no log of that organisation is kept")
    for one in ready:
        if one.file is None or _state_of(one) is not KeptState.THERE:
            fault = "was changed after its closing wrote it; 'samdrift log kept' shows more"
            raise KeptUnusable(f"the log of role {one.role.value} {fault}")
    receipts = []
    await asyncio.to_thread(out.mkdir, mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as undone:
        for one in ready:
            assert one.file is not None
            copy = out / one.file.name
            await asyncio.to_thread(_copied, one, copy)
            undone.callback(copy.unlink)
            receipts.append(HandedOver(one.organisation, one.role, copy, one.sha256, one.entries, to))
        for receipt in receipts:
            facts = {"role": receipt.role.value, "sha256": receipt.sha256, "entries": str(receipt.entries)}
            facts |= {"to": to, "by": by, "reason": why}
            event = AdminEvent.LOG_KEPT_HANDED_OVER
            await installation.gate.operator_log(event, organisation=receipt.organisation, **facts)
        undone.pop_all()
    return receipts


def _state_of(one: KeptLog) -> KeptState:
    """Return the state of the file itself, even if its retention period is over."""
    return _found(one.file, one.sha256)


def _copied(one: KeptLog, copy: Path) -> None:
    assert one.file is not None
    with new_file(copy) as draft:
        with one.file.open("rb") as source, draft.open("r+b") as file:
            file.truncate()
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        if _digest(draft) != one.sha256:
            raise KeptUnusable(f"the log of role {one.role.value} changed while it was copied")
