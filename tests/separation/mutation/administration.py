"""Mutants that remove guards of the administration pages, presets and the log."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PAGES = "tests/unit/messageclient/test_administration.py"
_PRESETS = "tests/unit/messageclient/test_presets.py"
_SIGHTS = "tests/unit/messageclient/test_who_sees.py"
_ATTACKS = "tests/unit/messageclient/test_desk_attacked.py"
_MANAGER = f"{_PAGES}::test_a_manager_changes_the_own_mailbox_and_neither_its_name_nor_another"
_VIEWS = f"{_PRESETS}::test_a_view_of_a_person_is_nobody_elses_and_one_of_a_mailbox_is_for_who_reads_it"
_LISTS = f"{_PRESETS}::test_a_list_is_its_owners_and_each_recipient_gets_a_message"
_WHY = f"{_SIGHTS}::test_who_does_not_work_in_a_mailbox_says_why_before_what_is_marked_is_shown"

ADMINISTRATION = (
    Mutant(
        "a manager manages the own mailbox and no other",
        "messageclient/management.py",
        "return self.is_administrator or self._scope.may(Right.MANAGE, mailbox)",
        "return True",
        (_MANAGER,),
    ),
    Mutant(
        "only an administrator makes and ends mailboxes",
        "messageclient/management.py",
        "        if not self.is_administrator:\n            raise NotHere(",
        "        if False:\n            raise NotHere(",
        (_MANAGER,),
    ),
    Mutant(
        "a mailbox is of an address that the organisation has",
        "messageclient/management.py",
        "        if address not in self._addresses:\n",
        "        if False:\n",
        (f"{_PAGES}::test_an_administrator_makes_changes_and_ends_a_mailbox_and_each_is_in_the_log",),
    ),
    Mutant(
        "only an administrator sees and tries the message service",
        "messageclient/administering/service.py",
        "            if not office.scope.may(Right.ADMINISTRATOR):\n                raise",
        "            if False:\n                raise",
        (_MANAGER,),
    ),
    Mutant(
        "only a security officer reads the log",
        "messageclient/logreading.py",
        "        if not self._scope.may(Right.SECURITY_OFFICER):\n",
        "        if False:\n",
        (f"{_PAGES}::test_a_reader_of_the_log_who_is_no_security_officer_gets_nothing",),
    ),
    Mutant(
        "a cell of a table is no formula",
        "web/tables.py",
        """return _FORMULA.sub("'", cell)""",
        "return cell",
        (f"{_PAGES}::test_no_cell_of_a_table_is_a_formula",),
    ),
    Mutant(
        "a cell of a table is no formula where a spreadsheet parts lines elsewhere",
        "web/tables.py",
        r"(?:^|(?<=[,;|\r\n]))",
        "^",
        (f"{_PAGES}::test_no_cell_is_a_formula_where_a_spreadsheet_parts_lines_elsewhere",),
    ),
    Mutant(
        "nothing is sent from a mailbox that has ended",
        "messageclient/submitting.py",
        "        if ended := _ended(mailbox, home):\n            raise NotReady(ended)\n",
        "",
        (f"{_PAGES}::test_an_ended_mailbox_takes_in_what_comes_and_nothing_new_is_written_in_it",),
    ),
    Mutant(
        "a selection is of mailboxes that the person may read",
        "messageclient/presetdesk.py",
        "return [(await self._scope.mailbox(vault, selection.mailbox, Right.READ)).id]",
        "return [selection.mailbox]",
        (_VIEWS,),
    ),
    Mutant(
        "a view of a mailbox is kept by a person who writes in it",
        "messageclient/presetdesk.py",
        'owner = (await scope.mailbox(vault, selection.mailbox or "", Right.WRITE)).id',
        'owner = selection.mailbox or ""',
        (_VIEWS,),
    ),
    Mutant(
        "a list of a mailbox is kept by a person who writes in it",
        "messageclient/presetdesk.py",
        "owner = (await scope.mailbox(vault, kept.mailbox, Right.WRITE)).id",
        "owner = kept.mailbox",
        (_LISTS,),
    ),
    Mutant(
        "a list is changed by those whose it is",
        "messageclient/presetdesk.py",
        "kept = replace(kept, mailbox=(await self._list(vault, kept.id)).mailbox)",
        "kept = replace(kept, mailbox=None)",
        (_LISTS,),
    ),
    Mutant(
        "a person who does not work in a mailbox says why first",
        "messageclient/reading.py",
        "        raise ReasonAsked(found.id)\n",
        "        return\n",
        (_WHY,),
    ),
    Mutant(
        "a reason is good for an hour",
        "messageclient/reading.py",
        "if max(said, default=_NEVER) < scope.now() - _REASON_LASTS:",
        "if max(said, default=_NEVER) == _NEVER:",
        (_WHY,),
    ),
    Mutant(
        "a list of conversations is in the log",
        "messageclient/presetdesk.py",
        "        vault.record(\n            MKEvent.MK_READING_LIST,",
        "        dict(\n            event=MKEvent.MK_READING_LIST,",
        (f"{_SIGHTS}::test_every_route_leaves_entries_of_what_is_seen_and_done",),
    ),
    Mutant(
        "a rule makes nobody a handler who does not write in the mailbox",
        "messageclient/rules.py",
        "if rule.handler in writers",
        "if True",
        (f"{_PAGES}::test_a_rule_gives_a_conversation_that_begins_its_handler_while_they_write_there",),
    ),
    Mutant(
        "only news that were shown count as read",
        "messageclient/writing.py",
        "min(messages, one.messages)",
        "one.messages",
        ("tests/unit/messageclient/test_desk.py",),
    ),
    Mutant(
        "a conversation is with one other organisation",
        "messageclient/content.py",
        'return f"{conversation_id} {organisation}"',
        "return conversation_id",
        (f"{_ATTACKS}::test_an_organisation_that_knows_the_id_of_a_conversation_gets_one_of_its_own",),
    ),
    Mutant(
        "what a message refers to in another mailbox is not named",
        "vault/mail.py",
        "WHERE c.mailbox = d.mailbox ORDER BY r.direction",
        "ORDER BY r.direction",
        (f"{_ATTACKS}::test_what_a_message_refers_to_in_another_mailbox_is_not_named",),
    ),
)
