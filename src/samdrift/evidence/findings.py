"""Findings of the verification of evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    what: str
    holds: bool
    why: str = ""
