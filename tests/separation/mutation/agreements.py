"""The guards of agreements, coverage and the compliance report, each as the mutant that lacks it."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_AGREEMENTS = "tests/unit/rights/test_agreements.py"
_COVERAGE = "tests/unit/governance/test_coverage.py"
_DUTIES = "tests/unit/governance/test_duties.py"
_REPORT = "tests/unit/governance/test_report.py"
_COLLECTED = "tests/unit/operations/test_compliance.py"
_DOCTOR = "tests/unit/operations/test_agreementcheck.py"
_FOLD = "rights/agreementfold.py"


def _without(guard: str, file: str, text: str, *tests: str, instead: str = "") -> Mutant:
    return Mutant(f"agreements: {guard}", file, text, instead, tests)


AGREEMENTS = (
    _without(
        "nobody makes an agreement with themselves",
        "rights/agreements.py",
        "        if principal == performer:\n"
        '            raise StatementError("nobody makes an agreement with themselves", "performer")\n',
        _AGREEMENTS,
    ),
    _without(
        "what was inherited lasts ninety days",
        "rights/agreements.py",
        "LONGEST_INHERITED if form is AgreementKind.INHERITED else LONGEST_AGREEMENT",
        _AGREEMENTS,
        instead="LONGEST_AGREEMENT",
    ),
    _without(
        "a number of a person is not a party's",
        "rights/agreements.py",
        ' or number[2] < "2"',
        _AGREEMENTS,
    ),
    _without(
        "an agreement of other organisations is not this one's",
        _FOLD,
        "            case Agreed(organisations=whose) if self.organisation not in whose:\n"
        "                return Effect.OTHER_ORGANISATION\n",
        _AGREEMENTS,
    ),
    _without(
        "nobody countersigns what they entered",
        _FOLD,
        "        if by == row.statement.by:\n            return Effect.SELF\n",
        _AGREEMENTS,
    ),
    _without(
        "an officer countersigns",
        _FOLD,
        "            return Effect.SELF\n        if not officer:\n            return Effect.NO_AUTHORITY\n",
        _AGREEMENTS,
        instead="            return Effect.SELF\n",
    ),
    _without(
        "an agreement covers nothing before it is countersigned",
        _FOLD,
        "max(self.agreed.start, self.since) <= moment",
        _AGREEMENTS,
        instead="self.agreed.start <= moment",
    ),
    _without(
        "an end counts",
        _FOLD,
        "        end = min(end, row.ended)\n",
        _AGREEMENTS,
        instead="        pass\n",
    ),
    _without(
        "an extension has a limit",
        _FOLD,
        "Effect.WAITING if extended.end <= end + LONGEST_EXTENSION else Effect.TOO_LONG",
        _AGREEMENTS,
        instead="Effect.WAITING",
    ),
    _without(
        "an objection comes before the window closes",
        _FOLD,
        "Effect.TAKEN if at < row.statement.act.window else Effect.OVER",
        _AGREEMENTS,
        instead="Effect.TAKEN",
    ),
    _without(
        "a duty that the newest catalogue has cannot be let go",
        "governance/duties/catalogue.py",
        "if key in newest or key not in released",
        _DUTIES,
        instead="if key not in released",
    ),
    _without(
        "a duty that vanished stays",
        "governance/duties/catalogue.py",
        "        duties |= catalogue.duties\n",
        _DUTIES,
        instead="        duties = dict(catalogue.duties)\n",
    ),
    _without(
        "a clause in an agreement of the wrong kind carries nothing",
        "governance/coverage.py",
        "each.inherited or not duty.kinds or each.agreed.form in duty.kinds",
        _COVERAGE,
        instead="True",
    ),
    _without(
        "an agreement that no chain reaches is a gap",
        "governance/coverage.py",
        "    gaps |= {gap for each in loose for gap in _loose(each)}\n",
        _COVERAGE,
    ),
    _without(
        "a sub-supplier of whom notice was given needs a chain",
        "governance/coverage.py",
        "    wanted = [*engaged]\n",
        _COVERAGE,
        instead="    wanted: list[Party] = []\n",
    ),
    _without(
        "the choice that was made before the end counts",
        "governance/coverage.py",
        "current.register.chosen(ended)",
        _COVERAGE,
        instead="current.register.chosen(now)",
    ),
    _without(
        "what never was covered is off",
        "governance/coverage.py",
        "    if ended is None:\n        return Standing(function, Mode.OFF, None, None, False)\n",
        _COVERAGE,
        instead="    ended = ended or now\n",
    ),
    _without(
        "evidence that is not there is a gap",
        "governance/report.py",
        "    if found is None or not found.good or found.at > moment:\n",
        _REPORT,
        instead="    if found is None:\n        return Evidence(collector, Status.HELD, limit, found)\n"
        "    if not found.good or found.at > moment:\n",
    ),
    _without(
        "evidence grows old",
        "governance/report.py",
        "    fresh = moment - found.at <= limit\n",
        _REPORT,
        instead="    fresh = True\n",
    ),
    _without(
        "a gap in agreements is a gap of the duty",
        "governance/report.py",
        "[Status.GAP] if gaps or coverage.inherited else []",
        _REPORT,
        instead="[]",
    ),
    _without(
        "a log without a witness is no evidence",
        "operations/compliance.py",
        "len(cosigned) < max(1, len(each.witnesses))",
        _COLLECTED,
        instead="False",
    ),
    _without(
        "a shared key is seen",
        "operations/compliance.py",
        "    if lacking or shared:\n",
        _COLLECTED,
        instead="    if lacking:\n",
    ),
    _without(
        "an expired key is not one in use",
        "operations/compliance.py",
        " and _is_valid(row.key, now)",
        _COLLECTED,
    ),
    _without(
        "the doctor sees that cover has ended",
        "operations/agreementcheck.py",
        "    if found.mode is not Mode.ON:\n",
        _DOCTOR,
        instead="    if False:\n",
    ),
    _without(
        "the doctor sees what was inherited",
        "operations/agreementcheck.py",
        "    if found.inherited:\n",
        _DOCTOR,
        instead="    if False:\n",
    ),
)
