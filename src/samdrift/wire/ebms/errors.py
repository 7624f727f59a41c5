"""Error codes of ebMS 3.0 and AS4, one table for everybody who reports or reads one.

Implements ebms3-core 6.7.1 and 6.7.2 and as4-profile 3.1, 3.2 and 3.4; ``DUPLICATE`` is
phase4's own answer to a resend. A code received from a peer that is in no table stays
a plain string in :class:`EbmsError`.

Clauses: transport-profile-as4 2.5 c.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """How bad an error is: a failure ends the exchange, a warning does not (ebms3-core 6.2.6)."""

    FAILURE = "failure"
    WARNING = "warning"


class Category(StrEnum):
    """Which step of the work found an error (ebms3-core 6.2.5)."""

    CONTENT = "Content"
    UNPACKAGING = "Unpackaging"
    PROCESSING = "Processing"
    COMMUNICATION = "Communication"


class EbmsErrorCode(StrEnum):
    """A code with what the standard says of it; its value is the code, ``EBMS:0004``."""

    short_description: str
    severity: Severity
    category: Category

    def __new__(cls, code: str, short_description: str, severity: Severity, category: Category) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.short_description = short_description
        member.severity = severity
        member.category = category
        return member

    VALUE_NOT_RECOGNIZED = "EBMS:0001", "ValueNotRecognized", Severity.FAILURE, Category.CONTENT
    FEATURE_NOT_SUPPORTED = "EBMS:0002", "FeatureNotSupported", Severity.WARNING, Category.CONTENT
    VALUE_INCONSISTENT = "EBMS:0003", "ValueInconsistent", Severity.FAILURE, Category.CONTENT
    OTHER = "EBMS:0004", "Other", Severity.FAILURE, Category.CONTENT
    CONNECTION_FAILURE = "EBMS:0005", "ConnectionFailure", Severity.FAILURE, Category.COMMUNICATION
    EMPTY_CHANNEL = "EBMS:0006", "EmptyMessagePartitionChannel", Severity.WARNING, Category.COMMUNICATION
    MIME_INCONSISTENCY = "EBMS:0007", "MimeInconsistency", Severity.FAILURE, Category.UNPACKAGING
    FEATURE_REFUSED = "EBMS:0008", "FeatureNotSupported", Severity.FAILURE, Category.UNPACKAGING
    INVALID_HEADER = "EBMS:0009", "InvalidHeader", Severity.FAILURE, Category.UNPACKAGING
    PROCESSING_MODE_MISMATCH = "EBMS:0010", "ProcessingModeMismatch", Severity.FAILURE, Category.PROCESSING
    EXTERNAL_PAYLOAD = "EBMS:0011", "ExternalPayloadError", Severity.FAILURE, Category.CONTENT
    FAILED_AUTHENTICATION = "EBMS:0101", "FailedAuthentication", Severity.FAILURE, Category.PROCESSING
    FAILED_DECRYPTION = "EBMS:0102", "FailedDecryption", Severity.FAILURE, Category.PROCESSING
    POLICY_NONCOMPLIANCE = "EBMS:0103", "PolicyNoncompliance", Severity.FAILURE, Category.PROCESSING
    DYSFUNCTIONAL_RELIABILITY = (
        "EBMS:0201",
        "DysfunctionalReliability",
        Severity.FAILURE,
        Category.PROCESSING,
    )
    DELIVERY_FAILURE = "EBMS:0202", "DeliveryFailure", Severity.FAILURE, Category.COMMUNICATION
    MISSING_RECEIPT = "EBMS:0301", "MissingReceipt", Severity.FAILURE, Category.COMMUNICATION
    INVALID_RECEIPT = "EBMS:0302", "InvalidReceipt", Severity.FAILURE, Category.COMMUNICATION
    DECOMPRESSION_FAILURE = "EBMS:0303", "DecompressionFailure", Severity.FAILURE, Category.COMMUNICATION
    DUPLICATE = "EBMS:4001", "Duplicate", Severity.FAILURE, Category.PROCESSING


_BY_CODE = {str(member): member for member in EbmsErrorCode}


def error_code(code: str) -> EbmsErrorCode | str:
    """The member of the table for ``code``, or the string itself when the table has none."""
    return _BY_CODE.get(code, code)


@dataclass(frozen=True, slots=True)
class EbmsError:
    """One ``eb:Error``, ours or a peer's.

    ``code`` is an :class:`EbmsErrorCode` where the table knows it, else the peer's string.
    ``detail`` and ``description`` of a peer are its own words: show them to the operator,
    act on ``code`` alone.
    """

    code: EbmsErrorCode | str
    severity: Severity
    short_description: str
    detail: str
    description: str = ""
    ref_to_message_id: str | None = None
    category: str = ""

    @classmethod
    def of(cls, code: EbmsErrorCode, detail: str, ref_to_message_id: str | None = None) -> Self:
        """An error of ours, with the table's severity, category and short description."""
        return cls(
            code=code,
            severity=code.severity,
            short_description=code.short_description,
            detail=detail,
            ref_to_message_id=ref_to_message_id,
            category=code.category,
        )


NOT_SERVICED = "NOT_SERVICED"
"""``ErrorDetail`` of the answer to a receiver that is not served (transport-profile-as4 2.5 c)."""
