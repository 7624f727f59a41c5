"""Cost of coverage and of the report, for a chain of four suppliers with agreements renewed for ten years.

Run with ``python -m bench.coverage``. Prints milliseconds of this process's CPU for one organisation: its
coverage at a moment, the standing of one role and when that ends, the report, and its three forms; and the
seconds that all of it takes for 300 organisations, without collecting the evidence.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from samdrift.governance.coverage import Basis, coverage, standing
from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.governance.report import COLLECTORS, Collected, Text, document, report
from samdrift.governance.reportoscal import assessment_results, catalog, component_definition
from samdrift.governance.reportpage import page
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import (
    Agreed,
    AgreementKind,
    Carried,
    Function,
    Party,
    PartyKind,
    PartyNamed,
    Secrecy,
    Signatory,
)
from samdrift.rights.fields import Subject
from samdrift.rights.statements import Act, Approved, Statement

_ORGANISATION = "0203:bench.example.se"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_YEARS = 10
_PARTIES = [Party("FI", f"{number}") for number in range(10, 15)]
_DUTIES = shipped()[-1].duties
_CARRIED = sorted(each.id for each in _DUTIES.values() if each.pass_on is not PassOn.NO)
_ONE, _OTHER = (Subject.parse(f"person:{name}") for name in ("one", "other"))


def _agreed(principal: Party, performer: Party, year: int) -> Agreed:
    start = _START + timedelta(days=365 * year)
    signed = tuple(Signatory(each, "bench") for each in sorted((principal, performer)))
    duties = tuple(Carried(each, "4.1") for each in _CARRIED)
    return Agreed(
        AgreementKind.SERVICE,
        principal,
        performer,
        frozenset(Function),
        (_ORGANISATION,),
        start,
        start + timedelta(days=365),
        90,
        "d" * 64,
        signed,
        ("SE",),
        frozenset({Secrecy.CLAUSE}),
        duties,
    )


def agreements() -> Agreements:
    """Return the agreements of ten years."""
    made, second = Agreements(_ORGANISATION, lambda who, at: True), 0

    def state(by: Subject, act: Act) -> Statement:
        nonlocal second
        second += 1
        statement = Statement(_ORGANISATION, by, _START + timedelta(seconds=second), "bench", act)
        made.take(statement)
        return statement

    for each in _PARTIES:
        named = _ORGANISATION if each == _PARTIES[0] else ""
        state(_ONE, PartyNamed(each, "bench", PartyKind.COMPANY, named))
    for year in range(_YEARS):
        for principal, performer in pairwise(_PARTIES):
            entered = state(_ONE, _agreed(principal, performer, year))
            state(_OTHER, Approved(entered.digest))
    return made


def main() -> None:
    basis = Basis(agreements(), shipped(), {Function.AP: None, Function.MT: None, Function.MK: None})
    moment = _START + timedelta(days=400)
    began = time.process_time()
    found = basis.at(moment)
    covered = time.process_time()
    until = standing(basis, Function.AP, moment).until
    stood = time.process_time()
    assert found.covered
    assert until == _START + timedelta(days=365 * _YEARS)
    assert not coverage(found.register, _DUTIES, {}).gaps
    evidence = {name: Collected(moment, True, Text("väl", "well")) for name in COLLECTORS}
    since = time.process_time()
    made = report(found, shipped()[-1].label, _DUTIES.values(), evidence, "bench")
    forms = [json.dumps(document(made)), page(made, "sv")]
    forms += [json.dumps(each(shipped()[-1], made)) for each in (component_definition, assessment_results)]
    forms.append(json.dumps(catalog(shipped()[-1])))
    done = time.process_time()
    print(f"coverage of a moment, {_YEARS * 4} agreements: {1000 * (covered - began):.0f} ms")
    print(f"standing of a role and the end ahead: {1000 * (stood - covered):.0f} ms")
    print(f"report in {len(forms)} forms: {1000 * (done - since):.0f} ms")
    print(f"for 300 organisations with three roles: {300 * (3 * (stood - began) + done - since):.0f} s")


if __name__ == "__main__":
    main()
