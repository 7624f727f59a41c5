"""Seeing who sees: everyone who can read a mailbox, through what, since when and until when (R3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import Desk
from samdrift.messageclient.pages.frame import Frame, Manning, Place, ReadersOf, RouteOf
from samdrift.messageclient.pages.reading import find
from samdrift.messageclient.pages.shown import Shown
from samdrift.messageclient.permissions import Reader, Through, Way
from samdrift.rights import Right, SubjectKind
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind

RIGHTS = {
    Right.READ: Phrase("read"),
    Right.WRITE: Phrase("write"),
    Right.APPROVE: Phrase("approve"),
    Right.MANAGE: Phrase("manage"),
}
_ENDS_SOON = timedelta(days=14)
_UNUSED = timedelta(days=90)

Cell = str | tuple[str, str] | tuple[str, str, Kind]


class AccessPages:
    """The page on which all in a mailbox see who can read it."""

    def __init__(self, frame: Frame, readers_of: ReadersOf) -> None:
        self._frame = frame
        self._readers_of = readers_of

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes."""
        return (("GET", "/mailbox/{mailbox}/who-can-read", self.who),)

    async def who(self, request: Request, desk: Desk) -> Response:
        """Show everyone with a right to a mailbox to those who have one."""
        mailboxes = await desk.mailboxes()
        box = find(mailboxes, request.path_params["mailbox"])
        manning = await self._readers_of(request, box.id)
        shown = self._frame.voice(request, desk)
        return await self._frame.page(
            request,
            desk,
            "who_can_read.html",
            Place(box.id),
            mailboxes=mailboxes,
            mailbox=box,
            columns=[
                shown.say(phrase)
                for phrase in (
                    Phrase("Who"),
                    Phrase("Through"),
                    Phrase("Can"),
                    Phrase("In force"),
                    Phrase("Last here"),
                )
            ],
            rows=list(_rows(shown, manning)),
        )


def _rows(shown: Shown, manning: Manning) -> Iterator[tuple[Cell, ...]]:
    names = {reader.person: reader.name for reader in manning.readers}
    for reader in manning.readers:
        yield (
            shown.named(reader.name),
            _through(shown, reader.ways, names),
            _rights(shown, reader.rights),
            _in_force(shown, reader.ways),
            _last_here(shown, reader),
        )
    for group in manning.groups:
        yield (
            (shown.say(Phrase("Everyone in a group")), group.group),
            _through(shown, (group,), names),
            _rights(shown, group.rights),
            _in_force(shown, (group,)),
            "–",
        )


def _rights(shown: Shown, rights: frozenset[Right]) -> str:
    return ", ".join(shown.say(phrase) for right, phrase in RIGHTS.items() if right in rights)


def _through(shown: Shown, ways: Sequence[Way], names: Mapping[str, str]) -> Cell:
    """Return the first way in words, with its decision; further ones are counted."""
    if not ways:
        return "–"
    way = ways[0]
    how = {
        Through.ASSIGNMENT: Phrase("Assigned"),
        Through.GROUP: Phrase("A group of the sign-in service"),
        Through.SUBSTITUTION: Phrase(
            "Substitute for %(name)s", {"name": shown.named(names.get(way.absent, ""))}
        ),
    }[way.through]
    by = shown.named(names.get(way.by.id, "")) if way.by.kind is SubjectKind.PERSON else way.by.id
    decision = shown.say(Phrase("decision %(number)s, %(by)s", {"number": way.number, "by": by}))
    more = len(ways) - 1
    further = shown.say(Phrase("and %(count)s more ways", {"count": more})) if more else ""
    return shown.say(how), " ".join(filter(None, (decision, further)))


def _in_force(shown: Shown, ways: Sequence[Way]) -> Cell:
    """Return until when the longest way is in force, with a warning where that is soon."""
    if not ways:
        return "–"
    end = max(way.until for way in ways)
    until = shown.say(Phrase("until %(day)s", {"day": shown.formats.day(end)}))
    left = end - shown.formats.now
    if left <= _ENDS_SOON:
        return until, shown.say(Phrase("%(count)s days left", {"count": max(0, left.days)})), Kind.WARNING
    since = min(way.since for way in ways)
    return until, shown.say(Phrase("since %(day)s", {"day": shown.formats.day(since)}))


def _last_here(shown: Shown, reader: Reader) -> Cell:
    seen: datetime | None = reader.seen_at
    if seen is None:
        return shown.say(Phrase("never")), shown.say(Phrase("not used")), Kind.WARNING
    when = shown.formats.longer(seen)
    unused = shown.formats.now - seen
    if unused >= _UNUSED:
        return when, shown.say(Phrase("unused for %(count)s days", {"count": unused.days})), Kind.WARNING
    return when
