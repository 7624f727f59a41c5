"""Updates for open pages: whether their content has changed, and who else has the conversation open."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.live.following import Following
from samdrift.messageclient.live.openpages import Change, News, OpenPage, Watch
from samdrift.messageclient.live.presence import Stay
from samdrift.messageclient.scope import Scope, require_id
from samdrift.rights import Right
from samdrift.vault.messageclient import MessageClientVault


class AttendingDesk:
    """The part of a desk for open pages; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def watch(self, view: OpenPage) -> Watch:
        """Return the state of a page's content."""
        async with self._scope.open(Purpose.READ) as vault:
            return await self._watch(vault, view)

    async def news(self, view: OpenPage, shown: tuple[str, str], since: datetime, *, polled: bool) -> News:
        """Return what has changed since a page was made, given its state of list and conversation."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            watch = await self._watch(vault, view)
            arrived = await vault.arrived_since(watch.listed, since) if watch.listed else 0
        stay = self._stay(view, watch)
        presence = scope.live.presence
        if polled and stay is not None:
            presence.polled(scope.organisation, stay)
        return News(
            arrived,
            watch.list_state != shown[0],
            watch.conversation_state != shown[1],
            presence.others(scope.organisation, scope.person.id, watch.mailboxes),
        )

    async def follow(self, view: OpenPage, shown: tuple[str, str], session: bytes) -> AsyncGenerator[Change]:
        """Return a stream of changes since the given state, until the session or a right ends."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            watch = await self._watch(vault, view)
        following = Following(
            scope.person.id,
            session,
            replace(watch, list_state=shown[0], conversation_state=shown[1]),
            self._stay(view, watch),
            scope.may_again,
        )
        return await scope.live.follow(scope.organisation, following)

    async def _watch(self, vault: MessageClientVault, view: OpenPage) -> Watch:
        """Return what a page watches, after checking the rights; a refused attempt is recorded."""
        scope = self._scope
        if view.mailbox:
            require_id("mailbox", view.mailbox)
            if not scope.may(Right.READ, view.mailbox):
                raise NotHere("mailbox", view.mailbox)
        if view.conversation:
            require_id("conversation", view.conversation)
        right = Right.WRITE if view.writing else Right.READ
        boxes = [view.mailbox] if view.mailbox and not view.conversation else None
        marks = await vault.marks(boxes, [view.conversation] if view.conversation else [])
        listed, mailbox = {one for one in marks.lists if scope.may(Right.READ, one)}, ""
        if view.conversation:
            mailbox, _ = marks.conversations.get(view.conversation, ("", ""))
            if not mailbox or not scope.may(right, mailbox):
                raise NotHere("conversation", view.conversation)
        if view.conversation and not view.everything:
            listed = set() if view.writing else {mailbox}
        watch = Watch(tuple(sorted(listed)), view.conversation, mailbox, right)
        listed_state, conversation_state = watch.states(marks.lists, marks.conversations)
        return replace(watch, list_state=listed_state, conversation_state=conversation_state)

    def _stay(self, view: OpenPage, watch: Watch) -> Stay | None:
        if not view.conversation:
            return None
        return Stay(self._scope.person, watch.mailbox, watch.conversation, view.writing)
