"""DIGG's cases for approval (accesspoint-test-cases 4 to 6) as an operator runs them, judged from logs: pure.

Titles are those of DIGG's form. Expected and observed results are in Swedish, because the protocol is sent to
DIGG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import LogEntry
from samdrift.contracts.transfer import TransferReason
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent


class Model(StrEnum):
    """A transport model; the cases are run for each model that approval is sought for."""

    BASE = "base"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a case according to the logs; not final (``None``) while further entries are expected."""

    passed: bool | None
    seen: str
    code: str = ""


LARGE = 70_000_000
"""Minimum size in bytes of the envelope of TF-08."""
Judge = Callable[[Sequence[LogEntry]], Verdict]


@dataclass(frozen=True, slots=True)
class QaCase:
    """One test case, with the participant of the test bed that takes part, and which side sends."""

    id: str
    title: str
    expected: str
    participant: str
    judge: Judge
    sends: bool = False
    """True when we send; otherwise DIGG's test leader must be asked to send."""
    report: bool = False
    """True when the case also needs evidence of a report to DIGG."""


def _answered(entries: Sequence[LogEntry]) -> Verdict:
    """Judge whether the message was delivered and its receipt received (accesspoint-test-cases 4.2.1)."""
    events = _by_event(entries)
    if MTEvent.MT_MESSAGE_ACCEPTED in events:
        return Verdict(True, "Transportkvittens mottagen; meddelandekvittens utan felkoder mottagen.")
    if MTEvent.MT_MESSAGE_REJECTED in events:
        code = _why(events[MTEvent.MT_MESSAGE_REJECTED])
        return Verdict(False, "Meddelandekvittens med felkoder mottagen.", code)
    if MTEvent.MT_MESSAGE_FAILED in events:
        return Verdict(False, "Meddelandet kom inte fram.", _failure(events))
    if APEvent.AP_TRANSFER_DELIVERED in events:
        return Verdict(None, "Transportkvittens mottagen; meddelandekvittens inväntas.")
    return _under_way(events)


def _not_sent(reason: TransferReason, word: str, entries: Sequence[LogEntry]) -> Verdict:
    """Judge whether the transfer failed for ``reason``, with ``word`` in the detail, and without delivery.

    If it ended without a delivery in another way, the tester decides, because the test bed may be set up
    differently.
    """
    events = _by_event(entries)
    if APEvent.AP_TRANSFER_DELIVERED in events:
        return Verdict(False, "Meddelandet levererades.")
    failed = events.get(VaultEvent.AP_TRANSFER_FAILED)
    if failed is not None:
        why = _why(failed)
        if failed.ids.get("reason") == reason and word in failed.ids.get("detail", ""):
            return Verdict(True, "Meddelandet skickades inte; avsändaren fick felkod.", why)
        return Verdict(None, f"Meddelandet skickades inte. {_OTHERWISE}", why)
    if MTEvent.MT_MESSAGE_FAILED in events:
        return Verdict(None, f"Meddelandet nådde inte accesspunkten. {_OTHERWISE}", _failure(events))
    return _under_way(events)


def _received(entries: Sequence[LogEntry], *, any_receipt: bool = False) -> Verdict:
    """Judge whether the message arrived and its receipt was delivered.

    With ``any_receipt``, a receipt that rejects the message passes, too.
    """
    events = _by_event(entries)
    if APEvent.AP_ENVELOPE_REFUSED in events:
        return Verdict(False, "Kuvertet accepterades inte.", _why(events[APEvent.AP_ENVELOPE_REFUSED]))
    rejected = events.get(MTEvent.MT_MESSAGE_REFUSED)
    code = _why(rejected) if rejected else ""
    if rejected is not None and MTEvent.MT_RECEIPT_QUEUED not in events:
        return Verdict(False, "Meddelandet togs emot men kunde inte besvaras.", code)
    if MTEvent.MT_RECEIPT_FAILED in events:
        code = _why(events[MTEvent.MT_RECEIPT_FAILED])
        return Verdict(False, "Meddelandet togs emot; meddelandekvittensen kom inte fram.", code)
    if MTEvent.MT_RECEIPT_ACKNOWLEDGED not in events:
        return Verdict(None, "Meddelandet har kommit fram; meddelandekvittensen är på väg.", code)
    if rejected is None:
        return Verdict(True, "Meddelandet har kommit fram; meddelandekvittens utan felkoder skickad.")
    return Verdict(any_receipt, "Meddelandet har kommit fram; meddelandekvittens med felkoder skickad.", code)


def _received_large(entries: Sequence[LogEntry]) -> Verdict:
    """Judge a message in an envelope of at least 70 MB (accesspoint-test-cases 6.2.3).

    That is more than an SDK message may hold (content-specification 5.3): the access point accepts it, and
    the message service answers with a receipt that reports the violation.
    """
    verdict = _received(entries, any_receipt=True)
    arrived = _by_event(entries).get(APEvent.AP_ENVELOPE_RECEIVED)
    size = int(arrived.ids.get("size", "0")) if arrived is not None else 0
    seen = f"{verdict.seen} Kuvertet var {size} byte."
    return Verdict(verdict.passed and size >= LARGE, seen, verdict.code)


