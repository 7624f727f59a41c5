"""Peers whose messages break the rules: which clause a refusal is about, and when there are too many.

DIGG is to be informed of them (operator-common-rules 4.1.1 a). Counted are refusals of peers whose
certificate was trusted: whoever makes a certificate in another peer's name, or sends junk without
any, is not that peer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.accesspoint.agreement import Disagreement
from samdrift.wire.ebms import NOT_SERVICED, EbmsErrorCode

AUTHENTICATED = {"authenticated": "yes"}
"""The fact that an entry has when the peer's certificate was trusted."""

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


def clauses_of(reason: str) -> tuple[str, ...]:
    """Return the clauses that a refusal with this reason in the log is about, the narrowest that is known.

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
    """Return whether a refusal is of the peer that its entry names.

    What is in an organisation's log was refused after the peer was authenticated, also in entries from
    before they say so. The operator's log has strangers too.
    """
    return "certificate" in facts and (in_organisations_log or AUTHENTICATED.items() <= facts.items())


@dataclass(slots=True)
class _Count:
    since: datetime
    refusals: int = 0


class PeerWatch:
    """Counts each peer's refusals in this process, and says once per period that there are too many."""

    def __init__(self, alarm_at: int, within: timedelta) -> None:
        """``alarm_at`` is the number of refusals of one peer that is too many; 0 for no alarm."""
        self._alarm_at = alarm_at
        self._within = within
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def refused(self, certificate: str, now: datetime) -> bool:
        """Count a refusal of the peer with that certificate; return whether it is the one too many."""
        count = self._counts.get(certificate)
        if count is None or now - count.since >= self._within:
            count = self._counts[certificate] = _Count(now)
        self._counts.move_to_end(certificate)
        if len(self._counts) > _MAX_PEERS:
            self._counts.popitem(last=False)
        count.refusals += 1
        return count.refusals == self._alarm_at
