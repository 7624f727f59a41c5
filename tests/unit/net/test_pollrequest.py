"""Interface C, polling: a request is read strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.net.interface_c import PollRequest, decode_poll_request


def test_a_request_survives_the_wire() -> None:
    request = PollRequest(7, 55, ("a", "b"), "c")
    assert decode_poll_request(request.encode()) == request


def test_everything_has_a_default() -> None:
    assert decode_poll_request(b"{}") == PollRequest(0, 0, ())


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"organisation": "0203:b.se"},
        {"after": -1},
        {"after": 1.5},
        {"after": True},
        {"after": "1"},
        {"wait": 1e300},
        {"wait": float("nan")},
        {"taken": "a"},
        {"taken": [1]},
        {"taken": [""]},
        {"taken": ["x" * 129]},
        {"taken": ["\x00"]},
        {"taken": ["\ud800"]},
        {"taken": ["a/b"]},
        {"taken": ["x"] * 201},
        {"past": 1},
        {"past": None},
        {"past": "a/b"},
        {"past": "x" * 129},
    ],
)
def test_another_shape_is_refused_with_a_reason(document: object) -> None:
    with pytest.raises(ValueError, match=r"poll|whole number|item id"):
        decode_poll_request(json.dumps(document).encode())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_with_a_value_error_alone(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_poll_request(b"\xff" + data)
