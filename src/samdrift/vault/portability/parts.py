r"""Parts of an organisation's vaults that move to another supplier, and the shape of each.

A record has facts, which JSON can represent, and contents, which are files of their own: envelopes, messages
and receipts, byte for byte. Random names of bodies, which have a meaning in this installation alone, are not
facts. Bytes are written as ``\x`` and hexadecimal digits, times in ISO 8601, as the database writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.bodies import BodyReader
from samdrift.wire.codes import ReceiptStatus

Facts = dict[str, Any]
Content = bytes | BodyReader

PAGE_BYTES = 4 << 20
"""Limit on the bytes of what others wrote in one page; a record with more of them is alone in a page."""

_BYTES = re.compile(r"\\x([0-9a-f]{2})*")
_LARGEST = 1 << 62


def within_page(found: str, key: str) -> str:
    """Return the query for the first of the ``found`` rows, in the order of ``key``, that share a page.

    The query ``found`` states the length of each row as ``bytes``, which PostgreSQL knows without reading it.
    """
    summed = f"SELECT found.*, sum(bytes) OVER (ORDER BY {key}) AS total FROM ({found}) AS found"  # noqa: S608
    return f"SELECT * FROM ({summed}) AS summed WHERE total <= {PAGE_BYTES} OR total = bytes"  # noqa: S608


class Kind(StrEnum):
    """The type of a fact."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    BYTES = "bytes"
    LIST_OF_BYTES = "list-of-bytes"
    DOCUMENT = "document"
    """A text that contains a JSON object."""
    EVENTS = "events"
    """The steps of a message's life, the first one first."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that every record of a part has; if it is optional, it may be ``null``."""

    name: str
    kind: Kind = Kind.TEXT
    optional: bool = False
    among: frozenset[str] = frozenset()
    """Code list that the text has to be from; empty if there is none."""
    added: bool = False
    """True if earlier exports lack the fact, which is then ``null``."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of record in one role's vault; ``key`` orders and identifies the records."""

    role: Role
    name: str
    key: tuple[str, ...]
    facts: tuple[Fact, ...]
    contents: tuple[str, ...] = ()
    """Names of the contents that a record may have in addition to facts."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One record on its way, with its contents."""

    facts: Facts
    contents: Mapping[str, Content] = field(default_factory=dict)


def check(facts: object, shape: Sequence[Fact]) -> Facts:
    """Return ``facts`` if they have exactly that shape; :class:`ValueError` names the fact that does not."""
    if not isinstance(facts, dict):
        raise ValueError("a record is not an object")
    for fact in shape:
        if fact.added:
            facts.setdefault(fact.name, None)
    if set(facts) != {fact.name for fact in shape}:
        raise ValueError("a record has unexpected facts")
    for fact in shape:
        value = facts[fact.name]
        fits = _fits(value, fact.kind) and (not fact.among or value in fact.among)
        if not fits and not (fact.optional and value is None):
            raise ValueError(f"the fact {fact.name} has an invalid value")
    return facts


def _fits(value: object, kind: Kind) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str) and _storable(value)
        case Kind.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.TIME:
            return isinstance(value, str) and _is_time(value)
        case Kind.BYTES:
            return isinstance(value, str) and _BYTES.fullmatch(value) is not None
        case Kind.LIST_OF_BYTES:
            return isinstance(value, list) and all(_fits(each, Kind.BYTES) for each in value)
        case Kind.DOCUMENT:
            return isinstance(value, str) and _storable(value) and _is_object(value)
        case Kind.EVENTS:
            return isinstance(value, list) and all(check(each, EVENT) for each in value)


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def from_bytes(value: bytes) -> str:
    """Return bytes as text, in the form of a fact."""
    return f"\\x{value.hex()}"


def to_bytes(fact: str) -> bytes:
    """Return the bytes of a fact: the inverse of :func:`from_bytes`."""
    return bytes.fromhex(fact.removeprefix("\\x"))


