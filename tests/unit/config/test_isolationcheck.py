"""The canaries of the isolation check: two different organisations that are hosted here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.config.test_reader import GOOD, write

ONE, OTHER = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")
HOSTED = "".join(
    f'\n[[organisations]]\nidentifier = "{each}"\nname = "K"\nroles = ["ap"]\n' for each in (ONE, OTHER)
)


def read(folder: Path, **values: Any) -> IsolationCheckConfig | None:
    table = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    return load(write(folder, f"{GOOD}{HOSTED}\n[isolation_check]\n{table}\n")).isolation_check


def test_the_canaries_are_read(tmp_path: Path) -> None:
    check = read(tmp_path, canaries=["0203:a.se", "0203:b.se"], tls_issuers="d.pem")
    assert check is not None
    assert check.canaries == (ONE, OTHER)
    assert check.tls_issuers == tmp_path / "d.pem"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "is missing"),
        ({"canaries": "0203:a.se"}, "is not a list"),
        ({"canaries": ["0203:a.se"]}, "two different"),
        ({"canaries": ["0203:a.se", "0203:a.se"]}, "two different"),
        ({"canaries": ["0203:a.se", "nobody"]}, ""),
        ({"canaries": ["0203:a.se", "0203:c.se"]}, "not one of the organisations"),
        ({"canaries": ["0203:a.se", "0203:b.se"], "canary": 1}, "is not a setting"),
    ],
    ids=str,
)
def test_anything_else_is_refused(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **values)
    assert caught.value.where.startswith("isolation_check.")
    assert said in caught.value.text
