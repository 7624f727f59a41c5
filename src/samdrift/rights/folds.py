"""The folds of statements that are not about rights and keys, the same for every reader of a record."""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.rights.agreementfold import Agreements
from samdrift.rights.consentfold import Consents
from samdrift.rights.groupfold import Groups
from samdrift.rights.incidentfold import Incidents
from samdrift.rights.record import Further, Record
from samdrift.rights.settlingfold import Settlement

FOLDS: tuple[Further, ...] = (Agreements.of, Consents.of, Settlement.of, Incidents, Groups.of)
"""The folds of a record; one that is read without one of them is not valid."""


def read_record(organisation: str, contents: Iterable[bytes]) -> tuple[Record, Agreements]:
    """Return the verified record of some signed statements, and the agreements in it.

    Raise :class:`~samdrift.rights.record.Broken`, naming the first statement at fault, if the record is
    invalid. A statement that this program does not understand ends the record, and is marked in it.
    """
    record = Record.of(organisation, contents, FOLDS)
    return record, next(each for each in record.folds if isinstance(each, Agreements))
