"""Mutants that remove guards of a message client's notices and automatic acknowledgements."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_NOTICES = "tests/unit/messageclient/test_notices.py"

NOTICES = (
    Mutant(
        "a person is told of mailboxes that they may read",
        "messageclient/notices/worker.py",
        "if how and _reads(assigned, person, watch.mailbox):",
        "if how:",
        (f"{_NOTICES}::test_one_who_may_not_read_a_mailbox_is_not_told_of_it",),
    ),
    Mutant(
        "a person who may not read a mailbox any more is told nothing of it",
        "messageclient/notices/worker.py",
        'box for box in (choice or {}).get("mailboxes", {}) if _reads(assigned, notice.person, box)',
        'box for box in (choice or {}).get("mailboxes", {})',
        (f"{_NOTICES}::test_what_was_read_meanwhile_and_what_may_not_be_read_any_more_is_told_to_nobody",),
    ),
    Mutant(
        "no automatic answer goes to the same address again soon",
        "messageclient/notices/acknowledging.py",
        "if not await vault.begin_acknowledging(known_by, now=now, before=now - _AGAIN_AFTER):",
        "if False:",
        (f"{_NOTICES}::test_two_machines_that_do_not_know_each_other_come_to_an_end",),
    ),
    Mutant(
        "every conversation that began since the last check is acknowledged",
        "messageclient/notices/worker.py",
        "        while places:\n            places = await self._look(organisation, places, now)\n",
        "",
        (f"{_NOTICES}::test_conversations_that_are_not_answered_do_not_end_the_search_for_others",),
    ),
    Mutant(
        "conversations that began at the same moment are acknowledged on the next page",
        "vault/noticing.py",
        "(m.at, m.id) > ($2, $3)\n",
        "m.at > $2 AND $3 <> '-'\n",
        (f"{_NOTICES}::test_every_conversation_that_began_since_the_last_check_is_answered_once",),
    ),
    Mutant(
        "messages brought from another installation are not acknowledged",
        "vault/noticing.py",
        "  AND NOT EXISTS (SELECT FROM arrivals WHERE m.at < coalesce(done_at, 'infinity'))",
        "",
        (f"{_NOTICES}::test_what_an_organisation_brought_from_elsewhere_is_not_answered",),
    ),
    Mutant(
        "a message that arrives during a check of its mailbox makes it due again",
        "messageclient/notices/worker.py",
        "            vault.hold_watch(watch)\n",
        "",
        (
            f"{_NOTICES}::test_a_message_that_arrives_during_a_check_makes_the_mailbox_due_again",
            f"{_NOTICES}::test_a_message_that_arrives_during_a_check_is_told",
        ),
    ),
    Mutant(
        "a mailbox stays due for a check until everything in it is acknowledged",
        "messageclient/notices/worker.py",
        "                more[watch.mailbox] = place\n                continue\n",
        "                more[watch.mailbox] = place\n",
        (f"{_NOTICES}::test_a_process_killed_between_two_pages_leaves_none_unanswered_or_answered_twice",),
    ),
)