_TIME, _NUMBER, _BYTES_ = Kind.TIME, Kind.NUMBER, Kind.BYTES


def _code(name: str, codes: type[StrEnum]) -> Fact:
    return Fact(name, among=frozenset(codes))


_STATUS, _DIRECTION = _code("status", MessageStatus), _code("direction", Direction)

EVENT = (Fact("at", _TIME), _STATUS, Fact("title"), Fact("detail"), Fact("path"))

INCOMING = Part(
    Role.ACCESS_POINT,
    "incoming",
    ("id",),
    (
        *map(Fact, ("id", "peer", "as4_message_id", "envelope_id", "conversation_id")),
        *map(Fact, ("sender", "recipient", "document", "certificate")),
        Fact("received_at", _TIME),
        Fact("size", _NUMBER),
        Fact("acknowledged_at", _TIME, optional=True),
    ),
    ("receipt", "envelope"),
)
TRANSFERS = Part(
    Role.ACCESS_POINT,
    "transfers",
    ("id",),
    (
        *map(Fact, ("id", "envelope_id", "as4_message_id", "conversation_id", "sender", "recipient")),
        *map(Fact, ("document", "document_scheme", "process", "process_scheme")),
        _code("state", TransferState),
        Fact("created_at", _TIME),
        Fact("due_at", _TIME, optional=True),
        Fact("attempts", _NUMBER),
        Fact("size", _NUMBER),
        Fact("digest", _BYTES_),
        Fact("ended_at", _TIME, optional=True),
        Fact("peer", optional=True),
    ),
    ("receipt", "envelope"),
)
ATTEMPTS = Part(
    Role.ACCESS_POINT,
    "attempts",
    ("transfer", "number"),
    (
        Fact("transfer"),
        Fact("number", _NUMBER),
        Fact("at", _TIME),
        Fact("signed", Kind.LIST_OF_BYTES, optional=True),
        Fact("error", optional=True),
    ),
)
EVENTS = Part(
    Role.ACCESS_POINT,
    "events",
    ("sequence",),
    (
        Fact("sequence", _NUMBER),
        Fact("transfer"),
        Fact("at", _TIME),
        _code("state", TransferState),
        _code("reason", TransferReason),
        Fact("detail"),
    ),
)
PEER_CERTIFICATES = Part(
    Role.ACCESS_POINT,
    "peer_certificates",
    ("sha256",),
    (Fact("sha256"), Fact("certificate", _BYTES_), Fact("first_at", _TIME)),
)


def grounds_part(role: Role) -> Part:
    """Return the part for the grounds on which others' certificates were trusted.

    See :mod:`samdrift.vault.grounds`.
    """
    facts = (Fact("sha256"), Fact("content", _BYTES_), Fact("last_at", _TIME))
    return Part(role, "grounds", ("sha256",), facts)


