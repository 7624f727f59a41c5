"""Finding: messages by their words, and addresses to write to. Searches are stored sealed.

There is no index at rest: a search decrypts the messages that the person may read, latest first, until its
time is over, and reports how far it came.
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
"""Accents of å, ä, ö, é, à, ô, ñ and ç, apart from their letters."""
_LARGE = 1 << 16
"""Characters, or bytes, from which a text is large enough to be processed in a thread."""
_FEW_ACCENTS = 16
"""Kinds of accents up to which a text is read once for each."""
_ESCAPED = frozenset('"\\')
"""Characters that JSON escapes; a word with one is searched for in the parsed text."""
_WORD = re.compile(r"\w+")
_SHORTEST, _LONG, _LONGEST = 4, 8, 40
"""Letters from which on a word may have one slip, and two; and above which it may have none."""
_MOST_WORDS = 12
"""Words up to which an address is looked for that nearly fits: each is compared with the whole book."""
MAX_WORDS = 500
"""Characters that a person looks for in messages, or by which they select conversations."""
_REMEMBERED = 0x10000
_MANY_MARKS = re.compile("[^\x00-\u02ff]{16,}")
"""A run that may be accents alone: to put them in order takes the square of their number."""
SECONDS = 2.0
"""Time of one search."""
_BATCH = 500
_MAX_FOUND = 50
_ASIDE = Turns(1)
"""The thread of all that are shared in which one search at a time is, of each organisation in its turn."""
T = TypeVar("T")
_END_OF_TIME = (datetime.max.replace(tzinfo=UTC), "")


class FindingDesk:
    """The part of a desk for finding; each act as :class:`~samdrift.messageclient.desk.Desk` says."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def begin_search(self, search: Search) -> str:
        """Keep a search, sealed, and return the random token by which it is found."""
        scope, token = self._scope, secrets.token_hex(16)
        words = search.words[:MAX_WORDS]
        kept = {"words": words, "whole_text": search.whole_text, "mailbox": search.mailbox}
        async with scope.open(Purpose.READ) as vault:
            vault.keep_search(token, scope.person.id, kept, now=scope.now())
        return token

    async def found(self, token: str) -> tuple[Search, Found]:
        """Search what the person may read; stops at a time limit."""
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
        """Return the conversations with a hit, the messages that were looked at, and how many there are."""
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
                await asyncio.sleep(0)  # Nothing waits here: a batch could take all the time at a stretch.
            place = (batch[-1].at, batch[-1].id)
        return list(hits), of, of

    async def _aside(self, work: Callable[[], T]) -> T:
        """Do work of some tenths of a second in a thread, when it is the organisation's turn."""
        async with _ASIDE.turn(self._scope.organisation):
            return await asyncio.to_thread(work)

    # --- addresses ----------------------------------------------------------------------------------------

    async def correspondents(self, words: str, limit: int = 20) -> tuple[Correspondent, ...]:
        """Return matching addresses, regardless of accents, the most used first.

        If none matches, return near matches, for misspelt input.
        """
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            if not await scope.mailboxes(vault, *OF_MAILBOX):
                raise NotHere("correspondents", "")
            used = await vault.addresses()
            favourites = await vault.favourites(scope.person.id)
        known = {each: one for one, each in ((one, address_key(recipient_of(one.content))) for one in used)}
        liked = {address_key(recipient_of(one)) for one in favourites}
        recipients = {
            address_key(one): one
            for one in (
                *(recipient_of(one.content) for one in used),
                *map(recipient_of, favourites),
                *map(_listed, scope.book.copy.addresses if scope.book.copy else ()),
            )
        }
        wanted = words_of(words)
        texts = {
            key: folded(" ".join((*key, one.organisation_name, one.address_name)))
            for key, one in recipients.items()
        }
        fitting = [key for key, text in texts.items() if all(word in text for word in wanted)]
        # Each word takes a large book some tenths of a second: nobody else's request is to wait for that.
        few = len(wanted) <= _MOST_WORDS
        near = await self._aside(partial(_nearly_fitting, wanted, texts)) if few and not fitting else ()
        found = [
            _correspondent(recipients[key], known.get(key), favourite=key in liked, near=not fitting)
            for key in fitting or near
        ]
        return tuple(sorted(found, key=_rank)[:limit])

    async def set_favourite(self, recipient: Recipient, *, favourite: bool) -> None:
        """Keep an address as a favourite of the person, or not."""
        scope, address = self._scope, address_mark(recipient)
        async with scope.open(Purpose.PROCESS) as vault:
            if not await scope.mailboxes(vault, *OF_MAILBOX):
                raise NotHere("correspondents", "")
            if favourite:
                vault.keep_favourite(scope.person.id, address, recipient_content(recipient))
            else:
                vault.drop_favourite(scope.person.id, address)


