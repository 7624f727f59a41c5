"""Handover of a log to its organisation's own log system: RFC 5424 in frames of RFC 5425, over mutual TLS.

Syslog has no acknowledgement. Entries count as accepted if their connection ended in order: the log system
stayed connected for a while after the last entry, then answered our end of the connection with its own, for
which it has to read everything before. If it disconnects earlier, the entries are sent again, so that each
arrives at least once; the log's name and the entry's number identify duplicates.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC

from samdrift.audit.entries import Happening
from samdrift.contracts.errors import Temporary
from samdrift.net.client import NoAnswer

SETTLE_SECONDS = 5.0
"""Time for which a log system must stay connected after the last entry before all count as accepted."""

_PRIORITY = 13 * 8 + 6
"""Facility "log audit", severity "informational" (RFC 5424 6.2.1)."""
_MAX_SEQUENCE_ID = (1 << 31) - 1
_SECONDS = 60.0
"""Longest time in seconds without progress."""
_WHOLE_SECONDS = 300.0
"""Longest time in seconds for all entries of a connection, which occupies a place that others wait for."""

Connect = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]
"""A function that opens a connection over TLS; :class:`~samdrift.net.client.NoAnswer` if it fails."""


class NotTaken(Temporary):
    """A failure of the log system to accept the entries, which are sent again."""

    service = "log-system"


@dataclass(frozen=True, slots=True)
class LogName:
    """A log's name in its organisation's log system."""

    origin: str
    organisation: str
    role: str


@dataclass(frozen=True, slots=True)
class HandedEntry:
    """An entry to hand over: its facts, unless they were disposed of, and its hash or commitment."""

    number: int
    facts: Happening | None
    hash: bytes


def frame(log: LogName, entry: HandedEntry) -> bytes:
    """Return an entry as a framed syslog message (RFC 5425 4.3).

    The facts are JSON in ASCII, so that no control character in them can end a line anywhere.
    """
    facts = entry.facts
    document: dict[str, object] = {
        "log": log.origin,
        "number": entry.number,
        "organisation": log.organisation,
        "role": log.role,
        "hash": entry.hash.hex(),
    }
    if facts is None:
        document["disposed"] = True
    else:
        document |= json.loads(facts.content())
    time = "-" if facts is None else facts.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    sequence = (entry.number - 1) % _MAX_SEQUENCE_ID + 1
    head = f"<{_PRIORITY}>1 {time} - samdrift {log.role} {_message_id(facts)}"
    text = f'{head} [origin software="Samdrift"][meta sequenceId="{sequence}"] {json.dumps(document)}'
    return f"{len(text)} {text}".encode("ascii")


def _message_id(facts: Happening | None) -> str:
    """Return the event as MSGID, which has 32 characters at most (RFC 5424 6.2.7)."""
    event = "".join(each for each in facts.event if "!" <= each <= "~")[:32] if facts else ""
    return event or "-"


async def hand_over(connect: Connect, frames: Iterable[bytes], settle: float = SETTLE_SECONDS) -> None:
    """Send ``frames`` over a separate connection; :class:`NotTaken` unless all of them were accepted."""
    try:
        reader, writer = await connect()
    except NoAnswer as failure:
        raise NotTaken(f"the log system cannot be reached ({failure.kind})") from None
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            for each in frames:
                writer.write(each)
                async with asyncio.timeout(_SECONDS):
                    await writer.drain()
        if await _left_within(reader, settle):
            raise NotTaken("the log system closed the connection too early")
        writer.close()
        async with asyncio.timeout(_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        raise NotTaken("the log system accepts no more data, or too slowly") from None
    except OSError as error:
        raise NotTaken(f"the connection to the log system was lost ({type(error).__name__})") from None
    finally:
        writer.transport.abort()


async def _left_within(reader: StreamReader, seconds: float) -> bool:
    """Return whether the log system ends the connection within a time; anything it sends is ignored."""
    try:
        async with asyncio.timeout(seconds):
            while await reader.read(1024):
                pass
            return True
    except TimeoutError:
        return False
