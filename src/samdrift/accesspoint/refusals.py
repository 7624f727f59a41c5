"""Refused messages: their entries in the operator's log, and the alarm when a peer has too many.

Anyone who reaches interface A can cause refusals as fast as the network allows, and the log is kept for
years. So only a limited number is logged individually (:class:`Refusals`), and the rest are counted: an
unknown sender cannot fill the log.

A peer whose messages break the rules is reported to DIGG (operator-common-rules 4.1.1 a). :class:`PeerWatch`
counts only refusals of peers whose certificate was trusted: a message without a certificate, or forged in a
peer's name, is not held against that peer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from samdrift.accesspoint.agreement import Disagreement
from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.wire.as4 import As4Fault
from samdrift.wire.ebms import NOT_SERVICED, EbmsErrorCode

_AT_ONCE = 300
"""Number of refusals that are logged individually before they are only counted."""
_ONE_MORE_AFTER = timedelta(seconds=5)
_SUMMARY_SECONDS = 60.0

AUTHENTICATED = {"authenticated": "yes"}
"""Fact in an entry which states that the peer's certificate was trusted."""
_MAX_PEERS = 10_000

_OF_DISAGREEMENTS = {
    Disagreement.RECIPIENT: "component-accesspoint 3.1.6 a",
    Disagreement.SENDER: "component-accesspoint 3.1.6 b",
    Disagreement.ACTION: "component-accesspoint 3.1.6 c",
    Disagreement.SERVICE: "component-accesspoint 3.1.6 c",
    Disagreement.FEDERATION: "transport-profile-as4 2.10 e",
}

_OF_CODES = {
    EbmsErrorCode.FAILED_AUTHENTICATION.value: "component-accesspoint 3.1.5 a",
    EbmsErrorCode.VALUE_INCONSISTENT.value: "component-accesspoint 3.1.5 b",
}


class Log(Protocol):
    """The operator's log, as provided by :meth:`samdrift.vault.gate.Gate.operator_log`."""

    def __call__(self, event: AuditEvent, **facts: str) -> Awaitable[None]: ...


class Refusals:
    """Log of the refusals that belong in no organisation's log.

    Each authenticated peer has an allowance of its own; all other senders share one, so that no unknown
    sender can keep the refusal of a peer's message from being logged.
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
            await self._log(APEvent.AP_ENVELOPE_REFUSED, reason=reason, **facts)
            return
        self._since = self._since or now
        self._counted.setdefault(peer, Counter())[fault.error.value] += 1

    async def summarise(self) -> None:
        """Log the number of refusals that were counted since the last call, if there were any."""
        counted, since = self._counted, self._since
        self._counted, self._since = {}, None
        for peer, codes in counted.items():
            about = {"peer": peer} if peer else {}
            reason = f"{codes.total()} more since {since:%Y-%m-%dT%H:%M:%SZ}: " + ", ".join(
                f"{code} {count}" for code, count in codes.most_common()
            )
            await self._log(APEvent.AP_REFUSALS_COUNTED, reason=reason, **about)

    async def run(self, on_failure: Callable[[Exception], None]) -> None:
        """Summarise every minute until cancelled."""
        while True:
            await asyncio.sleep(_SUMMARY_SECONDS)
            try:
                await self.summarise()
            except Exception as failure:
                on_failure(failure)


class _Allowance:
    """A token bucket of entries: a burst, then one more every few seconds."""

    def __init__(self, now: datetime) -> None:
        self._left = float(_AT_ONCE)
        self._at = now

    def taken(self, now: datetime) -> bool:
        """Use one entry of the allowance; return false if none is left."""
        self._left = min(_AT_ONCE, self._left + max(now - self._at, timedelta()) / _ONE_MORE_AFTER)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def clauses_of(reason: str) -> tuple[str, ...]:
    """Return the most specific known clauses that concern a refusal logged with this reason.

    Clauses: accesspoint-test-cases 6.2.4 TF-09.
    """
    code, _, detail = reason.partition(": ")
    if code.startswith("EBMS:"):
        if detail == NOT_SERVICED:
            return ("component-accesspoint 3.2.1 a",)
        return (_OF_CODES.get(code, "transport-profile-as4 2.3.1"),)
    differs = {_OF_DISAGREEMENTS[each] for each in Disagreement if each.value in reason.split("; ")}
    return tuple(sorted(differs)) or ("component-accesspoint 3.2.2 a", "envelope-profile-xhe 2.2")


def is_of_peer(facts: Mapping[str, str], *, in_organisations_log: bool) -> bool:
    """Return whether a refusal can be attributed to the peer that its entry names.

    Refusals in an organisation's log were made after the peer was authenticated, even if older entries do
    not state that. The operator's log includes messages of unknown senders.
    """
    return "certificate" in facts and (in_organisations_log or AUTHENTICATED.items() <= facts.items())


@dataclass(slots=True)
class _Count:
    since: datetime
    refusals: int = 0


class PeerWatch:
    """Counter of each peer's refusals in this process, with one alarm per period if there are too many."""

    def __init__(self, alarm_at: int, within: timedelta) -> None:
        """Create it; ``alarm_at`` refusals of one peer raise the alarm, and 0 disables it."""
        self._alarm_at = alarm_at
        self._within = within
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def refused(self, certificate: str, now: datetime) -> bool:
        """Count a refusal of the peer with that certificate; return whether it triggers the alarm."""
        count = self._counts.get(certificate)
        if count is None or abs(now - count.since) >= self._within:
            count = self._counts[certificate] = _Count(now)
        self._counts.move_to_end(certificate)
        if len(self._counts) > _MAX_PEERS:
            self._counts.popitem(last=False)
        count.refusals += 1
        return count.refusals == self._alarm_at
