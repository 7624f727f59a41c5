"""Mutants that remove guards of the desk: rights, logging before content is shown, versions, sending once."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ENTRANCE = "tests/unit/messageclient/test_entrance.py"
_DESK = "tests/unit/messageclient/test_desk.py"
_SENDING = "tests/unit/messageclient/test_sending.py"
_ATTACKED = "tests/unit/messageclient/test_desk_attacked.py"
_LIVE = "tests/unit/messageclient/test_live.py"
_ELSEWHERE = f"{_DESK}::test_what_is_in_another_mailbox_or_organisation_is_not_here_alike"

_DELETING = "tests/unit/messageclient/test_deleting.py"
_MOVED = "tests/separation/test_moved_rows.py"
_MOVED_ROWS = f"{_MOVED}::test_a_row_that_is_moved_to_others_is_refused"
_HANDOVER = "tests/unit/messageclient/test_handover.py"

_DISPOSAL = "tests/unit/messageclient/test_disposal.py"
_MOVING = "tests/unit/messageclient/test_moved.py"

DESK = (
    Mutant(
        "a reply that is begun on an older page stops at what its writer has not seen",
        "messageclient/writing.py",
        "return next(unseen, len(came))",
        "return len(came)",
        (f"{_DESK}::test_a_reply_that_is_begun_on_an_older_page_stops_at_what_came_since",),
    ),
    Mutant(
        "what a colleague has read counts as news to the writer of a reply",
        "messageclient/writing.py",
        "if reading.person == person and reading.act == Act.READ:",
        "if reading.act == Act.READ:",
        (f"{_DESK}::test_a_reply_that_is_begun_on_an_older_page_stops_at_what_came_since",),
    ),
    Mutant(
        "what is written to another organisation is in the mailbox that its writer works in",
        "messageclient/submitting.py",
        "if known is not None and known.mailbox == mailbox.id:",
        "if True:",
        (
            f"{_MOVING}::test_what_is_written_to_another_organisation_is_where_its_writer_works_and_nowhere_else",
            f"{_MOVING}::test_what_was_undone_and_is_sent_from_yet_another_mailbox_is_there_alone",
        ),
    ),
    Mutant(
        "a message goes into no conversation that was moved to another mailbox",
        "messageclient/submitting.py",
        "thread if known is None else new",
        "thread",
        (
            f"{_MOVING}"
            "::test_what_is_written_where_the_other_conversation_was_moved_away_begins_one_of_its_own",
        ),
    ),
    Mutant(
        "a conversation that is moved while a message is stored gets nothing of it",
        "messageclient/submitting.py",
        "if one.mailbox != draft.mailbox:",
        "if False:",
        (f"{_MOVING}::test_a_conversation_that_moves_while_a_reply_is_sent_gets_nothing_of_it",),
    ),
    Mutant(
        "a disposal is of a mailbox that the person manages",
        "messageclient/disposal/desk.py",
        "return await self._scope.mailbox(vault, mailbox, Right.MANAGE)",
        "return await self._scope.mailbox(vault, mailbox, *Right)",
        (f"{_DISPOSAL}::test_without_the_right_to_manage_nothing_is_seen_or_done",),
    ),
    Mutant(
        "who proposed a disposal does not agree to it where there is another manager",
        "messageclient/disposal/desk.py",
        "if agreed and self.needs_another(found):",
        "if False:",
        (f"{_DISPOSAL}::test_who_proposed_it_does_not_agree_to_it_where_there_is_another_manager",),
    ),
    Mutant(
        "who manages a mailbox sees by that no content of what is disposed of",
        "messageclient/disposal/desk.py",
        "if not conversations or not scope.may(Right.READ, mailbox):",
        "if not conversations:",
        (f"{_DISPOSAL}::test_who_manages_and_may_not_read_sees_numbers_alone",),
    ),
    *(
        Mutant(
            f"nothing is disposed of that is {what}",
            "vault/sql/mail-disposal-2.sql",
            guard,
            "true",
            (f"{_DISPOSAL}::test_nothing_goes_that_is_unread_held_written_in_or_not_final",),
        )
        for what, guard in (
            ("unread", "c.unread = 0"),
            ("held", "NOT EXISTS (SELECT FROM holds h WHERE h.id = c.id)"),
            (
                "written in",
                "NOT EXISTS (SELECT FROM drafts d WHERE d.conversation = c.id AND d.stage <> 'sent')",
            ),
        )
    ),
    Mutant(
        "nothing is disposed of whose status is still followed",
        "vault/sql/mail-disposal-2.sql",
        "(m.due_at IS NULL OR coalesce(m.status, '') IN ('ACCEPTED', 'MESSAGE_EXCHANGE_ERROR'))",
        "true",
        (f"{_DISPOSAL}::test_what_was_sent_is_due_when_its_status_is_no_longer_followed",),
    ),
    Mutant(
        "a disposal is checked again when something goes",
        "vault/sql/mail-disposal-1.sql",
        "OR NOT _disposable(one, decision.since, decision.before)",
        "",
        (f"{_DISPOSAL}::test_what_comes_in_between_keeps_a_conversation[new message]",),
    ),
    Mutant(
        "only what was agreed to is disposed of",
        "vault/sql/mail-disposal-1.sql",
        "WHERE d.id = disposal AND d.stage = 'agreed' FOR SHARE",
        "WHERE d.id = disposal FOR SHARE",
        (f"{_DISPOSAL}::test_a_disposal_that_nobody_agreed_to_removes_nothing",),
    ),
    Mutant(
        "what was disposed of is not fetched again",
        "vault/mail.py",
        "UNION ALL SELECT false, mark FROM disposed WHERE mark = ANY($1::bytea[]) AND direction = $3\n"
        "UNION ALL SELECT true, remote FROM disposed WHERE remote = ANY($2::bytea[]) AND direction = $3\n",
        "",
        (f"{_DISPOSAL}::test_what_went_is_not_fetched_again_from_a_service_that_still_has_it",),
    ),
    Mutant(
        "what is handed over is of a mailbox that the person may read",
        "messageclient/handover/desk.py",
        "found = await scope.conversation(vault, conversation, Right.READ)\n            await require_reason",
        "found = await scope.conversation(vault, conversation)\n            await require_reason",
        (_ELSEWHERE,),
    ),
    Mutant(
        "what is handed over is of the conversation that was opened",
        "messageclient/handover/desk.py",
        "            all_mail = await vault.mail_of(found.id)\n"
        "            mail = [one for one in all_mail if not messages or one.id in messages]\n",
        "            all_mail = await vault.mail_of(found.id)\n"
        "            mail = list(await vault.mail(messages)) if messages else list(all_mail)\n",
        (f"{_HANDOVER}::test_one_message_alone_goes_along_and_none_of_another_conversation",),
    ),
    Mutant(
        "that something is handed over is in the log first",
        "messageclient/handover/desk.py",
        "                    MKEvent.MK_READING_HANDED_OVER,",
        "                    MKEvent.MK_READING_WAY,",
        (f"{_HANDOVER}::test_that_it_leaves_is_in_the_log_first_and_all_can_see_who_took_it",),
    ),
    Mutant(
        "a conversation is registered by one who may write",
        "messageclient/handover/desk.py",
        'Right.READ, Right.WRITE)\n            content = {"number"',
        'Right.READ)\n            content = {"number"',
        (f"{_HANDOVER}::test_one_who_may_read_alone_takes_a_package_and_registers_nothing",),
    ),
    Mutant(
        "a file in a package is unpacked in its folder",
        "web/hostile.py",
        'fit = _UNFIT.sub("_", unicodedata.normalize("NFC", read)).strip(" .")',
        'fit = unicodedata.normalize("NFC", read).strip(" .")',
        (f"{_HANDOVER}::test_hostile_names_of_files",),
    ),
    Mutant(
        "a file is saved under a name that is what it looks like",
        "web/policy.py",
        "safe = safe_name(name)",
        "safe = name",
        ("tests/unit/web/test_application.py::test_a_file_is_saved_and_cannot_run",),
    ),
    Mutant(
        "a day in a form is one that clocks reach",
        "web/forms.py",
        "if _FIRST_YEAR <= found.year <= _LAST_YEAR:",
        "if found.year:",
        (
            "tests/unit/messageclient/test_who_sees.py::"
            "test_who_can_read_says_since_when_until_when_last_here_and_on_another_day",
        ),
    ),
    Mutant(
        "hidden characters are visible in a document",
        "messageclient/handover/document.py",
        '"name": visible(file.name),',
        '"name": file.name,',
        (f"{_HANDOVER}::test_a_document_says_what_it_is_about",),
    ),
    Mutant(
        "the process that sets a PDF has nothing of ours around it",
        "messageclient/handover/pdf.py",
        'env={"RAYON_NUM_THREADS": "1"},',
        'env={**__import__("os").environ},',
        (f"{_HANDOVER}::test_a_process_of_its_own_without_keys_sets_the_pdf",),
    ),
    Mutant(
        "a conversation is of a mailbox to which the person has the right",
        "messageclient/scope.py",
        """        for found in await vault.conversations_by_id([conversation]):
            if all(self.may(right, found.mailbox) for right in rights):
