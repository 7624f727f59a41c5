"""Storage used by each organisation, and why: database, object store, kept logs and backups.

Each vault counts its own data and reports only counts, sizes and times, not content. The rules for how long
rows are kept come from one list (:mod:`samdrift.vault.retention`), which a test compares with the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from samdrift.administration.administration import Administration
from samdrift.administration.keptlogs import kept_logs
from samdrift.config.errors import Unusable
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.operations import backupset
from samdrift.operations.backup import BackupEvent
from samdrift.operations.backupset import BackupSet
from samdrift.vault.closing import Closing
from samdrift.vault.holdings import Holdings, HoldingsVault, Owner, table_sizes
from samdrift.vault.inorder import Hosted
from samdrift.vault.portability.copies import hosted_by_organisation
from samdrift.vault.retention import TABLES, Ending, Kind
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 2000
_KEPT = "a year after the organisation was closed (samdrift log kept --remove)"
_COPIES = "when the operator removes the backup"


class Place(StrEnum):
    """A place where something is stored."""

    DATABASE = "database"
    OBJECTS = "object store"
    KEPT_LOGS = "kept logs"
    BACKUPS = "backups"


@dataclass(frozen=True, slots=True)
class Use:
    """Data of one kind in one place that is kept under one rule."""

    place: Place
    role: Role | None
    what: str
    count: int
    bytes: int
    oldest: datetime | None
    ends: str
    """Description of the retention rule."""
    ends_at: datetime | None = None
    """Time at which the oldest item is removed, if that depends on time alone."""


@dataclass(frozen=True, slots=True)
class Made:
    """Backups of an organisation according to the operator's log, wherever they are now."""

    count: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that one organisation stores."""

    organisation: str
    uses: tuple[Use, ...]
    unread: tuple[tuple[Role, str], ...] = ()
    """Roles whose vault could not be asked, with the reason."""
    backups: Made | None = None
    """Backups made of the organisation; ``None`` if none was ever made."""

    @property
    def bytes(self) -> int:
        """Return the total size, excluding backups, which are stored elsewhere."""
        return sum(use.bytes for use in self.uses if use.place is not Place.BACKUPS)


@dataclass(slots=True)
class _Sum:
    count: int = 0
    bytes: int = 0
    oldest: datetime | None = None

    def add(self, count: int, size: int, oldest: datetime | None) -> None:
        self.count += count
        self.bytes += size
        self.oldest = min((each for each in (self.oldest, oldest) if each is not None), default=None)


async def storage_of(
    installation: Administration,
    only: ParticipantIdentifier | None,
    backups: Sequence[BackupSet],
    now: datetime,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Stored]:
    """Return what each organisation stores, or ``only`` one; :class:`Unusable` if that has nothing here.

    ``progress`` is called with the number of organisations that have been asked.
    """
    made = await _backups_made(installation)
    closings = await installation.provisioner.closings.all()
    kept = await asyncio.to_thread(_kept_logs, installation, closings, now)
    hosted = await hosted_by_organisation(installation.provisioner.database)
    found = []
    for number, name in enumerate(organisations_of(installation, kept, backups, only), 1):
        uses, unread = await _vaults(installation, ParticipantIdentifier(name), hosted.get(name, ()))
        uses += [*kept.get(name, ()), *_backups(name, backups)]
        found.append(Stored(name, tuple(uses), tuple(unread), made.get(name)))
        progress(number)
    return found


def organisations_of(
    installation: Administration,
    kept: Collection[str],
    backups: Iterable[BackupSet],
    only: ParticipantIdentifier | None,
) -> list[str]:
    """Return the organisations that store anything here, or ``only`` one of them."""
    hosted = {each.organisation.value for each in installation.gate.registry.all()}
    copied = {file.organisation for backup in backups for file in backup.manifest.files}
    names = sorted((hosted | set(kept) | copied) - {""})
    if only is None:
        return names
    if only.value not in names:
        raise Unusable(f"{only} has no data in this installation")
    return [only.value]


def read_backups(folders: Iterable[Path], signers: list[str]) -> list[BackupSet]:
    """Read the signed lists of all backups in the folders; raise an error for one that cannot be used."""
    return [backupset.read(path, signers) for folder in folders for path in backupset.found_in(folder)]


async def _vaults(
    installation: Administration, organisation: ParticipantIdentifier, hosted: Iterable[Hosted]
) -> tuple[list[Use], list[tuple[Role, str]]]:
    uses: list[Use] = []
    unread: list[tuple[Role, str]] = []
    places = {each.role: each for each in hosted}
    for role in Role:
        if installation.gate.registry.find(organisation, role) is None:
            continue
        try:
            async with installation.gate.open(workers.STORAGE, organisation, role, Purpose.MAINTAIN) as vault:
                assert isinstance(vault, HoldingsVault)
                holdings = await vault.holdings()
            place = places.get(role)
            database = installation.provisioner.database
            sizes = await table_sizes(database, place.where, place.schema) if place else {}
            uses += uses_of(role, holdings, sizes)
        except Explained as error:
            unread.append((role, str(error)))
    return uses, unread


def uses_of(role: Role, holdings: Holdings, sizes: Mapping[str, int]) -> list[Use]:
    """Return the uses of one vault: tables by kind of data and rule, bodies by owner."""
    sums: dict[tuple[Kind, Ending], _Sum] = {}
    for table in holdings.tables:
        rule = TABLES[role][table.table]
        sums.setdefault((rule.kind, rule.ending), _Sum()).add(
            table.count, sizes.get(table.table, 0), table.oldest
        )
    uses = [
        Use(Place.DATABASE, role, kind.value, each.count, each.bytes, each.oldest, *_end(ending, each.oldest))
        for (kind, ending), each in sums.items()
    ]
    for body in holdings.bodies:
        ending = Ending.SWEPT if body.owner is Owner.NOBODY else Ending.OWNER
        end = _end(ending, body.oldest)
        uses.append(Use(Place.OBJECTS, role, body.owner.value, body.count, body.bytes, body.oldest, *end))
    return uses


def _end(ending: Ending, oldest: datetime | None) -> tuple[str, datetime | None]:
    return ending.text, oldest + ending.after if oldest is not None and ending.after is not None else None


def _kept_logs(
    installation: Administration, closings: Iterable[Closing], now: datetime
) -> dict[str, list[Use]]:
    """Return the kept logs of closed organisations, by organisation."""
    found: dict[str, list[Use]] = {}
    for one in kept_logs(installation.config, closings, now):
        if one.file is not None and one.file.is_file():
            status = one.file.stat()
            since = datetime.fromtimestamp(status.st_mtime, UTC)
            use = Use(Place.KEPT_LOGS, one.role, "log", one.entries, status.st_size, since, _KEPT, one.until)
            found.setdefault(one.organisation, []).append(use)
    return found


def _backups(organisation: str, backups: Iterable[BackupSet]) -> list[Use]:
    files = [
        each for backup in backups for each in backup.manifest.files if each.organisation == organisation
    ]
    if not files:
        return []
    oldest = min(each.taken_at for each in files)
    return [
        Use(Place.BACKUPS, None, "backups", len(files), sum(each.bytes for each in files), oldest, _COPIES)
    ]


async def _backups_made(installation: Administration) -> dict[str, Made]:
    """Return the backups recorded in the operator's log, by organisation."""
    made: dict[str, Made] = {}
    after = 0
    while entries := await installation.gate.read_operator_log(after, _PAGE):
        for entry in entries:
            if entry.event == BackupEvent.ORGANISATION_BACKED_UP and (name := entry.ids.get("organisation")):
                made[name] = Made(made[name].count + 1 if name in made else 1, entry.at)
        after = entries[-1].sequence
    return made
