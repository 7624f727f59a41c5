"""The participants of DIGG's test bed, read from a file: who they are, and where a message to them goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from samdrift.config.keys import Key, Tables
from samdrift.config.kinds import PARTICIPANT, TEXT
from samdrift.config.reading import read_table
from samdrift.config.toml import ConfigError, read_file
from samdrift.wire.identifiers import ParticipantIdentifier

NAMES = ("TestAP-01", "TestAP-02", "TestAP-03", "TestAP-04", "TestAP-05")
"""As the text names them (accesspoint-test-cases 3.1): the second has a part in no case."""


@dataclass(frozen=True, slots=True)
class TestParticipant:
    """A participant behind one of the test bed's access points."""

    __test__ = False

    identifier: Annotated[ParticipantIdentifier, Key("Its participant identifier.", PARTICIPANT)]
    address: Annotated[str, Key("Its functional address, which an SDK message names.", TEXT)]
    """The test bed does not look at it."""


_BED = Tables(TestParticipant)


@dataclass(frozen=True, slots=True)
class _File:
    """The file, as it is written."""

    first: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[0])]
    third: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[2])]
    fourth: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[3])]
    fifth: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[4])]
    second: Annotated[TestParticipant | None, Key("A participant in no case.", _BED, name=NAMES[1])] = None
    tested: Annotated[ParticipantIdentifier | None, Key("Our own participant.", PARTICIPANT)] = None


@dataclass(frozen=True, slots=True)
class Participants:
    """The participants of the test bed by name, and ours where the file names it."""

    tested: ParticipantIdentifier | None
    bed: Mapping[str, TestParticipant]


def read_participants(path: Path) -> Participants:
    """Read and check the file, or raise :class:`ConfigError` with all faults."""
    table = read_file(path)
    file: _File = read_table(Tables(_File), table, {})
    table.found.require_no_faults()
    each = (file.first, file.second, file.third, file.fourth, file.fifth)
    bed = {name: one for name, one in zip(NAMES, each, strict=True) if one is not None}
    identifiers = [one.identifier for one in bed.values()]
    if len(set(identifiers)) < len(identifiers):
        raise ConfigError(str(path), "two participants have the same identifier")
    if file.tested in identifiers:
        raise ConfigError("tested", "is a participant of the test bed")
    return Participants(file.tested, bed)
