"""The front process, which clients connect to and which forwards each request to the right process.

It reads just enough of a request to choose the process. What it reads is not verified: the chosen process
judges the whole request itself. Requests that belong to no organisation go to a process for strangers, so
that a stranger learns no more than if one process served everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.net.forwarding import VOUCHED, Away, Begun, BrokenOff, Forwarder, Redirected
from samdrift.wire.as4.usermessage import AddresseeReader
from samdrift.wire.identifiers import ParticipantIdentifier

Later = Callable[[Scope], Awaitable[Response]]
"""Callback that makes the response while a process is away."""
Onward = Callable[[Scope, Path, str], Path | None]
"""Callback that returns the process to answer a request in a role named by the first process, if it may."""


class Front:
    """A factory for the applications that forward requests."""

    def __init__(self, forwarder: Forwarder, on_broken: Callable[[str], None]) -> None:
        """Use ``forwarder``; ``on_broken`` receives the interface's name for each response that broke off."""
        self._forwarder = forwarder
        self._on_broken = on_broken

    def by_head(
        self, interface: str, place: Callable[[Scope], Path], later: Later, onward: Onward | None = None
    ) -> ASGIApp:
        """Forward requests by their head.

        ``onward`` finds the process for a request that another process has authorised.
        """

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            first, begun = place(scope), Begun(receive)
            onwards = (lambda role: None) if onward is None else partial(onward, scope, first)
            try:
                await self._forward(interface, first, later, scope, receive, send, begun, onwards)
            except Redirected as found:
                second, vouched = onwards(found.role), {**scope, VOUCHED: found.client}
                assert second is not None
                await self._forward(interface, second, later, vouched, receive, send, begun)

        return application

    def by_addressee(
        self, interface: str, place: Callable[[ParticipantIdentifier | None], Path], later: Later
    ) -> ASGIApp:
        """Forward AS4 messages by the recipient named at their beginning."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            begun = Begun(receive)
            try:
                recipient = await _recipient(scope, begun)
            except ConnectionError:
                return
            await self._forward(interface, place(recipient), later, scope, receive, send, begun)

        return application

    async def _forward(
        self,
        interface: str,
        place: Path,
        later: Later,
        scope: Scope,
        receive: Receive,
        send: Send,
        begun: Begun,
        onwards: Callable[[str], Path | None] = lambda role: None,
    ) -> None:
        try:
            await self._forwarder.forward(
                place, scope, receive, send, begun, lambda role: onwards(role) is not None
            )
        except Away:
            await (await later(scope))(scope, receive, send)
        except BrokenOff:
            self._on_broken(interface)  # The response is incomplete, so the server closes the connection.


async def _recipient(scope: Scope, begun: Begun) -> ParticipantIdentifier | None:
    """Read the body until the recipient is known, at most up to the size limit of the SOAP part."""
    reader = AddresseeReader(dict(scope["headers"]).get(b"content-type", b"").decode("latin-1"))
    while scope["method"] == "POST" and not reader.enough:
        reader.feed(await begun.look())
    return reader.recipient
