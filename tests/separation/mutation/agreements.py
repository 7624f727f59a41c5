"""Mutants that remove guards of agreements, coverage and the compliance report."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_AGREEMENTS = "tests/unit/rights/test_agreements.py"
_COVERAGE = "tests/unit/governance/test_coverage.py"
_DUTIES = "tests/unit/governance/test_duties.py"
_REPORT = "tests/unit/governance/test_report.py"
_BOARD = "tests/unit/governance/test_boardreport.py"
_COLLECTED = "tests/unit/operations/test_compliance.py"
_DOCTOR = "tests/unit/operations/test_agreementcheck.py"
_KEEPER = "tests/unit/installation/test_cover.py"
_ROLES = "tests/roles/test_cover.py"
_FOLD = "rights/agreementfold.py"


def _without(guard: str, file: str, text: str, *tests: str, instead: str = "") -> Mutant:
    return Mutant(f"agreements: {guard}", file, text, instead, tests)


AGREEMENTS = (
    _without(
        "the two parties must differ",
        "rights/agreements.py",
        "        if principal == performer:\n"
        '            raise StatementError("the two parties must differ", "performer")\n',
        _AGREEMENTS,
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
        "        if same_person(by, row.statement.by):\n            return Effect.SELF\n",
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
        "if key in known or key not in released",
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
        "not duty.kinds or each.agreed.form in duty.kinds",
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
        "a catalogue is as old as its own day",
        "governance/report.py",
        "    at = datetime.combine(catalogue.day, datetime.min.time(), UTC)\n",
        f"{_REPORT}::test_a_catalogue_that_is_too_old_or_of_a_day_to_come_turns_the_rows_that_rest_on_it",
        instead="    at = datetime.now(UTC)\n",
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
    _without(
        "a function that was never covered opens for nothing",
        "vault/gate.py",
        "            if not cover.mode.receives:\n                raise VaultUncovered\n",
        f"{_KEEPER}::test_a_function_that_was_never_covered_opens_for_nothing_that_it_does",
    ),
    _without(
        "an installation that runs asks for cover",
        "installation/cover.py",
        "    gate.covered_by(keeper)\n",
        f"{_ROLES}::test_an_installation_that_runs_asks_for_cover_and_says_that_it_is_inherited",
    ),
    _without(
        "no new message is taken after the end",
        "messageservice/service.py",
        "        await self._require_cover(organisation)\n",
        f"{_ROLES}::test_a_message_client_is_told_that_new_messages_are_not_covered",
    ),
    _without(
        "a message in line is not sent after the end",
        "messageservice/outgoing/sender.py",
        "                (await self._vaults.cover(organisation)).require_sending()\n",
        f"{_ROLES}::test_a_message_that_is_in_line_when_cover_ends_ends_with_a_reason",
    ),
    _without(
        "an access point takes no new message after the end",
        "accesspoint/interface_c.py",
        "            if created and refused is not None:\n                raise refused\n",
        f"{_ROLES}::test_an_access_point_without_cover_takes_no_new_message_and_transfers_receipts",
    ),
    _without(
        "an access point transfers receipts after the end",
        "accesspoint/interface_c.py",
        "    if header.document in _RECEIPTS:\n        return None\n",
        f"{_ROLES}::test_an_access_point_without_cover_takes_no_new_message_and_transfers_receipts",
    ),
    _without(
        "what a witness has seen counts for ends",
        "installation/cover.py",
        "(self._clock(), record.last, facts.witnessed, begun)",
        f"{_KEEPER}::test_a_moment_that_a_witness_has_put_under_the_log_counts_for_ends",
        instead="(self._clock(), record.last, begun)",
    ),
    _without(
        "a clock that was set back prolongs nothing",
        "installation/cover.py",
        "(self._clock(), record.last, facts.witnessed, begun)",
        f"{_KEEPER}::test_a_clock_that_is_set_back_prolongs_nothing",
        instead="(self._clock(), facts.witnessed, begun)",
    ),
    _without(
        "what one organisation takes to be decided holds up no other",
        "installation/cover.py",
        "await asyncio.to_thread(self._decide, kept, role, facts, now)",
        f"{_KEEPER}::test_what_one_organisation_takes_to_be_decided_holds_up_no_other",
        instead="self._decide(kept, role, facts, now)",
    ),
    _without(
        "a copy that does not hold sends nothing",
        "installation/cover.py",
        "            return RightsBehind(record.number, broken.number)\n",
        f"{_KEEPER}::test_a_copy_that_does_not_hold_receives_and_sends_when_it_is_whole_again",
        instead="            return None\n",
    ),
    _without(
        "one process tells of a state",
        "vault/sql/cover-1.sql",
        " WHERE noted = $1",
        f"{_KEEPER}::test_of_two_processes_that_see_a_state_one_tells_of_it",
    ),
    _without(
        "nothing is inherited once it is over",
        "vault/provision.py",
        " WHERE inherited_until > now()",
        f"{_KEEPER}::test_an_organisation_inherits_once_for_all_roles_and_nothing_after_the_end",
    ),
    _without(
        "the doctor names a role whose copy lacks statements",
        "administration/covering.py",
        "        if facts.statements < number:\n            behind[role] = facts.statements\n",
        _DOCTOR,
    ),
    _without(
        "what was stated while a vault was locked reaches it when it is unlocked",
        "installation/unlocking.py",
        "    await _copied(gate, organisation)\n",
        "tests/unit/installation/test_unlocking.py::test_copies_of_signed_statements_are_brought_up_to_date",
        instead="    pass\n",
    ),
    _without(
        "agreements lead to the party that runs the roles",
        "installation/cover.py",
        "{function: self._operator}",
        f"{_KEEPER}::test_agreements_have_to_lead_to_the_party_that_runs_the_roles",
        instead="{function: None}",
    ),
    _without(
        "a board sees whom it has an agreement in force with",
        "governance/boardreport.py",
        "each.covers(register.moment) and ",
        _BOARD,
    ),
    _without(
        "a supplier that a member has an agreement with is no board",
        "governance/boardreport.py",
        "and named.form in _BOARDS",
        _BOARD,
    ),
)
