"""The clock that the roles use; tests can set it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]
"""A function that returns the current time, in UTC."""
MAX_DIFFERENCE = timedelta(seconds=30)
"""Difference from a time server, or from the database that all hosts share, that makes a clock wrong."""
