"""Samdrift: SDK access point, message service and message client for many organisations."""

__version__ = "0.1.0"
