"""Events of an organisation that moves."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class MoveEvent(AuditEvent):
    """A step of an organisation's move."""

    LOG_NAMES_WRITTEN = "log:names:written"
    """The names of the persons in the logs were written, encrypted for a chosen recipient."""
    ORGANISATION_IMPORT_BEGUN = "org:organisation:import-begun"
    ORGANISATION_IMPORTED = "org:organisation:imported"
