"""The folds of statements that are not about rights and keys: every reader of a record has the same ones."""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.rights.agreementfold import Agreements
from samdrift.rights.consentfold import Consents
from samdrift.rights.groupfold import Groups
from samdrift.rights.incidentfold import Incidents
from samdrift.rights.record import Further, Record
from samdrift.rights.settlingfold import Settlement

FOLDS: tuple[Further, ...] = (Agreements.of, Consents.of, Settlement.of, Incidents, Groups.of)
"""A record that is read without one of them does not hold."""


def read_record(organisation: str, contents: Iterable[bytes]) -> tuple[Record, Agreements]:
    """Return the verified record that signed statements make, and the agreements in it.

    :class:`~samdrift.rights.record.Broken` names the first statement at fault; a statement that this program
    does not understand ends the record, which then says so.
    """
    record = Record.of(organisation, contents, FOLDS)
    return record, next(each for each in record.folds if isinstance(each, Agreements))
