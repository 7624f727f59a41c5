"""Events of governance."""

from __future__ import annotations

from samdrift.audit.events import AuditEvent


class GovEvent(AuditEvent):
    """An event that governance writes."""

    STATEMENT_REFUSED = "gov:statement:refused"
    """A statement was not accepted, and why: its signature, its place, or what it would have done.

    ``counted_back`` is the key whose authenticator has counted less than before. Older entries have it as
    ``item``.
    """
    PAGE_SHOWN = "gov:page:shown"
    """A person saw a page of governance, or posted its form."""
    PAGE_REFUSED = "gov:page:refused"
    """A person asked for a page of governance that is not for their role."""
    KEY_OFFERED = "gov:key:offered"
    """A person offers a key that was made in their browser; it opens nothing until it is enrolled."""
    PERSON_PROVED = "gov:person:proved"
    """A person proved by a key of the record to be the one whom it names so."""
    REPORT_KEPT = "gov:report:kept"
    """A report about compliance was made, and is shown on the pages."""
    GROUP_KEPT = "gov:group:kept"
    """A reading of a directory left a group as it was, and why: there was no list, or one of too few."""