""",
        """        for found in await vault.conversations_by_id([conversation]):
            if True:
""",
        (_ELSEWHERE,),
    ),
    Mutant(
        "an open page follows a conversation to whose mailbox the person has the right",
        "messageclient/attending.py",
        "if not mailbox or not scope.may(right, mailbox):",
        "if not mailbox:",
        (_ELSEWHERE,),
    ),
    Mutant(
        "an open page follows a list to whose mailbox the person has the right",
        "messageclient/attending.py",
        "if not scope.may(Right.READ, view.mailbox):",
        "if False:",
        (_ELSEWHERE,),
    ),
    Mutant(
        "an open page is told nothing once its session has ended",
        "messageclient/live/following.py",
        "if following.session not in marks.sessions:",
        "if False:",
        (f"{_LIVE}::test_a_stream_ends_with_its_session_whoever_ends_it",),
    ),
    Mutant(
        "an open page is told nothing once the right to its mailbox has ended",
        "messageclient/live/following.py",
        "if not all(may(watch.right, mailbox) for mailbox in watch.mailboxes):",
        "if False:",
        (f"{_LIVE}::test_a_stream_ends_when_the_right_to_the_mailbox_is_gone",),
    ),
    Mutant(
        "a page that asks by itself keeps nobody signed in",
        "web/guards.py",
        "site, used = site_of(request), not request.url.path.startswith(BY_ITSELF)",
        "site, used = site_of(request), True",
        (f"{_LIVE}::test_what_a_page_asks_by_itself_keeps_nobody_signed_in",),
    ),
    Mutant(
        "a mailbox is manned by those who manage it",
        "messageclient/notices/routes.py",
        "if one.id == asked and (may(Right.ADMINISTRATOR) or may(Right.MANAGE, one.id)):",
        "if one.id == asked:",
        (
            "tests/unit/messageclient/test_entrance.py"
            "::test_a_manager_says_when_a_mailbox_is_manned_and_others_find_nothing_there",
        ),
    ),
    Mutant(
        "a message is of a mailbox to which the person has the right",
        "messageclient/scope.py",
        """            for found in await vault.conversations_by_id([mail.conversation]):
                if all(self.may(right, found.mailbox) for right in rights):