def _nearly_fitting(wanted: Sequence[str], texts: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Return the texts that contain each wanted word, or one close to it."""
    words = {key: frozenset(_WORD.findall(text)) for key, text in texts.items()}
    every = frozenset[str]().union(*words.values())
    near = [(one, frozenset(_nearly(one, every))) for one in wanted]
    return [
        key for key, text in texts.items() if all(one in text or alike & words[key] for one, alike in near)
    ]


def _slips(wanted: str) -> int:
    """Return how many slips a word may have: none in a number or a short one, which is like any other."""
    if not wanted.isalpha() or not _SHORTEST <= len(wanted) <= _LONGEST:
        return 0
    return 1 if len(wanted) < _LONG else 2


def _nearly(wanted: str, words: Iterable[str]) -> Collection[str]:
    """Return the words that begin like the wanted one but for a letter added, lost, changed or swapped."""
    most = _slips(wanted)
    if not most:
        return ()
    return {word for word in words if len(word) >= len(wanted) - most and _is_near(wanted, word, most)}


def _is_near(wanted: str, word: str, most: int) -> bool:
    """Return whether some beginning of a word is that near (restricted Damerau-Levenshtein distance)."""
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
    """A filter on the raw JSON of messages: only the few that contain all words anywhere are parsed."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word for word in words if word.isprintable() and not set(word) & _ESCAPED)

    def lets_through(self, *stored: bytes) -> bool:
        """Return whether the words may be in a message; false where one is certainly not."""
        text = folded(" ".join(each.decode() for each in stored))
        return all(word in text for word in self._words)


def _has(sieve: _Sieve, words: Sequence[str], head: bytes, body: bytes | None) -> bool:
    """Return whether a message contains all words; the sieve rejects most messages early."""
    return sieve.lets_through(head, body or b"") and _fits(words, head, body)


def _fits(words: Sequence[str], head: bytes, body: bytes | None) -> bool:
    """Return whether all words are in the displayed part of a message."""
    text = folded(f"{_head(json.loads(head))} {'' if body is None else _words(body)}")
    return all(word in text for word in words)


def _words(body: bytes) -> str:
    """Return the texts in a message's documents."""
    return " ".join(
        text for document in json.loads(body)["documents"] for text in (document["name"], *document["texts"])
    )


def _head(content: Content) -> str:
    """Return all that a list shows of a message, and its ids."""
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
    """Return the words to look for, each once, as they are compared."""
    return tuple(dict.fromkeys(folded(text).split()))


def folded(text: str) -> str:
    """Return a text without accents and capitals, for comparison.

    A long one is folded in parts, between which other threads run.
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
            return plain.decode()  # As nearly always: nothing but these was left out.
        accents = [each for each in set(apart) if unicodedata.combining(each)]
        if len(accents) <= _FEW_ACCENTS:
            for accent in accents:
                apart = apart.replace(accent, "")  # Much faster than letter by letter.
            return apart
    return folded.translate(_PLAIN)


class _Plain(dict[int, str]):
    """Characters without their accents, most of them found out once."""

    def __missing__(self, number: int) -> str:
        apart = unicodedata.normalize("NFKD", chr(number))
        plain = "".join(each for each in apart if not unicodedata.combining(each))
        if number < _REMEMBERED:
            self[number] = plain
        return plain


_PLAIN = _Plain()
