"""Parts of a message client's vault that move to another supplier, and the sealed content of each.

Sealed content leaves as plain JSON and is sealed again by the receiving vault, which also makes marks
of the ids and addresses in it. Searches do not move, nor do the settings of the message service, with
the key that is used there, and pending notices: the new supplier's vault makes its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.vault.database.session import Row
from samdrift.vault.mailbonds import (
    conversation_bond,
    draft_place,
    file_bond,
    mail_bond,
    mailbox_place,
    note_place,
    require_bond,
)
from samdrift.vault.mailrecords import opened, sealed
from samdrift.vault.portability.parts import Fact, Facts, Kind, Part, from_bytes, within_page
from samdrift.vault.sealing import Sealer

_TIME, _NUMBER, _FLAG, _DOCUMENT = Kind.TIME, Kind.NUMBER, Kind.FLAG, Kind.DOCUMENT
_CONTENT = Fact("content", _DOCUMENT)
_APPROVABLE = {"approval": "open", "approved": "open", "window": "window"}
"""Stages of a draft in which an approval counts, and the stages that replace them without it."""
_FILE_COUNT = "file_count"
"""Name of the column ``files`` in an export, in which records have a member ``files`` for their contents."""


def _part(
    name: str, facts: Sequence[Fact], *, key: tuple[str, ...] = ("id",), contents: tuple[str, ...] = ()
) -> Part:
    return Part(Role.MESSAGE_CLIENT, name, key, tuple(facts), contents)


def _optional(name: str, kind: Kind = Kind.TEXT) -> Fact:
    return Fact(name, kind, optional=True)


@dataclass(frozen=True, slots=True)
class MailPart:
    """A part, the place for which its content is sealed, and the marks that are made of the content."""

    part: Part
    place: str = ""
    bound: Callable[[Facts], str] | tuple[str, ...] = ("id",)
    """Facts that complete the place for which the content is sealed, or a function that returns the place."""
    bond: Callable[[Facts], str] | None = None
    """Function that returns the text of the mark that binds a row to its place."""
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Members of the content of which each mark is made, joined by spaces, by the mark's column."""
    delivery: bool = False
    approved: bool = False
    """True if a second person approves it; an approval ends with the move and has to be given again."""

    def question(self) -> str:
        """Return the query for a page of records."""
        part = self.part
        columns = [fact.name for fact in part.facts if fact not in (_CONTENT, _DELIVERY)]
        contents = [*(["sealed"] if self.place else []), *(["delivery"] if self.delivery else [])]
        sealed_columns = [f"t.{name}" for name in contents]
        if self.bond is not None:
            sealed_columns += ["t.bound", "t.body" if part.contents else "NULL"]
        facts = ", ".join(f"t.files AS {name}" if name == _FILE_COUNT else f"t.{name}" for name in columns)
        after = ", ".join(f"${number}" for number in range(1, len(part.key) + 1))
        key = ", ".join(part.key)
        body, join = (
            (["b.id", "b.size", "b.sealed"], "LEFT JOIN bodies b ON b.id = t.body")
            if part.contents
            else ([], "")
        )
        chosen = ", ".join([f"(SELECT to_jsonb(f) FROM (SELECT {facts}) AS f)", *sealed_columns, *body])  # noqa: S608
        order = ", ".join(f"t.{name}" for name in part.key)
        lengths = [f"coalesce(octet_length({name}), 0)" for name in contents]
        found = (
            f"SELECT *, {' + '.join(lengths) or 0} AS bytes FROM {part.name} WHERE ({key}) > ({after})"  # noqa: S608
            f" ORDER BY {key} LIMIT ${len(part.key) + 1}"
        )
        return f"SELECT {chosen} FROM ({within_page(found, key)}) AS t {join} ORDER BY {order}"  # noqa: S608

    def departing(self, row: Row, sealer: Sealer) -> tuple[Facts, tuple[Any, ...]]:
        """Return the facts of a row, and the id, size and stream of its body."""
        facts, *rest = row
        if self.place:
            facts["content"] = _text(opened(rest.pop(0), self._sealed_for(facts), sealer))
        if self.delivery:
            steps = rest.pop(0)
            facts["delivery"] = (
                None if steps is None else _text(opened(steps, f"delivery {facts['id']}", sealer))
            )
        if self.bond is not None:
            bound, body = rest.pop(0), rest.pop(0)
            require_bond(bound, self.bond({**facts, "body": body}), sealer)
        return facts, tuple(rest)

    def arriving(self, facts: Facts, body: str | None, sealer: Sealer) -> Facts:
        """Return the row of a record, sealed for this vault; a removed body is an empty text."""
        row = {"files" if name == _FILE_COUNT else name: value for name, value in facts.items()}
        if self.approved and row["stage"] in _APPROVABLE:
            row |= {"stage": _APPROVABLE[row["stage"]], "asked_by": None, "approved_by": None}
        if self.place:
            content = json.loads(row.pop("content"))
            row["sealed"] = from_bytes(sealed(content, self._sealed_for(row), sealer))
            for column, members in self.marks.items():
                named = [content.get(member) for member in members]
                row[column] = None if None in named else from_bytes(sealer.mark(" ".join(named)))
        if self.delivery:
            steps = row.pop("delivery")
            if steps is not None:
                row["delivery"] = from_bytes(sealed(json.loads(steps), f"delivery {row['id']}", sealer))
        if self.part.contents:
            row["body"] = body or ""
        if self.bond is not None:
            row["bound"] = from_bytes(sealer.mark(self.bond(row)))
        return row

    def _sealed_for(self, facts: Facts) -> str:
        if callable(self.bound):
            return self.bound(facts)
        return " ".join((self.place, *(facts[name] for name in self.bound)))


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


