"""Differences between an answer about another organisation's record and one about a nonexistent record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from samdrift.isolationcheck.calls import unnamed
from samdrift.isolationcheck.canary import nonexistent

PLANTED = nonexistent(datetime(2026, 11, 26, tzinfo=UTC))
ANSWER = b'{"dateTime":"2026-11-26T07:16:56.841Z","instance":"urn:uuid:a769f6fe-5445-42f7-82de-bec15a1854e8"}'


def test_an_answer_differs_by_its_own_time_and_id_alone() -> None:
    later = ANSWER.replace(b"56.841", b"57.002").replace(b"a769f6fe", b"435585ae")
    assert unnamed(ANSWER, PLANTED) == unnamed(later, PLANTED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"urn:uuid:a769f6fe-5445-42f7-82de-bec15a1854e8", b"another organisation's"),
        (b"2026-11-26T07:16:56.841Z", b"when it was read"),
        (b'"instance"', b'"detail"'),
    ],
)
def test_a_value_of_another_shape_or_name_is_compared(old: bytes, new: bytes) -> None:
    assert unnamed(ANSWER, PLANTED) != unnamed(ANSWER.replace(old, new), PLANTED)


def test_an_address_with_the_organisations_identifier_in_it_is_one_name() -> None:
    planted = replace(PLANTED, address=f"sdk.registrator.{PLANTED.organisation.value}")
    assert unnamed(f"{planted.address} is none".encode(), planted) == b"# is none"
