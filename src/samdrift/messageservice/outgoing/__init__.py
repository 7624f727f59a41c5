"""Outgoing messages and receipts: composed, sealed and submitted."""
