"""AS4 messages in DIGG's transport profile: bytes to frozen types and back, without I/O.

Sending: :class:`Compressor`, :func:`user_message`, :func:`prepare` (or :func:`pack`). Receiving:
:class:`As4Reader` (or :func:`read_message`), then :func:`build_receipt` or :func:`build_error`. Responses:
:func:`read_response`, :func:`verify_receipt`.
"""

from samdrift.wire.as4.answer import (
    ErrorSignal,
    ReceiptReason,
    ReceiptSignal,
    ReceiptVerdict,
    Response,
    build_error,
    build_receipt,
    read_response,
    verify_receipt,
)
from samdrift.wire.as4.events import (
    As4Fault,
    Complete,
    Event,
    NeedData,
    Payload,
    ReceivedMessage,
    SignedHeader,
    SignerWanted,
)
from samdrift.wire.as4.limits import DEFAULT_LIMITS, As4Limits
from samdrift.wire.as4.reader import As4Reader, read_message
from samdrift.wire.as4.send import PackedMessage, PayloadEncryptor, PreparedMessage, pack, prepare
from samdrift.wire.as4.usermessage import FINAL_RECIPIENT, ORIGINAL_SENDER, new_message_id, user_message
from samdrift.wire.ebms import EbmsError, EbmsErrorCode, PartInfo, Property, UserMessage
from samdrift.wire.gzip import Compressed, Compressor
from samdrift.wire.wssec import SignedReference

__all__ = [
    "DEFAULT_LIMITS",
    "FINAL_RECIPIENT",
    "ORIGINAL_SENDER",
    "As4Fault",
    "As4Limits",
    "As4Reader",
    "Complete",
    "Compressed",
    "Compressor",
    "EbmsError",
    "EbmsErrorCode",
    "ErrorSignal",
    "Event",
    "NeedData",
    "PackedMessage",
    "PartInfo",
    "Payload",
    "PayloadEncryptor",
    "PreparedMessage",
    "Property",
    "ReceiptReason",
    "ReceiptSignal",
    "ReceiptVerdict",
    "ReceivedMessage",
    "Response",
    "SignedHeader",
    "SignedReference",
    "SignerWanted",
    "UserMessage",
    "build_error",
    "build_receipt",
    "new_message_id",
    "pack",
    "prepare",
    "read_message",
    "read_response",
    "user_message",
    "verify_receipt",
]
