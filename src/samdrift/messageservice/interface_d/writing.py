"""Messages as JSON text of interface D.

The functions are pure. The shape is that of ``outputData`` and ``outputArrayData``; what the OpenAPI
file leaves open follows the examples of api-mt-mk (Exempel Event).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.attributes import of_record
from samdrift.messageservice.interface_d.problems import NOTHING, instance
from samdrift.messageservice.lifecycle.progress import rejection
from samdrift.vault.records import MessageRecord, StatusEvent
from samdrift.wire.sdkmessage import new_timestamp

VERSION = "sdk api 1.0.0"
MESSAGES = "/v1/sdk/messages"
_EVENT_TYPE = "urn:event-type:sdk:message"

Members = dict[str, Any]


def text(value: object) -> str:
    """Return ``value`` as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def location(message_id: str) -> str:
    """Return the address of a message, relative to the server.

    Clauses: api-mt-mk 3 sentence 8.
    """
    return f"{MESSAGES}/{message_id}"


def opening(links: Members) -> str:
    """Return the beginning of a document, up to its data."""
    return f'{{"meta":{text({"version": VERSION})},"links":{text(links)},"data":'


def resource(record: MessageRecord, events: Sequence[StatusEvent], *, ends: bool = True) -> str:
    """Return a message without its documents; unless it ``ends``, they can be appended.

    Clauses: api-mt-mk message sentence 6; content-specification 4.3.2 sentence 11.
    """
    attributes = of_record(record).removeprefix("{").removesuffix("}")
    end = "}}" if ends else ""
    return (
        f'{{"type":"messages","id":{text(record.id)},"attributes":{{"messageStatus":"{record.status.value}",'
        f'{attributes},"events":{text(history(record, events))}{end}'
    )


def history(record: MessageRecord, events: Sequence[StatusEvent]) -> Members:
    """Return the events of a message, the latest first (api-mt-mk, Felhantering, eventIssues).

    Clauses: api-mt-mk message sentence 14, event sentence 1.
    """
    return {
        "type": _EVENT_TYPE,
        "title": record.status.value,
        "detail": record.status.value,
        "instance": instance(record.id),
        "eventIssues": [*map(_issue, events), _issue(_beginning(record))],
    }


def _beginning(record: MessageRecord) -> StatusEvent:
    """Return the first step of a message; the vault stores only the steps after it."""
    if record.direction is Direction.OUT:
        return StatusEvent(record.created_at, MessageStatus.SCHEDULED, "Message scheduled for sending")
    return StatusEvent(record.created_at, MessageStatus.RETRIEVED, "Message received and valid")


def _issue(event: StatusEvent) -> Members:
    """Return a step as an event issue; a finding in a receipt has its own codes.

    See api-mt-mk, Mappning Kvittens och Event.
    """
    code, title = rejection(event) or (event.status.value, event.title)
    return {
        "typeCode": code,
        "title": title or NOTHING,
        "detail": event.detail or NOTHING,
        "in": event.path or NOTHING,
        "dateTime": new_timestamp(event.at),
    }
