"""Logs of two organisations that exchange messages, written as each of their parts would, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from samdrift.accesspoint.events import APEvent
from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent, LogEvent
from samdrift.evidence.reconciliation import EXCHANGE, ReadLog
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent

BEGUN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HABO, MULLSJO = "0203:habo.se", "0203:mullsjo.se"
TYPE = "messagePayload##3.0"


@dataclass
class Pages:
    """The log of one organisation in one role, before it is put in a tree."""

    organisation: str
    source: str
    entries: list[tuple[datetime, AuditEvent, dict[str, str]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.organisation} {self.source}"

    def read(self, *, whole: bool = True, **more: object) -> ReadLog:
        rows = [
            LogEntry.placed(
                Happening(at, event, "worker:test", "", ids), number, b"", b"", event.retention.value
            )
            for number, (at, event, ids) in enumerate(self.entries, start=1)
        ]
        return ReadLog.of(self.name, self.organisation, self.source, rows, whole=whole, **more)  # type: ignore[arg-type]


@dataclass
class World:
    """All logs of both organisations."""

    logs: dict[tuple[str, str], Pages] = field(default_factory=dict)
    now: datetime = BEGUN

    @classmethod
    def begun(cls) -> World:
        world = cls()
        for organisation in (HABO, MULLSJO):
            for source in ("ap", "mt", "mk"):
                pages = world.logs[organisation, source] = Pages(organisation, source)
                pages.entries.append((BEGUN, LogEvent.LOG_TREE_BEGUN, {"entries": "0", "head": "00"}))
        return world

    def add(self, organisation: str, event: AuditEvent, **ids: str) -> None:
        source = event.value.partition(":")[0]
        self.now += timedelta(seconds=1)
        self.logs[organisation, source].entries.append((self.now, event, ids))

    def transfer(self, sender: str, recipient: str, envelope: str, conversation: str) -> None:
        """Record that an envelope goes from one access point to the other."""
        as4 = f"{envelope}@{sender}"
        ids = {"envelope": envelope, "as4": as4, "conversation": conversation, "recipient": recipient}
        more = ids | {"sender": sender, "message_type": TYPE}
        self.add(sender, APEvent.AP_TRANSFER_QUEUED, **ids)
        self.add(recipient, APEvent.AP_ENVELOPE_RECEIVED, **more)
        self.add(sender, APEvent.AP_TRANSFER_DELIVERED, **more)

    def exchange(self, sender: str, recipient: str, message: str, *, accepted: bool = True) -> None:
        """Record that a person sends a message, its receipt returns, and the receiver's person reads it."""
        receipt = f"{message}-receipt"
        self.add(sender, MKEvent.MK_MESSAGE_SUBMITTED, message=message)
        self.add(sender, MTEvent.MT_MESSAGE_SCHEDULED, message=message)
        self.add(sender, MKEvent.MK_MESSAGE_HANDED_OVER, message=message)
        self.transfer(sender, recipient, message, message)
        self.add(sender, MTEvent.MT_MESSAGE_SUBMITTED, message=message)
        self.add(sender, MTEvent.MT_MESSAGE_ACKNOWLEDGED, message=message)
        came = MTEvent.MT_MESSAGE_RETRIEVED if accepted else MTEvent.MT_MESSAGE_REFUSED
        ids = {"message": message, "as4": f"{message}@{sender}", "conversation": message, "sender": sender}
        self.add(recipient, came, **ids)
        self.add(recipient, MTEvent.MT_RECEIPT_QUEUED, message=message, envelope=receipt)
        self.add(recipient, APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=message)
        self.transfer(recipient, sender, receipt, message)
        self.add(recipient, MTEvent.MT_RECEIPT_SUBMITTED, message=message, envelope=receipt)
        self.add(recipient, MTEvent.MT_RECEIPT_ACKNOWLEDGED, message=message, envelope=receipt)
        self.add(sender, MTEvent.MT_RECEIPT_RECEIVED, message=message, envelope=receipt)
        self.add(
            sender, MTEvent.MT_MESSAGE_ACCEPTED if accepted else MTEvent.MT_MESSAGE_REJECTED, message=message
        )
        self.add(sender, APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=receipt)
        if accepted:
            self.add(recipient, MTEvent.MT_MESSAGE_NEW, message=message)
            self.add(recipient, MTEvent.MT_MESSAGE_READ, message=message)
            self.add(recipient, MKEvent.MK_MESSAGE_STORED, message=message)
            self.add(recipient, MKEvent.MK_READING_MESSAGE, message=message)

    def go_on(self, later: timedelta = EXCHANGE + timedelta(days=1)) -> None:
        """Let time pass in all logs."""
        self.now += later
        for pages in self.logs.values():
            pages.entries.append((self.now, AdminEvent.LOG_EXPORTED, {"by": "kim"}))

    def without(
        self, organisation: str, event: AuditEvent, about: str, change: dict[str, str] | None = None
    ) -> None:
        """Remove entries about something from a log, or change facts in them."""
        pages = self.logs[organisation, event.value.partition(":")[0]]
        before = list(pages.entries)
        pages.entries.clear()
        for at, one, ids in before:
            if one is not event or about not in ids.values():
                pages.entries.append((at, one, ids))
            elif change is not None:
                pages.entries.append((at, one, ids | change))
        assert pages.entries != before

    def side(self, organisation: str, sources: tuple[str, ...] = ("ap", "mt", "mk")) -> list[ReadLog]:
        return [self.logs[organisation, source].read() for source in sources]

    def copy(self) -> World:
        logs = {key: replace(pages, entries=list(pages.entries)) for key, pages in self.logs.items()}
        return World(logs, self.now)


def exchanged(change: Callable[[World], None] = lambda world: None) -> World:
    """Return a world with three messages each way and a rejected one; ``change`` plants a fault."""
    world = World.begun()
    for number in range(3):
        world.exchange(HABO, MULLSJO, f"to-{number}")
        world.exchange(MULLSJO, HABO, f"from-{number}")
    world.exchange(HABO, MULLSJO, "refused", accepted=False)
    change(world)
    world.go_on()
    return world
