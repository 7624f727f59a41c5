"""Unencrypted columns that carry rights are bound to their row: changing them in the database gains nothing.

Each gets the value of another row of the same vault, as would be done by a person of the organisation who
can write to the database and wants to see another mailbox, or to be taken for another person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from samdrift.contracts.principals import Role
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import SealBroken
from samdrift.vault.mailrecords import FileRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.portability.departure import MessageClientDeparture
from tests.separation.mailcases import a_draft
from tests.separation.test_swapped import HeldMail, held_mail
from tests.separation.vaultlogin import superuser
from tests.vaults import MINUTE, NOW, WORKER, Installation, body

MK = Role.MESSAGE_CLIENT
Read = Callable[[MessageClientVault, HeldMail], Awaitable[object]]


async def _all_files(vault: MessageClientVault, held: HeldMail) -> object:
    return [await vault.files_of([each.id]) for each in await vault.mail([held.message])]


async def _search_mail(vault: MessageClientVault, held: HeldMail) -> object:
    boxes = [one.id for one in await vault.mailboxes()]
    return [await vault.mail_before(boxes, (_END, ""), 10)]


async def _document(vault: MessageClientVault, held: HeldMail) -> object:
    return await (await vault.mail_body(held.message)).read_all()


async def _leave(vault: MessageClientVault, held: HeldMail) -> object:
    gate = held.installation.gate
    async with gate.depart(WORKER, held.organisation, MessageClientDeparture, {}) as departing:
        return await departing.conversations()


MOVED: dict[tuple[str, str], tuple[Read, ...]] = {
    ("conversations", "mailbox"): (
        lambda vault, held: vault.conversations_by_id([held.conversation]),
        _leave,
    ),
    ("conversations", "home"): (lambda vault, held: vault.conversations_by_id([held.conversation]),),
    ("messages", "conversation"): (
        lambda vault, held: vault.mail([held.message]),
        _search_mail,
        _document,
    ),
    ("messages", "draft"): (lambda vault, held: vault.mail([held.message]), _document),
    ("messages", "body"): (lambda vault, held: vault.mail([held.message]), _document),
    ("files", "body"): (_all_files,),
    ("drafts", "mailbox"): (lambda vault, held: vault.draft(held.draft),),
    ("drafts", "writer"): (lambda vault, held: vault.draft(held.draft),),
    ("drafts", "stage"): (lambda vault, held: vault.draft(held.draft),),
    ("drafts", "approved_by"): (lambda vault, held: vault.draft(held.draft),),
    ("notes", "author"): (lambda vault, held: vault.notes(held.conversation),),
    ("mailboxes", "needs_approval"): (lambda vault, held: vault.mailboxes(),),
    ("mailboxes", "undo_seconds"): (lambda vault, held: vault.mailboxes(),),
    ("persons", "id"): (
        lambda vault, held: vault.person("https://login.test", held.name),
        lambda vault, held: vault.persons(),
    ),
    ("sessions", "person"): (lambda vault, held: vault.session(held.session),),
    ("sessions", "began"): (lambda vault, held: vault.session(held.session),),
    ("sessions", "used"): (lambda vault, held: vault.session(held.session),),
    ("verified_backups", "taken_at"): (lambda vault, held: vault.last_backup(),),
    ("sole_readers", "person"): (lambda vault, held: vault.sole_readers(),),
    ("searches", "person"): (lambda vault, held: vault.search(held.name, _OTHER),),
    ("favourites", "person"): (lambda vault, held: vault.favourites(_OTHER),),
}
"""Columns, and operations that read them; the first row gets the second one's value, or another value."""
OTHER_VALUES: dict[str, Callable[[Any], object]] = {
    "needs_approval": lambda before: not before,
    "undo_seconds": lambda before: before + 1,
    "began": lambda before: before + timedelta(hours=1),
    "used": lambda before: before + timedelta(hours=1),
    "taken_at": lambda before: before + timedelta(days=1),
    "stage": lambda before: "approved",
    "approved_by": lambda before: "somebody else",
    "writer": lambda before: "somebody else",
    "id": lambda before: "somebody else",
    "draft": lambda before: "another draft",
}
KEYS = {"sessions": "mark", "persons": "mark"}
ORDERS = {"sessions": "mark", "persons": "ctid"}
_OTHER = "name-2"
_END = datetime.max.replace(tzinfo=UTC)


