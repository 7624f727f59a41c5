"""Server-sent events from bytes (HTML standard, "Server-sent events"): pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its kind, its id to go on from after a break, and its data."""

    kind: str
    id: str
    data: str


class EventStream:
    """Takes the stream piece by piece and gives the events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self.last_id = ""

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Events that ``piece`` completes; :class:`ValueError` for lines beyond all bounds."""
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        held = len(self._data) + sum(map(len, self._data))
        if held > _LONGEST or max(map(len, (*lines, self._rest))) > _LONGEST:
            raise ValueError("an event is larger than any should be")
        for line in lines:
            if line:
                self._field(line.decode("utf-8", "replace"))
            elif self._data:
                yield ServerEvent(self._kind or "message", self.last_id, "\n".join(self._data))
                self._kind, self._data = "", []

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self.last_id = value
