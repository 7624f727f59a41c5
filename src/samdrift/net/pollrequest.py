"""What a message service asks for when it polls interface C."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

_MOST_TAKEN = 200
_ITEM_ID = re.compile(r"[0-9A-Za-z-]{1,128}")


@dataclass(frozen=True, slots=True)
class PollRequest:
    """Events after a sequence, seconds to wait for news, and the items that are durable with the asker.

    ``past`` is the item after which the inbox begins, empty for all of it.
    """

    after: int
    wait: float
    taken: tuple[str, ...] = ()
    past: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


_MEMBERS = {field.name for field in fields(PollRequest)}


def decode_poll_request(data: bytes) -> PollRequest:
    """Read a poll, strictly; ``ValueError`` says what is wrong with it."""
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("a poll is a JSON document") from None
    if not isinstance(document, dict) or not document.keys() <= _MEMBERS:
        raise ValueError("a poll is a JSON object with after, wait, taken and past")
    return PollRequest(
        _number(document.get("after", 0), "after", 2**62),
        _number(document.get("wait", 0), "wait", 3600),
        _taken(document.get("taken", [])),
        _past(document.get("past", "")),
    )


def _number(value: Any, name: str, most: int) -> int:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not 0 <= value <= most:
        raise ValueError(f"{name} is a whole number from 0 to {most}")
    return int(value)


def _taken(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_TAKEN:
        raise ValueError(f"taken is a list of at most {_MOST_TAKEN} item ids")
    if not all(map(_is_item_id, value)):
        raise ValueError("an item id in taken is not one")
    return tuple(value)


def _past(value: Any) -> str:
    if value != "" and not _is_item_id(value):
        raise ValueError("past is an item id, or empty")
    return str(value)


def _is_item_id(value: Any) -> bool:
    return isinstance(value, str) and _ITEM_ID.fullmatch(value) is not None
