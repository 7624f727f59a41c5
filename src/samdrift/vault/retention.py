"""Retention rules for the rows of each table, so that nothing grows for ever.

A test compares this list with the tables of a database: a table without a rule fails the build. The
data that an organisation stores is counted by the same list (:mod:`samdrift.vault.holdings`), so that
each figure comes with the reason for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum

from samdrift.contracts.principals import Role

DUPLICATE_WINDOW = timedelta(days=180)
"""Time for which facts that detect duplicates are kept (sql/accesspoint-forgetting-1.sql and similar).

No sender repeats a message for as long: the configuration allows a fraction of it
(:mod:`samdrift.config.roles`).
"""
SEARCHED = timedelta(days=1)
"""Time for which a person's search is kept; sql/mail-1.sql states the same, which a test verifies."""
NOTICED = timedelta(days=30)
"""Time for which a notice is kept after its end; sql/notices-1.sql states the same, which a test verifies."""


class Kind(StrEnum):
    """Purposes for which rows are kept."""

    MESSAGES = "messages"
    DRAFTS = "drafts"
    TRANSFERS = "transfers"
    DUPLICATES = "duplicates"
    EVIDENCE = "evidence"
    LOG = "log"
    RIGHTS = "rights"
    PEOPLE = "people"
    SETTINGS = "settings"
    WORK = "work"
    DISPOSAL = "disposal"


class Ending(Enum):
    """The event at which rows are removed, in words, and the delay if it depends on time alone."""

    DELETED = (
        "when a message client deletes the message; its id is known until 180 days after it came",
        None,
    )
    DISPOSED = ("when its conversation is disposed of, as two people of the organisation agree", None)
    THROWN_AWAY = ("when it is thrown away; one that was sent, with its conversation", None)
    DELIVERED = (
        "a failed one 180 days after its end; what proves a delivered one with its log entries",
        None,
    )
    WINDOW = ("180 days after it came, when no sender repeats it any more", DUPLICATE_WINDOW)
    LOG_FACTS = ("the facts when two custodians dispose of their class (samdrift log dispose)", None)
    PROOFS = ("with the facts of transfers in the log, by the same decision", None)
    TREE = ("when the vault is closed: every proof from the log rests on it", None)
    KEYS = (
        "when the vault is closed: a captured envelope stays closed for as long as its key may come back",
        None,
    )
    RECORD = ("when the vault is closed: what was decided stays provable", None)
    CHOSEN = ("when it is taken back or replaced; at the latest when the vault is closed", None)
    PERSON = ("when the vault is closed: the log names persons by these ids", None)
    SIGNED_OUT = ("when the session ends, or its time is over", None)
    DONE = ("when the work is done", None)
    OVER = ("when its time is over, and the next one comes", None)
    SWEPT = ("within a day, unless a row comes to know it", None)
    OWNER = ("with the message, draft or transfer that it belongs to", None)
    ONE_ROW = ("one row, or a few, that are changed in place", None)
    SEARCH = ("after a day", SEARCHED)
    NOTICE = ("30 days after it ended", NOTICED)
    HANDED_OVER = ("when the record is handed over, or disposed of by a decision", None)
    NEWEST = ("the newest four hundred stay", None)
    CLOSED = ("when the organisation is closed", None)
    CLOSINGS = ("never: that an organisation was closed, and how, stays provable", None)

    def __init__(self, text: str, after: timedelta | None) -> None:
        self.text = text
        self.after = after


@dataclass(frozen=True, slots=True)
class Rule:
    """The retention rule of one table."""

    kind: Kind
    ending: Ending
    since: str | None = None
    """SQL expression for the time from which a row's age counts; ``None`` if rows have no age."""


_ENTRY_TIME = "convert_from(substring(content FROM 8 FOR 32), 'UTF8')::timestamptz"
"""SQL for the time of a log entry, at its fixed place in the canonical form; NULL if its facts are gone."""

