"""Statements that give, end and review rights, folded for any day, and the decisions based on them. Pure."""

from samdrift.rights.copies import Behind, Contradiction, Copy
from samdrift.rights.deciding import Decision, Request, decide
from samdrift.rights.fields import end_of
from samdrift.rights.folding import Effect, State, fold
from samdrift.rights.statements import (
    ORGANISATION,
    Approved,
    Ended,
    Given,
    NotUnderstood,
    Objected,
    Outcome,
    Reviewed,
    Right,
    Rights,
    Scope,
    Statement,
    StatementError,
    Subject,
    SubjectKind,
    Substitution,
)

__all__ = [
    "ORGANISATION",
    "Approved",
    "Behind",
    "Contradiction",
    "Copy",
    "Decision",
    "Effect",
    "Ended",
    "Given",
    "NotUnderstood",
    "Objected",
    "Outcome",
    "Request",
    "Reviewed",
    "Right",
    "Rights",
    "Scope",
    "State",
    "Statement",
    "StatementError",
    "Subject",
    "SubjectKind",
    "Substitution",
    "decide",
    "end_of",
    "fold",
]
