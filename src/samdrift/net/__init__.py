"""Adapters to the network: HTTP, TLS, DNS, lookups, revocation, and servers. No decisions about content."""
