"""Notices by mail without content, hours in which mailboxes are manned, and mailboxes that lie unread."""

from samdrift.messageclient.notices.routes import LOCALE, TEMPLATES, notice_routes

__all__ = ["LOCALE", "TEMPLATES", "notice_routes"]
