"""Mutants that remove guards of a log: the content of entries, and which entries are written."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_SALTED = "tests/unit/vault/test_saltedlog.py"
_LEAVES = "tests/unit/audit/test_leaves.py"
_COMMANDS = "tests/unit/cli/test_log_commands.py"
_TOKENS = "tests/unit/messageservice/oauth/test_access_tokens.py"
_CLOSING = "tests/unit/administration/test_closing.py"
_GATE = "tests/unit/vault/test_gate.py"
_LIFE = "tests/unit/messageservice/test_life_of_a_message.py"
_EXPECTED = "tests/unit/vault/test_expected.py"
_SETTLING = "tests/unit/accesspoint/test_settling.py"
_POLLING = "tests/unit/messageservice/incoming/test_polling.py"
_TOGETHER = "tests/unit/messageservice/incoming/test_together.py"
_SQL = "vault/sql/salted-log-1.sql"

LOGS = (
    Mutant(
        "an append that waited for the upgrade writes a leaf",
        _SQL,
        "WHEN (NEW.retention IS NULL)",
        "WHEN (false)",
        (f"{_SALTED}::test_an_append_that_waited_for_the_upgrade_is_in_the_second_form",),
    ),
    Mutant(
        "the salt of a leaf is random in every byte",
        _SQL,
        "        salt := substring(sha256(uuid_send(gen_random_uuid()) ||"
        " uuid_send(gen_random_uuid())) FOR 16);",
        "        salt := uuid_send(gen_random_uuid());",
        (f"{_SALTED}::test_salts_are_random_and_commitments_are_to_salt_and_facts",),
    ),
    Mutant(
        "the class of an entry is the database's",
        _SQL,
        "                _retention(event), salt);",
        "                ends[i], salt);",
        (f"{_SALTED}::test_the_vaults_own_login_chooses_nothing_of_an_entry",),
    ),
    Mutant(
        "the vault's login begins no tree",
        "vault/database/migrations.py",
        "AND NOT starts_with(proname, '_')",
        "AND NOT starts_with(proname, '__')",
        (f"{_SALTED}::test_the_vaults_own_login_chooses_nothing_of_an_entry",),
    ),
    Mutant(
        "the first leaf names the chain before it",
        "audit/chain.py",
        "and entry.ids == named",
        "and bool(named)",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "a leaf's facts are those that it commits to",
        "audit/chain.py",
        "if isinstance(entry, LogEntry) and commitment(",
        "if False and commitment(",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "after the first leaf there is no entry of the chain",
        "audit/chain.py",
        "or self.tree is not None or entry.previous != self._chain.hash",
        "or entry.previous != self._chain.hash",
        (f"{_LEAVES}::test_what_was_changed_is_found_at_its_place",),
    ),
    Mutant(
        "what a worker sees is in the log although it records nothing",
        "vault/work.py",
        "        self._used = True\n        return await self.look(sql, *values)",
        "        return await self.look(sql, *values)",
        (f"{_GATE}::test_what_a_worker_sees_is_logged_although_it_records_nothing",),
    ),
    Mutant(
        "what a question shows is in the log although the question ended the opening",
        "vault/work.py",
        "set_config('samdrift.seen', 'on', true)",
        "set_config('samdrift.seen', 'off', true)",
        (f"{_EXPECTED}::test_a_question_that_ends_the_opening_is_in_the_log_where_it_showed_something",),
    ),
    Mutant(
        "what did not come about as expected leaves no entry that says it did",
        "vault/work.py",
        "            del self._happenings[mark[1] :], self._afterwards[mark[2] :]\n",
        "            pass\n",
        (f"{_EXPECTED}::test_of_what_does_not_come_about_nothing_is_left_and_the_opening_goes_on",),
    ),
    Mutant(
        "what was expected is committed only where it is so",
        "vault/work.py",
        "so = f\"1 / (found.outcome::text IS NOT DISTINCT FROM '{outcome}')::int\"",
        'so = f"{len(outcome)}"',
        (f"{_EXPECTED}::test_what_does_not_come_about_undoes_nothing_that_the_opening_did_before",),
    ),
    Mutant(
        "of what was supposed and is not so no entry is left",
        "vault/work.py",
        "        del self._happenings[recorded:], self._afterwards[to_do:]\n",
        "",
        (f"{_EXPECTED}::test_of_what_was_supposed_nothing_is_done_where_one_thing_is_not_so",),
    ),
    Mutant(
        "an event that is expected to move its message on, and does not, is applied as it is",
        "messageservice/lifecycle/transfers.py",
        "            if not await vault.suppose(each):\n                await each()\n",
        "            await vault.suppose(each)\n",
        (f"{_LIFE}::test_events_of_which_one_comes_too_late_are_applied_all_the_same",),
    ),
    Mutant(
        "a receipt that came with others settles the message of nobody but who sent it",
        "messageservice/incoming/inbox.py",
        "if message is None or message.recipient != receipt.sender:",
        "if message is None:",
        (f"{_TOGETHER}::test_receipts_for_no_message_of_ours_are_noted_together_and_change_nothing",),
    ),
    Mutant(
        "nothing of a poll counts as taken while the vault is away",
        "messageservice/incoming/together.py",
        "            return Taken()  # Each item",
        "            return Taken(True, frozenset(item.id for item in small))  # Each item",
        (f"{_TOGETHER}::test_while_the_vault_is_away_nothing_counts_as_taken",),
    ),
    Mutant(
        "of items with one id the first one alone is answered, and is the one that is stored",
        "messageservice/incoming/together.py",
        "        if item.id not in seen:",
        "        if True:",
        (
            f"{_TOGETHER}::test_of_two_items_with_one_id_the_first_is_stored_and_answered_and_the_other_is_neither",
        ),
    ),
    Mutant(
        "an id of an item takes the place of no events",
        "messageservice/incoming/together.py",
        "            prepared[None] = partial(",
        '            prepared[""] = partial(',
        (f"{_TOGETHER}::test_no_id_of_an_item_takes_the_place_of_events",),
    ),
    Mutant(
        "what was to be remembered of what was supposed is forgotten where it is not so",
        "vault/work.py",
        "        del self._happenings[recorded:], self._afterwards[to_do:]\n        self._used",
        "        del self._happenings[recorded:]\n        self._used",
        (
            f"{_EXPECTED}::test_what_was_to_be_remembered_of_what_was_supposed_is_forgotten_where_it_is_not_so",
        ),
    ),
    Mutant(
        "nothing that has an object is supposed to be gone",
        "vault/accesspoint.py",
        "SELECT ended AND remote IS NULL FROM end",
        "SELECT ended FROM end",
        (f"{_EXPECTED}::test_what_has_an_object_cannot_be_supposed_to_be_gone_since_that_is_to_be_removed",),
    ),
    Mutant(
        "of ends that are recorded together none counts as recorded that is not",
        "vault/company.py",
        "                    along.durable = await vault.suppose(each)",
        "                    await vault.suppose(each)\n                    along.durable = True",
        (
            f"{_SETTLING}::test_of_ends_that_are_recorded_together_one_that_is_known_already"
            "_keeps_none_from_being_recorded",
        ),
    ),
    Mutant(
        "a poll takes along nothing of another organisation",
        "vault/company.py",
        "taken = self._waiting.pop(organisation, [])",
        "taken = [one for each in list(self._waiting) for one in self._waiting.pop(each)]",
        (f"{_SETTLING}::test_a_poll_takes_along_nothing_of_another_organisation",),
    ),
    Mutant(
        "what cannot be judged now holds up nothing that came with it",
        "messageservice/incoming/together.py",
        "            if task not in done or task.cancelled() or task.exception() is not None:\n",
        "            if task not in done:\n",
        (f"{_TOGETHER}::test_what_cannot_be_judged_now_holds_up_nothing_that_came_with_it",),
    ),
    Mutant(
        "what waits for its sender's limit is not acknowledged",
        "messageservice/incoming/polling.py",
        "                self._defer(organisation, state, item.id, Hold.LIMIT)\n                return\n",
        "                self._is_taken(organisation, state, item)\n                return\n",
        (
            f"{_POLLING}::test_what_waits_for_its_senders_limit_is_tried_together_again_and_not_by_itself_meanwhile",
        ),
    ),
    Mutant(
        "the body of what was supposed and is not so goes with its opening",
        "vault/opening.py",
        "        self._kept = kept\n        return False\n",
        "        return False\n",
        (f"{_EXPECTED}::test_the_body_of_what_was_supposed_and_is_not_so_goes_with_its_opening",),
    ),
    Mutant(
        "the end of a transfer that a poll took along is recorded whatever becomes of the poll",
        "vault/company.py",
        "each.durable.set_result(along.durable)",
        "each.durable.set_result(True)",
        (f"{_SETTLING}::test_the_end_of_a_transfer_is_recorded_whatever_becomes_of_the_poll",),
    ),
    Mutant(
        "what an opening takes along says who did it",
        "vault/company.py",
        "            return lambda vault: step(self._vaults.within(vault, self._purpose))\n",
        "            return step\n",
        (f"{_SETTLING}::test_the_poll_that_tells_of_the_end_of_a_transfer_records_it",),
    ),
    Mutant(
        "a message service sees nothing that its log does not tell of, whatever the opening takes along",
        "vault/work.py",
        "            entries, if_seen = self._happenings, [self._opening]\n",
        "            entries, if_seen = self._happenings, []\n",
        (f"{_SETTLING}::test_the_poll_that_tells_of_the_end_of_a_transfer_records_it",),
    ),
    Mutant(
        "an envelope that does not wait is not acknowledged",
        "vault/accesspoint.py",
        "bool_and(gone.envelope IS NOT DISTINCT FROM taken.envelope AND gone.remote IS NULL)",
        "bool_and(gone.remote IS NULL)",
        (f"{_SETTLING}::test_an_envelope_that_does_not_wait_any_more_is_not_acknowledged_twice",),
    ),
    Mutant(
        "a queue of notifications that is full keeps no moment from the registry",
        "vault/moments.py",
        "            except VaultError:\n                pass\n            else:\n",
        "            except KeyError:\n                pass\n            else:\n",
        (
            "tests/unit/vault/test_moments.py"
            "::test_moments_travel_with_a_notification_and_by_themselves_where_that_is_refused",
        ),
    ),
    Mutant(
        "the body of what may be committed is not thrown away with a cancelled opening",
        "vault/opening.py",
        "        if not self._work.perhaps_committed:",
        "        if True:",
        (f"{_EXPECTED}::test_a_body_whose_commit_is_not_known_stays",),
    ),
    Mutant(
        "what was committed in an opening stays when that raises afterwards, with its body",
        "vault/work.py",
        "        self.perhaps_committed = True\n",
        "",
        (f"{_EXPECTED}::test_what_is_committed_stays_when_the_opening_raises_afterwards",),
    ),
    Mutant(
        "a client that finds nothing leaves an entry all the same",
        "vault/opening.py",
        "return self.principal.kind is PrincipalKind.WORKER or self.purpose is Purpose.DELIVER",
        "return True",
        (f"{_GATE}::test_a_worker_that_finds_nothing_to_do_leaves_no_entry",),
    ),
    Mutant(
        "a command about an organisation's logs is recorded in them",
        "administration/administration.py",
        "for place in places or [ORGANISATIONS_OWN]",
        "for place in [ORGANISATIONS_OWN]",
        (f"{_COMMANDS}::test_who_runs_a_command_and_why_is_in_the_logs_that_it_is_about",),
    ),
    Mutant(
        "a command about roles that an organisation does not have is recorded in its log",
        "administration/administration.py",
        "for place in places or [ORGANISATIONS_OWN]",
        "for place in places",
        (
            "tests/unit/administration/test_recording.py::"
            "test_a_command_about_roles_that_an_organisation_does_not_have_is_in_its_log_all_the_same",
        ),
    ),
    Mutant(
        "a command about a vault that waits for its officer is recorded in the operator's log",
        "administration/administration.py",
        "    if not all(written):",
        "    if False:",
        (
            f"{_COMMANDS}::"
            "test_who_runs_a_command_about_a_vault_that_waits_for_its_officer_is_in_the_operators_log",
        ),
    ),
    Mutant(
        "a system that says whom it acts for is named with that person",
        "messageservice/oauth/persons.py",
        '        if claims.actor() is None:\n            return ""\n',
        '        if claims.actor() is None or True:\n            return ""\n',
        (f"{_TOKENS}::test_a_token_that_names_who_acts_for_whom_names_a_person_by_a_random_id",),
    ),
    Mutant(
        "a subject without an actor is not a person",
        "messageservice/oauth/persons.py",
        "        if claims.actor() is None:\n",
        "        if False:\n",
        (f"{_TOKENS}::test_a_system_that_acts_for_itself_says_so",),
    ),
    Mutant(
        "a person that cannot be named opens nothing",
        "wire/jose/jwt.py",
        "        if not isinstance(subject, str) or not subject:\n"
        '            raise JwtInvalid("the claim act has no subject")\n'
        "        return subject\n",
        "        return subject if isinstance(subject, str) else None\n",
        (f"{_TOKENS}::test_a_person_that_cannot_be_named_opens_nothing",),
    ),
    Mutant(
        "each entry names the system that a person acts through",
        "vault/opening.py",
        '{"through": self.principal.through} if self.principal.through else {}',
        "{}",
        (
            "tests/unit/messageservice/oauth/test_interface_d.py::"
            "test_a_reading_for_a_person_names_them_by_their_id_and_the_system_that_fetched",
        ),
    ),
    Mutant(
        "nothing of the day that was agreed to is disposed of",
        "administration/logs.py",
        "    return until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)",
        "    return until",
        (
            "tests/unit/cli/test_log_commands.py"
            "::test_disposal_ends_at_the_beginning_of_the_day_that_was_agreed_to",
        ),
    ),
    Mutant(
        "a closing whose logs cannot be kept goes no further",
        "administration/keptlogs.py",
        '            raise Unusable(f"the log of role {one.role.value} cannot be kept: {reason(error)}")'
        " from None",
        "            continue",
        (f"{_CLOSING}::test_a_log_that_cannot_be_kept_stops_the_closing",),
    ),
    Mutant(
        "a kept log that was changed shows",
        "administration/keptlogs.py",
        "return KeptState.THERE if _digest(file) == digest else KeptState.CHANGED",
        "return KeptState.THERE",
        (f"{_CLOSING}::test_a_kept_log_that_was_changed_or_is_gone_shows",),
    ),
    Mutant(
        "a kept log is removed after its time alone",
        "administration/keptlogs.py",
        "if one.state is KeptState.OVER and one.file is not None and one.file.is_file():",
        "if one.file is not None and one.file.is_file():",
        (f"{_CLOSING}::test_a_kept_log_is_removed_after_its_time_and_not_before",),
    ),
)