_DELIVERY = _optional("delivery", _DOCUMENT)

MAILBOXES = MailPart(
    _part("mailboxes", (Fact("id"), Fact("needs_approval", _FLAG), Fact("undo_seconds", _NUMBER), _CONTENT)),
    "mailbox",
    lambda row: mailbox_place(row["id"], row["needs_approval"], row["undo_seconds"]),
    marks={"mark": ("address",)},
)
CONVERSATIONS = MailPart(
    _part(
        "conversations",
        (
            *map(Fact, ("id", "home", "mailbox")),
            *(Fact(name, _NUMBER) for name in ("version", "messages", _FILE_COUNT, "unread", "unreadable")),
            *(Fact(name, _FLAG) for name in ("done", "confidential")),
            Fact("latest_at", _TIME),
            _optional("sent_at", _TIME),
            _optional("handler"),
            _CONTENT,
        ),
    ),
    "conversation",
    bond=lambda row: conversation_bond(row["id"], row["home"], row["mailbox"]),
    marks={"mark": ("conversation_id",)},
)
MAIL = MailPart(
    _part(
        "messages",
        (
            *map(Fact, ("id", "conversation", "stage")),
            Fact("direction", among=frozenset(Direction)),
            *(_optional(name) for name in ("status", "draft", "author")),
            *(Fact(name, _TIME) for name in ("at", "since")),
            *(_optional(name, _TIME) for name in ("dated_at", "due_at", "deadline", "opened_at")),
            Fact("confidential", _FLAG),
            *(Fact(name, _NUMBER) for name in ("attempts", _FILE_COUNT)),
            _CONTENT,
            _DELIVERY,
        ),
        contents=("documents",),
    ),
    "message",
    bond=lambda row: mail_bond(row["id"], row["conversation"], row["draft"], row["body"]),
    marks={"mark": ("message_id",), "remote": ("remote_id",), "refers": ("refers_to",)},
    delivery=True,
)
FILES = MailPart(
    _part(
        "files",
        (*map(Fact, ("id", "owner")), *(Fact(name, _NUMBER) for name in ("place", "size")), _CONTENT),
        contents=("file",),
    ),
    "file",
    bond=lambda row: file_bond(row["id"], row["owner"], row["body"]),
)
NOTES = MailPart(
    _part("notes", (*map(Fact, ("id", "conversation", "author")), Fact("at", _TIME), _CONTENT)),
    "note",
    lambda row: note_place(row["id"], row["conversation"], row["author"]),
)
DRAFTS = MailPart(
    _part(
        "drafts",
        (
            *map(Fact, ("id", "mailbox", "stage", "writer")),
            *(_optional(name) for name in ("conversation", "reply_to", "asked_by", "approved_by")),
            _optional("seen", _NUMBER),
            Fact("version", _NUMBER),
            Fact("saved_at", _TIME),
            _optional("until", _TIME),
            _CONTENT,
        ),
    ),
    "draft",
    lambda row: draft_place(row["id"], row["conversation"] or row["mailbox"], row["reply_to"], row["writer"]),
    approved=True,
)
READINGS = MailPart(
    _part(
        "readings",
        (*map(Fact, ("message", "person", "act")), Fact("first_at", _TIME), Fact("last_at", _TIME)),
        key=("message", "person", "act"),
    )
)
ADDRESSES = MailPart(
    _part(
        "addresses",
        (
            Fact("id"),
            *(Fact(name, _NUMBER) for name in ("used", "unanswered")),
            Fact("used_at", _TIME),
            _optional("receipt_at", _TIME),
            _CONTENT,
        ),
    ),
    "address",
    marks={"mark": ("organisation", "address")},
)
FAVOURITES = MailPart(
    _part("favourites", (*map(Fact, ("id", "person")), _CONTENT)),
    "favourite",
    ("id", "person"),
    marks={"mark": ("organisation", "address")},
)
REGISTRATIONS = MailPart(
    _part("registrations", (*map(Fact, ("id", "person")), Fact("at", _TIME), _CONTENT)), "registration"
)
PRESETS = MailPart(
    _part("presets", (*map(Fact, ("id", "kind", "owner")), _CONTENT)),
    "preset",
    ("kind", "id", "owner"),
)
NOTICE_CHOICES = MailPart(_part("notice_choices", (Fact("id"), _CONTENT)), "notice choice")
MANNING = MailPart(_part("manning", (Fact("id"), _CONTENT)), "manning")
FINISHED = MailPart(_part("finished", (Fact("id"), Fact("at", _TIME))))
HOLDS = MailPart(_part("holds", (*map(Fact, ("id", "person")), Fact("at", _TIME), _CONTENT)), "hold")
DISPOSAL_RULES = MailPart(
    _part(
        "disposal_rules",
        (*map(Fact, ("id", "since", "person")), Fact("days", _NUMBER), Fact("at", _TIME), _CONTENT),
    ),
    "disposal_rule",
)
DISPOSED = MailPart(
    _part(
        "disposed",
        (
            *map(Fact, ("id", "disposal", "conversation")),
            Fact("direction", among=frozenset(Direction)),
            *(Fact(name, _TIME) for name in ("at", "gone_at")),
            _CONTENT,
        ),
    ),
    "disposed",
    marks={"mark": ("message_id",), "remote": ("remote_id",)},
)
MAIL_PARTS = (
    *(MAILBOXES, CONVERSATIONS, MAIL, FILES, NOTES, DRAFTS, READINGS, ADDRESSES, FAVOURITES),
    *(PRESETS, REGISTRATIONS, FINISHED, HOLDS, DISPOSAL_RULES, DISPOSED, NOTICE_CHOICES, MANNING),
)
"""Parts in the order in which they can be stored."""
