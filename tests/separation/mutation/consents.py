"""Mutants that remove guards of consents, emergencies and the end of unsigned rights."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_FOLD = "tests/unit/rights/test_consents.py"
_SESSIONS = "tests/unit/governance/test_consent.py"
_SETTLING = "tests/unit/messageclient/test_settling.py"
_PAGES = "tests/unit/messageclient/test_consents.py"
_COMMANDS = "tests/unit/cli/test_gov_consent.py"
_RIGHTS_SET_BACK = (
    "tests/unit/messageclient/test_signed_rights.py"
    "::test_a_right_that_has_ended_by_what_a_witness_signed_is_not_had_again_by_a_clock_set_back"
)


def _without(guard: str, file: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(f"consents: {guard}", file, text, instead, tests)


CONSENTS = (
    _without(
        "content takes two persons of the organisation",
        "rights/consentfold.py",
        "needed = 2 if row.act.level is Level.CONTENT else 1\n        return Effect",
        "needed = 1\n        return Effect",
        f"{_FOLD}::test_content_takes_two_persons_of_the_organisation",
    ),
    _without(
        "an empty vault is not an organisation that stated nothing",
        "governance/records.py",
        "                    if await vault.last_signed_statement():\n                        record =",
        "                    if True:\n                        record =",
        f"{_SESSIONS}::test_the_record_counts_where_the_vault_of_governance_is_a_new_one",
    ),
    _without(
        "what a witness has put under the log counts for an end",
        "governance/consent.py",
        "                self._known = moment_of(record, now, witnessed)\n",
        "                self._known = moment_of(record, now)\n",
        f"{_SESSIONS}::test_what_a_witness_has_put_under_the_log_counts_for_the_end_of_a_consent",
    ),
    _without(
        "a clock that is set back while something is read prolongs nothing",
        "governance/consent.py",
        "max(self._clock(), self._known + timedelta(seconds=self._ticks() - self._looked))",
        "self._clock()",
        f"{_SESSIONS}::test_a_clock_that_is_set_back_while_something_is_read_prolongs_nothing",
    ),
    _without(
        "an end while the first entry is written is seen",
        "governance/consent.py",
        "        self._looked = looked\n",
        "        self._looked = ticks()\n",
        f"{_SESSIONS}::test_a_consent_that_ends_while_its_first_entry_is_written_shows_nothing",
    ),
    _without(
        "nobody approves for themselves",
        "rights/consentfold.py",
        "if same_person(by, row.act.to) or same_person(by, row.statement.by):",
        "if False:",
        f"{_FOLD}::test_nobody_approves_for_themselves_under_any_kind_of_subject",
    ),
    _without(
        "a person is the same under each kind of subject",
        "rights/fields.py",
        "return one.id.casefold() == other.id.casefold()",
        "return one == other",
        f"{_FOLD}::test_nobody_approves_for_themselves_under_any_kind_of_subject",
    ),
    _without(
        "officers alone approve a consent",
        "rights/consentfold.py",
        "able = is_staff(by) if row.emergency else self._state.is_officer(by, at)",
        "able = True",
        f"{_FOLD}::test_nobody_approves_for_themselves_under_any_kind_of_subject",
    ),
    _without(
        "an approval of one who is no officer any more is not counted",
        "rights/consentfold.py",
        "return [each for each in row.approvals if self._state.is_officer(each[0], at)]",
        "return row.approvals",
        f"{_FOLD}::test_an_approval_of_one_who_is_no_officer_any_more_is_not_counted_for_content",
    ),
    _without(
        "what is not waiting is not approved",
        "rights/consentfold.py",
        "        if row.stage(at) is not Stage.WAITING:\n            return Effect.OVER\n",
        "",
        f"{_FOLD}::test_what_nobody_approves_in_four_days_has_lapsed_and_stays_to_be_seen",
        f"{_FOLD}::test_any_officer_revokes_and_nothing_brings_it_back",
    ),
    _without(
        "one officer is not two",
        "rights/consentfold.py",
        "        if any(same_person(by, who) for who, _, _ in standing):\n            return Effect.OVER\n",
        "",
        f"{_FOLD}::test_content_takes_two_persons_of_the_organisation",
    ),
    _without(
        "the staff ask for themselves",
        "rights/consentfold.py",
        "                return Effect.WAITING if is_staff(by) and by == act.to else Effect.NO_AUTHORITY\n"
        "            case EmergencyStated()",
        "                return Effect.WAITING\n            case EmergencyStated()",
        f"{_FOLD}::test_the_staff_ask_for_themselves_alone",
    ),
    _without(
        "an officer or the one who asked ends it",
        "rights/consentfold.py",
        "        if not concerned and not self._state.is_officer(by, at):\n"
        "            return Effect.NO_AUTHORITY\n",
        "",
        f"{_FOLD}::test_any_officer_revokes_and_nothing_brings_it_back",
    ),
    _without(
        "an end wins over an approval of the same second",
        "rights/consentfold.py",
        "        if self.ended is not None and self.ended <= moment:",
        "        if self.ended is not None and self.ended < moment:",
        f"{_FOLD}::test_revoking_wins_over_approving_in_the_same_second",
    ),
    _without(
        "a consent ends by itself",
        "rights/consentfold.py",
        "return Stage.IN_FORCE if moment < self.end else Stage.OVER",
        "return Stage.IN_FORCE",
        f"{_FOLD}::test_one_officer_approves_metadata_and_it_ends_by_itself",
    ),
    _without(
        "a span covers what is within it",
        "rights/consents.py",
        "return self.start <= wanted.start and wanted.end <= self.end",
        "return True",
        f"{_FOLD}::test_an_extent_covers_itself_and_spans_cover_what_is_within",
    ),
    _without(
        "an extent covers no other kind",
        "rights/consents.py",
        "        if self.kind is not wanted.kind:\n            return False\n",
        "",
        f"{_FOLD}::test_an_extent_covers_itself_and_spans_cover_what_is_within",
    ),
    _without(
        "nothing is opened that is not covered",
        "governance/consent.py",
        "if each.act.level.covers(wanted.level) and each.act.extent.covers(wanted.extent)",
        "if True",
        f"{_SESSIONS}::test_a_consent_covers_its_person_level_and_extent_alone",
    ),
    _without(
        "a consent is its person's",
        "governance/consent.py",
        "mine = [each for each in covering if caller.is_called(each.act.to)]",
        "mine = covering",
        f"{_SESSIONS}::test_a_consent_covers_its_person_level_and_extent_alone",
    ),
    _without(
        "nothing is opened by a consent that is not in force",
        "governance/consent.py",
        "        if each.stage(moment) is Stage.IN_FORCE:\n",
        "        if True:\n",
        f"{_SESSIONS}::test_content_is_opened_when_two_of_the_organisation_have_approved",
    ),
    _without(
        "the end of a consent stops what is read",
        "governance/consent.py",
        "            if stage is not Stage.IN_FORCE:\n                raise ConsentOver(stage)\n",
        "",
        f"{_SESSIONS}::test_the_end_of_a_consent_stops_what_is_read_within_a_second",
    ),
    _without(
        "a session asks again whether its consent is in force",
        "governance/consent.py",
        "_LOOKS_AGAIN = 0.5",
        "_LOOKS_AGAIN = 50",
        f"{_SESSIONS}::test_the_end_of_a_consent_stops_what_is_read_within_a_second",
    ),
    _without(
        "a clock that is set back prolongs no consent",
        "rights/consentfold.py",
        "return max(clock, record.last or clock, witnessed or clock)",
        "return max(clock, witnessed or clock)",
        f"{_SESSIONS}::test_a_clock_that_is_set_back_prolongs_nothing",
    ),
    _without(
        "officers count also where governance is not hosted",
        "governance/records.py",
        "        for role in _PLACES:\n",
        "        for role in _PLACES[:1]:\n",
        f"{_SESSIONS}::test_the_record_counts_where_governance_is_no_longer_hosted",
    ),
    _without(
        "an organisation hears of an emergency in every role",
        "governance/emergency.py",
        "if await gate.record_for_organisation(\n"
        "            workers.GOVERNANCE, organisation, EmergencyEvent.BEGUN, facts, (role,)\n"
        "        )\n",
        "if True\n",
        f"{_SESSIONS}::test_an_emergency_opens_metadata_and_every_role_hears_of_it_at_once",
    ),
    _without(
        "the pages show a consent while it lasts",
        "messageclient/permissions.py",
        "consents = consents_of(record).in_force(now)",
        "consents = consents_of(record).in_force(record.last or now)",
        f"{_PAGES}::test_a_consent_is_on_the_pages_while_it_lasts",
    ),
    _without(
        "a right ends by what a witness has signed, however the clock is set",
        "messageclient/permissions.py",
        "now = moment_of(record, self._clock(), facts.witnessed)",
        "now = self._clock()",
        _RIGHTS_SET_BACK,
    ),
    _without(
        "who has a right no more gives none by a clock that is set back",
        "messageclient/permissions.py",
        "max(now, copy.state.last or now, facts.witnessed or now)",
        "max(now, copy.state.last or now)",
        _RIGHTS_SET_BACK,
    ),
    _without(
        "a step is reached by what a witness has signed",
        "installation/reminding.py",
        "moment_of(kept.record, self._clock(), facts.witnessed)",
        "moment_of(kept.record, self._clock())",
        "tests/unit/installation/test_reminding.py"
        "::test_a_step_is_reached_by_what_a_witness_signed_although_the_clock_was_set_back",
    ),
    _without(
        "who brings a statement is in the log before it is appended",
        "cli/gov/statements.py",
        'await record_command(installation, f"gov {command}", who, organisation, roles, **about)',
        "pass",
        "tests/unit/cli/test_bringing.py"
        "::test_who_brings_a_statement_has_signed_that_and_the_log_has_it_with_its_digest",
    ),
    _without(
        "a section of the log is more than one message",
        "cli/evidenceexporting.py",
        "extent = until_now() if order.section else Extent",
        "extent = Extent",
        f"{_COMMANDS}::test_a_request_is_approved_used_and_revoked",
    ),
    _without(
        "custodians appoint nobody beside officers",
        "administration/appointing.py",
        "        await self._require_no_officers()\n",
        "",
        f"{_COMMANDS}::test_custodians_appoint_nobody_beside_officers",
    ),
    _without(
        "another officer approves that unsigned rights end",
        "rights/settlingfold.py",
        "                if same_person(by, asked.by):\n                    return Effect.SELF\n",
        "",
        f"{_SETTLING}::test_one_officer_asks_and_another_approves",
    ),
    _without(
        "unsigned rights end when that is settled",
        "rights/copies.py",
        "        if self.settled is not None:\n            self.state.close(",
        "        if False:\n            self.state.close(",
        f"{_SETTLING}::test_unsigned_rights_end_on_the_pages_and_none_is_stated_there_again",
    ),
    _without(
        "unsigned statements after the settlement are not folded",
        "rights/copies.py",
        "        if self.settled is None or number <= self.settled.number:\n",
        "        if True:\n",
        f"{_SETTLING}::test_past_days_stay_as_they_were_and_later_unsigned_statements_count_for_nothing",
    ),
    _without(
        "the unsigned statements are those that were looked at",
        "rights/copies.py",
        "            if listing(self.digests[: settled.number]) != settled.listing:\n",
        "            if False:\n",
        f"{_SETTLING}::test_unsigned_statements_that_were_changed_since_they_were_looked_at_decide_nothing",
    ),
    _without(
        "nothing unsigned is stated after the settlement",
        "messageclient/permissions.py",
        "            if copy.settled is not None:\n                raise SignedAlone\n",
        "",
        f"{_SETTLING}::test_unsigned_rights_end_on_the_pages_and_none_is_stated_there_again",
    ),
)