_LOG = {
    "log": Rule(Kind.LOG, Ending.LOG_FACTS, _ENTRY_TIME),
    "log_head": Rule(Kind.LOG, Ending.ONE_ROW),
    "log_tree": Rule(Kind.LOG, Ending.ONE_ROW),
    "log_nodes": Rule(Kind.LOG, Ending.TREE),
    "log_keys": Rule(Kind.LOG, Ending.TREE),
    "log_checkpoints": Rule(Kind.LOG, Ending.TREE),
    "log_cosignatures": Rule(Kind.LOG, Ending.TREE),
    "log_witnesses": Rule(Kind.LOG, Ending.TREE),
    "log_refusals": Rule(Kind.LOG, Ending.TREE),
    "log_stamps": Rule(Kind.LOG, Ending.TREE, "at"),
    "versions": Rule(Kind.SETTINGS, Ending.ONE_ROW),
}
_VAULT = _LOG | {
    "log_handed_over": Rule(Kind.LOG, Ending.ONE_ROW),
    "former_log": Rule(Kind.LOG, Ending.TREE),
    "former_checkpoints": Rule(Kind.LOG, Ending.TREE),
    "former_log_keys": Rule(Kind.LOG, Ending.TREE),
    "bodies": Rule(Kind.MESSAGES, Ending.OWNER),
    "arrivals": Rule(Kind.SETTINGS, Ending.ONE_ROW, "begun_at"),
    "moment": Rule(Kind.WORK, Ending.ONE_ROW),
    "signed_statements": Rule(Kind.RIGHTS, Ending.RECORD),
    "cover": Rule(Kind.RIGHTS, Ending.ONE_ROW),
}
_JUDGING = {"grounds": Rule(Kind.EVIDENCE, Ending.PROOFS, "last_at")}
_PAGES = {
    "records": Rule(Kind.DISPOSAL, Ending.HANDED_OVER, "since"),
    "persons": Rule(Kind.PEOPLE, Ending.PERSON, "seen_at"),
    "sessions": Rule(Kind.PEOPLE, Ending.SIGNED_OUT, "began"),
    "sign_ins": Rule(Kind.PEOPLE, Ending.OVER, "until"),
}

