"""Explanation of why a message did not arrive: its path from sender to recipient, up to the first fault.

It covers only what the available logs show. Further along, missing entries mean nothing, so that
nothing is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent
from samdrift.evidence.trace import Step
from samdrift.evidence.traceview import words
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent


class Standing(StrEnum):
    """States of a message at one place on its path."""

    PASSED = "passed"
    WAITING = "waiting"
    """It has not passed, but nothing has gone wrong yet."""
    STOPPED = "stopped"
    """It did not pass, for a recorded reason."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One place on the path, and the state of the message there."""

    place: str
    standing: Standing
    text: str
    at: datetime | None = None
    reason: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class _Leg:
    """A place on the path, with the events that show that the message passed it, or what went wrong."""

    place: str
    passed: tuple[AuditEvent, ...]
    wrong: tuple[AuditEvent, ...]
    awaited: str
    """Text to show while neither has happened."""
    todo: str


_ID = "MESSAGE-ID"
"""Placeholder for the message's id in instructions."""
_OUT = (
    _Leg(
        "sender",
        (MKEvent.MK_MESSAGE_HANDED_OVER, MTEvent.MT_MESSAGE_SCHEDULED),
        (MKEvent.MK_MESSAGE_NOT_SENT, MKEvent.MK_MESSAGE_POSTPONED),
        "A person sent it, and the message client has not handed it over yet",
        "docs/runbooks/service-gone.md: is the message service there? samdrift status",
    ),
    _Leg(
        "message service",
        (MTEvent.MT_MESSAGE_SUBMITTED, APEvent.AP_TRANSFER_QUEUED),
        (
            MTEvent.MT_MALWARE_FOUND,
            MTEvent.MT_MESSAGE_REFUSED,
            MTEvent.MT_MESSAGE_HELD,
            MTEvent.MT_MESSAGE_POSTPONED,
        ),
        "It is stored, and not encrypted, signed and handed over yet",
        "samdrift status shows what is gone, and what waits for it",
    ),
    _Leg(
        "access point",
        (APEvent.AP_TRANSFER_DELIVERED, MTEvent.MT_MESSAGE_ACKNOWLEDGED),
        (APEvent.AP_TRANSFER_POSTPONED, VaultEvent.AP_TRANSFER_FAILED),
        "Its first transfer has not ended yet",
        f"docs/runbooks/peer-refuses.md: samdrift queue why {_ID}",
    ),
    _Leg(
        "recipient",
        (MTEvent.MT_MESSAGE_ACCEPTED,),
        (MTEvent.MT_MESSAGE_REJECTED, MTEvent.MT_RECEIPT_REFUSED),
        "The recipient's access point has receipted it; its message service has not answered yet",
        "ask the recipient's operator, with the id of the AS4 message: samdrift trace --raw",
    ),
)
_IN = (
    _Leg(
        "access point",
        (APEvent.AP_ENVELOPE_RECEIVED,),
        (APEvent.AP_ENVELOPE_REFUSED,),
        "It has not arrived",
        "docs/runbooks/peer-refuses.md: samdrift queue refused",
    ),
    _Leg(
        "message service",
        (MTEvent.MT_MESSAGE_RETRIEVED,),
        (
            MTEvent.MT_MALWARE_FOUND,
            MTEvent.MT_MESSAGE_REFUSED,
            MTEvent.MT_MESSAGE_HELD,
        ),
        "The access point has it, and the message service has not judged it yet",
        "samdrift status shows what is gone, and what waits for it",
    ),
    _Leg(
        "message client",
        (MTEvent.MT_MESSAGE_READ, MKEvent.MK_MESSAGE_STORED),
        (MKEvent.MK_MESSAGE_UNREADABLE, MKEvent.MK_MESSAGE_NOT_FETCHED),
        "It can be fetched, but no message client has done so",
        "samdrift routing says which message client gets what comes for its address",
    ),
)
_SENT = frozenset(
    {
        MKEvent.MK_MESSAGE_SUBMITTED,
        MTEvent.MT_MESSAGE_SCHEDULED,
        MTEvent.MT_MESSAGE_SUBMITTED,
        APEvent.AP_TRANSFER_QUEUED,
    }
)


def passages(steps: Sequence[Step], message_id: str) -> tuple[Passage, ...]:
    """Return the places that the message passed, and the first that it did not; empty if it is unknown."""
    own = [step for step in steps if message_id in (step.ids.get("message"), step.ids.get("envelope"))]
    if not own:
        return ()
    way = _OUT if any(step.what in _SENT for step in own) else _IN
    return tuple(replace(each, todo=each.todo.replace(_ID, message_id)) for each in _walk(own, way))


def arrived(found: Sequence[Passage]) -> bool:
    """Return whether the message has passed every place."""
    return bool(found) and found[-1].standing is Standing.PASSED


def _walk(steps: Sequence[Step], way: Sequence[_Leg]) -> Iterator[Passage]:
    """Yield the places up to the first that was not passed.

    A place without an entry counts as passed if a later one was passed, since it may log elsewhere.
    """
    last = max((number for number, leg in enumerate(way) if _latest(steps, leg.passed)), default=-1)
    for number, leg in enumerate(way):
        step = _latest(steps, leg.passed)
        if step is not None:
            yield Passage(leg.place, Standing.PASSED, words(step).text, step.at)
        elif number > last:
            yield _stands(steps, leg)
            return


def _stands(steps: Sequence[Step], leg: _Leg) -> Passage:
    """Return the reason why a message is stuck at a place.

    A recorded cause takes precedence over the fact that time ran out.
    """
    ended = _latest(steps, (MTEvent.MT_MESSAGE_FAILED,))
    step = _latest(steps, leg.wrong) or ended
    if step is None:
        return Passage(leg.place, Standing.WAITING, leg.awaited, todo=leg.todo)
    text = words(step).text + ("; the message has failed" if ended not in (None, step) else "")
    reason = " ".join(filter(None, (step.ids.get("reason"), step.ids.get("detail"))))
    return Passage(leg.place, Standing.STOPPED, text, step.at, reason, leg.todo)


def _latest(steps: Sequence[Step], events: Sequence[AuditEvent]) -> Step | None:
    return next((step for step in reversed(steps) if step.what in events), None)
