"""Disposal of conversations: rules of mailboxes, proposals that a second person approves, and records."""
