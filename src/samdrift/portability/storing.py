"""The second reading of an export: a page is stored when all of it has come, and is what was checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from samdrift.attestation.archive import damaged
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferState
from samdrift.portability import layout
from samdrift.portability.checking import Checked
from samdrift.vault.bodies import Body
from samdrift.vault.portability import parts
from samdrift.vault.portability.arrival import Arrival, ArrivalStanding, Brought
from samdrift.vault.portability.parts import Facts, Part

Door = Callable[[], AbstractAsyncContextManager[Arrival]]
"""Opens a vault for one unit of work."""


@dataclass
class _Page:
    """A page on its way into a vault that is open for it; nothing is asked of the database before its end."""

    part: Part
    records: Sequence[layout.Record]
    opening: AbstractAsyncContextManager[Arrival]
    vault: Arrival
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    bodies: dict[str, Body] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


class Storing:
    """A visitor that stores. Left with an error, what was begun of a page is dropped."""

    def __init__(
        self, doors: Mapping[Role, Door], standing: Mapping[Role, ArrivalStanding], checked: Checked
    ) -> None:
        self._doors = doors
        self._standing = standing
        self._checked = checked
        self._number = 0
        self._page: _Page | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        page, self._page = self._page, None
        if page is not None:
            await page.opening.__aexit__(kind, error, trace)

    async def document(self, name: str, data: bytes) -> None:
        """Nothing of it is stored."""

    async def page(self, part: Part, records: Sequence[layout.Record]) -> None:
        if await self._wanted(part, records):
            opening = self._doors[part.role]()
            self._page = _Page(part, records, opening, await opening.__aenter__())

    async def content(self, record: layout.Record, name: str, pieces: AsyncIterator[bytes]) -> None:
        page = self._page
        if page is None:
            return
        file = record.files[name].name
        if name not in layout.BODIES:
            page.documents[file, name] = b"".join([piece async for piece in pieces])
            return
        writer = page.vault.new_body(digested="digest" in record.facts)
        async for piece in pieces:
            await writer.write(piece)
        page.bodies[file] = await writer.finish()

    async def gone(self, record: layout.Record, name: str) -> None:
        if self._page is not None:
            self._page.gone.add(record.files[name].name)

    async def page_end(self, digest: str) -> None:
        if self._number >= len(self._checked.pages) or self._checked.pages[self._number] != digest:
            raise damaged("the file was changed while it was taken in; nothing of the change was stored")
        self._number += 1
        page = self._page
        if page is not None:
            await self._store(page)
            self._page = None
            await page.opening.__aexit__(None, None, None)

    async def _wanted(self, part: Part, records: Sequence[layout.Record]) -> bool:
        """Return whether the page is to be stored and is not there: an arrival may have been cut short after
        it.
        """
        standing = self._standing[part.role]
        if standing is ArrivalStanding.DONE:
            return False
        if part is parts.CURSORS and Role.ACCESS_POINT.value not in self._checked.manifest.roles:
            return False  # A place in another access point's events.
        if standing is ArrivalStanding.UNDER_WAY and part.contents:
            async with self._doors[part.role]() as vault:
                return not await vault.known(part, [_key(part, record.facts) for record in records])
        return True

    async def _store(self, page: _Page) -> None:
        facts = [record.facts for record in page.records]
        if page.part.name == "log":
            log = self._checked.manifest.logs[page.part.role.value].id
            await page.vault.store_log(log, facts)
        elif page.part.name == "former-log":
            for log in sorted({each["log"] for each in facts}):
                await page.vault.store_log(log, [each for each in facts if each["log"] == log])
        else:
            await page.vault.store(page.part, [self._brought(page, record) for record in page.records])

    def _brought(self, page: _Page, record: layout.Record) -> Brought:
        files = {name: file.name for name, file in record.files.items()}
        facts = record.facts
        if page.gone & set(files.values()):
            facts = facts | _without_body(page.part, facts, self._checked.manifest.made_at.isoformat())
        small = files.keys() - layout.BODIES
        documents = {name: page.documents[files[name], name] for name in small}
        bodies = [page.bodies[file] for file in files.values() if file in page.bodies]
        return Brought(facts, documents, bodies[0] if bodies else None)


def _key(part: Part, facts: Facts) -> tuple[str, ...]:
    return tuple(facts[name] for name in part.key)


def _without_body(part: Part, facts: Facts, at: str) -> Facts:
    """Return a record whose body was removed while the export was made.

    A message was deleted, an envelope that came in was fetched, a transfer came to
    an end, which is not known here.
    """
    if part is parts.MESSAGES:
        sealed = dict.fromkeys(("label", "sender_address", "recipient_address", "attributes"))
        return {"deleted": True, "events": []} | sealed
    if part is parts.INCOMING:
        return {"acknowledged_at": at}
    return {"state": TransferState.FAILED.value, "due_at": None, "ended_at": at}
