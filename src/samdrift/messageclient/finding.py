"""Search for messages by their words, and for addresses to write to. Searches are stored sealed.

There is no stored index: a search decrypts the messages that the person may read, latest first, until its
time is up, and reports how far it came.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.content import address_key, address_mark, recipient_content, recipient_of
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Correspondent, Found, Recipient, Search, Stage
from samdrift.messageclient.reading import lines_of
from samdrift.messageclient.scope import OF_MAILBOX, Scope, require_id
from samdrift.rights import Right
from samdrift.scheduling.places import Turns
from samdrift.vault.mailrecords import AddressRecord, Content
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.addressbook import FunctionalAddress

_USUAL = "\u0308\u030a\u0301\u0300\u0302\u0303\u0327"
"""Combining accents of å, ä, ö, é, à, ô, ñ and ç, in decomposed form."""
_LARGE = 1 << 16
"""Number of characters or bytes above which a text is processed in a thread."""
_FEW_ACCENTS = 16
"""Maximum number of different accents that are removed from a text one after another."""
_ESCAPED = frozenset('"\\')
"""Characters that JSON escapes; a word that contains one is only searched for in the parsed text."""
_WORD = re.compile(r"\w+")
_MIN_LENGTH, _LONG, _MAX_LENGTH = 4, 8, 40
"""Minimum lengths of words that may have one error and two errors, and maximum length for any."""
_MAX_NEAR_WORDS = 12
"""Maximum number of words for which near matches are searched, each in the whole address book."""
MAX_WORDS = 500
"""Maximum number of characters in a search, or in the name of an organisation to select by."""
_REMEMBERED = 0x10000
_MANY_MARKS = re.compile("[^\x00-\u02ff]{16,}")
"""Pattern of a run that may consist only of accents, which take quadratic time to put in order."""
SECONDS = 2.0
"""Time limit for a search, in seconds."""
_BATCH = 500
_MAX_FOUND = 50
_ASIDE = Turns(1)
"""Queue for one shared thread, so that only one search at a time runs in it; organisations take turns."""
T = TypeVar("T")
_END_OF_TIME = (datetime.max.replace(tzinfo=UTC), "")


class FindingDesk:
    """The part of a desk for searching; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def begin_search(self, search: Search) -> str:
        """Store a search, sealed, and return the random token that identifies it."""
        scope, token = self._scope, secrets.token_hex(16)
        words = search.words[:MAX_WORDS]
        kept = {"words": words, "whole_text": search.whole_text, "mailbox": search.mailbox}
        async with scope.open(Purpose.READ) as vault:
            vault.keep_search(token, scope.person.id, kept, now=scope.now())
        return token

    async def found(self, token: str) -> tuple[Search, Found]:
        """Search the mail that the person may read, up to a time limit."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            require_id("search", token)
            kept = await vault.search(token, scope.person.id)
            if kept is None or "words" not in kept:
                raise NotHere("search", token)
            search = Search(**kept)
            if search.mailbox is None:
                chosen = [one.id for one in await scope.mailboxes(vault, Right.READ)]
            else:
                chosen = [(await scope.mailbox(vault, search.mailbox, Right.READ)).id]
            hits, looked_at, of = await self._look(vault, search, chosen)
            by_id = {one.id: one for one in await vault.conversations_by_id(hits)}
            lines = await lines_of(scope, vault, [by_id[each] for each in hits if each in by_id])
            vault.record(
                MKEvent.MK_READING_SEARCH,
                mailbox=search.mailbox or "",
                lines=str(len(lines)),
                looked_at=str(looked_at),
            )
        return search, Found(lines, looked_at, of, looked_at == of)

    async def _look(
        self, vault: MessageClientVault, search: Search, mailboxes: Collection[str]
    ) -> tuple[list[str], int, int]:
        """Return the conversations with a hit, the number of messages searched, and their total number."""
        words, hits, looked_at, place = words_of(search.words), dict[str, None](), 0, _END_OF_TIME
        clock, sieve = asyncio.get_running_loop().time, _Sieve(words)
        end = clock() + SECONDS
        of = await vault.count_mail(mailboxes)
        while batch := await vault.mail_before(mailboxes, place, _BATCH):
            readable = [one.id for one in batch if search.whole_text and one.stage != Stage.UNREADABLE]
            bodies = await vault.mail_bodies(readable) if readable else {}
            for mail in batch:
                if clock() >= end or len(hits) == _MAX_FOUND:
                    return list(hits), looked_at, max(of, looked_at + 1)
                body = bodies.get(mail.id)
                stored = None if body is None else await body.read_all()
                look = partial(_has, sieve, words, mail.text, stored)
                large = len(mail.text) + len(stored or b"") > _LARGE
                if await self._aside(look) if large else look():
                    hits[mail.conversation] = None
                looked_at += 1
                await asyncio.sleep(0)  # Yield: nothing else here waits, so a batch would block the loop.
            place = (batch[-1].at, batch[-1].id)
        return list(hits), of, of

    async def _aside(self, work: Callable[[], T]) -> T:
        """Do work that takes some tenths of a second in a thread, when it is the organisation's turn."""
        async with _ASIDE.turn(self._scope.organisation):
            return await asyncio.to_thread(work)

    # --- addresses ----------------------------------------------------------------------------------------

    async def correspondents(self, words: str, limit: int = 20) -> tuple[Correspondent, ...]:
        """Return matching addresses, ignoring accents, the most used first.

        If none matches, return near matches, for misspelt input.
        """
        used, favourites, recipients = await self._addresses()
        known = {each: one for one, each in ((one, address_key(recipient_of(one.content))) for one in used)}
        liked = {address_key(recipient_of(one)) for one in favourites}
        wanted = words_of(words)
        texts = {
            key: folded(" ".join((*key, one.organisation_name, one.address_name)))
            for key, one in recipients.items()
        }
        fitting = [key for key, text in texts.items() if all(word in text for word in wanted)]
        # In a thread: each word takes tenths of a second in a large address book, and other requests must not
        # wait.
        few = len(wanted) <= _MAX_NEAR_WORDS
        near = await self._aside(partial(_nearly_fitting, wanted, texts)) if few and not fitting else ()
        found = [
            _correspondent(recipients[key], known.get(key), favourite=key in liked, near=not fitting)
            for key in fitting or near
        ]
        return tuple(sorted(found, key=_rank)[:limit])

    async def correspondent(self, key: str) -> Recipient | None:
        """Return a known address by its key; see :class:`~samdrift.messageclient.desk.Desk`."""
        _, _, recipients = await self._addresses()
        organisation, _, address = key.partition(" ")
        return recipients.get((organisation, address))

    async def _addresses(
        self,
    ) -> tuple[Sequence[AddressRecord], Sequence[Content], dict[tuple[str, str], Recipient]]:
        """Return the addresses written to, the person's favourites, and all known addresses by their keys."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            if not await scope.mailboxes(vault, *OF_MAILBOX):
                raise NotHere("correspondents", "")
            used = await vault.addresses()
            favourites = await vault.favourites(scope.person.id)
        recipients = {
            address_key(one): one
            for one in (
                *(recipient_of(one.content) for one in used),
                *map(recipient_of, favourites),
                *map(_listed, scope.book.copy.addresses if scope.book.copy else ()),
            )
        }
        return used, favourites, recipients

    async def set_favourite(self, recipient: Recipient, *, favourite: bool) -> None:
        """Mark an address as a favourite of the person, or remove the mark."""
        scope, address = self._scope, address_mark(recipient)
        async with scope.open(Purpose.PROCESS) as vault:
            if not await scope.mailboxes(vault, *OF_MAILBOX):
                raise NotHere("correspondents", "")
            if favourite:
                vault.keep_favourite(scope.person.id, address, recipient_content(recipient))
            else:
                vault.drop_favourite(scope.person.id, address)


def _nearly_fitting(wanted: Sequence[str], texts: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Return the keys of texts that contain each wanted word, or one close to it."""
    words = {key: frozenset(_WORD.findall(text)) for key, text in texts.items()}
    every = frozenset[str]().union(*words.values())
    near = [(one, frozenset(_nearly(one, every))) for one in wanted]
    return [
        key for key, text in texts.items() if all(one in text or alike & words[key] for one, alike in near)
    ]


