"""Authorisation at interface D by access tokens: our own authorisation server, and others (api-mt-mk 5)."""
