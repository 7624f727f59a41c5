"""Proxies in front of Samdrift: the shipped examples, run by the real programs."""
