"""Ids made by a vault: unique, growing with time, and in the form of a UUID of version 7."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

from samdrift.vault.bodies import new_id


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    before = time.time_ns() // 1_000_000
    made = UUID(new_id())
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_later_ids_are_greater_and_none_comes_twice() -> None:
    first = [new_id() for _ in range(2000)]
    time.sleep(0.002)
    later = [new_id() for _ in range(2000)]
    assert max(first) < min(later)
    assert len({*first, *later}) == 4000
    for bit in range(62):
        assert len({UUID(each).int >> bit & 1 for each in first}) == 2, "every other bit must be random"
