"""Time as the roles see it, so that tests can set it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]
"""A function that returns the current time, in UTC."""
APART = timedelta(seconds=30)
"""Difference from which on a clock is wrong, to a time server or to the database, which all hosts share."""
