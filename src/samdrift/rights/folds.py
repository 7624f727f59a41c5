"""The folds of statements that are not about rights and keys: every reader of a record has the same ones."""

from __future__ import annotations

from samdrift.rights.agreementfold import Agreements
from samdrift.rights.record import Further

FOLDS: tuple[Further, ...] = (Agreements.of,)
"""A record that is read without one of them does not hold."""
