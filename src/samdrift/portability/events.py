"""Events of the move of an organisation between suppliers."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class MoveEvent(AuditEvent):
    """A step of an organisation's move."""

    LOG_NAMES_WRITTEN = "log:names:written"
    """The names of the people in the logs were written to a file, encrypted for chosen recipients."""
    ORGANISATION_IMPORT_BEGUN = "org:organisation:import-begun"
    ORGANISATION_IMPORTED = "org:organisation:imported"
