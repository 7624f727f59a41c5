"""Which transfers to ask a Domibus about: it tells no events.

The vault of the message service knows. It is asked at the start, so that a
restart loses nothing, and then only when something may have changed: each
opening of a vault leaves an entry in the organisation's log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.transfer import TransferEvent, TransferState, UnderWay

Known = Callable[[], Awaitable[Sequence[UnderWay]]]
"""Gives the transfers whose end the message service does not know."""

_FRESH = timedelta(minutes=1)
"""How long what was just submitted is remembered here: by then it stands in the vault."""
_ANEW = timedelta(minutes=10)
"""How often the vault is asked in any case: another process may have submitted something, and died."""


class Watch:
    """The transfers under way, as far as this process must know them."""

    def __init__(self, known: Known, clock: Clock) -> None:
        self._ask = known
        self._clock = clock
        self._known: dict[str, UnderWay] = {}
        self._fresh: dict[str, datetime] = {}
        self._asked: datetime | None = None

    def submitted(self, envelope_id: str) -> None:
        """Domibus has that envelope now."""
        self._fresh[envelope_id] = self._clock()

    def told(self, events: Iterable[TransferEvent]) -> None:
        """The message service is told this, and keeps what it makes of it in its vault."""
        for event in events:
            self._asked = None
            if event.state is not TransferState.QUEUED:
                self._fresh.pop(event.envelope_id, None)

    async def under_way(self) -> list[UnderWay]:
        """All of them; those of the vault come first, the most urgent before the others.

        That a fresh one waits is told when the vault has it: what is told must change something there.
        """
        now = self._clock()
        aged = [each for each, since in self._fresh.items() if now >= since + _FRESH]
        if aged or self._asked is None or now >= self._asked + _ANEW:
            self._known = {each.envelope_id: each for each in await self._ask()}
            self._asked = now
        for each in aged:
            self._fresh.pop(each, None)
        fresh = [UnderWay(each, wait_told=True) for each in self._fresh if each not in self._known]
        return [*self._known.values(), *fresh]
