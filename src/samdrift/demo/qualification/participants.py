"""The participants of DIGG's test bed, read from a file: who they are, and where a message to them goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samdrift.config.toml import ConfigError, Table, read_file, text
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

NAMES = ("TestAP-01", "TestAP-02", "TestAP-03", "TestAP-04", "TestAP-05")
"""As the text names them (accesspoint-test-cases 3.1): the second has a part in no case."""
_NEEDED = frozenset(NAMES) - {"TestAP-02"}


@dataclass(frozen=True, slots=True)
class TestParticipant:
    """A participant behind one of the test bed's access points."""

    __test__ = False

    identifier: ParticipantIdentifier
    address: str
    """Its functional address, which an SDK message names; the test bed does not look at it."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The participants of the test bed by name, and ours where the file names it."""

    tested: ParticipantIdentifier | None
    bed: Mapping[str, TestParticipant]


def read_participants(path: Path) -> Participants:
    """Read and check the file, or raise :class:`ConfigError`."""
    table = read_file(path)
    tested = table.take("tested", _participant) if "tested" in table else None
    found = {name: _one(table.table(name)) for name in NAMES if name in table or name in _NEEDED}
    table.finish()
    identifiers = [one.identifier for one in found.values()]
    if len(set(identifiers)) < len(identifiers):
        raise ConfigError(str(path), "two participants have the same identifier")
    if tested in identifiers:
        raise ConfigError("tested", "is a participant of the test bed")
    return Participants(tested, found)


def _one(table: Table) -> TestParticipant:
    found = TestParticipant(table.take("identifier", _participant), table.take("address", text))
    table.finish()
    return found


def _participant(value: Any) -> ParticipantIdentifier:
    try:
        return ParticipantIdentifier.parse(text(value))
    except WireError as error:
        raise ValueError(error.text) from None
