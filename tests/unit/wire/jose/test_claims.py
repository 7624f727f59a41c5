"""Claims of a token with a valid signature: missing or mistyped ones are refused, never guessed."""

from __future__ import annotations

import pytest

from samdrift.wire.jose.jwt import Claims, JwtInvalid


def test_a_text_is_read_and_may_be_left_out_where_it_is_optional() -> None:
    claims = Claims({"sub": "kim"})
    assert claims.text("sub") == claims.optional_text("sub") == "kim"
    assert claims.optional_text("scope") == ""


@pytest.mark.parametrize("value", ["", None, 7, ["kim"], {"name": "kim"}], ids=str)
def test_a_claim_that_is_empty_or_not_a_text_is_refused(value: object) -> None:
    """An empty subject could stand for anyone."""
    for read in (Claims({"sub": value}).text, Claims({"sub": value}).optional_text):
        with pytest.raises(JwtInvalid, match="the claim sub is missing or is not a text"):
            read("sub")
    with pytest.raises(JwtInvalid):
        Claims({}).text("sub")
