"""The header of an envelope, and the codes in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.xml import Namespace

XHE_VERSION: Final = "1.0"
CUSTOMIZATION: Final = "urn:fdc:digg.se:edelivery:xhe:1"

SDK_DOCUMENT_TYPE: Final = f"Q{{{Namespace.SDK_MESSAGE}}}messagePayload"
RECEIPT_DOCUMENT_TYPE: Final = f"Q{{{Namespace.UBL_RESPONSE}}}ApplicationResponse"
"""Values of DocumentTypeCode for a message and for its receipt (content-specification 3.2)."""
CONTENT_TYPE: Final = "application/xml"
"""The value of ContentTypeCode."""

MAX_VALUE: Final = 4096
"""Maximum number of characters of one value outside the payload."""


class ScopeCode(StrEnum):
    """Type codes of BusinessScopeCriterion, each exactly once in an envelope (codes-technical 1.6).

    Clauses: envelope-profile-xhe 2.1 sentence 1.
    """

    DOCUMENT = "DOCUMENTID"
    DOCUMENT_SCHEME = "DOCUMENTID_SCHEME"
    PROCESS = "PROCESSID"
    PROCESS_SCHEME = "PROCESSID_SCHEME"
    FEDERATION = "FEDERATIONID"


@dataclass(frozen=True, slots=True)
class EnvelopeHeader:
    """Header and payload metadata of an envelope (envelope-profile-xhe 2.1).

    ``id`` is a UUID and also the message's id (content-specification 3.2). ``created`` is aware.
    ``document_type_code`` is the payload's root element as ``Q{namespace}name``. ``handling_service_id`` is
    the recipient's functional address.

    Clauses: transport-model-base 2.10 a.
    """

    id: str
    created: datetime
    sender: ParticipantIdentifier
    recipient: ParticipantIdentifier
    document: DocumentIdentifier
    process: ProcessIdentifier
    federation: str
    document_type_code: str
    content_type_code: str
    handling_service_id: str | None
    encrypted: bool

    @property
    def scope(self) -> tuple[tuple[ScopeCode, str], ...]:
        """The criteria in the order of the syntax mapping, which identify what to look up in SMP."""
        return (
            (ScopeCode.DOCUMENT, self.document.value),
            (ScopeCode.DOCUMENT_SCHEME, self.document.scheme),
            (ScopeCode.PROCESS, self.process.value),
            (ScopeCode.PROCESS_SCHEME, self.process.scheme),
            (ScopeCode.FEDERATION, self.federation),
        )
