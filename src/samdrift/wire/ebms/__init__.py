"""ebMS 3.0 headers: user messages, receipts and errors, without any security of their own."""

from samdrift.wire.ebms.errors import NOT_SERVICED, Category, EbmsError, EbmsErrorCode, Severity
from samdrift.wire.ebms.types import ErrorSignalMessage, PartInfo, Property, SignalInfo, UserMessage

__all__ = [
    "NOT_SERVICED",
    "Category",
    "EbmsError",
    "EbmsErrorCode",
    "ErrorSignalMessage",
    "PartInfo",
    "Property",
    "Severity",
    "SignalInfo",
    "UserMessage",
]
