"""The canaries of the check of isolation: two different organisations that are hosted here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from samdrift.config.isolationcheck import read_isolation_check
from samdrift.config.toml import ConfigError, Table
from samdrift.wire.identifiers import ParticipantIdentifier

ONE, OTHER = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")


def table(**values: Any) -> Table:
    return Table(values, "isolation_check", Path("/etc/samdrift"))


def test_the_canaries_are_read() -> None:
    read = read_isolation_check(table(canaries=["0203:a.se", "0203:b.se"], tls_issuers="d.pem"), [ONE, OTHER])
    assert read.canaries == (ONE, OTHER)
    assert read.tls_issuers == Path("/etc/samdrift/d.pem")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "is missing"),
        ({"canaries": "0203:a.se"}, "is not a list"),
        ({"canaries": ["0203:a.se"]}, "two different"),
        ({"canaries": ["0203:a.se", "0203:a.se"]}, "two different"),
        ({"canaries": ["0203:a.se", "nobody"]}, ""),
        ({"canaries": ["0203:a.se", "0203:c.se"]}, "none of the organisations"),
        ({"canaries": ["0203:a.se", "0203:b.se"], "canary": 1}, "is not a setting"),
    ],
    ids=str,
)
def test_anything_else_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_isolation_check(table(**values), [ONE, OTHER])
    assert caught.value.where.startswith("isolation_check.")
    assert said in caught.value.text
