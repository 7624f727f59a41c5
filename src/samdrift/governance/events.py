"""Events that governance writes to the organisation's log."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class GovEvent(AuditEvent):
    """An event in the log of governance."""

    STATEMENT_REFUSED = "gov:statement:refused"
    """A statement was refused, with the reason: its signature, its place in the record, or its effect.

    ``counted_back`` is the key whose authenticator reported a lower counter than before. Older entries
    have it as ``item``.
    """
    PAGE_SHOWN = "gov:page:shown"
    """A person saw a page of governance, or submitted its form."""
    PAGE_REFUSED = "gov:page:refused"
    """A person requested a page of governance that their role may not see."""
    KEY_OFFERED = "gov:key:offered"
    """A person offered a key that was made in their browser; it cannot open anything until it is enrolled."""
    PERSON_PROVED = "gov:person:proved"
    """A person proved, with a key in the record, that they are the person to whom the record assigns it."""
    REPORT_KEPT = "gov:report:kept"
    """A compliance report was made and is shown on the pages."""
    GROUP_KEPT = "gov:group:kept"
    """A reading of the directory left a group unchanged, because its list was missing or too short."""