def _slips(wanted: str) -> int:
    """Return how many errors a word may have: none in a number, or in a word that is very short or long."""
    if not wanted.isalpha() or not _MIN_LENGTH <= len(wanted) <= _MAX_LENGTH:
        return 0
    return 1 if len(wanted) < _LONG else 2


def _nearly(wanted: str, words: Iterable[str]) -> Collection[str]:
    """Return the words that begin with the wanted one, give or take a few added, lost or wrong letters."""
    most = _slips(wanted)
    if not most:
        return ()
    return {word for word in words if len(word) >= len(wanted) - most and _is_near(wanted, word, most)}


def _is_near(wanted: str, word: str, most: int) -> bool:
    """Return whether a prefix of a word is near enough (restricted Damerau-Levenshtein distance)."""
    word, last, before = word[: len(wanted) + most], "", list[int]()
    row = list(range(len(word) + 1))
    for number, letter in enumerate(wanted, 1):
        earlier, before, row = before, row, [number]
        for place, other in enumerate(word, 1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != other))
            if last and place > 1 and letter == word[place - 2] and last == other:
                cost = min(cost, earlier[place - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
        last = letter
    return min(row) <= most


def _listed(one: FunctionalAddress) -> Recipient:
    return Recipient(one.organisation.participant.value, one.identifier, one.organisation.name, one.name)


def _correspondent(
    recipient: Recipient, used: AddressRecord | None, *, favourite: bool, near: bool
) -> Correspondent:
    return Correspondent(recipient, favourite, used.used if used else 0, used.used_at if used else None, near)


def _rank(one: Correspondent) -> tuple[object, ...]:
    names = (one.recipient.organisation_name.casefold(), one.recipient.address_name.casefold())
    return (not one.favourite, -one.used, *names, *address_key(one.recipient))


class _Sieve:
    """A filter on the raw JSON of messages, so that only the few that contain all words are parsed."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word for word in words if word.isprintable() and not set(word) & _ESCAPED)

    def lets_through(self, *stored: bytes) -> bool:
        """Return whether a message may contain the words; false if it certainly lacks one."""
        text = folded(" ".join(each.decode() for each in stored))
        return all(word in text for word in self._words)


def _has(sieve: _Sieve, words: Sequence[str], head: bytes, body: bytes | None) -> bool:
    """Return whether a message contains all words; the sieve rules out most messages early."""
    return sieve.lets_through(head, body or b"") and _fits(words, head, body)


def _fits(words: Sequence[str], head: bytes, body: bytes | None) -> bool:
    """Return whether the text shown of a message contains all words."""
    text = folded(f"{_head(json.loads(head))} {'' if body is None else _words(body)}")
    return all(word in text for word in words)


def _words(body: bytes) -> str:
    """Return the texts in a message's documents."""
    return " ".join(
        text for document in json.loads(body)["documents"] for text in (document["name"], *document["texts"])
    )


def _head(content: Content) -> str:
    """Return the text that a list shows of a message, with its ids."""
    return " ".join(
        (
            content["subject"],
            content["message_id"],
            *(text for side in ("sender", "recipient") for text in _named(content[side])),
        )
    )


def _named(party: Content) -> Iterable[str]:
    yield from (party["organisation"], party["address"], party["name"], party["organisation_name"])
    for each in (*party["persons"], *party["references"]):
        yield from each


def words_of(text: str) -> tuple[str, ...]:
    """Return the distinct words of a search, in the form used for comparison."""
    return tuple(dict.fromkeys(folded(text).split()))


def folded(text: str) -> str:
    """Return a text in lower case and without accents, for comparison.

    A long text is folded in parts, so that other threads can run in between.
    """
    if len(text) > _LARGE:
        return "".join(folded(text[place : place + _LARGE]) for place in range(0, len(text), _LARGE))
    return _folded(text)


def _folded(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    if _MANY_MARKS.search(folded) is None:
        apart = unicodedata.normalize("NFKD", folded)
        plain = apart.encode("ascii", "ignore")
        if len(apart) - len(plain) == sum(map(apart.count, _USUAL)):
            return plain.decode()  # The usual case: only common accents were removed.
        accents = [each for each in set(apart) if unicodedata.combining(each)]
        if len(accents) <= _FEW_ACCENTS:
            for accent in accents:
                apart = apart.replace(accent, "")  # Much faster than character by character.
            return apart
    return folded.translate(_PLAIN)


class _Plain(dict[int, str]):
    """Table of characters without their accents, filled on demand."""

    def __missing__(self, number: int) -> str:
        apart = unicodedata.normalize("NFKD", chr(number))
        plain = "".join(each for each in apart if not unicodedata.combining(each))
        if number < _REMEMBERED:
            self[number] = plain
        return plain


_PLAIN = _Plain()
