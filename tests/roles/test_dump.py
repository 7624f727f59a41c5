"""A dump of everything: words of messages are in no table, file, log or object of any operator.

This is what a thief of a backup or a disk would have. It is made after whole exchanges between several
organisations, in which messages were accepted, refused by a peer, rejected with a receipt or not accepted.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psycopg
from ahocorasick_rs import BytesAhoCorasick, Implementation
from psycopg.conninfo import make_conninfo

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.database.postgres import programs_folder
from samdrift.vault.database.server import Database
from tests.roles.letters import letter
from tests.roles.member import MT, Member
from tests.roles.stage import Stage
from tests.roles.test_planted_words import WORDS, Heard, comes_in_and_fails, is_exchanged, planted

EXPECTED = "VaultUnavailable"
_DATABASES = (
    "SELECT datname FROM pg_database WHERE datname = current_database() OR datname ~ '^d[0-9a-f]{32}$'"
)
_UNTOUCHED = ("base/1", "base/4")
"""Folders of PostgreSQL's template databases, to which no connection is made."""


def spellings(word: str) -> Iterator[bytes]:
    """Yield the forms of a word on a disk: as text, in base64, and both as the database prints bytes."""
    for plain in (word.encode(), *_in_base64(word.encode())):
        yield plain
        yield plain.hex().encode()
    yield word.encode("utf-16-le")


def _in_base64(word: bytes) -> Iterator[bytes]:
    """Yield base64 of the word at each alignment, without the characters that depend on its neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(b"-" * shift + word)
        yield encoded[-(-shift * 4 // 3) : (shift + len(word)) * 4 // 3]


SOUGHT = [(spelled, name) for name, word in WORDS.items() for spelled in spellings(word)]
_SEARCH = BytesAhoCorasick([spelled for spelled, _ in SOUGHT], implementation=Implementation.DFA)


def found_in(data: bytes) -> set[str]:
    """Return the words that are in the data; all are searched in one pass, since the data is large."""
    found = _SEARCH.find_matches_as_indexes(data, overlapping=True)
    return {SOUGHT[at][1] for at, _, _ in found}


def dumped(address: str) -> bytes:
    """Return the databases' content as a backup program reads it, with unpacked values."""
    with psycopg.connect(address) as connection:
        names = connection.execute(_DATABASES).fetchall()
    assert len(names) > 1
    program = programs_folder() / "pg_dump"
    commands = [[program, "--dbname", make_conninfo(address, dbname=name)] for (name,) in names]
    return b"".join(subprocess.run(each, capture_output=True, check=True).stdout for each in commands)


def files_of(member: Member) -> Iterator[Path]:
    """Yield every file of the operator: database, write-ahead log, objects, keys, seals, logs, copies."""
    folder = member.config.vaults.secrets.parent
    data = folder / "database/data"
    for path in folder.rglob("*"):
        inside = path.relative_to(data).as_posix() if path.is_relative_to(data) else ""
        if path.is_file() and not path.is_socket() and not inside.startswith(_UNTOUCHED):
            yield path


async def administrator(member: Member) -> str:
    database = await Database.start(vault_settings(member.config))
    try:
        return database.administrator()
    finally:
        await database.stop()


async def leaks(member: Member) -> dict[str, set[str]]:
    """Return the readable words by the place where they were found."""
    address = await administrator(member)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    dump = dumped(address)
    assert member.organisation.value.encode() in dump
    found: dict[str, set[str]] = {"the dump": found_in(dump)}
    searched = 0
    for path in files_of(member):
        data = _read(path)
        searched += len(data)
        found[path.name] = found.get(path.name, set()) | found_in(data)
    assert searched > 10_000_000
    return {where: words for where, words in found.items() if words}


def _read(path: Path) -> bytes:
    """Return the content of a file, or nothing if the server has removed it meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


async def everybody_writes(members: Iterable[Member], to: Callable[[Member], Member]) -> None:
    """Exchange messages with the words, so that each organisation has sent and received some."""
    for member in members:
        message = planted(letter(member.address, to(member).address))
        await member.operator.messages.send(member.principal, member.organisation, message)
        assert await member.ends(message.message_id) is MessageStatus.ACCEPTED
        assert await to(member).ends(message.message_id, Direction.IN) is MessageStatus.NEW


async def receipts_outlive_their_messages(member: Member) -> None:
    """Delete messages as a client does; their receipts remain, and are searched like everything else."""
    async with member.open(MT) as vault:
        found = [each for each in await vault.messages(direction=Direction.IN) if each.status.final]
        answers = [await vault.receipt_for_message(each.id, Direction.OUT) for each in found]
        for each in found:
            assert await vault.delete(each.id, Direction.IN)
        kept = [await vault.receipt_body(each.id) for each in answers if each is not None]
    assert kept
    assert all(kept)


async def test_no_word_of_a_message_can_be_read_from_a_dump_of_everything(stage: Stage) -> None:
    await everybody_writes(
        (stage.habo, stage.mullsjo, stage.agency),
        lambda one: stage.agency if one is stage.mullsjo else stage.mullsjo,
    )
    await is_exchanged(stage)
    await comes_in_and_fails(stage, Heard())
    await receipts_outlive_their_messages(stage.agency)
    for member in (stage.habo, stage.agency):
        assert await leaks(member) == {}


async def test_a_word_in_clear_is_found_in_the_dump_and_on_the_disk(stage: Stage) -> None:
    """This is the control, for a word in a text, in bytes, and in base64 within a file."""
    habo = stage.habo
    file = habo.config.vaults.secrets.parent / "objects" / "control"
    content = base64.b64encode(b"a" + WORDS["file"].encode() + b"b")
    with psycopg.connect(await administrator(habo), autocommit=True) as connection:
        connection.execute("CREATE TABLE registry.control (a text, b bytea)")
        try:
            connection.execute(
                "INSERT INTO registry.control VALUES (%s, %s)", (WORDS["subject"], WORDS["person"].encode())
            )
            file.write_bytes(content)
            found = await leaks(habo)
        finally:
            connection.execute("DROP TABLE registry.control")
            file.unlink(missing_ok=True)
    assert found["the dump"] == {"subject", "person"}
    assert found["control"] == {"file"}
    assert {"subject", "person"} in [words for where, words in found.items() if where.isdecimal()]
