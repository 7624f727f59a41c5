"""Messages, receipts and an error captured from other vendors' access points, with throw-away keys.

The files are read from ``../shared/captures`` beside the checkout and are never copied into it.
Tests that need them are marked with :data:`requires_captures`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "captures"
requires_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="the captured messages are not at ../shared/captures"
)

DOMIBUS_ERROR = CAPTURES / "domibus/domibus-error-with-fault.xml"
"""The answer of a Domibus 5.1.1 to a message with a ``wsu:Timestamp``: an error and a SOAP Fault."""
DOMIBUS_RECEIPT_CUT_OFF = CAPTURES / "domibus/first-answer.xml"
"""The first 3 000 bytes of a receipt of a Domibus 5.1.1."""
DOMIBUS_MESSAGES = (CAPTURES / "domibus/in-002.mime", CAPTURES / "domibus/in-004.mime")
HOLODECK_MESSAGE = CAPTURES / "holodeck/in-007.mime"
HOLODECK_RECEIPTS = CAPTURES / "holodeck/hb-resp-1.bin"
"""Three answers on one connection, with their HTTP headers and in chunks."""
