"""Why an organisation cannot be moved. Texts name files and parts of an export, and nothing that is in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from samdrift.config.errors import Unusable


class MoveFault(StrEnum):
    """The kind of fault."""

    RECIPIENT = "recipient"
    """The given recipient or key cannot be used."""
    OTHER_RECIPIENT = "other-recipient"
    """The file was encrypted for another recipient."""
    NOT_AN_EXPORT = "not-an-export"
    DAMAGED = "damaged"
    """The file ends too early, or what is in it is not what was put there."""
    VERSION = "version"
    SIGNATURE = "signature"
    OTHER_SIGNER = "other-signer"
    OTHER_EXPORT = "other-export"
    """The export is not the one that was named: an older one, perhaps."""
    OTHER_ORGANISATION = "other-organisation"
    """The export is of another organisation than the one that is to arrive, or acts for one."""
    CHAIN = "chain"
    """A log is not whole."""
    NOT_HOSTED = "not-hosted"
    OCCUPIED = "occupied"
    """The vault has something else."""
    NOT_SUSPENDED = "not-suspended"
    """The former supplier may still act for the organisation."""
    TARGET = "target"
    """The file that is to be written is there, or is being written."""


class MoveError(Unusable):
    """One line for the person who moves the organisation: what is wrong, where, and what to do."""

    def __init__(self, fault: MoveFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault

    @classmethod
    def of_evidence(cls) -> Self:
        """Return the error for a file that is not evidence about a message."""
        return cls(MoveFault.NOT_AN_EXPORT, "the file holds something else than evidence about a message")
