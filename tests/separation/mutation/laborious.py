"""Mutants that remove guards against texts, pages and requests that are made to be expensive to process."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_LOGS = "tests/unit/installation/test_loghandover.py"
_COSTLY = "tests/unit/messageclient/test_costly_texts.py"
_NUMBERS = "tests/unit/messageclient/test_numbers.py"
_HANDOVER = "tests/unit/messageclient/test_handover.py"
_DOCUMENTS = f"{_HANDOVER}::test_an_organisation_waits_for_its_own_documents_alone"
_NAMED = f"{_COSTLY}::test_a_message_that_names_thousands_is_kept_as_it_came"
_BESIDE = f"{_COSTLY}::test_others_go_on_between_two_messages_of_a_search_and_beside_a_large_one"
_KEPT = f"{_COSTLY}::test_a_desk_keeps_no_more_than_pages_let_by"
_LET_BY = f"{_COSTLY}::test_what_is_looked_for_and_kept_has_an_end"

LABORIOUS = (
    Mutant(
        "marks without end are not put in order where a text is searched",
        "messageclient/finding.py",
        "if _MANY_MARKS.search(folded) is None:",
        "if True:",
        (f"{_COSTLY}::test_marks_without_end_are_left_out_and_never_put_in_order",),
    ),
    Mutant(
        "a text is not read once for each accent that there is",
        "messageclient/finding.py",
        "if len(accents) <= _FEW_ACCENTS:",
        "if True:",
        (f"{_COSTLY}::test_a_text_of_every_accent_is_read_once_and_not_once_for_each",),
    ),
    Mutant(
        "a search lets others go on between two messages",
        "messageclient/finding.py",
        "await asyncio.sleep(0)  # Yield: nothing",
        "pass  # Yield: nothing",
        (_BESIDE,),
    ),
    Mutant(
        "a large message is searched beside the event loop",
        "messageclient/finding.py",
        "if await self._aside(look) if large else look():",
        "if look():",
        (_BESIDE,),
    ),
    Mutant(
        "searches beside the event loop take one thread, in fair turns",
        "messageclient/finding.py",
        "async with _ASIDE.turn(self._scope.organisation):",
        "if True:",
        (f"{_COSTLY}::test_large_searches_take_one_thread_of_those_that_are_shared",),
    ),
    Mutant(
        "what is kept of a search has an end",
        "messageclient/finding.py",
        "words = search.words[:MAX_WORDS]",
        "words = search.words",
        (_KEPT,),
    ),
    Mutant(
        "what is kept of a selection has an end",
        "messageclient/presetdesk.py",
        "selection.organisation[:MAX_WORDS]",
        "selection.organisation",
        (_KEPT,),
    ),
    Mutant(
        "a search for more than may be looked for is refused",
        "messageclient/pages/finding.py",
        "if len(words) > MAX_WORDS:",
        "if False:",
        (_LET_BY,),
    ),
    Mutant(
        "a selection by more than may be looked for is refused",
        "messageclient/pages/selecting.py",
        'if len(form["organisation"].strip()) > MAX_WORDS:',
        "if False:",
        (_LET_BY,),
    ),
    Mutant(
        "a note has an end",
        "messageclient/pages/handling.py",
        "if len(text) > _MAX_NOTE:",
        "if False:",
        (
            "tests/unit/messageclient/test_mail_pages.py::"
            "test_a_note_has_an_end_and_is_all_there_when_it_is_refused",
        ),
    ),
    Mutant(
        "a person begins drafts up to a number",
        "messageclient/writing.py",
        "if await vault.drafts_of(begun.writer, begun.mailbox) >= MAX_DRAFTS:",
        "if False:",
        (f"{_NUMBERS}::test_a_person_begins_no_more_drafts_than_so_many_and_is_led_to_them",),
    ),
    Mutant(
        "drafts that are begun at the same moment are counted one after the other",
        "vault/sql/draft-limits-1.sql",
        "PERFORM FROM mailboxes m WHERE m.id = $2 FOR NO KEY UPDATE;",
        "",
        (f"{_NUMBERS}::test_drafts_that_are_begun_at_the_same_moment_are_no_more_than_so_many",),
    ),
    Mutant(
        "a draft has files up to a number",
        "messageclient/writing.py",
        "if len(await vault.files_of([found.id])) > MAX_FILES:",
        "if False:",
        (f"{_NUMBERS}::test_a_draft_has_no_more_files_than_so_many_and_says_which_are_not_in_it",),
    ),
    Mutant(
        "a person makes notes on a conversation up to a number",
        "messageclient/handling.py",
        "if await vault.notes_of(scope.person.id, found.id) > MAX_NOTES:",
        "if False:",
        (f"{_NUMBERS}::test_a_person_makes_no_more_notes_than_so_many_and_keeps_what_was_written",),
    ),
    Mutant(
        "the news of a draft are as long as a page of a conversation may be",
        "messageclient/submitting.py",
        "first = new[: await fitting(vault, new)]",
        "first = new",
        (f"{_NUMBERS}::test_news_of_a_draft_are_no_longer_than_a_page_of_a_conversation",),
    ),
    Mutant(
        "a run of blanks between two days is read once",
        "messageclient/notices/routes.py",
        '(text := " ".join(line.split()))',
        "(text := line.strip())",
        (f"{_COSTLY}::test_blanks_between_two_days_are_read_once",),
    ),
    Mutant(
        "no more lines are read than days are kept",
        "messageclient/notices/routes.py",
        "if len(lines) > MAX_CLOSED:",
        "if False:",
        (f"{_COSTLY}::test_more_lines_than_days_are_kept_are_refused_before_they_are_read",),
    ),
    Mutant(
        "a message that names thousands is kept as it came",
        "messageclient/content.py",
        "if _names_too_many(attributes):",
        "if False:",
        (_NAMED,),
    ),
    Mutant(
        "of what a message names a list keeps so much",
        "messageclient/content.py",
        "_list(value)[:_MAX_IDENTIFIERS]",
        "_list(value)",
        (_NAMED,),
    ),
    Mutant(
        "what a message names is not long without end",
        "messageclient/content.py",
        "        if room < 0:\n            break\n",
        "",
        (_NAMED,),
    ),
    Mutant(
        "a message of millions of characters is kept as it came",
        "messageclient/content.py",
        "if sum(len(text) for document in read for text in document.texts) > _MAX_SHOWN:",
        "if False:",
        (f"{_COSTLY}::test_a_message_of_millions_of_characters_is_kept_as_it_came",),
    ),
    Mutant(
        "of the steps of a message the last ones are kept",
        "messageclient/content.py",
        "in_order[-_MAX_EVENTS:]",
        "in_order",
        (f"{_COSTLY}::test_of_steps_without_end_the_last_ones_are_kept",),
    ),
    Mutant(
        "of drafts without end so much is read",
        "vault/mailwriting.py",
        "WHERE d.before < coalesce($2::bigint, d.before + 1)",
        "WHERE d.before < coalesce($2::bigint, 0) + d.before + 1",
        (f"{_COSTLY}::test_of_drafts_without_end_so_much_is_read_and_the_page_says_so",),
    ),
    Mutant(
        "messages that are handed over are read a few at a time",
        "messageclient/handover/desk.py",
        "                if size >= _MAX_BYTES:\n                    break\n",
        "",
        (f"{_HANDOVER}::test_a_package_of_a_long_conversation_has_few_of_its_texts_in_memory",),
    ),
    Mutant(
        "a PDF has texts that fit in memory",
        "messageclient/handover/desk.py",
        "        if size > _MAX_PDF_BYTES:\n            raise TooLongForPdf\n",
        "",
        (f"{_HANDOVER}::test_more_text_than_one_pdf_may_have_is_refused_before_anything_is_logged",),
    ),
    Mutant(
        "a package has each of its messages",
        "messageclient/handover/desk.py",
        "        if not mail:\n            raise UnknownRecord\n"
        "        documents = (await documents_of(vault, mail))[one.id]\n",
        "        documents = (await documents_of(vault, mail)).get(one.id, ())\n",
        (f"{_HANDOVER}::test_a_message_that_is_disposed_of_under_way_breaks_the_package_off",),
    ),
    Mutant(
        "an organisation's log system has one place however many logs",
        "installation/loghandover.py",
        "own.turn(organisation),",
        "",
        (f"{_LOGS}::test_an_organisation_whose_log_system_takes_its_time_has_one_place",),
    ),
    Mutant(
        "a connection to a log system has an end as a whole",
        "transparency/handover.py",
        "asyncio.timeout(_WHOLE_SECONDS)",
        "asyncio.timeout(None)",
        (
            "tests/unit/transparency/test_handover.py"
            "::test_a_log_system_that_takes_little_at_a_time_has_an_end",
        ),
    ),
    Mutant(
        "the way into a circle of references is gone once",
        "messageclient/reading.py",
        " or each.id in circling)",
        ")",
        (f"{_COSTLY}::test_the_way_into_a_circle_is_gone_once",),
    ),
    Mutant(
        "a reason is as short as it may be before its marks are put in order",
        "governance/pages/signing.py",
        "if len(why) <= _MOST_APART * MAX_REASON:",
        "if True:",
        (
            "tests/unit/governance/test_pages.py::"
            "test_a_reason_of_marks_without_end_is_refused_before_they_are_put_in_order",
        ),
    ),
    Mutant(
        "a name without end is read at its ends where a file is saved",
        "web/hostile.py",
        "name if len(name) <= 2 * _MAX_READ else name[:_MAX_READ] + name[-_MAX_READ:]",
        "name",
        (f"{_COSTLY}::test_a_name_without_end_is_read_at_its_ends",),
    ),
    Mutant(
        "a name without end is read at its ends where an export is unpacked",
        "portability/messagefolder.py",
        "if len(last) > 2 * _MOST_READ:",
        "if False:",
        ("tests/unit/portability/test_safenames.py::test_a_name_without_end_is_read_at_its_ends",),
    ),
    Mutant(
        "one organisation's documents are set one at a time",
        "messageclient/handover/pdf.py",
        "async with self._of_one[whose].turn(person), self._turns.turn(whose):",
        "async with self._turns.turn(whose):",
        (_DOCUMENTS,),
    ),
    Mutant(
        "so many documents of one organisation wait, and no more",
        "messageclient/handover/pdf.py",
        "if self._wanted[whose] == _MAX_WANTED:",
        "if False:",
        (_DOCUMENTS,),
    ),
    Mutant(
        "no organisation waits for another one's webhook",
        "governance/webhooks.py",
        "                await asyncio.sleep(_EVERY.total_seconds())\n",
        "                await asyncio.gather(*looking.values())\n"
        "                await asyncio.sleep(_EVERY.total_seconds())\n",
        ("tests/unit/governance/test_webhooks.py::test_a_webhook_that_does_not_answer_holds_up_no_other",),
    ),
    Mutant(
        "no organisation waits for deletions at another one's message service",
        "messageclient/working.py",
        "tasks.create_task(self._delete_for(one, place * _DELETE_APART, on_failure))",
        "await self._delete_for(one, place * _DELETE_APART, on_failure)",
        (
            "tests/unit/messageclient/test_deleting.py::"
            "test_a_message_service_that_takes_its_time_holds_up_no_other_organisation",
        ),
    ),
    Mutant(
        "an address book without end is given up",
        "net/addressbook.py",
        "if len(items) > _MAX_ENTRIES:",
        "if False:",
        (
            "tests/unit/net/test_addressbook.py::"
            "test_pages_without_end_are_given_up_before_they_fill_the_memory",
        ),
    ),
    Mutant(
        "a stranger fills no journal",
        "net/journal.py",
        "if now - last < _MINUTE:",
        "if False:",
        ("tests/unit/web/test_guards.py::test_a_stranger_fills_no_journal",),
    ),
    Mutant(
        "what is no HTTP fills no journal",
        "net/server.py",
        "if line.startswith(_OF_STRANGERS):",
        "if False:",
        ("tests/unit/net/test_server.py::test_junk_fills_no_journal",),
    ),
    Mutant(
        "who is here is told in a line that others hear",
        "messageclient/live/presence.py",
        "if room < 0 or len(told) == _MAX_TOLD:",
        "if len(told) == _MAX_TOLD:",
        ("tests/unit/installation/test_presence.py::test_what_is_told_at_once_is_bounded",),
    ),
    Mutant(
        "what is said in a conversation fills no page",
        "messageclient/reading.py",
        "fit = sum(size <= _MAX_BYTES for size in accumulate(sizes))",
        "fit = len(first)",
        (f"{_COSTLY}::test_a_page_of_a_conversation_ends_and_leads_to_what_came_before",),
    ),
    Mutant(
        "the messages of a conversation fill no page",
        "messageclient/reading.py",
        "first = mail[:_MAX_SHOWN]",
        "first = mail",
        (f"{_COSTLY}::test_a_page_of_a_conversation_has_so_many_messages_and_the_notes_of_their_time",),
    ),
    Mutant(
        "a directory that is laborious is not read each minute",
        "installation/directories.py",
        "now + max(_WHILE_GONE, _REST * (now - began))",
        "now + _WHILE_GONE",
        (
            "tests/unit/installation/test_directories.py::"
            "test_a_directory_that_is_laborious_is_asked_less_often_than_one_that_is_gone",
        ),
    ),
)
