"""A message service in a process of its own, which sends messages as requested on standard input.

Run by :mod:`bench.large_exchange` with a configuration file. It prints ``ready``; for
each number of bytes that it reads it sends a message with an attachment of that
size, and prints the seconds that passed until the message receipt was back.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from samdrift.config.reader import load
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import AGENCY, HABO
from samdrift.demo.scenario import Party
from samdrift.installation.loop import run
from samdrift.installation.operator import running
from samdrift.messageservice.outgoing.compose import Attachment, Draft, compose
from samdrift.processes.confinement import give_large_pieces_back
from samdrift.wire.sdkmessage import SdkMessage

_LOOK_EVERY = 0.05


async def _serve(config_file: Path) -> None:
    async with running(load(config_file), frozenset({Role.MESSAGE_SERVICE})) as operator:
        sender = Party(operator, HABO.address)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            message = _message(sender, int(line))
            started = time.monotonic()
            await operator.messages.send(sender.principal, sender.organisation, message)
            sent = message.message_id
            del message  # A client that has its response no longer keeps the message.
            await _accepted(sender, sent)
            print(time.monotonic() - started, flush=True)


def _message(sender: Party, size: int) -> SdkMessage:
    attachment = Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(size))
    draft = Draft("Prov", "Ett meddelande.", (attachment,))
    return compose(draft, sender.address, AGENCY.address, message_id=str(uuid.uuid4()), at=datetime.now(UTC))


async def _accepted(sender: Party, message_id: str) -> None:
    service = sender.operator.messages
    who = sender.principal, sender.organisation
    while (known := await service.status(*who, message_id, Direction.OUT)) is not None:
        status, events = known
        if status.final:
            if status is not MessageStatus.ACCEPTED:
                raise RuntimeError(f"an exchange ended as {status.value}: {events[0]}")
            return
        await asyncio.sleep(_LOOK_EVERY)


if __name__ == "__main__":
    give_large_pieces_back()
    run(_serve(Path(sys.argv[1])))
