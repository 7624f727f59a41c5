"""Mutants that remove guards of the mail pages: missing records, files, sizes, versions, access."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_SIZE = "tests/unit/messageclient/test_message_size.py"
_PRESETS = "tests/unit/messageclient/test_presets.py"
_DESK = "tests/unit/messageclient/test_desk.py"
_PAGES = "tests/unit/messageclient/test_mail_pages.py"
_TYPED = "tests/unit/messageclient/test_typed_text.py"
_RETURNED = "tests/unit/messageclient/test_returned.py"

MAIL_PAGES = (
    Mutant(
        "what is not here for a person is answered like what is nowhere",
        "messageclient/pages/frame.py",
        "raise HTTPException(404) from None",
        "raise",
        (f"{_PAGES}::test_every_address_answers_alike_for_what_is_not_here",),
    ),
    Mutant(
        "a file of a message is saved and cannot run in our origin",
        "messageclient/pages/frame.py",
        "**file_headers(file.name), ",
        "",
        (f"{_PAGES}::test_a_file_is_saved_and_never_shown_in_the_page",),
    ),
    Mutant(
        "a file of a message has no type that a browser opens, but PDF",
        "messageclient/pages/frame.py",
        'return media_type if media_type == "application/pdf" else "application/octet-stream"',
        "return media_type",
        (f"{_PAGES}::test_a_message_that_cannot_be_shown_is_listed_and_its_raw_form_is_saved",),
    ),
    Mutant(
        "a draft is saved from the version that its form was made for",
        "messageclient/pages/draftfiles.py",
        "return replace(draft, version=version_of(form))",
        "return draft",
        (f"{_PAGES}::test_an_older_tab_overwrites_nothing_and_shows_both_texts",),
    ),
    Mutant(
        "a recipient is one that the address book has",
        "messageclient/finding.py",
        "return recipients.get((organisation, address))",
        "return recipients.get((organisation, address), Recipient(organisation, address))",
        (f"{_PRESETS}::test_an_address_is_added_although_many_organisations_have_one_of_the_same_name",),
    ),
    Mutant(
        "news that a person may not read is confirmed before sending",
        "messageclient/pages/templates/review.html",
        "{% elif may_send and not news_up_to %}",
        "{% elif may_send and not news %}",
        (
            "tests/unit/messageclient/test_pages_over_vault.py"
            "::test_one_who_may_write_but_not_read_confirms_that_there_is_news_and_sends",
        ),
    ),
    Mutant(
        "a message that is sent again after it was undone is in the same conversation",
        "messageclient/submitting.py",
        "return str(uuid5(UUID(draft.id), content.address_mark(recipient)))",
        "return str(uuid4())",
        (f"{_DESK}::test_what_was_noted_while_sending_could_be_undone_is_there_when_it_is_sent_again",),
    ),
    *(
        Mutant(
            f"a character that no message can have is not in {what}",
            file,
            guard,
            without,
            (
                "tests/unit/messageclient/test_pages_over_vault.py"
                "::test_a_character_that_no_message_can_have_is_a_space_in_the_draft",
            ),
        )
        for what, file, guard, without in (
            ("a text", "web/forms.py", "return representable(value)", "return value"),
            (
                "the name of a file",
                "web/uploads.py",
                "FilePart(name, representable(file),",
                "FilePart(name, file,",
            ),
        )
    ),
    Mutant(
        "a list that is full is not cut off",
        "messageclient/presetdesk.py",
        "            raise TooManyKept(MAX_RECIPIENTS)\n",
        "            kept = replace(kept, recipients=kept.recipients[:MAX_RECIPIENTS])\n",
        (f"{_PRESETS}::test_a_list_that_is_full_takes_no_more_and_says_so",),
    ),
    Mutant(
        "what was kept of a message is cleaned before it is shown",
        "web/messagetext.py",
        "Markup(_CLEANER.clean(html))",
        "Markup(html)",
        (f"{_PAGES}::test_what_was_kept_as_html_is_cleaned_before_it_is_shown",),
    ),
    Mutant(
        "a page is of a mailbox that the person has",
        "messageclient/pages/reading.py",
        "(box for box in mailboxes if box.id == mailbox)",
        "iter(mailboxes)",
        (f"{_PAGES}::test_every_address_answers_alike_for_what_is_not_here",),
    ),
    Mutant(
        "no number of a person is in a list",
        "messageclient/pages/shown.py",
        "if one.root not in _OF_PERSONS",
        "if True",
        (f"{_PAGES}::test_no_number_of_a_person_is_in_a_list",),
    ),
    Mutant(
        "characters that XML escapes count with their escaped length in the size of a draft",
        "wire/sdkmessage/build.py",
        'return len(text.encode("utf-8", "surrogatepass")) + escaped',
        'return len(text.encode("utf-8", "surrogatepass"))',
        (f"{_SIZE}::test_a_draft_that_is_ready_fits_in_a_message_also_when_it_is_full[ampersands]",),
    ),
    Mutant(
        "the element of each file counts in the size of a draft",
        "wire/sdkmessage/build.py",
        "return _FILE_MARKUP + text_size(name) + text_size(content_type) + (size + 2) // 3 * 4",
        "return (size + 2) // 3 * 4",
        (f"{_SIZE}::test_a_draft_that_is_ready_fits_in_a_message_also_when_it_is_full[many files]",),
    ),
    Mutant(
        "an upload has the room that the rest of the message leaves",
        "messageclient/drafts.py",
        "rest = MAX_BYTES - message_size(typed, files) - max(",
        "rest = MAX_BYTES - message_size(DraftContent(), ()) - max(",
        (
            "tests/unit/messageclient/test_desk_uploads.py"
            "::test_the_room_for_a_file_is_what_the_rest_of_the_message_leaves",
        ),
    ),
    Mutant(
        "what a message names is returned in less than a typed form",
        "messageclient/drafts.py",
        '"recipient_persons": _is_person,',
        '"recipient_persons": _is_typed_person,',
        (f"{_RETURNED}::test_a_reply_returns_what_a_valid_message_names[id alone]",),
    ),
    Mutant(
        "what no message may name is not returned",
        "messageclient/drafts.py",
        "return tuple(filter(_is_reference, party.references))",
        "return party.references",
        (f"{_RETURNED}::test_what_no_message_may_name_is_not_returned_and_the_rest_is",),
    ),
    Mutant(
        "a form has so few references as fields that it can be posted",
        "messageclient/pages/draftforms.py",
        "return max(len(named) - MAX_ROWS, 0)",
        "return 0",
        (f"{_RETURNED}::test_a_message_that_quotes_very_many_references_is_replied_to[950]",),
    ),
    Mutant(
        "references that a form does not have as fields stay",
        "messageclient/pages/draftforms.py",
        '            *before.references[: _number(form["references-beside"])],\n',
        "",
        (f"{_RETURNED}::test_a_message_that_quotes_very_many_references_is_replied_to[950]",),
    ),
    Mutant(
        "what was typed in something that is no longer here is on the page that says so",
        "messageclient/pages/frame.py",
        'if request.method == "POST":',
        "if False:",
        (
            f"{_TYPED}::test_what_was_typed_in_a_draft_that_was_deleted_is_on_the_page_that_says_so",
            f"{_TYPED}::test_what_was_typed_in_a_reply_that_was_moved_away_is_on_the_page_that_says_so",
        ),
    ),
    Mutant(
        "a draft that is deleted while a file begins does not end the reading of its form",
        "messageclient/pages/draftfiles.py",
        "except (DraftTaken, DraftClosed, NotHere):",
        "except (DraftTaken, DraftClosed):",
        (
            f"{_TYPED}::test_what_was_typed_in_a_draft_that_is_deleted_during_an_upload_is_on_the_page_that_says_so"
            "[at its beginning]",
        ),
    ),
    Mutant(
        "a draft that is deleted while a file ends does not end the reading of its form",
        "messageclient/pages/draftfiles.py",
        "except (Changed, DraftTaken, DraftClosed, NotHere):",
        "except (Changed, DraftTaken, DraftClosed):",
        (
            f"{_TYPED}::test_what_was_typed_in_a_draft_that_is_deleted_during_an_upload_is_on_the_page_that_says_so"
            "[at its end]",
        ),
    ),
    Mutant(
        "the script learns that a draft which is no longer here is not saved any more",
        "messageclient/pages/writing.py",
        'return JSONResponse({"said": said, "over": True})',
        'return JSONResponse({"said": said, "over": False})',
        (f"{_TYPED}::test_what_was_typed_in_a_draft_that_was_deleted_is_on_the_page_that_says_so",),
    ),
    Mutant(
        "the reason for sending a draft back is kept if its writer was faster",
        "messageclient/pages/sending.py",
        'reason=form["reason"])',
        'reason="")',
        (f"{_TYPED}::test_the_reason_for_sending_a_draft_back_is_kept_if_its_writer_was_faster",),
    ),
)
