"""An entry of a log, and the bytes that its hash covers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from samdrift.audit.leaves import Leaf

TRACED = frozenset(
    {
        *("message", "envelope", "as4", "conversation", "transfer", "receipt", "item", "consent"),
        "counted_back",
    }
)
"""Names of facts that an entry can be found by."""

_LONGEST_FACT = 1000
_NUMBERS = 1 << 63
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
"""Years of entries; times near them can be computed with in every time zone."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Happening:
    """The content of a log entry before it has been given a place in a log."""

    at: datetime
    event: str
    principal: str
    """Kind and name, such as ``worker:access-point``."""
    purpose: str
    ids: Mapping[str, str]
    """Facts of the event: identifiers and reasons, never content."""

    def content(self) -> bytes:
        """Return the canonical form: JSON with sorted names, no spaces, time in UTC with microseconds.

        Facts may come from a peer, so they are cut to a length that is safe for a log.
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
        """Return the happening that :meth:`content` wrote; :class:`ValueError` for any other form."""
        try:
            fields = json.loads(content)
            at = datetime.fromisoformat(fields["at"]).astimezone(UTC)
            if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
                raise ValueError
            return cls(
                at=at,
                event=str(fields["event"]),
                principal=str(fields["principal"]),
                purpose=str(fields["purpose"]),
                ids={str(name): str(value) for name, value in fields["ids"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError):
            raise ValueError("not the content of a log entry") from None

    def traced(self) -> tuple[str, ...]:
        """Return the identifiers that the entry can be found by."""
        return tuple(value for name, value in self.ids.items() if name in TRACED)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log entry: what happened, who did it and why, and its place in the log.

    In the first form ``previous`` and ``hash`` link the chain. In the second ``hash`` is the commitment to
    the facts with their ``salt``, and ``previous`` is empty.
    """

    sequence: int
    at: datetime
    event: str
    principal: str
    purpose: str
    ids: Mapping[str, str]
    previous: bytes
    hash: bytes
    retention: int | None = None
    """The retention class; ``None`` in the first form."""
    salt: bytes = b""

    @classmethod
    def placed(
        cls,
        happening: Happening,
        sequence: int,
        previous: bytes,
        digest: bytes,
        retention: int | None = None,
        salt: bytes | None = None,
    ) -> LogEntry:
        """Return ``happening`` with its place in a log."""
        return cls(
            sequence=sequence,
            at=happening.at,
            event=happening.event,
            principal=happening.principal,
            purpose=happening.purpose,
            ids=happening.ids,
            previous=previous,
            hash=digest,
            retention=retention,
            salt=salt or b"",
        )

    @property
    def leaf(self) -> Leaf | None:
        """Return the leaf that the entry has in the tree; ``None`` in the first form."""
        return None if self.retention is None else Leaf(self.sequence, self.retention, self.hash)

    def document(self) -> dict[str, object]:
        """Return the entry as a JSON object: all that its hash covers, in hex except for the content."""
        placed: dict[str, object] = {
            "sequence": self.sequence,
            "content": self.happening.content().decode(),
            "previous": self.previous.hex(),
            "hash": self.hash.hex(),
        }
        if self.retention is not None:
            placed |= {"retention": self.retention, "salt": self.salt.hex()}
        return placed

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> LogEntry:
        """Return the entry that :meth:`document` wrote, unverified; :class:`ValueError` for other forms."""
        try:
            sequence, retention = document["sequence"], document.get("retention")
            content, salt = document["content"].encode(), document.get("salt") or ""
            previous, digest = bytes.fromhex(document["previous"]), bytes.fromhex(document["hash"])
            if retention is not None:
                Leaf.read(document)
            elif type(sequence) is not int or not 0 < sequence < _NUMBERS:
                raise ValueError
            happening = Happening.parse(content)
            if happening.content() != content:
                raise ValueError
            return cls.placed(happening, sequence, previous, digest, retention, bytes.fromhex(salt))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("not an entry of a log") from None

    @property
    def happening(self) -> Happening:
        return Happening(self.at, self.event, self.principal, self.purpose, self.ids)
