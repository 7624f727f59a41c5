"""Adapters to the network: HTTP, TLS, DNS, lookups, revocation, servers. No decisions about content."""