async def test_a_row_that_is_moved_to_others_is_refused(installation: Installation) -> None:
    seen_by, own = await superuser(installation), await installation.organisation([MK])
    mine = await held_mail(installation, own, 1)
    await held_mail(installation, own, 2)
    seen_by.rows(f"ALTER TABLE {mine.schema}.sessions DROP CONSTRAINT sessions_person_fkey")
    accepted = []
    for (table, column), reads in MOVED.items():
        name, key = f"{mine.schema}.{table}", KEYS.get(table, "id")
        rows = list(seen_by.rows(f"SELECT {key}, {column} FROM {name} ORDER BY {ORDERS.get(table, 'id')}"))
        rows.sort(key=lambda row: row[0] != mine.session)
        (of, before), (_, other) = rows[:2]
        new = OTHER_VALUES[column](before) if column in OTHER_VALUES else other
        change = f"UPDATE {name} SET {column} = %s WHERE {key} = %s"
        assert new != before
        seen_by.rows(change, new, of)
        for number, read in enumerate(reads):
            try:
                async with installation.open(own, MK) as vault:
                    await read(vault, mine)
                accepted.append((table, column, number))
            except SealBroken:
                pass
        seen_by.rows(change, before, of)
        async with installation.open(own, MK) as vault:
            await reads[0](vault, mine)
    assert not accepted, f"bind these to their rows: {accepted}"


async def test_a_draft_is_not_moved_apart_from_its_conversation(installation: Installation) -> None:
    seen_by, own = await superuser(installation), await installation.organisation([MK])
    mine, other = [await held_mail(installation, own, number) for number in (1, 2)]
    async with installation.open(own, MK) as vault:
        (conversation,) = await vault.conversations_by_id([mine.conversation])
        (elsewhere,) = await vault.conversations_by_id([other.conversation])
        answer = a_draft(conversation.mailbox, {"text": "answer"}, conversation=conversation.id)
        assert await vault.keep_draft(answer)
    change = f"UPDATE {mine.schema}.drafts SET mailbox = %s WHERE id = %s"
    seen_by.rows(change, elsewhere.mailbox, answer.id)
    async with installation.open(own, MK) as vault:
        with pytest.raises(SealBroken):
            await vault.draft(answer.id)
    seen_by.rows(change, conversation.mailbox, answer.id)
    async with installation.open(own, MK) as vault:
        assert (
            await vault.change_conversation(conversation, handler=None, done=False, mailbox=elsewhere.mailbox)
            > 0
        )
        moved = await vault.draft(answer.id)
    assert moved is not None
    assert moved.mailbox == elsewhere.mailbox


@pytest.mark.parametrize("change", ["asked_by", "approved_by", "text", "file"])
async def test_an_approval_is_of_this_text_with_these_files_and_by_this_person(
    installation: Installation, change: str
) -> None:
    """Previous values of the same draft are put back, as well as foreign ones."""
    seen_by, own = await superuser(installation), await installation.organisation([MK])
    schema = (await held_mail(installation, own, 1)).schema
    async with installation.open(own, MK) as vault:
        (box,) = await vault.mailboxes()
        draft = a_draft(box.id, {"text": "not this"}, writer="anna")
        assert await vault.keep_draft(draft)
        stored = await body(vault)
        file = FileRecord(new_id(), draft.id, 0, stored.size, stored.id, {"name": "not this"})
        assert await vault.add_draft_file(file, stored, "anna")
    ((text,),) = seen_by.rows(f"SELECT sealed FROM {schema}.drafts WHERE id = %s", draft.id)
    ((row,),) = seen_by.rows(f"SELECT to_jsonb(f)::text FROM {schema}.files f WHERE id = %s", file.id)
    agreed = replace(
        draft, stage="approved", asked_by="anna", approved_by="bo", version=3, content={"text": "this"}
    )
    async with installation.open(own, MK) as vault:
        assert await vault.drop_draft_file(file.id, draft.id, "anna")
        assert await vault.keep_draft(agreed)
        kept = await vault.draft(draft.id)
    assert kept is not None
    assert (kept.stage, kept.asked_by, kept.approved_by) == ("approved", "anna", "bo")
    if change == "file":
        put_back = f"INSERT INTO {schema}.files SELECT * FROM jsonb_populate_record(NULL::{schema}.files, %s)"
        seen_by.rows(put_back, row)
    else:
        column, value = ("sealed", text) if change == "text" else (change, "eva")
        seen_by.rows(f"UPDATE {schema}.drafts SET {column} = %s WHERE id = %s", value, draft.id)
    async with installation.open(own, MK) as vault:
        with pytest.raises(SealBroken):
            await vault.draft(draft.id)


async def test_a_session_that_is_used_goes_on_and_an_older_use_changes_nothing(
    installation: Installation,
) -> None:
    own = await installation.organisation([MK])
    mine = await held_mail(installation, own, 1)
    for minutes, seen in ((5, 5), (3, 5), (9, 9)):
        async with installation.open(own, MK) as vault:
            vault.touch_session(mine.session, NOW + minutes * MINUTE)
        async with installation.open(own, MK) as vault:
            session = await vault.session(mine.session)
        assert session is not None
        assert session.used == NOW + seen * MINUTE
