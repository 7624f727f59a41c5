"""Pages about rights: the readers of a mailbox, the source and end of their access, and changes to rights."""

from samdrift.messageclient.assigning.routes import LOCALE, TEMPLATES, rights_routes

__all__ = ["LOCALE", "TEMPLATES", "rights_routes"]
