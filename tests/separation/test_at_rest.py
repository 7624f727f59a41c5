"""Data on disk: planted words occur in no table, no file of the database server, and no object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest_asyncio

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.vault.records import StatusEvent
from tests.separation.vaultlogin import superuser
from tests.vaults import (
    MINUTE,
    NOW,
    Installation,
    body,
    installed,
    message,
    receipt,
    server_folder,
    settings_in,
    submitted,
)

WORDS = {
    "label": "Vildsvinsutredning",
    "address": "flodhastinkorg",
    "title": "Noshörningsfel",
    "content": "Krokodilbilaga",
    "receipt": "Pelikankvittens",
    "envelope": "Strutskuvert",
    "handling": "tapirinkorg",
}


DIGEST = sha256(b"Krokodilmeddelande").digest()
"""A digest that would let a reader of the disk confirm a guess at the content."""


def spellings(word: str) -> set[bytes]:
    """Return the forms in which a word could occur on disk: as text, and as the database prints bytes."""
    return {word.encode(), word.encode("utf-16-le"), word.encode().hex().encode()}


def files(installation: Installation) -> Iterator[Path]:
    for place in (installation.settings.database, installation.settings.objects):
        yield from (path for path in Path(place).rglob("*") if path.is_file() and not path.is_socket())


def words_in(data: bytes) -> set[str]:
    found = {word for word in WORDS.values() if any(spelling in data for spelling in spellings(word))}
    return found | ({"digest"} if DIGEST in data or DIGEST.hex().encode() in data else set())


@pytest_asyncio.fixture(scope="module")
async def own() -> AsyncIterator[Installation]:
    """Yield a small installation, so that there is little to search."""
    with server_folder() as folder:
        async with installed(settings_in(folder)) as running:
            yield running


async def plant(installation: Installation) -> None:
    organisation = await installation.organisation()
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        for direction in Direction:
            record = replace(
                message(direction, label=WORDS["label"], sender_address=WORDS["address"]),
                recipient_address=WORDS["address"],
            )
            for repeat in (1, 20_000):
                stored = await body(vault, WORDS["content"].encode() * repeat)
                if direction is Direction.OUT:
                    await vault.create_outgoing(
                        replace(record, id=f"{record.id}{repeat}"), stored, now=NOW, lease=MINUTE
                    )
            event = StatusEvent(NOW, MessageStatus.ERROR, WORDS["title"], WORDS["title"], WORDS["title"])
            await vault.set_status(
                f"{record.id}1", MessageStatus.ERROR, (event,), now=NOW, deadline=None, direction=direction
            )
            answer = replace(receipt(record.id, direction), handling_service_id=WORDS["handling"])
            await vault.store_received_receipt(answer, WORDS["receipt"].encode(), now=NOW)
        assert len(await vault.messages(sender_addresses=[WORDS["address"]])) == 2
        gone, _ = await vault.messages(sender_addresses=[WORDS["address"]])
        kept = replace(receipt(gone.id, Direction.IN), handling_service_id=WORDS["handling"])
        await vault.store_received_receipt(kept, WORDS["receipt"].encode(), now=NOW)
        assert await vault.delete(gone.id, Direction.OUT)
        assert await vault.receipt_body(kept.id) == WORDS["receipt"].encode()
        vault.keep_digest(DIGEST)
    async with installation.open(organisation, Role.ACCESS_POINT) as transfers:
        for repeat in (1, 20_000):
            await submitted(transfers, WORDS["envelope"].encode() * repeat)


async def test_no_planted_word_can_be_read_from_the_disk(own: Installation) -> None:
    await plant(own)
    administrator = await superuser(own)
    administrator.rows("CHECKPOINT")
    searched = 0
    for path in files(own):
        data = path.read_bytes()
        searched += len(data)
        assert words_in(data) == set(), path.name
    assert searched > 10_000_000


async def test_the_search_would_find_what_is_not_encrypted(own: Installation) -> None:
    """The control: the same search finds a word that is stored unencrypted."""
    administrator = await superuser(own)
    administrator.rows("CREATE TABLE registry.control AS SELECT 'Vildsvinsutredning' AS word")
    try:
        administrator.rows("CHECKPOINT")
        assert any(words_in(path.read_bytes()) for path in files(own))
    finally:
        administrator.rows("DROP TABLE registry.control")
