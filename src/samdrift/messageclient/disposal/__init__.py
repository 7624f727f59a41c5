"""Disposal of conversations: rules of mailboxes, proposals that two people approve, and records of each."""
