"""Selections, saved views and distribution lists. Criteria are stored sealed, and are in no address."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import NotHere, TooManyKept
from samdrift.messageclient.drafts import MAX_RECIPIENTS
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.finding import MAX_WORDS, folded, words_of
from samdrift.messageclient.mail import Line, Lines, RecipientList
from samdrift.messageclient.presets import (
    MAX_KEPT,
    MAX_NAME,
    list_content,
    list_of,
    selection_content,
    selection_of,
    views_of,
)
from samdrift.messageclient.reading import lines_of, next_place, place_of
from samdrift.messageclient.scope import Scope, require_id
from samdrift.messageclient.selections import ANYBODY, ME, NOBODY, Selection, State, View
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.mailpresets import PresetKind, PresetRecord
from samdrift.vault.mailrecords import ConversationRecord
from samdrift.vault.messageclient import MessageClientVault

SECONDS = 2.0
"""Time limit in seconds for a page of a selection by organisation, whose names have to be decrypted."""
_BATCH = 200


class PresetDesk:
    """The part of a desk for selections and lists; see :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    # --- selections ---------------------------------------------------------------------------------------

    async def begin_selection(self, selection: Selection) -> str:
        """Store a selection, sealed, and return the random token that identifies it."""
        scope, token = self._scope, secrets.token_hex(16)
        async with scope.open(Purpose.READ) as vault:
            await self._readable(vault, selection)
            within = replace(selection, organisation=selection.organisation[:MAX_WORDS])
            kept = {"selection": selection_content(within)}
            vault.keep_search(token, scope.person.id, kept, now=scope.now())
        return token

    async def selected(self, token: str, *, after: str = "", limit: int = 50) -> tuple[Selection, Lines]:
        """Return conversations of a selection, the latest first."""
        async with self._scope.open(Purpose.READ) as vault:
            selection = await self._kept(vault, token)
            return selection, await self._lines(vault, selection, after, limit, "selection")

    async def views(self) -> tuple[View, ...]:
        """Return the saved views that the person can use, by name."""
        if self._scope.views is not None:
            return self._scope.views
        async with self._scope.open(Purpose.READ) as vault:
            return await views_of(self._scope, vault)

    async def view(self, view: str, *, after: str = "", limit: int = 50) -> tuple[View, Lines]:
        """Return conversations of a saved view, the latest first."""
        async with self._scope.open(Purpose.READ) as vault:
            found = await self._view(vault, view)
            return found, await self._lines(vault, found.selection, after, limit, f"view {found.id}")

    async def keep_view(self, token: str, name: str, *, for_mailbox: bool = False) -> str:
        """Save a selection as a view, for the person or for its mailbox, and return the view's id."""
        scope = self._scope
        async with scope.open(Purpose.PROCESS) as vault:
            selection, owner = await self._kept(vault, token), scope.person.id
            if for_mailbox:
                owner = (await scope.mailbox(vault, selection.mailbox or "", Right.WRITE)).id
                if selection.handler == scope.person.id:
                    selection = replace(selection, handler=ME)
            content = {"name": name[:MAX_NAME], "selection": selection_content(selection)}
            scope.views = None
            return await self._keep(vault, PresetRecord(new_id(), PresetKind.VIEW, owner, content))

    async def drop_view(self, view: str) -> None:
        """Remove a saved view; a mailbox's view requires the right to write there."""
        async with self._scope.open(Purpose.PROCESS) as vault:
            found = await self._view(vault, view)
            await self._drop(vault, found.id, PresetKind.VIEW, found.mailbox)

    async def _kept(self, vault: MessageClientVault, token: str) -> Selection:
        require_id("selection", token)
        kept = await vault.search(token, self._scope.person.id)
        if kept is None or "selection" not in kept:
            raise NotHere("selection", token)
        return selection_of(kept["selection"])

    async def _readable(self, vault: MessageClientVault, selection: Selection) -> list[str]:
        """Return the mailboxes that a selection covers, all of which the person may read."""
        if selection.handler:
            require_id("person", selection.handler)
        if selection.mailbox is None:
            return [one.id for one in await self._scope.mailboxes(vault, Right.READ)]
        return [(await self._scope.mailbox(vault, selection.mailbox, Right.READ)).id]

    async def _view(self, vault: MessageClientVault, view: str) -> View:
        for one in await views_of(self._scope, vault):
            if one.id == view:
                return one
        raise NotHere("view", view)

    async def _lines(
        self, vault: MessageClientVault, selection: Selection, after: str, limit: int, folder: str
    ) -> Lines:
        """Return a page of a selection; a search by organisation continues until it is full or time is up."""
        scope = self._scope
        mailboxes = await self._readable(vault, selection)
        chosen = _filter(scope, selection, mailboxes)
        words = words_of(selection.organisation)
        clock = asyncio.get_running_loop().time
        ends, place, found = clock() + SECONDS, place_of(after), list[Line]()
        last: ConversationRecord | None = None
        while len(found) <= limit:
            size = _BATCH if words else limit + 1
            batch = await vault.conversations(mailboxes, chosen, limit=size, before=place)
            found += [one for one in await lines_of(scope, vault, batch) if _is_with(one, words)]
            last = batch[-1] if len(batch) == size else None
            if last is None or not words or clock() > ends:
                break
            place = (last.latest_at, last.id)
        shown = found[:limit]
        more = next_place(shown[-1].at, shown[-1].id) if len(found) > limit else ""
        if not more and last is not None and words:  # Time ran out: the next page continues from there.
            more = next_place(last.latest_at, last.id)
        vault.record(
            MKEvent.MK_READING_LIST,
            folder=folder,
            mailbox=selection.mailbox or "",
            lines=str(len(shown)),
        )
        return Lines(tuple(shown), more)

    # --- distribution lists -------------------------------------------------------------------------------

    async def lists(self) -> tuple[RecipientList, ...]:
        """Return the distribution lists that the person can use, by name."""
        async with self._scope.open(Purpose.READ) as vault:
            return await self._lists(vault)

    async def keep_list(self, kept: RecipientList) -> str:
        """Store a distribution list, which has an empty id if it is new, and return its id."""
        scope = self._scope
        if len(kept.recipients) > MAX_RECIPIENTS:
            raise TooManyKept(MAX_RECIPIENTS)
        kept = replace(kept, name=kept.name[:MAX_NAME])
        async with scope.open(Purpose.PROCESS) as vault:
            if kept.id:
                kept = replace(kept, mailbox=(await self._list(vault, kept.id)).mailbox)
            owner = scope.person.id
            if kept.mailbox is not None:
                owner = (await scope.mailbox(vault, kept.mailbox, Right.WRITE)).id
            preset = PresetRecord(kept.id or new_id(), PresetKind.LIST, owner, list_content(kept))
            return await self._keep(vault, preset)

    async def drop_list(self, kept: str) -> None:
        """Remove a distribution list."""
        async with self._scope.open(Purpose.PROCESS) as vault:
            found = await self._list(vault, kept)
            await self._drop(vault, found.id, PresetKind.LIST, found.mailbox)

    async def _lists(self, vault: MessageClientVault) -> tuple[RecipientList, ...]:
        person = self._scope.person.id
        mailboxes = [one.id for one in await self._scope.mailboxes(vault, Right.WRITE)]
        found = [list_of(one, person) for one in await vault.presets(PresetKind.LIST, [person, *mailboxes])]
        return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.id)))

    async def _list(self, vault: MessageClientVault, kept: str) -> RecipientList:
        for one in await self._lists(vault):
            if one.id == kept:
                return one
        raise NotHere("list", kept)

    # --- both ---------------------------------------------------------------------------------------------

    async def _keep(self, vault: MessageClientVault, preset: PresetRecord) -> str:
        known = {one.id for one in await vault.presets(preset.kind, [preset.owner])}
        if preset.id not in known and len(known) >= MAX_KEPT:
            raise TooManyKept(MAX_KEPT)
        await vault.keep_preset(preset)
        self._record(vault, preset.id, preset.kind, preset.owner, "kept")
        return preset.id

    async def _drop(
        self, vault: MessageClientVault, preset: str, kind: PresetKind, mailbox: str | None
    ) -> None:
        owner = self._scope.person.id
        if mailbox is not None:
            owner = (await self._scope.mailbox(vault, mailbox, Right.WRITE)).id
        if not await vault.drop_preset(preset, kind, owner):
            raise NotHere(kind, preset)
        self._record(vault, preset, kind, owner, "removed")

    def _record(
        self, vault: MessageClientVault, preset: str, kind: PresetKind, owner: str, action: str
    ) -> None:
        mailbox = "" if owner == self._scope.person.id else owner
        vault.record(
            MKEvent.MK_PRESET_CHANGED, kind=kind.value, preset=preset, mailbox=mailbox, action=action
        )


def _filter(scope: Scope, selection: Selection, mailboxes: Sequence[str]) -> ConversationFilter:
    person, now = scope.person.id, scope.now()
    handler = {ANYBODY: None, NOBODY: None, ME: person}.get(selection.handler, selection.handler)
    done = {State.OPEN: False, State.DONE: True}.get(selection.state)
    days = selection.quiet_days
    return ConversationFilter(
        unread=selection.state is State.UNREAD,
        handler=handler,
        unhandled=selection.handler == NOBODY,
        done=done,
        confidential=selection.confidential,
        files=selection.files,
        quiet_since=now - timedelta(days=days) if days else None,
        absent=scope.substitutes_for(mailboxes) if handler == person else (),
    )


def _is_with(line: Line, words: Sequence[str]) -> bool:
    """Return whether all words occur in the names and identifiers of the other side."""
    one = line.counterpart
    other = folded(" ".join((one.organisation, one.organisation_name, one.address, one.address_name)))
    return all(word in other for word in words)
