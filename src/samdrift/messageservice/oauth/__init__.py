"""Authorisation at interface D by access tokens, of our own authorisation server or others (api-mt-mk 5)."""
