"""What would keep other organisations waiting is done aside."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.messageservice.aside import aside

HERE = cast(Any, SimpleNamespace(remote=False))
ELSEWHERE = cast(Any, SimpleNamespace(remote=True))


@pytest.mark.parametrize(
    ("size", "keys", "in_the_loop"),
    [
        (1000, (), True),
        (1000, (HERE,), True),
        (1000, (HERE, ELSEWHERE), False),
        (1_000_000, (HERE,), False),
    ],
)
async def test_long_work_and_keys_that_are_elsewhere_leave_the_loop_free(
    size: int, keys: tuple[Any, ...], in_the_loop: bool
) -> None:
    worked_in = await aside(size, threading.current_thread, *keys)
    assert (worked_in is threading.current_thread()) is in_the_loop
