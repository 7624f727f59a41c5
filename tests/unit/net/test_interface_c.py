"""Interface C: what one side writes the other reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from samdrift.contracts.transfer import InboxItem, Poll, TransferEvent, TransferReason, TransferState
from samdrift.net.interface_c import decode_poll, encode_poll

AT = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_poll_survives_the_wire() -> None:
    poll = Poll(
        (
            TransferEvent(
                7,
                AT,
                "e",
                "t",
                "m@x",
                TransferState.FAILED,
                TransferReason.NOT_SERVICED,
                "EBMS:0004 NOT_SERVICED",
            ),
        ),
        (InboxItem("i", "e", "0203:a.se", "0203:b.se", "doc", "c", "m@x", "AP0001-SDK-TEST", AT, 12345),),
    )
    assert decode_poll(json.loads(json.dumps(encode_poll(poll)))) == poll
