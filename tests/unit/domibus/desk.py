"""An adapter connected to a stand-in for Domibus, with a message service's vault that a test fills."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from samdrift.contracts.transfer import UnderWay
from samdrift.domibus import DomibusAccessPoint, DomibusSettings, Login, Plugin
from samdrift.net.client import http_client
from samdrift.net.server import listening_socket, serving
from samdrift.wire.envelope import EnvelopeHeader, seal
from samdrift.wire.identifiers import FEDERATION_TEST, NO_PROCESS, SDK_MESSAGE_BASE, ParticipantIdentifier
from tests.domibus.standin import Domibus, Waiting

US, THEM, OTHERS = (ParticipantIdentifier(f"0203:{name}.se") for name in ("habo", "mullsjo", "nassjo"))
DOMAIN = "meddelanden.habo.se"
PARTY = "AP0007-SDK-TEST"
_PASSWORD = "Ett lösenord"


def standin(**changes: Any) -> Domibus:
    return Domibus(PARTY, {"habo": (_PASSWORD, US.value)}, **changes)


def envelope(
    envelope_id: str, sender: ParticipantIdentifier = US, payload: bytes = b'<a xmlns="urn:x"/>'
) -> bytes:
    """Return an envelope to the other organisation."""
    header = EnvelopeHeader(
        id=envelope_id,
        created=datetime.now(UTC),
        sender=sender,
        recipient=THEM,
        document=SDK_MESSAGE_BASE,
        process=NO_PROCESS,
        federation=FEDERATION_TEST,
        document_type_code="Q{urn:x}a",
        content_type_code="application/xml",
        handling_service_id=None,
        encrypted=False,
    )
    return seal(header, payload, signer=None, recipient=None, rng=os.urandom)


def incoming(message_id: str = "", recipient: ParticipantIdentifier = US, data: bytes = b"<xhe/>") -> Waiting:
    """Return a message that has arrived at the Domibus."""
    return Waiting(
        message_id or f"{uuid4()}@peer.example",
        "c-1",
        "AP0009-SDK-TEST",
        SDK_MESSAGE_BASE.action,
        THEM.value,
        recipient.value,
        data,
    )


@dataclass
class Desk:
    """The adapter and its surroundings."""

    access_point: DomibusAccessPoint
    domibus: Domibus
    password_file: Path
    known: list[UnderWay] = field(default_factory=list)
    """Transfers that are under way according to the vault."""
    asked: int = 0
    """Number of times that the vault was asked."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def under_way(self) -> Sequence[UnderWay]:
        self.asked += 1
        return list(self.known)

    async def submits(self, envelope_id: str = "") -> str:
        """Submit an envelope; return its id in Domibus."""
        envelope_id = envelope_id or str(uuid4())
        submission = await self.access_point.submit(envelope_id, "c-1", envelope(envelope_id))
        self.known.append(UnderWay(envelope_id, wait_reported=False))
        return submission.transfer_id

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)


@asynccontextmanager
async def desk(folder: Path, domibus: Any = None, seconds: float = 10.0) -> AsyncIterator[Desk]:
    """Serve the stand-in, or any other application, and connect the adapter to it."""
    domibus = domibus or standin()
    password_file = folder / "password"
    password_file.write_text(f"{_PASSWORD}\n", "utf-8")
    socket = listening_socket("127.0.0.1")
    url = f"http://127.0.0.1:{socket.getsockname()[1]}/domibus/services/wsplugin"
    async with serving(domibus, socket), http_client(public_only=False, seconds=seconds) as client:
        plugin = Plugin(client, url, Login("habo", password_file))
        settings = DomibusSettings(US, PARTY, DOMAIN, 0.02)
        found: Desk
        access_point = DomibusAccessPoint(settings, plugin, lambda: found.under_way(), lambda: found.now)
        found = Desk(access_point, domibus, password_file)
        yield found
