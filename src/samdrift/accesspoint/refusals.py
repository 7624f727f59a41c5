"""Refused messages in the operator's log: each of them, and a count where there are too many.

Whoever reaches interface A can have messages refused as fast as the network takes
them. The log is kept for years, and what it says drowns in what a stranger makes it say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.wire.as4 import As4Fault

_AT_ONCE = 300
"""Refusals that are logged one by one before they are counted."""
_ONE_MORE_AFTER = timedelta(seconds=5)
_SUMMARY_SECONDS = 60.0


class Log(Protocol):
    """The operator's log, as :meth:`samdrift.vault.gate.Gate.operator_log` is."""

    def __call__(self, event: AuditEvent, **facts: str) -> Awaitable[None]: ...


class Refusals:
    """Logs refusals that belong to no organisation's log.

    Each peer that has shown who it is has an allowance of its own; all others
    share one, so that no stranger can keep the refusal of a peer's message from
    being logged.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._allowances: dict[str, _Allowance] = {}
        self._counted: dict[str, Counter[str]] = {}
        self._since: datetime | None = None

    async def add(self, peer: str, facts: Mapping[str, str], fault: As4Fault) -> None:
        """Log a refusal, or count it; ``peer`` is empty unless its signature has been verified.

        Clauses: component-accesspoint 3.2.1 step 1.
        """
        now = self._clock()
        if self._allowances.setdefault(peer, _Allowance(now)).taken(now):
            reason = f"{fault.error.value}: {fault.detail}"
            await self._log(AuditEvent.AP_ENVELOPE_REFUSED, reason=reason, **facts)
            return
        self._since = self._since or now
        self._counted.setdefault(peer, Counter())[fault.error.value] += 1

    async def summarise(self) -> None:
        """Log how many refusals were counted since the last time, if there were any."""
        counted, since = self._counted, self._since
        self._counted, self._since = {}, None
        for peer, codes in counted.items():
            about = {"peer": peer} if peer else {}
            reason = f"{codes.total()} more since {since:%Y-%m-%dT%H:%M:%SZ}: " + ", ".join(
                f"{code} {count}" for code, count in codes.most_common()
            )
            await self._log(AuditEvent.AP_REFUSALS_COUNTED, reason=reason, **about)

    async def run(self, on_failure: Callable[[Exception], None]) -> None:
        """Summarise every minute until cancelled."""
        while True:
            await asyncio.sleep(_SUMMARY_SECONDS)
            try:
                await self.summarise()
            except Exception as failure:
                on_failure(failure)


class _Allowance:
    """A number of entries at once, and one more every few seconds."""

    def __init__(self, now: datetime) -> None:
        self._left = float(_AT_ONCE)
        self._at = now

    def taken(self, now: datetime) -> bool:
        """Take one, if there is one."""
        self._left = min(_AT_ONCE, self._left + max(now - self._at, timedelta()) / _ONE_MORE_AFTER)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