""",
        """            for found in await vault.conversations_by_id([mail.conversation]):
                if True:
""",
        (_ELSEWHERE,),
    ),
    Mutant(
        "a draft is of a mailbox to which the person has the right",
        "messageclient/scope.py",
        'if not any(self.may(right, found.mailbox) for right in rights):\n            raise self._none("d',
        'if False:\n            raise self._none("d',
        (_ELSEWHERE,),
    ),
    Mutant(
        "that a right was ended is said to who had it, and to nobody else",
        "messageclient/scope.py",
        "ended=not reads and self.permissions.ended(mailbox)",
        "ended=not reads",
        (f"{_ENTRANCE}::test_who_loses_one_mailbox_while_writing_reads_so_and_has_what_was_typed",),
    ),
    Mutant(
        "a list is of mailboxes to which the person has the right",
        "messageclient/scope.py",
        "return tuple(one for one in found if any(self.may(right, one.id) for right in rights))",
        "return tuple(found)",
        (_ELSEWHERE,),
    ),
    Mutant(
        "an attempt at what is not here is in the log",
        "messageclient/scope.py",
        "vault.record(MKEvent.MK_ACCESS_DENIED, kind=denied.kind, asked=_printable(denied.asked))",
        "pass",
        (_ELSEWHERE,),
    ),
    Mutant(
        "the handler of a conversation has the right to write there",
        "messageclient/handling.py",
        "if to not in self._scope.permissions.holders(Right.WRITE, one.mailbox):",
        "if False:",
        (f"{_DESK}::test_a_conversation_has_one_handler_and_the_slower_of_two_learns_it",),
    ),
    Mutant(
        "a conversation is changed in the version that was shown",
        "messageclient/handling.py",
        "replace(found, version=version),",
        "found,",
        (f"{_DESK}::test_a_conversation_has_one_handler_and_the_slower_of_two_learns_it",),
    ),
    Mutant(
        "a conversation moves to a mailbox in which the person may write",
        "messageclient/handling.py",
        "await scope.mailbox(vault, after.mailbox, Right.WRITE)",
        "next(one for one in await vault.mailboxes() if one.id == after.mailbox)",
        (f"{_DESK}::test_a_conversation_moves_with_its_drafts_and_its_answer_comes_from_where_it_began",),
    ),
    Mutant(
        "a draft has one writer",
        "messageclient/writing.py",
        "if record.writer != scope.person.id:",
        "if False:",
        (f"{_DESK}::test_a_draft_has_one_writer_and_every_change_a_version",),
    ),
    Mutant(
        "a draft is saved in the version that was shown",
        "messageclient/writing.py",
        "if record.version != version:",
        "if False:",
        (f"{_DESK}::test_a_draft_has_one_writer_and_every_change_a_version",),
    ),
    Mutant(
        "a draft that is sent does not change",
        "messageclient/writing.py",
        "if record.stage not in drafts.CHANGEABLE:",
        "if False:",
        (f"{_DESK}::test_sent_is_sent_once_and_can_be_undone_for_a_time",),
    ),
    Mutant(
        "a draft is submitted once",
        "messageclient/submitting.py",
        "if closed.stage not in _SENT:",
        "if True:",
        (f"{_DESK}::test_sent_is_sent_once_and_can_be_undone_for_a_time",),
    ),
    Mutant(
        "nothing is sent to a recipient that the address book has no more",
        "messageclient/submitting.py",
        "refused = (*await self._vanished(draft), *await scope.uncovered())",
        "refused = await scope.uncovered()",
        (f"{_DESK}::test_a_recipient_that_has_vanished_since_the_review_is_refused_at_the_send_by_name",),
    ),
    Mutant(
        "who looks at the way of a message has not read it",
        "messageclient/reading.py",
        "messages_of(scope, vault, [mail], await scope.people(vault), None)",
        "messages_of(scope, vault, [mail], await scope.people(vault), Act.READ)",
        (f"{_DESK}::test_who_looks_at_who_has_read_a_message_or_at_its_way_has_not_read_it",),
    ),
    Mutant(
        "who looks at the readers of a message is not one of them",
        "messageclient/reading.py",
        "(shown,) = await messages_of(scope, vault, [mail], people, None)",
        "(shown,) = await messages_of(scope, vault, [mail], people, Act.READ)",
        (f"{_DESK}::test_who_looks_at_who_has_read_a_message_or_at_its_way_has_not_read_it",),
    ),
    Mutant(
        "what has lain unread is of the mailbox whose list it is over",
        "vault/noticing.py",
        "WHERE c.mailbox = $1 AND c.unread > 0",
        "WHERE $1::text <> '' AND c.unread > 0",
        (f"{_DESK}::test_what_has_lain_unread_for_longer_than_the_mailbox_allows_is_over_its_list",),
    ),
    Mutant(
        "a message that is too large to be had says so",
        "messageclient/content.py",
        "content={**mail.content, _LEFT: True}",
        "content={**mail.content}",
        (f"{_DESK}::test_a_message_that_is_too_large_is_in_the_list_and_says_so_and_has_no_raw_form",),
    ),
    Mutant(
        "a person does not approve what they wrote",
        "messageclient/submitting.py",
        "if scope.person.id in (found.writer, found.asked_by) and not declined:",
        "if False:",
        (f"{_DESK}::test_a_second_person_approves_and_a_change_takes_the_approval_away",),
    ),
    Mutant(
        "what a second person has approved, or what is sent, is not withdrawn",
        "messageclient/submitting.py",
        "    if draft.stage != DraftStage.APPROVAL:\n        raise DraftClosed(DraftStage(draft.stage))\n",
        "",
        (f"{_DESK}::test_who_asked_a_second_person_withdraws_that_and_changes_the_draft",),
    ),
    Mutant(
        "nobody withdraws what another asked a second person for",
        "messageclient/submitting.py",
        "if found.writer != scope.person.id:",
        "if False:",
        (f"{_DESK}::test_who_asked_a_second_person_withdraws_that_and_changes_the_draft",),
    ),
    Mutant(
        "each person of an organisation has documents set in turn",
        "messageclient/handover/pdf.py",
        "self._of_one[whose].turn(person)",
        "self._of_one[whose].turn(whose)",
        (f"{_HANDOVER}::test_an_organisation_that_has_many_documents_set_holds_up_no_other",),
    ),
    Mutant(
        "a mailbox that asks for approval sends nothing without",
        "messageclient/submitting.py",
        "if asks and draft.stage != DraftStage.APPROVED:",
        "if False:",
        (f"{_DESK}::test_a_second_person_approves_and_a_change_takes_the_approval_away",),
    ),
    Mutant(
        "an answer stops where something new came",
        "messageclient/submitting.py",
        "if found.messages > seen:",
        "if False:",
        (f"{_DESK}::test_an_answer_returns_references_and_stops_where_something_new_came",),
    ),
    Mutant(
        "a change of its files takes a draft's approval away",
        "vault/sql/mail-1.sql",
        "SET stage = 'open', approved_by = NULL, asked_by = NULL, version = d.version + 1",
        "SET version = d.version + 1",
        (f"{_DESK}::test_a_second_person_approves_and_a_change_takes_the_approval_away",),
    ),
    Mutant(
        "a message that may have been posted is looked for before it is posted again",
        "messageclient/sending.py",
        "found = await self._look_for([mail]) if again else {}",
        "found = {}",
        (f"{_SENDING}::test_an_answer_that_never_came_sends_nothing_twice",),
    ),
    Mutant(
        "a message is not sent after its deadline",
        "messageclient/sending.py",
        "if head is None and self._is_late(mail):",
        "if False:",
        (f"{_SENDING}::test_what_is_not_taken_by_its_deadline_ends_with_the_reason",),
    ),
    Mutant(
        "a message waits for the end of its undo window",
        "vault/sql/mail-1.sql",
        "WHERE d.stage = 'window' AND d.until <= now FOR UPDATE SKIP LOCKED",
        "WHERE d.stage = 'window' FOR UPDATE SKIP LOCKED",
        (f"{_SENDING}::test_a_message_is_sent_when_its_window_is_over_and_followed_to_its_end",),
    ),
    Mutant(
        "a change of its files is a change of a draft's version",
        "vault/sql/mail-1.sql",
        "asked_by = NULL, version = d.version + 1",
        "asked_by = NULL",
        (f"{_ATTACKED}::test_a_file_that_a_second_tab_adds_or_removes_is_not_sent_unseen",),
    ),
    Mutant(
        "a conversation that was moved needs the approval that its address asks for",
        "messageclient/submitting.py",
        "asks = mailbox.needs_approval or home.needs_approval",
        "asks = mailbox.needs_approval",
        (f"{_ATTACKED}::test_a_conversation_that_was_moved_needs_the_approval_that_its_address_asks_for",),
    ),
    Mutant(
        "an id that a sender chose is not taken for one of the message service",
        "messageclient/fetching.py",
        "if each.message_id not in known and each.remote_id not in known_remote",
        "if not {each.message_id, each.remote_id} & (known | known_remote)",
        (f"{_ATTACKED}::test_an_id_that_a_sender_chose_hides_no_message_of_the_message_service",),
    ),
    Mutant(
        "a message of many long texts is not read as markdown",
        "messageclient/content.py",
        "return len(lengths) > _MAX_TEXTS or sum(lengths) > _MAX_CHARACTERS",
        "return False",
        (f"{_ATTACKED}::test_a_message_of_many_long_texts_is_not_read_as_markdown",),
    ),
    Mutant(
        "a text that another tab saves while a file is on its way is not overwritten",
        "messageclient/pages/draftfiles.py",
        "if (version_of(form), now.version) != (draft.version, draft.version + files.kept):",
        "if False:",
        (
            "tests/unit/messageclient/test_mail_pages.py"
            "::test_a_text_that_another_tab_saves_while_a_file_is_on_its_way_is_not_overwritten",
        ),
    ),
    Mutant(
        "a text that cannot be an id is not here, and asks the database nothing",
        "messageclient/scope.py",
        "if not is_id(asked):",
        "if False:",
        (f"{_ATTACKED}::test_an_id_that_is_none_is_not_here_alike",),
    ),
    Mutant(
        "words of a message service about a message are in no log",
        "client/errors.py",
        'return f"HTTP status {self.status}"',
        "return str(self)",
        (f"{_SENDING}::test_what_the_message_service_says_of_a_message_is_in_no_log",),
    ),
    Mutant(
        "a row that carries rights lies where it was put",
        "vault/mailbonds.py",
        "if bound is None or not hmac.compare_digest(bound, sealer.mark(bond)):",
        "if False:",
        (_MOVED_ROWS,),
    ),
    Mutant(
        "a draft lies where its conversation lies",
        "vault/mailwriting.py",
        "if draft.mailbox != mailbox:",
        "if False:",
        (f"{_MOVED}::test_a_draft_is_not_moved_apart_from_its_conversation",),
    ),
    *(
        Mutant(
            f"nothing is deleted at the message service that {what}",
            "vault/sql/service-deletion-1.sql",
            guard,
            instead,
            (f"{_DELETING}::test_nothing_is_deleted_that_is_not_safe_here",),
        )
        for what, guard, instead in (
            ("is exempt", "AND NOT EXISTS (SELECT FROM holds h WHERE h.id = c.id)", ""),
            ("nobody has opened", "AND m.opened_at IS NOT NULL", ""),
            ("is in no verified backup", "AND greatest(m.at, m.since) < backed_up_before", ""),
            ("is not old enough", "AND m.at < stored_before", ""),
        )
    ),
    *(
        Mutant(
            f"what was disposed of is not deleted at the message service {what}",
            "vault/sql/service-deletion-2.sql",
            guard,
            instead,
            (f"{_DELETING}::{test}",),
        )
        for what, guard, instead, test in (
            (
                "where another client reads it",
                "d.home = ANY (homes) AND d.stored",
                "d.stored",
                "test_what_is_disposed_of_stays_there_where_deletion_is_not_safe",
            ),
            (
                "before a verified backup knows of it",
                "d.stored < backed_up_before AND",
                "",
                "test_what_is_disposed_of_stays_there_where_deletion_is_not_safe",
            ),
            (
                "twice",
                "AND NOT EXISTS (SELECT FROM service_deletions d"
                " WHERE d.id = m.id AND d.outcome = 'deleted')",
                "",
                "test_what_was_deleted_there_before_its_disposal_is_not_asked_for_again",
            ),
        )
    ),
    Mutant(
        "asking for the mailbox of others is in the log",
        "messageclient/pages/reading.py",
        'await desk.refuse("mailbox", mailbox)',
        "raise HTTPException(404)",
        (
            "tests/separation/test_every_page.py::"
            "test_no_kind_of_person_without_the_right_reaches_another_mailbox",
        ),
    ),
    Mutant(
        "the sealed record says at which address what was disposed of lies",
        "vault/maildeletion.py",
        'if known.get("home") not in homes:',
        "if False:",
        (f"{_DELETING}::test_the_sealed_record_says_at_which_address_it_lies_there",),
    ),
    Mutant(
        "nothing is deleted that another client reads",
        "messageclient/deleting.py",
        "return self.state(mailbox, confirmed) is Reading.ALONE",
        "return True",
        (f"{_DELETING}::test_nothing_is_deleted_that_is_not_safe_here",),
    ),
    Mutant(
        "a confirmation is about one message service",
        "messageclient/deleting.py",
        'known is not None and known.content["interface"] == self.interface',
        "known is not None",
        (
            f"{_DELETING}::test_at_anothers_service_an_administrator_confirms_each_address"
            "_and_may_take_it_back",
        ),
    ),
    Mutant(
        "a message that is being stored is in no backup",
        "vault/maildeletion.py",
        "backed_up = backup.taken_at - _STORING",
        "backed_up = backup.taken_at",
        (f"{_DELETING}::test_nothing_is_deleted_that_is_not_safe_here",),
    ),
    Mutant(
        "administrators alone confirm who reads an address",
        "messageclient/management.py",
        """        async with scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            one = await self._one(vault, mailbox)
