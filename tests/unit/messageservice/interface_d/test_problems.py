"""api-mt-mk, Felhantering: the answers to requests that are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from samdrift.messageservice.interface_d.problems import Refused, bad_request, broken


@pytest.mark.parametrize("known", [True, False])
def test_every_issue_of_a_400_has_its_time_and_what_it_is_about(known: bool) -> None:
    """Clauses: api-mt-mk event sentence 1."""
    message_id = str(uuid4()) if known else None
    refused = Refused([broken("label is missing", "/data/attributes/label")] * 2, message_id)
    answer = json.loads(bytes(bad_request(refused).body))
    scheme, kind, about = answer["instance"].split(":")
    assert (scheme, kind) == ("urn", "uuid")
    assert UUID(about)
    assert not known or about == message_id
    assert len(answer["eventIssues"]) == 3
    for issue in answer["eventIssues"]:
        assert issue["instance"] == answer["instance"]
        assert abs(datetime.now(UTC) - datetime.fromisoformat(issue["dateTime"])) < timedelta(minutes=1)


def test_two_answers_about_no_message_can_be_told_apart() -> None:
    first, second = (json.loads(bytes(bad_request(Refused([])).body))["instance"] for _ in range(2))
    assert first != second
