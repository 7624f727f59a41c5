"""The answers of the plugin's contract; another shape raises :class:`WireError`."""

from __future__ import annotations

import re

from samdrift.domibus.wire.types import ErrorEntry, MessageStatus, PluginFault
from samdrift.wire import xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, name

_MOST_CODE = 40
_MOST_TEXT = 500
_MOST_ID = 255
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")
_CODE = re.compile(r"([A-Z_]+)[_:]([0-9]+)")


def fault(envelope: Element) -> PluginFault | None:
    """The fault that the answer is, if it is one.

    The plugin's own code is in the detail; a wrong password and the like have
    none, only a reason.
    """
    body = _body(envelope)
    if body.tag != name(Namespace.SOAP12, "Fault"):
        return None
    detail = body.find(f"{name(Namespace.SOAP12, 'Detail')}/{name(Namespace.DOMIBUS, 'FaultDetail')}")
    reason = body.find(f"{name(Namespace.SOAP12, 'Reason')}/{name(Namespace.SOAP12, 'Text')}")
    told = _text(detail, "message") if detail is not None else ""
    return PluginFault(
        _code(_text(detail, "code")) if detail is not None else "",
        told or (_printable(reason) if reason is not None else ""),
    )


def submitted(envelope: Element) -> str:
    """The id of a message that was submitted."""
    return _message_id(_answer(envelope, "submitResponse"))


def marked(envelope: Element) -> str:
    """The id of a message that was marked as downloaded."""
    return _message_id(_answer(envelope, "markMessageAsDownloadedResponse"))


def pending(envelope: Element) -> tuple[str, ...]:
    """The ids of the messages that wait, in the order in which they came."""
    return _message_ids(_answer(envelope, "listPendingMessagesResponse"))


def status(envelope: Element) -> MessageStatus:
    """How a message stands."""
    try:
        return MessageStatus(xml.text(_answer(envelope, "getStatusResponse")).strip())
    except ValueError:
        raise _malformed("not a status that is known") from None


def errors(envelope: Element) -> tuple[ErrorEntry, ...]:
    """Return the errors of a message so far."""
    return tuple(
        ErrorEntry(
            _code(_text(item, "domibusErrorCode")),
            _text(item, "errorDetail"),
            _text(item, "timestamp"),
            _text(item, "mshRole") == "RECEIVING",
        )
        for item in _answer(envelope, "getMessageErrorsResponse").findall("item")
    )


def _answer(envelope: Element, local: str) -> Element:
    body = _body(envelope)
    if body.tag != name(Namespace.DOMIBUS, local):
        raise _malformed("another answer than asked for")
    return body


def _body(envelope: Element) -> Element:
    """The one child of the SOAP body."""
    bodies = envelope.findall(name(Namespace.SOAP12, "Body"))
    if envelope.tag != name(Namespace.SOAP12, "Envelope") or len(bodies) != 1 or len(bodies[0]) != 1:
        raise _malformed("not a SOAP 1.2 message with one answer")
    return bodies[0][0]


def _message_id(answer: Element) -> str:
    ids = _message_ids(answer)
    if len(ids) != 1:
        raise _malformed("not one message id")
    return ids[0]


def _message_ids(answer: Element) -> tuple[str, ...]:
    ids = tuple(xml.text(element).strip() for element in answer.findall("messageID"))
    if any(not one or len(one) > _MOST_ID or _UNPRINTABLE.search(one) for one in ids):
        raise _malformed("not a message id")
    return ids


def _text(parent: Element, child: str) -> str:
    found = parent.find(child)
    return _printable(found) if found is not None else ""


def _printable(element: Element) -> str:
    """A text of others, bounded and on one line, to be shown and logged."""
    return _UNPRINTABLE.sub(" ", xml.text(element)).strip()[:_MOST_TEXT]


def _code(text: str) -> str:
    """One spelling for each code; the contract has ``EBMS_0005`` where other places have ``EBMS:0005``."""
    found = _CODE.fullmatch(text)
    return f"{found[1]}:{found[2]}" if found else text[:_MOST_CODE]


def _malformed(text: str) -> WireError:
    return WireError(WireFault.STRUCTURE, text, "answer")
