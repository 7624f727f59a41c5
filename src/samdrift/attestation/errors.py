"""Errors of moving an organisation. Their texts name files and parts of an export, but never its content."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from samdrift.config.errors import Unusable


class MoveFault(StrEnum):
    """Reasons for which an organisation cannot be moved."""

    RECIPIENT = "recipient"
    """The given recipient or key cannot be used."""
    OTHER_RECIPIENT = "other-recipient"
    """The file was encrypted for another recipient."""
    NOT_AN_EXPORT = "not-an-export"
    DAMAGED = "damaged"
    """The file ends too early, or its content was changed."""
    VERSION = "version"
    SIGNATURE = "signature"
    OTHER_SIGNER = "other-signer"
    OTHER_EXPORT = "other-export"
    """The export is not the one that was named, but perhaps an older one."""
    OTHER_ORGANISATION = "other-organisation"
    """The export belongs to another organisation than the expected one, or acts in its name."""
    CHAIN = "chain"
    """A log is incomplete or broken."""
    NOT_HOSTED = "not-hosted"
    OCCUPIED = "occupied"
    """The vault is not empty."""
    NOT_SUSPENDED = "not-suspended"
    """The former supplier may still act for the organisation."""
    TARGET = "target"
    """The file to be written exists already, or is being written."""


class MoveError(Unusable):
    """One line for the person who moves the organisation: the fault, its place, and the remedy."""

    def __init__(self, fault: MoveFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault

    @classmethod
    def of_evidence(cls) -> Self:
        """Return the error for a file that is not evidence about a message."""
        return cls(MoveFault.NOT_AN_EXPORT, "the file is not evidence about a message")
