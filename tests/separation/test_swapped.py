"""Data encrypted for one vault, row or column opens in no other: writing to the database gains nothing.

The columns are read from the database: a new binary column is either sealed, and swapped here, or listed
with the reason that it is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import SealBroken
from samdrift.vault.mailpresets import PresetKind, PresetRecord
from samdrift.vault.mailrecords import FileRecord, MailboxRecord, NewMail, NoteRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.officers import GovernanceVault, OfferedKey
from samdrift.vault.openkeys import open_keys
from samdrift.vault.people import Identity, SessionRecord
from samdrift.vault.portability.departure import MessageClientDeparture
from samdrift.vault.records import StatusEvent
from samdrift.vault.sealing import Sealer
from samdrift.vault.sessionkeys import RefusalLimit, sealed_mark_key
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.mailcases import a_draft, a_message, a_notice, disposed_of_one
from tests.separation.vaultlogin import Superuser, superuser, vault_login
from tests.sizes import sampled
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, message, receipt

MT, MK, GOV = Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT, Role.GOVERNANCE
Column = tuple[str, str]


@dataclass(frozen=True)
class Held:
    """Ids of an answered incoming message in a vault of the message service."""

    organisation: ParticipantIdentifier
    schema: str
    message_id: str
    receipt_id: str
    commitment: str


@dataclass(frozen=True)
class HeldMail:
    """Ids of one row of each kind in a vault of the message client."""

    installation: Installation
    organisation: ParticipantIdentifier
    schema: str
    name: str
    """Name shared by the person, the search token and the setting."""
    conversation: str
    message: str
    draft: str
    session: bytes
    disposal: str
    mailbox: str


Read = Callable[[MessageServiceVault, Held], Awaitable[object]]
ReadMail = Callable[[MessageClientVault, HeldMail], Awaitable[object]]


async def _body(vault: MessageServiceVault, held: Held) -> object:
    return await (await vault.body(held.message_id, Direction.IN)).read_all()


async def _mark_keys(vault: MessageServiceVault, held: Held) -> object:
    return await vault.take_session_key(
        b"key", None, envelope=b"", created=NOW, sender="", limit=RefusalLimit(1, MINUTE), now=NOW
    )


async def _conversations(vault: MessageClientVault, held: HeldMail) -> object:
    """Read conversations as a move to another supplier does, which is the only operation that opens them."""
    gate, kind = held.installation.gate, MessageClientDeparture
    async with gate.depart(WORKER, held.organisation, kind, {}) as departing:
        return await departing.conversations()


SEALED: dict[Column, Read] = {
    ("messages", "details"): lambda vault, held: vault.message(held.message_id),
    ("mailboxes", "address"): lambda vault, held: vault.mailboxes(),
    ("status_events", "details"): lambda vault, held: vault.status_events(held.message_id, Direction.IN),
    ("receipts", "address"): lambda vault, held: vault.receipt(held.receipt_id),
    ("receipts", "content"): lambda vault, held: vault.receipt_body(held.receipt_id),
    ("digests", "sealed"): lambda vault, held: vault.digest(held.commitment),
    ("bodies", "sealed"): _body,
    ("persons", "sealed"): lambda vault, held: vault.persons(),
    ("mark_keys", "sealed"): _mark_keys,
}
"""Encrypted columns of the message service, and how each is read."""
SEALED_MAIL: dict[Column, ReadMail] = {
    ("mailboxes", "sealed"): lambda vault, held: vault.mailboxes(),
    ("conversations", "sealed"): _conversations,
    ("messages", "sealed"): lambda vault, held: vault.mail([held.message]),
    ("messages", "delivery"): lambda vault, held: vault.mail([held.message]),
    ("files", "sealed"): lambda vault, held: vault.files_of([held.message]),
    ("notes", "sealed"): lambda vault, held: vault.notes(held.conversation),
    ("drafts", "sealed"): lambda vault, held: vault.draft(held.draft),
    ("searches", "sealed"): lambda vault, held: vault.search(held.name, held.name),
    ("addresses", "sealed"): lambda vault, held: vault.addresses(),
    ("favourites", "sealed"): lambda vault, held: vault.favourites(held.name),
    ("notice_choices", "sealed"): lambda vault, held: vault.notice_choices(),
    ("manning", "sealed"): lambda vault, held: vault.manning(),
    ("notices", "sealed"): lambda vault, held: vault.notices([held.name]),
    ("presets", "sealed"): lambda vault, held: vault.presets(PresetKind.LIST, [held.name]),
    ("settings", "sealed"): lambda vault, held: vault.mail_setting(held.name),
    ("registrations", "sealed"): lambda vault, held: vault.registrations([held.conversation]),
    ("holds", "sealed"): lambda vault, held: vault.holds([held.conversation]),
    ("disposal_rules", "sealed"): lambda vault, held: vault.disposal_rules([held.mailbox]),
    ("disposals", "sealed"): lambda vault, held: vault.disposals([held.mailbox]),
    ("disposed", "sealed"): lambda vault, held: vault.disposed(held.disposal, "", 10),
    ("verified_backups", "sealed"): lambda vault, held: vault.last_backup(),
    ("sole_readers", "sealed"): lambda vault, held: vault.sole_readers(),
    ("persons", "sealed"): lambda vault, held: vault.persons(),
    ("sessions", "sealed"): lambda vault, held: vault.session(held.session),
    ("statements", "sealed"): lambda vault, held: vault.statements_after(0, 10),
    ("signed_statements", "sealed"): lambda vault, held: vault.signed_statements_after(0, 10),
}
"""Encrypted columns of the message client, and how each is read."""
SEALED_OFFICE: dict[Column, Callable[[GovernanceVault], Awaitable[object]]] = {
    ("offered_keys", "sealed"): lambda vault: vault.offered_keys(),
    ("reports", "sealed"): lambda vault: vault.last_report(),
}
"""Encrypted columns that only governance has, and how each is read."""
CLEAR: dict[Column, str] = {
    ("bodies", "sha256"): "of an envelope, for its transfer; never of a message's content",
    ("log", "content"): "facts; a swapped entry breaks the chain",
    ("log", "previous"): "the chain",
    ("log", "hash"): "the chain, or the commitment to salt and facts",
    ("log", "salt"): "of the commitment beside it",
    ("log_head", "hash"): "the chain",
    (
        "log_tree",
        "edge",
    ): "hashes of the tree; one that is swapped leads to another root, which a witness refuses",
    ("log_nodes", "hash"): "hashes of the tree, for proofs; a swapped one proves nothing",
    ("log_checkpoints", "root"): "the root of the tree",
    ("log_checkpoints", "note"): "signed by the log: evidence that witnesses see",
    ("log_cosignatures", "first"): "signed by a witness: evidence",
    ("log_cosignatures", "last"): "signed by a witness: evidence",
    ("log_stamps", "stamp"): "signed by an authority for time stamps: evidence",
    ("log_keys", "announcement"): "signed by the key before it: evidence",
    ("log_keys", "statement"): "signed by the organisation: evidence",
    ("messages", "sender_mark"): "a keyed mark to search by",
    ("messages", "recipient_mark"): "a keyed mark to search by",
    ("messages", "mailbox"): "a keyed mark to search by",
    ("mailboxes", "mark"): "a keyed mark to search by",
    ("conversations", "mark"): "a keyed mark of the conversationId, to search by",
    ("messages", "mark"): "a keyed mark of the messageId, to search by",
    ("messages", "remote"): "a keyed mark of the id at the message service, to search by",
    ("messages", "refers"): "a keyed mark of the messageId that it refers to, to search by",
    ("conversations", "bound"): "a keyed mark of where it lies (test_moved_rows.py)",
    ("messages", "bound"): "a keyed mark of its conversation and documents (test_moved_rows.py)",
    ("files", "bound"): "a keyed mark of its owner and content (test_moved_rows.py)",
    ("drafts", "approval"): "a keyed mark of who approved what (test_moved_rows.py)",
    ("sessions", "used_bound"): "a keyed mark of when it was last used (test_moved_rows.py)",
    ("addresses", "mark"): "a keyed mark of the address, to search by",
    ("acknowledgements", "mark"): "a keyed mark of mailbox and address, so that one goes there once a day",
    ("disposed", "mark"): "a keyed mark of the messageId of what is gone, so that it is not fetched again",
    ("disposed", "remote"): "a keyed mark of the id at the message service, for the same",
    ("favourites", "mark"): "a keyed mark of the address, to search by",
    ("persons", "mark"): "a keyed mark of issuer and subject; what is sealed beside it is bound to it",
    ("sessions", "mark"): "a keyed mark of the cookie; what is sealed beside it is bound to it",
    ("sessions", "provider_session"): "a keyed mark of the sign-in service's session, to end it by",
    ("sign_ins", "mark"): "a keyed mark of a sign-in that has begun its session",
    ("transfers", "digest"): "of an envelope as it is sent",
    ("transfers", "receipt"): "signed by the peer: evidence",
    ("peer_certificates", "certificate"): "public: what peers show to everybody; the log names it",
    (
        "grounds",
        "content",
    ): "published by issuers; the log names it by its digest",
    ("attempts", "signed"): "digests that this access point has signed",
    ("incoming", "receipt"): "signed by this access point: evidence",
    ("used_assertions", "mark"): "a digest",
    ("session_keys", "envelope"): "a digest of what was signed and encrypted, which others have had too",
    ("lost_marks", "keys"): "digests of public keys",
    (
        "former_log",
        "content",
    ): "the log of a former supplier; a swapped entry breaks its chain",
    ("former_checkpoints", "first"): "signed by a former log and its witnesses: evidence",
    ("former_checkpoints", "last"): "signed by a former log and its witnesses: evidence",
    ("former_log_keys", "announcement"): "signed by the key before it: evidence",
    ("former_log_keys", "statement"): "signed by the organisation: evidence",
    ("former_log", "previous"): "its chain",
    ("former_log", "salt"): "of its commitment",
    ("former_log", "hash"): "its chain",
    ("arrivals", "manifest"): "a digest of what is brought from another supplier",
}
"""Columns that are not encrypted, and their content."""


async def test_every_column_with_bytes_is_sealed_or_says_why_not(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    seen_by, found = await superuser(installation), set()
    for role in Role:
        login = await vault_login(installation, organisation, role)
        found |= set(
            seen_by.rows(
                "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                " WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
                " AND a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype)",
                login.schema,
            )
        )
    sealed = {*SEALED, *SEALED_MAIL, *SEALED_OFFICE}
    missing = found - sealed - set(CLEAR)
    assert not missing, f"seal these and add them to SEALED, or explain them in CLEAR: {missing}"
    assert sealed | set(CLEAR) <= found


async def held(
    installation: Installation, organisation: ParticipantIdentifier, address: str = "inkorg"
) -> Held:
    mine = replace(message(Direction.IN, recipient_address=address), recipient=organisation)
    answer = receipt(mine.id)
    async with installation.open(organisation, MT) as vault:
        await vault.look_after_marks(now=NOW)
        stored = await body(vault)
        await vault.receive(mine, stored, answer, b"<receipt/>", item_id=mine.id, now=NOW, lease=None)
        event = StatusEvent(NOW, MessageStatus.NEW, "title", "detail", "path")
        await vault.set_status(
            mine.id, MessageStatus.NEW, (event,), now=NOW, deadline=None, direction=Direction.IN
        )
        commitment = vault.keep_digest(sha256(b"<m/>").digest())
        await vault.know_person(Identity("https://idp.test", address, "Kim"), now=NOW)
    login = await vault_login(installation, organisation, MT)
    sealer = Sealer(login.vault, open_keys(installation.settings).data_keys(login.vault))
    former = sealed_mark_key(bytes(32), address, sealer)
    seen_by = await superuser(installation)
    seen_by.rows(f"INSERT INTO {login.schema}.mark_keys VALUES (%s, %s)", address, former)
    return Held(organisation, login.schema, mine.id, answer.id, commitment)


@pytest.mark.parametrize("of", ["another vault", "another row"])
@pytest.mark.parametrize("column", sampled(map(pytest.param, SEALED), every=2), ids=".".join)
async def test_what_is_put_in_anothers_place_does_not_open(
    installation: Installation, column: Column, of: str
) -> None:
    """An attacker who can write to the database replaces a value of one row with that of another row."""
    seen_by, own = await superuser(installation), await installation.organisation([MT])
    mine = await held(installation, own)
    if of == "another vault":
        theirs = await held(installation, await installation.organisation([MT]))
    else:
        theirs = await held(installation, own, "annan-inkorg")
    async with installation.open(own, MT) as vault:
        await SEALED[column](vault, mine)
    table, name = column
    ((value,),) = seen_by.rows(f"SELECT {name} FROM {theirs.schema}.{table} ORDER BY ctid DESC LIMIT 1")
    place = f"ctid = (SELECT ctid FROM {mine.schema}.{table} ORDER BY ctid LIMIT 1)"
    before = seen_by.snapshot(mine.schema)[table]
    seen_by.rows(f"UPDATE {mine.schema}.{table} SET {name} = %s WHERE {place}", value)
    assert seen_by.snapshot(mine.schema)[table] != before
    async with installation.open(own, MT) as vault:
        with pytest.raises(SealBroken):
            await SEALED[column](vault, mine)


async def held_mail(installation: Installation, organisation: ParticipantIdentifier, number: int) -> HeldMail:
    """Store a row of each kind, the ``number``-th in its vault."""
    name = f"name-{number}"
    content = {"text": name}
    mail = a_message(Direction.IN, "arrived", content, delivery=content, files=1)
    thread = f"thread {number}"
    signed_in = SessionRecord(
        mark=sha256(f"{organisation.value} {name}".encode()).digest(),
        sign_in=sha256(name.encode()).digest(),
        identity=Identity("https://login.test", name, name),
        level="loa3",
        authenticated_at=NOW,
        provider_session=name,
        began=NOW,
        used=NOW,
    )
    async with installation.open(organisation, MK) as vault:
        box = MailboxRecord(new_id(), f"{name}:{organisation.value}", name)
        assert await vault.keep_mailbox(box)
        file = await body(vault)
        record = FileRecord(new_id(), mail.id, 0, file.size, file.id, content)
        new = NewMail(mail, f"message {number}", thread, await body(vault), f"remote {number}")
        conversation = await vault.store_mail(new, box.id, [record], [file])
        assert conversation is not None
        assert await vault.add_note(NoteRecord(new_id(), conversation, name, NOW, content))
        draft = a_draft(box.id, content)
        assert await vault.keep_draft(draft)
        (known,) = await vault.conversations_by_id([conversation])
        assert await vault.keep_registration(known, name, content, now=NOW) > 0
        (known,) = await vault.conversations_by_id([conversation])
        assert await vault.keep_hold(known, name, content, now=NOW) > 0
        disposal, _ = await disposed_of_one(vault, box, name)
        vault.keep_search(name, name, content, now=NOW)
        vault.use_address(name, content, now=NOW)
        vault.keep_favourite(name, name, content)
        vault.keep_mail_setting(name, content)
        vault.keep_notice_choice(name, content)
        vault.keep_manning(box.id, content, now=NOW)
        vault.note_backup(NOW - number * MINUTE, content, now=NOW)
        vault.keep_sole_reader(box.id, name, content, now=NOW)
        vault.add_notice(a_notice(name, content, person=name))
        assert await vault.keep_preset(PresetRecord(new_id(), PresetKind.LIST, name, content))
        assert await vault.begin_session(signed_in)
        statement = NumberedStatement(number, name.encode())
        assert await vault.append_statements([statement]) == number
        assert await vault.append_signed_statements([statement]) == number
    schema = (await vault_login(installation, organisation, MK)).schema
    ids = (conversation, mail.id, draft.id, signed_in.mark, disposal, box.id)
    return HeldMail(installation, organisation, schema, name, *ids)


@pytest.mark.parametrize("of", ["another vault", "another row"])
async def test_what_is_put_in_the_place_of_mail_does_not_open(installation: Installation, of: str) -> None:
    """Each column of the message client is tried in turn, and its value is restored afterwards."""
    seen_by, own = await superuser(installation), await installation.organisation([MK])
    mine = await held_mail(installation, own, 1)
    values = {column: stored(seen_by, mine.schema, column) for column in SEALED_MAIL}
    if of == "another vault":
        theirs = await held_mail(installation, await installation.organisation([MK]), 1)
    else:
        theirs = await held_mail(installation, own, 2)

    async def read(column: Column) -> object:
        async with installation.open(own, MK) as vault:
            return await SEALED_MAIL[column](vault, mine)

    opened = await opened_elsewhere(seen_by, mine.schema, theirs.schema, values, read)
    assert not opened, f"bind these to their vault and row: {opened}"


async def held_office(installation: Installation, organisation: ParticipantIdentifier, number: int) -> str:
    """Store a row of each kind in a vault of governance, the ``number``-th; return the schema."""
    name = f"name-{number}"
    async with installation.open(organisation, GOV) as vault:
        person = await vault.know_person(Identity("https://login.test", name, name))
        vault.offer_key(OfferedKey(person, NOW, name, "{}"))
        vault.keep_report(NOW - number * MINUTE, name.encode())
    return (await vault_login(installation, organisation, GOV)).schema


@pytest.mark.parametrize("of", ["another vault", "another row"])
async def test_what_is_put_in_the_place_of_governances_rows_does_not_open(
    installation: Installation, of: str
) -> None:
    seen_by, own = await superuser(installation), await installation.organisation([GOV])
    mine = await held_office(installation, own, 1)
    values = {column: stored(seen_by, mine, column) for column in SEALED_OFFICE}
    if of == "another vault":
        theirs = await held_office(installation, await installation.organisation([GOV]), 1)
    else:
        theirs = await held_office(installation, own, 2)

    async def read(column: Column) -> object:
        async with installation.open(own, GOV) as vault:
            return await SEALED_OFFICE[column](vault)

    opened = await opened_elsewhere(seen_by, mine, theirs, values, read)
    assert not opened, f"bind these to their vault and row: {opened}"


async def opened_elsewhere(
    seen_by: Superuser,
    mine: str,
    theirs: str,
    values: dict[Column, set[bytes]],
    read: Callable[[Column], Awaitable[object]],
) -> list[Column]:
    """Put foreign values in each of the vault's columns in turn, and return the columns that open anyway."""
    opened = []
    for column, (value,) in values.items():
        (foreign,) = stored(seen_by, theirs, column) - {value}
        assert await read(column)
        table, name = column
        change = f"UPDATE {mine}.{table} SET {name} = %s WHERE {{}} RETURNING ctid::text"
        ((place,),) = seen_by.rows(change.format(f"{name} = %s"), foreign, value)
        try:
            await read(column)
            opened.append(column)
        except SealBroken:
            pass
        assert seen_by.rows(change.format("ctid = %s::tid"), value, place)
    return opened


def stored(seen_by: Superuser, schema: str, column: Column) -> set[bytes]:
    """Return the values of a column."""
    table, name = column
    return {value for (value,) in seen_by.rows(f"SELECT {name} FROM {schema}.{table}")}
