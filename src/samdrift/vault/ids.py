"""Ids of what a vault makes itself."""

from __future__ import annotations

import time
from uuid import UUID

from nacl.utils import random


def new_id() -> str:
    """A UUID that grows with time (RFC 9562, version 7).

    New rows are then neighbours in their index, which stays small in memory and
    in the write-ahead log however long the table grows; 74 bits are random.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(random(10))
    value = milliseconds << 80 | 7 << 76 | (chance >> 62 & 0xFFF) << 64 | 2 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=value))
