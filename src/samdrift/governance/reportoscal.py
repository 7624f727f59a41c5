"""The compliance report in NIST's OSCAL 1.2.1, for auditors' tools.

It has the catalogue of duties, the component that meets them, and the results of this assessment. Identifiers
are derived from names (UUID version 5), so that the same report always has the same bytes. A duty that is
left to people has an observation but no finding, because it was not assessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from samdrift.governance.duties.catalogue import Catalogue, Duty
from samdrift.governance.report import COLLECTORS, Evidence, Report, Row, Status
from samdrift.rights.fields import moment_text

OSCAL = "1.2.1"

_OURS = uuid5(NAMESPACE_URL, "urn:samdrift:oscal")
_PROPERTIES = "urn:samdrift:oscal:properties"


def catalog(used: Catalogue) -> dict[str, Any]:
    """Return the catalogue of duties as an OSCAL catalog, grouped by source."""
    groups = []
    for source in used.sources.values():
        duties = [each for each in used.duties.values() if each.source.key == source.key]
        if duties:
            group = {"id": source.key, "title": f"{source.title} {source.version}"}
            groups.append(group | {"controls": [_control(each) for each in duties]})
    day = datetime.combine(used.day, datetime.min.time())
    metadata = _metadata(f"Duties of SDK, {used.label}", f"{day:%Y-%m-%dT%H:%M:%SZ}", used.version)
    return {"catalog": {"uuid": _uuid("catalog", used.label), "metadata": metadata, "groups": groups}}


def component_definition(used: Catalogue, made: Report) -> dict[str, Any]:
    """Return the product's control for each duty, as an OSCAL component definition."""
    requirements = [
        {
            "uuid": _uuid("requirement", used.label, duty.id),
            "control-id": duty.id,
            "description": duty.control.en,
            "props": [_property("evidence", duty.evidence.en)],
        }
        for duty in used.duties.values()
    ]
    implementation = {
        "uuid": _uuid("implementation", used.label, made.version),
        "source": f"urn:uuid:{_uuid('catalog', used.label)}",
        "description": f"Duties by {used.label}",
        "implemented-requirements": requirements,
    }
    component = {
        "uuid": _uuid("component"),
        "type": "software",
        "title": "Samdrift",
        "description": "Access point, message service, message client and governance for SDK",
        "props": [{"name": "version", "value": made.version}],
        "control-implementations": [implementation],
    }
    metadata = _metadata("Samdrift", moment_text(made.moment), made.version)
    return {
        "component-definition": {
            "uuid": _uuid("component-definition", used.label, made.version),
            "metadata": metadata,
            "components": [component],
        }
    }


def assessment_results(used: Catalogue, made: Report) -> dict[str, Any]:
    """Return the report as OSCAL assessment results, with an observation for each piece of evidence."""
    key = made.organisation, moment_text(made.moment), made.catalogue
    resource = _uuid("catalog-resource", used.label)
    observations, findings = [], []
    for row in made.rows:
        seen = list(_observations(row, made, key))
        observations += seen
        if row.status is not Status.PEOPLE:
            findings.append(_finding(row, seen, key))
    controls = [{"control-id": row.duty.id} for row in made.rows]
    result = {
        "uuid": _uuid("result", *key),
        "title": f"Compliance of {made.organisation}",
        "description": f"Duties by {made.catalogue}, as the system's evidence has them",
        "start": moment_text(made.moment),
        "end": moment_text(made.moment),
        "reviewed-controls": {"control-selections": [{"include-controls": controls}]},
        "observations": observations,
        "findings": findings,
    }
    metadata = _metadata(f"Compliance of {made.organisation}", moment_text(made.moment), made.version)
    return {
        "assessment-results": {
            "uuid": _uuid("assessment-results", *key),
            "metadata": metadata,
            "import-ap": {"href": f"#{resource}"},
            "results": [result],
            "back-matter": {"resources": [{"uuid": resource, "title": f"Catalogue {used.label}"}]},
        }
    }


def _control(duty: Duty) -> dict[str, Any]:
    parts = [
        {"id": f"{duty.id}_smt", "name": "statement", "prose": duty.says.en},
        {"id": f"{duty.id}_sv", "name": "guidance", "title": "Svenska", "prose": duty.says.sv},
    ]
    if duty.people is not None:
        parts.append({"id": f"{duty.id}_ppl", "name": "guidance", "prose": duty.people.en})
    properties = {
        "level": duty.level,
        "section": duty.section,
        "bound": " ".join(duty.bound),
        "pass-on": duty.pass_on.value,
        "seen": "yes" if duty.seen else "no",
    }
    control: dict[str, Any] = {
        "id": duty.id,
        "title": _title(duty),
        "props": [_property(name, value) for name, value in properties.items() if value],
        "parts": parts,
    }
    if duty.replaced_by:
        control["links"] = [{"href": f"#{each}", "rel": "related"} for each in duty.replaced_by]
    return control


def _observations(row: Row, made: Report, key: Iterable[str]) -> Iterable[dict[str, Any]]:
    for each in row.evidence:
        yield {
            "uuid": _uuid("observation", *key, row.duty.id, each.collector),
            "title": COLLECTORS[each.collector].en if each.collector in COLLECTORS else each.collector,
            "description": _described(each),
            "props": [_property("status", each.status.value), _property("collector", each.collector)],
            "methods": ["TEST"],
            "collected": moment_text(_moment(each, made)),
        }
    if row.status is Status.PEOPLE and row.duty.people is not None:
        yield {
            "uuid": _uuid("observation", *key, row.duty.id, "people"),
            "title": "Stays with people",
            "description": row.duty.people.en,
            "props": [_property("status", Status.PEOPLE.value)],
            "methods": ["INTERVIEW"],
            "collected": moment_text(made.moment),
        }


def _moment(each: Evidence, made: Report) -> datetime:
    at = made.moment if each.collected is None else each.collected.at
    return at.replace(microsecond=0)


def _described(each: Evidence) -> str:
    if each.collected is None:
        return "No evidence was found."
    return f"{each.collected.found.en}; at most {int(each.limit.total_seconds() // 3600)} hours old is held"


def _finding(row: Row, observations: Iterable[Mapping[str, Any]], key: Iterable[str]) -> dict[str, Any]:
    held = row.status is Status.HELD
    finding: dict[str, Any] = {
        "uuid": _uuid("finding", *key, row.duty.id),
        "title": _title(row.duty),
        "description": f"{row.status.value}; carried in {row.carried} links, missing in {row.gaps}",
        "target": {
            "type": "statement-id",
            "target-id": f"{row.duty.id}_smt",
            "status": {"state": "satisfied" if held else "not-satisfied"},
        },
    }
    if not held:
        finding["target"]["status"]["reason"] = "fail" if row.status is Status.GAP else "other"
    related = [{"observation-uuid": each["uuid"]} for each in observations]
    return finding | ({"related-observations": related} if related else {})


def _title(duty: Duty) -> str:
    return duty.says.en.partition(".")[0]


def _metadata(title: str, modified: str, version: str) -> dict[str, Any]:
    return {"title": title, "last-modified": modified, "version": version, "oscal-version": OSCAL}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": _PROPERTIES, "value": value}


def _uuid(*names: str) -> str:
    return str(uuid5(_OURS, "\n".join(names)))
