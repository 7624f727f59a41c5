"""Disposal of conversations: rules of mailboxes, proposals that two agree to, and a record of what went."""
