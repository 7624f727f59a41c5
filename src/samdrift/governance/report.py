"""The compliance report of an organisation at a moment.

For each duty it has the control that meets it, the evidence that the system collected with its age and limit,
and a status. A status is never green without evidence: a duty is *held* only if every collector that its
catalogue names has found it good, no longer ago than the catalogue allows, and agreements carry it where they
have to. A collector that found nothing, or that does not exist, leaves a *gap*. Anything that a system cannot
see is *people's*.

Pure: findings, coverage and the moment are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from samdrift.governance.coverage import Coverage
from samdrift.governance.duties.catalogue import Catalogue, Duty, PassOn, Text
from samdrift.rights.fields import moment_text
from samdrift.rights.folding import Effect, State
from samdrift.rights.statements import Reviewed, Statement

COLLECTORS: Mapping[str, Text] = {
    "agreements.coverage": Text("Täckning genom avtal", "Coverage by agreements"),
    "catalogue.in-use": Text("Katalog i bruk", "Catalogue in use"),
    "certificates.environment": Text("Driftleverantörens certifikat", "The operator's certificates"),
    "grants.in-force": Text("Gällande behörigheter", "Grants in force"),
    "grants.logged": Text("Ändringar av behörigheter i loggen", "Changes of permissions in the log"),
    "incidents.clocks": Text("Incidenter och deras klockor", "Incidents and their clocks"),
    "isolation.check": Text("Isoleringskontroll", "Isolation check"),
    "keys.inventory": Text("Nyckelförteckning", "Key inventory"),
    "log.event-fields": Text("Fält i överföringshändelser", "Fields of transfer events"),
    "log.reconciled": Text("Avstämning av loggar", "Reconciliation of logs"),
    "log.retention": Text("Bevarande av loggar", "Retention of logs"),
    "log.witnessed": Text("Bevittnad kontrollpunkt", "Witnessed checkpoint"),
    "publication.compared": Text("Jämförelse med SMP och CertPub", "Comparison with SMP and CertPub"),
    "restore.drill": Text("Återställningsprov", "Restore drill"),
    "reviews.done": Text("Granskningar av behörighet", "Reviews of permissions"),
    "scanner.signatures": Text("Skannerns signaturer", "The scanner's signatures"),
    "staff.accounts": Text("Driftens konton", "The operator's accounts"),
    "time.witnessed": Text("Bevittnad tid", "Witnessed time"),
    "tls.in-force": Text("TLS som gäller", "TLS in force"),
}
"""The collectors that catalogues can name, with the title of each."""


class Status(StrEnum):
    """Statuses of a duty, from best to worst."""

    PEOPLE = "people's"
    """The duty cannot be checked by a system."""
    HELD = "held"
    SILENT = "silent"
    """No event has occurred that would show whether the duty is met."""
    STALE = "stale"
    """There was good evidence, but it is older than its limit."""
    GAP = "gap"
    """Evidence is missing, or shows that the duty is not met."""


_ORDER = list(Status)


@dataclass(frozen=True, slots=True)
class Collected:
    """Evidence that a collector found: its moment, whether it is good, and a description.

    The description has counts, ages, sizes and versions, but no content and no people.
    """

    at: datetime
    good: bool
    found: Text
    silent: bool = False
    """True if there was nothing to judge: what is good then shows only that nothing is known to be wrong."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One collector's evidence for a duty, with the status that follows from its age."""

    collector: str
    status: Status
    limit: timedelta
    collected: Collected | None

    def age(self, moment: datetime) -> timedelta | None:
        """Return the age of the evidence at a moment."""
        return None if self.collected is None else moment - self.collected.at


@dataclass(frozen=True, slots=True)
class Row:
    """A duty in the report."""

    duty: Duty
    status: Status
    evidence: tuple[Evidence, ...]
    gaps: int
    """Number of links of agreements that should carry the duty but do not."""
    carried: int
    """Number of links of agreements that carry the duty."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of an organisation at a moment."""

    organisation: str
    moment: datetime
    catalogue: str
    version: str
    """Version of the program."""
    rows: tuple[Row, ...]

    def count(self, status: Status) -> int:
        """Return the number of duties that have a status."""
        return sum(row.status is status for row in self.rows)


def report(
    coverage: Coverage,
    catalogue: str,
    duties: Iterable[Duty],
    collected: Mapping[str, Collected],
    version: str,
) -> Report:
    """Return the report of the organisation and moment of ``coverage``.

    ``collected`` has the collectors' findings by collector name, without collectors that found nothing. The
    moment is in whole seconds, as statements are; so is that of evidence, since what was found within the
    second of the report is not of the future.
    """
    register = coverage.register
    found = {name: replace(each, at=each.at.replace(microsecond=0)) for name, each in collected.items()}
    found["agreements.coverage"] = _of_coverage(coverage)
    rows = [_row(duty, coverage, found) for duty in duties]
    return Report(register.organisation, register.moment, catalogue, version, tuple(rows))


