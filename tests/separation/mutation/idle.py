"""Mutants that remove guards of an idle installation, which must not skip necessary work or checks."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_WAKEUPS = "tests/unit/vault/test_wakeups.py"
_KEEPING = "tests/unit/installation/test_logkeeping.py"
_ANSWERS = "tests/unit/accesspoint/test_interface_c_answers.py"
_IDLE = "tests/unit/installation/test_idle.py"
_TOKENS = "tests/unit/messageservice/oauth/test_access_tokens.py"
_FOLLOWING = "tests/unit/messageservice/interface_d/test_following.py"

IDLE = (
    Mutant(
        "a client that is not registered any more gets nothing of what it waited for",
        "accesspoint/interface_c.py",
        "        if not still_registered():",
        "        if False:",
        (f"{_ANSWERS}::test_who_is_not_registered_any_more_when_something_comes_gets_nothing_of_it",),
    ),
    Mutant(
        "what is taken waits for no news where not everything was told",
        "accesspoint/interface_c.py",
        "        if max(len(news.events), len(news.inbox)) < _MAX_ITEMS:\n",
        "        if True:\n",
        (f"{_ANSWERS}::test_who_has_not_been_told_of_everything_does_not_wait_for_more",),
    ),
    Mutant(
        "a stream of events ends with its token however seldom it gives a sign of life",
        "messageservice/interface_d/following.py",
        "            within = min(alive, self._left(access))",
        "            within = alive",
        (f"{_FOLLOWING}::test_a_client_that_can_bear_it_gets_few_signs_of_life_and_the_vault_is_asked_once",),
    ),
    Mutant(
        "an entry is announced where its log is signed",
        "vault/growth.py",
        "            self._announce(registration.channel)",
        "            pass",
        (f"{_WAKEUPS}::test_an_entry_is_heard_where_the_log_is_signed_unless_that_is_where_it_was_written",),
    ),
    Mutant(
        "progress of a message is announced to those who follow it elsewhere",
        "vault/gate.py",
        "            self._announcements.ask(registration.channel)",
        "            pass",
        (f"{_WAKEUPS}::test_progress_of_a_message_is_heard_so_that_who_follows_it_elsewhere_is_told",),
    ),
    Mutant(
        "a log whose round failed is looked at in its next turn",
        "installation/logkeeping.py",
        "                self._note_growth(place)  # Retry when its next turn comes.\n",
        "",
        (f"{_KEEPING}::test_a_log_whose_round_failed_is_looked_at_again",),
    ),
    Mutant(
        "a log that is new here is looked at",
        "installation/logkeeping.py",
        "        for place in new:\n            self._note_growth(place)\n",
        "",
        (f"{_KEEPING}::test_an_entry_of_another_process_is_signed_within_a_cadence",),
    ),
    Mutant(
        "a look that went along with a login puts the next one off by no more than a round",
        "scheduling/rounds.py",
        "            self._turns.put(thing, self._passed + EVERY)",
        "            self._turns.put(thing, self._passed + 2 * EVERY)",
        (
            "tests/unit/scheduling/test_rounds.py"
            "::test_a_look_that_is_half_due_goes_along_with_whatever_opened_the_vault",
        ),
    ),
    Mutant(
        "a message service whose tokens are over when they are issued is not asked without a pause",
        "messageclient/polling.py",
        "                    renews = not client.service.has_token() and time() - began > _AGAIN_AFTER",
        "                    renews = not client.service.has_token()",
        (
            "tests/unit/messageclient/test_polling.py"
            "::test_a_service_whose_tokens_are_over_when_they_are_issued_is_not_asked_without_a_pause",
        ),
    ),
    Mutant(
        "a client that finds nothing leaves no entry",
        "vault/messageservice.py",
        "        steps = await self._work.peek(_STEPS, after, limit)",
        "        steps = await self._work.query(_STEPS, after, limit)",
        (
            "tests/unit/vault/test_mailboxes.py"
            "::test_a_client_that_asks_for_changes_where_there_are_none_leaves_no_entry",
        ),
    ),
    Mutant(
        "a connection that was needed for a look alone is closed soon",
        "vault/database/pool.py",
        "        return min(self.idle, self.idle_at_first * self._uses.get(session, 1) ** 2).total_seconds()",
        "        return self.idle.total_seconds()",
        (
            "tests/unit/vault/database/test_pool.py"
            "::test_the_more_often_a_session_was_used_the_longer_it_stays",
        ),
    ),
    Mutant(
        "a token that was verified is verified again when its issuer has other keys",
        "messageservice/oauth/verifying.py",
        "return len(known) == len(keys) and all(map(operator.is_, known, keys))",
        "return True",
        (f"{_TOKENS}::test_a_signature_is_verified_once_and_all_that_can_change_with_each_use",),
    ),
    Mutant(
        "a token is known by its whole text",
        "messageservice/oauth/verifying.py",
        "hashlib.sha256(text.encode()).digest()",
        "hashlib.sha256(token.issuer.encode()).digest()",
        (f"{_TOKENS}::test_a_signature_is_verified_once_and_all_that_can_change_with_each_use",),
    ),
    Mutant(
        "who is worked for is looked up again when leases or registrations have changed",
        "vault/registry.py",
        "        if self._worked_at != self.version:",
        "        if self._worked_at == (0, 0):",
        (f"{_IDLE}::test_a_look_at_what_is_due_goes_through_nobody_unless_others_are_served",),
    ),
    Mutant(
        "those of some organisations that are worked for are found again when that has changed",
        "scheduling/rounds.py",
        "        if now != self._read:",
        "        if self._read is None:",
        (f"{_IDLE}::test_a_look_at_what_is_due_goes_through_nobody_unless_others_are_served",),
    ),
    Mutant(
        "a poll over a network waits no longer than proxies let silence last",
        "accesspoint/interface_c.py",
        "longest = WITHIN_A_PROCESS if request.scope.get(WITHIN_PROCESS) else OVER_A_NETWORK",
        "longest = WITHIN_A_PROCESS",
        (
            "tests/unit/accesspoint/test_interface_c_ways.py"
            "::test_a_poll_waits_no_longer_than_what_lies_between_lets_silence_last[over the network]",
        ),
    ),
    Mutant(
        "a poll waits no longer than nothing is believed to be in a vault",
        "accesspoint/interface_c.py",
        "within = min(asked.wait, max(_SHORT_WAIT, self._believed_for(organisation)))",
        "within = asked.wait",
        (f"{_ANSWERS}::test_a_long_poll_waits_no_longer_than_nothing_is_believed_to_be_there",),
    ),
)
