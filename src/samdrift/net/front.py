"""The process that others reach, for those behind it: it looks at a request only to say whose it is.

What it looks at is not verified here, and decides nothing but which process
judges the request, all of it, again. What is nobody's goes to a process that
answers strangers, so that a stranger learns no more than from one process for all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.net.forwarding import VOUCHED, Away, Begun, BrokenOff, Forwarder, HandedOn
from samdrift.wire.as4.usermessage import AddresseeReader
from samdrift.wire.identifiers import ParticipantIdentifier

Later = Callable[[Scope], Awaitable[Response]]
"""The answer while a process is away."""
Onward = Callable[[Scope, Path, str], Path | None]
"""The process that answers a request in a role that the process at the first place has named, if one may."""


class Front:
    """Applications that hand on."""

    def __init__(self, forwarder: Forwarder, on_broken: Callable[[str], None]) -> None:
        """``on_broken`` is notified of each answer that broke off, with the name of the interface."""
        self._forwarder = forwarder
        self._on_broken = on_broken

    def by_head(
        self, interface: str, place: Callable[[Scope], Path], later: Later, onward: Onward | None = None
    ) -> ASGIApp:
        """Hands on by what stands before the body; ``onward`` is for requests that one process has judged
        and another one answers.
        """

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            first, begun = place(scope), Begun(receive)
            onwards = (lambda role: None) if onward is None else partial(onward, scope, first)
            try:
                await self._hand_on(interface, first, later, scope, receive, send, begun, onwards)
            except HandedOn as found:
                second, vouched = onwards(found.role), {**scope, VOUCHED: found.client}
                assert second is not None
                await self._hand_on(interface, second, later, vouched, receive, send, begun)

        return application

    def by_addressee(
        self, interface: str, place: Callable[[ParticipantIdentifier | None], Path], later: Later
    ) -> ASGIApp:
        """Hands AS4 messages on by the recipient that they name, which stands at their beginning."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            begun = Begun(receive)
            try:
                recipient = await _recipient(scope, begun)
            except ConnectionError:
                return
            await self._hand_on(interface, place(recipient), later, scope, receive, send, begun)

        return application

    async def _hand_on(
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
            self._on_broken(interface)  # The answer has no end: the server hangs up.


async def _recipient(scope: Scope, begun: Begun) -> ParticipantIdentifier | None:
    """Read as much of the body as tells the recipient, at most the largest SOAP part that is taken."""
    reader = AddresseeReader(dict(scope["headers"]).get(b"content-type", b"").decode("latin-1"))
    while scope["method"] == "POST" and not reader.enough:
        reader.feed(await begun.look())
    return reader.recipient
