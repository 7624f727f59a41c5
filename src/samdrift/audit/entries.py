"""One entry of a log, and the bytes that stand for it in the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

TRACED = frozenset({"message", "envelope", "as4", "conversation", "transfer", "receipt", "item"})
"""Names of facts that an entry can be found by."""

_LONGEST_FACT = 1000
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Happening:
    """The content of a log entry, before it has a place in a log."""

    at: datetime
    event: str
    principal: str
    """Kind and name, ``worker:access-point``."""
    purpose: str
    ids: Mapping[str, str]
    """Facts of the event: identifiers and reasons, never content."""

    def content(self) -> bytes:
        """The canonical form: JSON with sorted names, no spaces, time in UTC with microseconds.

        Facts may come from a peer, so that they are cut to a length that a log can bear.
        """
        facts = {name: value[:_LONGEST_FACT] for name, value in self.ids.items()}
        fields = {
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "event": self.event,
            "ids": facts,
            "principal": self.principal,
            "purpose": self.purpose,
        }
        return _CANONICAL.encode(fields).encode("utf-8", "replace")

    @classmethod
    def parse(cls, content: bytes) -> Happening:
        """The inverse of :meth:`content`; :class:`ValueError` when it is not such a form."""
        try:
            fields = json.loads(content)
            return cls(
                at=datetime.fromisoformat(fields["at"]).astimezone(UTC),
                event=str(fields["event"]),
                principal=str(fields["principal"]),
                purpose=str(fields["purpose"]),
                ids={str(name): str(value) for name, value in fields["ids"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError):
            raise ValueError("not the content of a log entry") from None

    def traced(self) -> tuple[str, ...]:
        """The identifiers that the entry can be found by."""
        return tuple(value for name, value in self.ids.items() if name in TRACED)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log entry: what happened, who did it and why, and its place in the chain."""

    sequence: int
    at: datetime
    event: str
    principal: str
    purpose: str
    ids: Mapping[str, str]
    previous: bytes
    hash: bytes

    @classmethod
    def placed(cls, happening: Happening, sequence: int, previous: bytes, digest: bytes) -> LogEntry:
        """``happening`` at its place in a log."""
        return cls(
            sequence=sequence,
            at=happening.at,
            event=happening.event,
            principal=happening.principal,
            purpose=happening.purpose,
            ids=happening.ids,
            previous=previous,
            hash=digest,
        )

    @property
    def happening(self) -> Happening:
        return Happening(self.at, self.event, self.principal, self.purpose, self.ids)
