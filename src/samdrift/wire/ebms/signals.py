"""Signals as peers write them: receipts and errors (ebms3-core 5.2.3, 6.2; as4-profile 5.1.8).

Read more tolerantly than user messages: an answer that can be understood is worth more
than one that follows the schema, and nothing is believed before its signature is verified.
"""

from __future__ import annotations

from samdrift.wire.ebms.errors import EbmsError, Severity, error_code
from samdrift.wire.ebms.parse import eb, malformed, one, parse_message_info, read_sequence
from samdrift.wire.ebms.types import ErrorSignalMessage, ReceiptSignalMessage
from samdrift.wire.xml import Element, Namespace, children, name, text

_INFORMATION = name(Namespace.EBBP_SIGNALS, "NonRepudiationInformation")
_PART = name(Namespace.EBBP_SIGNALS, "MessagePartNRInformation")
_REFERENCE = name(Namespace.DSIG, "Reference")
_MESSAGING = (one("SignalMessage"),)
_MAX_TEXT = 1024


def is_signal(messaging: Element) -> bool:
    """Tell whether a header holds a signal and not a user message; nothing of it is checked."""
    return any(part.tag == eb("SignalMessage") for part in children(messaging))


def parse_signal(messaging: Element) -> ReceiptSignalMessage | ErrorSignalMessage:
    """The one signal of a header; :class:`WireError` (``STRUCTURE``) when it is neither receipt nor error.

    A signal with a receipt and an error is an error: it proves nothing.
    """
    ((signal,),) = read_sequence(messaging, _MESSAGING)
    parts = children(signal)
    if not parts or parts[0].tag != eb("MessageInfo"):
        raise malformed(signal, "MessageInfo is missing or misplaced")
    info = parse_message_info(parts[0])
    errors = tuple(_error(part) for part in parts[1:] if part.tag == eb("Error"))
    if errors:
        return ErrorSignalMessage(info, errors)
    receipts = [part for part in parts[1:] if part.tag == eb("Receipt")]
    if len(receipts) != 1:
        raise malformed(signal, "neither one receipt nor errors")
    return ReceiptSignalMessage(info, _references(receipts[0]))


def _references(receipt: Element) -> tuple[Element, ...]:
    """The ``ds:Reference`` elements of NonRepudiationInformation; phase4 adds a sibling to it."""
    information = receipt.findall(_INFORMATION)
    if len(information) > 1:
        raise malformed(receipt, "more than one NonRepudiationInformation")
    return tuple(
        reference
        for found in information
        for part in found.findall(_PART)
        for reference in part.findall(_REFERENCE)
    )


def _error(element: Element) -> EbmsError:
    return EbmsError(
        code=error_code(element.get("errorCode", "").strip()[:_MAX_TEXT]),
        severity=Severity.WARNING if element.get("severity", "").lower() == "warning" else Severity.FAILURE,
        short_description=element.get("shortDescription", "")[:_MAX_TEXT],
        detail=_text(element.find(eb("ErrorDetail"))),
        description=_text(element.find(eb("Description"))),
        ref_to_message_id=element.get("refToMessageInError"),
        category=element.get("category", "")[:_MAX_TEXT],
    )


def _text(element: Element | None) -> str:
    return "" if element is None else text(element).strip()[:_MAX_TEXT]