MESSAGES = Part(
    Role.MESSAGE_SERVICE,
    "messages",
    ("id", "direction"),
    (
        Fact("id"),
        _DIRECTION,
        _STATUS,
        Fact("conversation_id"),
        Fact("ref_to_message_id", optional=True),
        *map(Fact, ("sender", "recipient", "document")),
        *(Fact(name, _TIME) for name in ("created_at", "updated_at", "dated_at")),
        Fact("confidentiality", Kind.FLAG),
        Fact("size", _NUMBER),
        Fact("deleted", Kind.FLAG),
        *(Fact(each, optional=True) for each in ("label", "sender_address", "recipient_address")),
        Fact("attributes", optional=True),
        Fact("events", Kind.EVENTS),
    ),
    ("message",),
)
RECEIPTS = Part(
    Role.MESSAGE_SERVICE,
    "receipts",
    ("id",),
    (
        *map(Fact, ("id", "message", "counterpart", "document", "conversation_id")),
        _DIRECTION,
        _code("status", ReceiptStatus),
        _code("state", ReceiptState),
        *(Fact(name, _TIME) for name in ("created_at", "updated_at")),
        Fact("address", optional=True),
    ),
    ("receipt",),
)
DIGESTS = Part(
    Role.MESSAGE_SERVICE,
    "digests",
    ("commitment",),
    (Fact("commitment"), Fact("salt", _BYTES_), Fact("sha256", _BYTES_)),
)
PROCESSED = Part(Role.MESSAGE_SERVICE, "processed", ("item",), (Fact("item"), Fact("at", _TIME)))
CURSORS = Part(Role.MESSAGE_SERVICE, "cursors", ("name",), (Fact("name"), Fact("value", _NUMBER)))
WORK = Part(
    Role.MESSAGE_SERVICE,
    "work",
    ("id", "kind"),
    (Fact("id"), _code("kind", WorkKind), Fact("due_at", _TIME), Fact("attempts", _NUMBER)),
)
SESSION_KEYS = Part(
    Role.MESSAGE_SERVICE,
    "session_keys",
    ("mark",),
    (Fact("mark"), Fact("envelope", _BYTES_), Fact("at", _TIME)),
)
MARK_KEYS = Part(Role.MESSAGE_SERVICE, "mark_keys", ("name",), (Fact("name"), Fact("key", _BYTES_)))
_ENTRY = (
    Fact("sequence", _NUMBER),
    Fact("content", optional=True),
    Fact("previous", _BYTES_),
    Fact("hash", _BYTES_),
    Fact("retention", _NUMBER, optional=True, added=True),
    Fact("salt", _BYTES_, optional=True, added=True),
)


def log_part(role: Role) -> Part:
    """Return the part for the log of a vault.

    ``content`` is the canonical form of an entry, which its hash covers. An entry without ``retention``
    has the first form; one without ``content`` was disposed of.
    """
    return Part(role, "log", ("sequence",), _ENTRY)


def records_part(role: Role) -> Part:
    """Return the part for public records not handed over yet (:mod:`samdrift.vault.recordkeeping`)."""
    return Part(role, "records", ("id",), (Fact("id"), Fact("since", _TIME)))


def persons_part(role: Role) -> Part:
    """Return the part for people, each with the id used in statements and logs; ``claims`` is JSON.

    In message client and governance these people sign in; in the message service, systems act for them.
    """
    named = map(Fact, ("id", "issuer", "subject", "name", "claims"))
    return Part(role, "persons", ("id",), (*named, Fact("seen_at", _TIME, optional=True)))


STATEMENTS = Part(Role.MESSAGE_CLIENT, "statements", ("number",), (Fact("number", _NUMBER), Fact("content")))
"""Statements about rights, in their canonical form."""
SIGNED_STATEMENTS = Part(
    Role.GOVERNANCE,
    "signed_statements",
    ("number",),
    (Fact("number", _NUMBER), Fact("content"), Fact("logged", _TIME, optional=True)),
)
"""The record of signed statements, each with its signature, in canonical form, and when it was logged."""


def log_keys_part(role: Role) -> Part:
    """Return the part for keys of a vault's log and of earlier suppliers' logs.

    Each has its announcement and statement, if there is one.
    """
    optional = (Fact(name, _BYTES_, optional=True) for name in ("announcement", "statement"))
    return Part(
        role, "log_keys", ("log", "key"), (Fact("log"), Fact("key"), Fact("number", _NUMBER), *optional)
    )


def checkpoints_part(role: Role) -> Part:
    """Return the part for checkpoints of a vault's log and of earlier logs.

    These are the checkpoints that witnesses have cosigned, and the last one: the signed note with each
    witness's first cosignature, and with its latest.
    """
    notes = (Fact(name, _BYTES_) for name in ("first", "last"))
    stated = (Fact("origin"), Fact("size", _NUMBER), Fact("signed_at", _TIME))
    return Part(role, "checkpoints", ("log", "origin", "size"), (Fact("log"), *stated, *notes))


def former_log_part(role: Role) -> Part:
    """Return the part for logs that the organisation brought from earlier suppliers."""
    return Part(role, "former-log", ("log", "sequence"), (Fact("log"), *_ENTRY))
