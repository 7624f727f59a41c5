"""Proxies in front of Samdrift: the examples that we ship, run by the real programs."""