def _refused(proper: Callable[[str], bool], entries: Sequence[LogEntry]) -> Verdict:
    """Judge whether our access point refused an envelope for a ``proper`` reason, and passed nothing on."""
    refused = _by_event(entries).get(APEvent.AP_ENVELOPE_REFUSED)
    if refused is None:
        return Verdict(False, "Accesspunkten tog emot kuvertet.")
    passed = proper(refused.ids.get("reason", "")) or None
    seen = "Kuvertet accepterades inte och lämnades inte vidare."
    return Verdict(passed, seen if passed else f"{seen} {_OTHERWISE}", _why(refused))


def _of_the_certificate(reason: str) -> bool:
    return "certificate of the sending access point" in reason


def _of_the_envelope(reason: str) -> bool:
    """Return whether the reason for refusal is something other than an AS4 error.

    The AS4 message itself was then accepted (transport-profile-as4 2.9).
    """
    return not reason.startswith("EBMS:")


def _under_way(events: Mapping[str, LogEntry]) -> Verdict:
    postponed = events.get(APEvent.AP_TRANSFER_POSTPONED) or events.get(MTEvent.MT_MESSAGE_POSTPONED)
    return Verdict(None, "Meddelandet är på väg.", _why(postponed) if postponed else "")


def _by_event(entries: Sequence[LogEntry]) -> dict[str, LogEntry]:
    """Return the last entry of each event."""
    return {entry.event: entry for entry in entries}


def _failure(events: Mapping[str, LogEntry]) -> str:
    """Return the access point's reason if it has one, otherwise the message service's."""
    return _why(events.get(VaultEvent.AP_TRANSFER_FAILED, events[MTEvent.MT_MESSAGE_FAILED]))


def _why(entry: LogEntry) -> str:
    return " ".join(filter(None, (entry.ids.get("reason"), entry.ids.get("detail"))))


_OTHERWISE = "Annan orsak än väntat; testaren avgör."
_ANOTHER_ENVIRONMENT = partial(_refused, _of_the_certificate)
_INVALID_ENVELOPE = partial(_refused, _of_the_envelope)
_REVOKED = partial(_not_sent, TransferReason.PEER_UNTRUSTED, "revoked")
_UNREACHABLE = partial(_not_sent, TransferReason.PEER_UNREACHABLE, "")
_AND_RECEIPT = "Meddelandet kommer fram till testdeltagaren och meddelandekvittens skickas"

CASES = (
    QaCase(
        "TF-01",
        "Skicka meddelande och ta emot meddelandekvittens",
        "Skicka meddelande och ta emot meddelandekvittens utan felkoder",
        "TestAP-01",
        _answered,
        sends=True,
    ),
    QaCase(
        "TF-02",
        "Skicka meddelande till AP där mottagande AP har ett utgånget Mottagarcertifikat",
        "Skicka meddelande till AP där mottagande AP har ett revokerat Mottagarcertifikat ger felmeddelande",
        "TestAP-03",
        _REVOKED,
        sends=True,
    ),
    QaCase(
        "TF-03",
        "Ta emot från deltagare med Certifikat i annan miljö",
        "Ta emot från deltagare med Certifikat i annan miljö ger felmeddelande",
        "TestAP-05",
        _ANOTHER_ENVIRONMENT,
    ),
    QaCase(
        "TF-04",
        "Ta emot meddelande och skicka meddelandekvittens",
        _AND_RECEIPT,
        "TestAP-01",
        _received,
    ),
    QaCase(
        "TF-05",
        "Skicka meddelande till AP som är onåbar",
        "Skicka meddelande till AP som är onåbar ger felmeddelande",
        "TestAP-04",
        _UNREACHABLE,
        sends=True,
    ),
    QaCase("TF-06", "Ta emot meddelande med maximal XHE", _AND_RECEIPT, "TestAP-01", _received),
    QaCase("TF-07", "Ta emot meddelande med minimal XHE", _AND_RECEIPT, "TestAP-01", _received),
    QaCase(
        "TF-08",
        "Ta emot meddelande på minst 70 Mb inklusive XHE",
        _AND_RECEIPT,
        "TestAP-01",
        _received_large,
    ),
    QaCase(
        "TF-09",
        "Ta emot meddelande med felaktigt formaterad XHE",
        "Följsamhetsfel som rapporteras till Digg; kuvertet lämnas inte vidare",
        "TestAP-01",
        _INVALID_ENVELOPE,
        report=True,
    ),
    QaCase(
        "TF-10",
        "Ta emot meddelande med felaktigt värde i XHE med avseende på registrerat metadata",
        "Fel i XHE-valideringen; kuvertet lämnas inte vidare",
        "TestAP-01",
        _INVALID_ENVELOPE,
    ),
)
"""Cases in the order of DIGG's form, which is also the order in which the test leader is asked to send."""
