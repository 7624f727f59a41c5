"""Notices by e-mail without content, staffed hours of mailboxes, and mailboxes left unread too long."""
