"""Pages about rights: who can read a mailbox, through what, until when; and giving and ending of rights."""

from samdrift.messageclient.assigning.routes import LOCALE, TEMPLATES, rights_routes

__all__ = ["LOCALE", "TEMPLATES", "rights_routes"]
