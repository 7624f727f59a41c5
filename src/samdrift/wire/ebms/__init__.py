"""ebMS 3.0 headers: user messages, receipts and errors, without any security of their own."""

from samdrift.wire.ebms.build import build_errors, build_receipt, build_user_message
from samdrift.wire.ebms.errors import NOT_SERVICED, Category, EbmsError, EbmsErrorCode, Severity
from samdrift.wire.ebms.parse import message_id_of, parse_user_message
from samdrift.wire.ebms.signals import is_signal, parse_signal
from samdrift.wire.ebms.types import (
    ErrorSignalMessage,
    PartInfo,
    Property,
    ReceiptSignalMessage,
    SignalInfo,
    UserMessage,
    format_time,
    parse_time,
)

__all__ = [
    "NOT_SERVICED",
    "Category",
    "EbmsError",
    "EbmsErrorCode",
    "ErrorSignalMessage",
    "PartInfo",
    "Property",
    "ReceiptSignalMessage",
    "Severity",
    "SignalInfo",
    "UserMessage",
    "build_errors",
    "build_receipt",
    "build_user_message",
    "format_time",
    "is_signal",
    "message_id_of",
    "parse_signal",
    "parse_time",
    "parse_user_message",
]