def of_catalogue(catalogue: Catalogue) -> Collected:
    """Return the evidence that a catalogue is in use, which is as old as the catalogue."""
    at = datetime.combine(catalogue.day, datetime.min.time(), UTC)
    return Collected(at, True, Text(catalogue.label, catalogue.label))


def of_rights(
    state: State, statements: Iterable[Statement], moment: datetime, unsigned: int = 0
) -> dict[str, Collected]:
    """Return the evidence that signed statements give of grants and their reviews; empty without grants.

    ``unsigned`` is the number of unsigned rights in force, which no officer has signed: any is a gap.

    Its age is that of the right that has gone longest without a review. A right that has not been
    reviewed since it began counts from its beginning.
    """
    if unsigned:
        without = Text(f"{unsigned} behörigheter utan underskrift", f"{unsigned} rights without a signature")
        return dict.fromkeys(("grants.in-force", "reviews.done"), Collected(moment, False, without))
    reviews: dict[str, datetime] = {}
    for each in statements:
        if isinstance(each.act, Reviewed) and each.at <= moment and state.effect(each.digest) is Effect.TAKEN:
            reviews[each.act.of] = each.at
    looked = [
        max([each.given.start, *(reviews[digest] for digest in each.statements if digest in reviews)])
        for each in state.holdings(moment)
    ]
    if not looked:
        return {}
    count = len(looked)
    grants = Text(f"{count} behörigheter, alla med slut", f"{count} grants, all with an end")
    reviewed = Text(f"äldsta av {count} behörigheter", f"the oldest of {count} grants")
    return {
        "grants.in-force": Collected(moment, True, grants),
        "reviews.done": Collected(min(looked), True, reviewed),
    }


def document(made: Report) -> dict[str, Any]:
    """Return the report in machine-readable form."""
    return {
        "organisation": made.organisation,
        "at": moment_text(made.moment),
        "catalogue": made.catalogue,
        "version": made.version,
        "counts": {status.value: made.count(status) for status in Status},
        "rows": [
            {
                "duty": row.duty.id,
                "reference": row.duty.reference,
                "seen": row.duty.seen,
                "level": row.duty.level,
                "status": row.status.value,
                "says": {"sv": row.duty.says.sv, "en": row.duty.says.en},
                "carried": row.carried,
                "gaps": row.gaps,
                "people": None if row.duty.people is None else row.duty.people.en,
                "evidence": [_evidence_document(each, made.moment) for each in row.evidence],
            }
            for row in made.rows
        ],
    }


def _evidence_document(each: Evidence, moment: datetime) -> dict[str, Any]:
    age = each.age(moment)
    return {
        "collector": each.collector,
        "status": each.status.value,
        "at": None if each.collected is None else moment_text(each.collected.at),
        "age_seconds": None if age is None else int(age.total_seconds()),
        "limit_seconds": int(each.limit.total_seconds()),
        "found": None if each.collected is None else each.collected.found.en,
    }


def _of_coverage(coverage: Coverage) -> Collected:
    gaps = len(coverage.gaps)
    if coverage.inherited:
        found = Text("ärvt, tills avtal är inlagda", "inherited, until agreements are entered")
        return Collected(coverage.register.moment, False, found)
    found = Text(f"{gaps} luckor", f"{gaps} gaps") if gaps else Text("täckt", "covered")
    return Collected(coverage.register.moment, coverage.covered, found)


def _row(duty: Duty, coverage: Coverage, collected: Mapping[str, Collected]) -> Row:
    moment = coverage.register.moment
    evidence = tuple(
        _judged(each.collector, each.fresh, collected.get(each.collector), moment) for each in duty.collectors
    )
    gaps = sum(gap.duty == duty.id for gap in coverage.gaps)
    carried = sum(held.duty == duty.id for held in coverage.held)
    statuses = [each.status for each in evidence]
    if duty.pass_on is not PassOn.NO:
        statuses += [Status.GAP] if gaps or coverage.inherited else []
    if not statuses:
        statuses = [Status.PEOPLE if duty.people is not None else Status.GAP]
    return Row(duty, max(statuses, key=_ORDER.index), evidence, gaps, carried)


def _judged(collector: str, limit: timedelta, found: Collected | None, moment: datetime) -> Evidence:
    if found is None or not found.good or found.at > moment:
        return Evidence(collector, Status.GAP, limit, found)
    if moment - found.at > limit:
        return Evidence(collector, Status.STALE, limit, found)
    return Evidence(collector, Status.SILENT if found.silent else Status.HELD, limit, found)
