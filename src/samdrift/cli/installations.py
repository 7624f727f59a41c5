"""Configuration files of installations on one machine, read and checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samdrift.config.errors import Unusable, printable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.reader import load
from samdrift.installation.conflicts import Claims, InstallationsConflict, claims_of, require_no_conflicts


@dataclass(frozen=True, slots=True)
class Installation:
    """One of several installations on this machine."""

    name: str
    """Prefix of its log lines: the file's name, if it differs from the others'."""
    file: Path


def read_installations(files: Sequence[Path]) -> tuple[Installation, ...]:
    """Return the installations; :class:`Unusable` for an unusable file or for two that conflict."""
    try:
        require_no_conflicts([_claims(file) for file in files])
    except InstallationsConflict as error:
        raise Unusable(printable(str(error))) from None
    names = [file.stem for file in files]
    distinct = len(set(names)) == len(names)
    return tuple(Installation(file.stem if distinct else shown(file), file.resolve()) for file in files)


def _claims(file: Path) -> Claims:
    try:
        with reported_as_usage_errors():
            return claims_of(load(file), file)
    except Unusable as error:
        text = str(error)
        raise Unusable(text if text.startswith(shown(file)) else f"{shown(file)}: {text}") from None