TABLES: Mapping[Role, Mapping[str, Rule]] = {
    Role.ACCESS_POINT: _VAULT
    | _JUDGING
    | {
        "transfers": Rule(Kind.TRANSFERS, Ending.DELIVERED, "created_at"),
        "attempts": Rule(Kind.TRANSFERS, Ending.DELIVERED, "at"),
        "events": Rule(Kind.DUPLICATES, Ending.WINDOW, "at"),
        "incoming": Rule(Kind.EVIDENCE, Ending.PROOFS, "received_at"),
        "peer_certificates": Rule(Kind.EVIDENCE, Ending.PROOFS, "last_at"),
    },
    Role.MESSAGE_SERVICE: _VAULT
    | _JUDGING
    | {
        "messages": Rule(Kind.MESSAGES, Ending.DELETED, "created_at"),
        "status_events": Rule(Kind.MESSAGES, Ending.DELETED, "at"),
        "message_steps": Rule(Kind.MESSAGES, Ending.DELETED),
        "mailboxes": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "receipts": Rule(Kind.EVIDENCE, Ending.PROOFS, "created_at"),
        "digests": Rule(Kind.EVIDENCE, Ending.PROOFS, "kept_at"),
        "processed": Rule(Kind.DUPLICATES, Ending.WINDOW, "at"),
        "session_keys": Rule(Kind.DUPLICATES, Ending.KEYS, "at"),
        "mark_keys": Rule(Kind.DUPLICATES, Ending.KEYS),
        "lost_marks": Rule(Kind.DUPLICATES, Ending.KEYS, "found_at"),
        "refusals": Rule(Kind.DUPLICATES, Ending.WINDOW, "first_at"),
        "work": Rule(Kind.WORK, Ending.DONE, "due_at"),
        "cursors": Rule(Kind.WORK, Ending.ONE_ROW),
        "used_assertions": Rule(Kind.WORK, Ending.OVER, "until"),
        "persons": Rule(Kind.PEOPLE, Ending.PERSON, "seen_at"),
    },
    Role.MESSAGE_CLIENT: _VAULT
    | _PAGES
    | {
        "mailboxes": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "conversations": Rule(Kind.MESSAGES, Ending.DISPOSED, "latest_at"),
        "messages": Rule(Kind.MESSAGES, Ending.DISPOSED, "at"),
        "files": Rule(Kind.MESSAGES, Ending.DISPOSED),
        "notes": Rule(Kind.MESSAGES, Ending.DISPOSED, "at"),
        "drafts": Rule(Kind.DRAFTS, Ending.THROWN_AWAY, "saved_at"),
        "readings": Rule(Kind.MESSAGES, Ending.DISPOSED, "first_at"),
        "registrations": Rule(Kind.MESSAGES, Ending.DISPOSED, "at"),
        "finished": Rule(Kind.MESSAGES, Ending.DISPOSED, "at"),
        "searches": Rule(Kind.PEOPLE, Ending.SEARCH, "at"),
        "addresses": Rule(Kind.SETTINGS, Ending.CHOSEN, "used_at"),
        "favourites": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "settings": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "presets": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "statements": Rule(Kind.RIGHTS, Ending.RECORD),
        "disposal_rules": Rule(Kind.DISPOSAL, Ending.CHOSEN, "at"),
        "holds": Rule(Kind.DISPOSAL, Ending.CHOSEN, "at"),
        "disposals": Rule(Kind.DISPOSAL, Ending.RECORD, "proposed_at"),
        "disposal_items": Rule(Kind.DISPOSAL, Ending.RECORD),
        "disposed": Rule(Kind.DISPOSAL, Ending.RECORD, "gone_at"),
        "verified_backups": Rule(Kind.DISPOSAL, Ending.RECORD, "noted_at"),
        "sole_readers": Rule(Kind.DISPOSAL, Ending.CHOSEN, "at"),
        "service_deletions": Rule(Kind.DISPOSAL, Ending.DISPOSED, "begun_at"),
        "disposed_deletions": Rule(Kind.DISPOSAL, Ending.RECORD, "due_at"),
        "notice_choices": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "manning": Rule(Kind.SETTINGS, Ending.CHOSEN),
        "watches": Rule(Kind.WORK, Ending.ONE_ROW, "looked_at"),
        "notices": Rule(Kind.WORK, Ending.NOTICE, "began_at"),
        "acknowledgements": Rule(Kind.WORK, Ending.OVER, "at"),
    },
    Role.GOVERNANCE: _VAULT
    | _PAGES
    | {
        "offered_keys": Rule(Kind.PEOPLE, Ending.CHOSEN, "at"),
        "reports": Rule(Kind.EVIDENCE, Ending.NEWEST, "at"),
    },
}
"""Rules for the tables of a vault, by role."""

REGISTRY: Mapping[str, Rule] = _LOG | {
    "installation": Rule(Kind.SETTINGS, Ending.ONE_ROW),
    "registrations": Rule(Kind.SETTINGS, Ending.CLOSED, "added_at"),
    "databases": Rule(Kind.SETTINGS, Ending.CLOSED),
    "closings": Rule(Kind.EVIDENCE, Ending.CLOSINGS, "begun_at"),
    "moments": Rule(Kind.WORK, Ending.CLOSED),
    "log_pauses": Rule(Kind.LOG, Ending.DONE, "since"),
    "lessees": Rule(Kind.WORK, Ending.OVER),
    "partitions": Rule(Kind.SETTINGS, Ending.ONE_ROW),
}
"""Rules for the tables of the registry."""
