"""Shared parts of web pages: style, texts, sessions, sign-in and guards. No organisation's data."""