""",
        """        async with scope.open(Purpose.ADMINISTER) as vault:
            one = await self._one(vault, mailbox)
""",
        (
            "tests/unit/messageclient/test_administration.py"
            "::test_an_administrator_confirms_in_writing_that_nobody_else_reads_an_address",
        ),
    ),
    Mutant(
        "conversations of who is absent are the substitute's alone",
        "messageclient/scope.py",
        "            if self.person.id in those\n",
        "",
        (
            "tests/unit/messageclient/test_substitutes.py"
            "::test_an_absent_handlers_conversations_go_to_the_substitute_until_that_ends",
        ),
    ),
    Mutant(
        "an approval is of the text and the files that were approved",
        "vault/mailbonds.py",
        " with {sha256(value).hexdigest()} and {' '.join(sorted(files))}\"",
        '"',
        (f"{_MOVED}::test_an_approval_is_of_this_text_with_these_files_and_by_this_person",),
    ),
    Mutant(
        "an approval is looked at where it counts",
        "vault/mailwriting.py",
        "require_bond(approval, bond, sealer)",
        "assert bond",
        (_MOVED_ROWS,),
    ),
    Mutant(
        "a session's last use is bound to it",
        "vault/people.py",
        "require_bond(bound, session_bond(mark, used), self._sealer)",
        "assert bound",
        (_MOVED_ROWS,),
    ),
    Mutant(
        "a session is bound to its person and its beginning",
        "vault/people.py",
        'return f"session {mark.hex()} of {person} from {began.astimezone(UTC).isoformat()}"',
        'return f"session {mark.hex()}"',
        (_MOVED_ROWS,),
    ),
    Mutant(
        "who a person is is bound to their id",
        "vault/people.py",
        "        opened_identity(sealed, mark, person, sealer)\n        return str(person)\n",
        "        return str(person)\n",
        (_MOVED_ROWS,),
    ),
)
