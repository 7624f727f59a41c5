"""A draft in the vault records how it was begun."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from samdrift.messageclient.drafts import draft_content, kind_of
from samdrift.messageclient.mail import DraftContent, DraftKind
from samdrift.vault.mailrecords import DraftRecord


def kept(content: dict[str, object], reply_to: str | None) -> DraftRecord:
    at = datetime(2026, 11, 27, tzinfo=UTC)
    return DraftRecord("d", "box", None, reply_to, None, 1, "open", "anna", at, None, None, None, content)


@pytest.mark.parametrize("kind", DraftKind)
def test_what_a_draft_was_begun_as_is_kept(kind: DraftKind) -> None:
    assert kind_of(kept(draft_content(DraftContent(), kind), "m")) is kind


@pytest.mark.parametrize(("reply_to", "kind"), [(None, DraftKind.NEW), ("m", DraftKind.ANSWER)])
def test_a_draft_from_before_that_was_kept_is_new_or_an_answer(reply_to: str | None, kind: DraftKind) -> None:
    content = draft_content(DraftContent(), DraftKind.AGAIN)
    del content["kind"]
    assert kind_of(kept(content, reply_to)) is kind
