"""Notices by mail without content, hours in which mailboxes are manned, and mailboxes that lie unread."""
