"""The message receipt, UBL ApplicationResponse in DIGG's profile (message-receipt 1.0)."""

from samdrift.wire.receipt.build import build
from samdrift.wire.receipt.parse import parse
from samdrift.wire.receipt.rules import validate
from samdrift.wire.receipt.types import MessageReceipt

__all__ = ["MessageReceipt", "build", "parse", "validate"]
