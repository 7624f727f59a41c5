"""Identifiers of the federation: participants, documents, processes, functional addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from samdrift.wire.errors import WireError, WireFault

PARTICIPANT_SCHEME = "iso6523-actorid-upis"
DOCUMENT_SCHEME = "busdox-docid-qns"
PROCESS_SCHEME = "urn:fdc:digg.se:edelivery:process"
FUNCTIONAL_ADDRESS_ROOT = "urn:riv:infrastructure:messaging:functionalAddress"
FEDERATION_SDK = "urn:fdc:digg.se:edelivery:federation:sdk"
FEDERATION_TEST = "urn:fdc:digg.se:edelivery:federation:test"

_DOMAIN = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE
)
_BY_ICD = {
    "0203": _DOMAIN,
    "0007": re.compile(r"[0-9]{10}"),
    "0088": re.compile(r"[0-9]{13}"),
}
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class ParticipantIdentifier:
    """An organisation in the federation, ``0203:habo.se`` (codes-common 1.4).

    ``value`` is in lower case: identifiers are compared without regard to case, and the SML hashes the
    lower-case form (component-sml, BDXL).
    """

    scheme: ClassVar[str] = PARTICIPANT_SCHEME
    value: str

    @classmethod
    def parse(cls, spelling: str) -> Self:
        """Parse ``ICD:value``; raise :class:`WireError` if the code is unknown or the value malformed."""
        icd, separator, rest = spelling.partition(":")
        form = _BY_ICD.get(icd)
        if not separator or form is None:
            raise WireError(
                WireFault.IDENTIFIER,
                "a participant identifier starts with 0203:, 0007: or 0088:",
                "participant",
            )
        if not form.fullmatch(rest):
            raise WireError(WireFault.IDENTIFIER, f"not a value of code {icd}", "participant")
        return cls(spelling.lower())

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class DocumentIdentifier:
    """A type of message with its transport model, as registered in SMP (codes-common 1.3)."""

    value: str
    scheme: str = DOCUMENT_SCHEME

    @property
    def action(self) -> str:
        """The value of the AS4 ``Action`` (transport-profile-as4 2.3.1 c)."""
        return f"{self.scheme}::{self.value}"

    @property
    def requires_protection(self) -> bool:
        """True if the transport model requires signature and encryption (codes-technical 1.1).

        Clauses: component-accesspoint 3.1.2 a.
        """
        return self.value.endswith("tm-base-ext-sigenc")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ProcessIdentifier:
    """A collaboration process; the federation has one, ``bdx:noprocess`` (codes-common 1.2)."""

    value: str = "bdx:noprocess"
    scheme: str = PROCESS_SCHEME


_SDK = "urn:riv:infrastructure:messaging:MessageWithAttachments:3::messagePayload##3.0"
_RECEIPT = (
    "urn:oasis:names:specification:ubl:schema:xsd:ApplicationResponse-2::ApplicationResponse"
    "##fdc:digg.se:edelivery:messagetype:response:1::2.1"
)
SDK_MESSAGE_EXTENDED = DocumentIdentifier(f"{_SDK}::tm-base-ext-sigenc")
SDK_MESSAGE_BASE = DocumentIdentifier(f"{_SDK}::tm-base")
RECEIPT_EXTENDED = DocumentIdentifier(f"{_RECEIPT}::tm-base-ext-sigenc")
RECEIPT_BASE = DocumentIdentifier(f"{_RECEIPT}::tm-base")
NO_PROCESS = ProcessIdentifier()


def receipt_document_for(message: DocumentIdentifier) -> DocumentIdentifier:
    """Return the receipt type under the transport model of ``message`` (transport-model-extended 3.2 d).

    Clauses: transport-model-base 3.2 c.
    """
    return RECEIPT_EXTENDED if message.requires_protection else RECEIPT_BASE


def is_uuid(value: str) -> bool:
    """Return whether ``value`` is a UUID in the form that messages and envelopes use (RFC 4122)."""
    return _UUID.fullmatch(value) is not None
