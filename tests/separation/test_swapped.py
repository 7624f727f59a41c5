"""What is encrypted for one vault, row or column opens in no other: who writes to the database gains nothing.

The columns are taken from the database: a new one with bytes in it is either
sealed, and swapped here, or says why it is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.vault.errors import SealBroken
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.openkeys import open_keys
from samdrift.vault.records import StatusEvent
from samdrift.vault.sealing import Sealer
from samdrift.vault.sessionkeys import RefusalLimit, sealed_mark_key
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import MINUTE, NOW, Installation, body, message, receipt

MT = Role.MESSAGE_SERVICE
Column = tuple[str, str]


@dataclass(frozen=True)
class Held:
    """A message that came in, answered, in a vault of the message service."""

    organisation: ParticipantIdentifier
    schema: str
    message_id: str
    receipt_id: str
    commitment: str


Read = Callable[[MessageServiceVault, Held], Awaitable[object]]


async def _body(vault: MessageServiceVault, held: Held) -> object:
    return await (await vault.body(held.message_id, Direction.IN)).read_all()


async def _mark_keys(vault: MessageServiceVault, held: Held) -> object:
    return await vault.take_session_key(
        b"key", None, envelope=b"", created=NOW, sender="", limit=RefusalLimit(1, MINUTE), now=NOW
    )


SEALED: dict[Column, Read] = {
    ("messages", "details"): lambda vault, held: vault.message(held.message_id),
    ("mailboxes", "address"): lambda vault, held: vault.mailboxes(),
    ("status_events", "details"): lambda vault, held: vault.status_events(held.message_id, Direction.IN),
    ("receipts", "address"): lambda vault, held: vault.receipt(held.receipt_id),
    ("receipts", "content"): lambda vault, held: vault.receipt_body(held.receipt_id),
    ("digests", "sealed"): lambda vault, held: vault.digest(held.commitment),
    ("bodies", "sealed"): _body,
    ("mark_keys", "sealed"): _mark_keys,
}
"""Columns that hold what is encrypted, and how each is read."""
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
    ("log_keys", "announcement"): "signed by the key before it: evidence",
    ("log_keys", "statement"): "signed by the organisation: evidence",
    ("messages", "sender_mark"): "a keyed mark to search by",
    ("messages", "recipient_mark"): "a keyed mark to search by",
    ("messages", "mailbox"): "a keyed mark to search by",
    ("mailboxes", "mark"): "a keyed mark to search by",
    ("transfers", "digest"): "of an envelope as it is sent",
    ("transfers", "receipt"): "signed by the peer: evidence",
    ("peer_certificates", "certificate"): "public: what peers show to everybody; the log names it",
    ("attempts", "signed"): "digests that this access point has signed",
    ("incoming", "receipt"): "signed by this access point: evidence",
    ("used_assertions", "mark"): "a digest",
    ("session_keys", "envelope"): "a digest of what was signed and encrypted, which others have had too",
    ("lost_marks", "keys"): "digests of public keys",
    (
        "former_log",
        "content",
    ): "the log of a former supplier; a swapped entry breaks its chain",
    ("former_log", "previous"): "its chain",
    ("former_log", "salt"): "of its commitment",
    ("former_log", "hash"): "its chain",
    ("arrivals", "manifest"): "a digest of what is brought from another supplier",
}
"""Columns that are not encrypted, and what they hold."""


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
    missing = found - set(SEALED) - set(CLEAR)
    assert not missing, f"seal it and swap it in SEALED, or say in CLEAR what it holds: {missing}"
    assert set(SEALED) | set(CLEAR) <= found


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
    login = await vault_login(installation, organisation, MT)
    sealer = Sealer(login.vault, open_keys(installation.settings).data_keys(login.vault))
    former = sealed_mark_key(bytes(32), address, sealer)
    seen_by = await superuser(installation)
    seen_by.rows(f"INSERT INTO {login.schema}.mark_keys VALUES (%s, %s)", address, former)
    return Held(organisation, login.schema, mine.id, answer.id, commitment)


@pytest.mark.parametrize("of", ["another vault", "another row"])
@pytest.mark.parametrize("column", SEALED, ids=".".join)
async def test_what_is_put_in_anothers_place_does_not_open(
    installation: Installation, column: Column, of: str
) -> None:
    """The value of one's own row becomes another one's, as somebody could do who writes to the database."""
    table, name = column
    seen_by, own = await superuser(installation), await installation.organisation([MT])
    mine = await held(installation, own)
    if of == "another vault":
        theirs = await held(installation, await installation.organisation([MT]))
    else:
        theirs = await held(installation, own, "annan-inkorg")
    async with installation.open(own, MT) as vault:
        await SEALED[column](vault, mine)
    row = f"(SELECT {name} FROM {theirs.schema}.{table} ORDER BY ctid DESC LIMIT 1)"
    place = f"ctid = (SELECT ctid FROM {mine.schema}.{table} ORDER BY ctid LIMIT 1)"
    before = seen_by.snapshot(mine.schema)[table]
    seen_by.rows(f"UPDATE {mine.schema}.{table} SET {name} = {row} WHERE {place}")
    assert seen_by.snapshot(mine.schema)[table] != before
    async with installation.open(own, MT) as vault:
        with pytest.raises(SealBroken):
            await SEALED[column](vault, mine)
