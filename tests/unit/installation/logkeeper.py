"""Processes that keep a log, sign it and request cosignatures, each killed at a chosen moment.

One process has imported everything and forks the others, each with its own event loop and
connections, so that a kill costs only the process's work, and not the start of Python.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samdrift.accesspoint.events import APEvent
from samdrift.audit.policies import Member
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.logkeeping import LogKeeper
from samdrift.installation.logturns import LogPlace
from samdrift.net.addresses import any_address
from samdrift.net.client import Fetched, FetchLimits
from samdrift.net.entered import EnteredAddressClient
from samdrift.vault import gate as gates
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.gate import Gate
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.throwawaykeys import cheap_keys
from tests.unit.audit.signing import ONE
from tests.vaults import WORKER

AP = Role.ACCESS_POINT
_STATEMENTS = {
    "keep_checkpoint": "checkpoint",
    "keep_answer": "cosignature",
    "append_log": "entries",
    "COMMIT": "commit",
}
"""Subject of a database round trip, by the first of these in its statement; a checkpoint brings tiles."""
POINTS = (
    *(f"{moment} {what}" for what in _STATEMENTS.values() for moment in ("before", "sent", "after")),
    "before question",
    "after question",
)
"""Moments at which a process can kill itself. "Sent" means that the database has not answered yet."""


@dataclass
class Aim:
    """A point, and the number of times that the process passes it before it kills itself there."""

    point: str
    passes: int

    def at(self, point: str) -> None:
        """Kill this process if this is the chosen moment."""
        if point == self.point:
            self.passes -= 1
            if self.passes < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class AimedSession(Session):
    """A connection on which the process may die before, during and after a round trip."""

    aim: Aim
    what = ""

    async def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        text = " ".join(sql for sql, _ in statements)
        self.what = next((word for name, word in _STATEMENTS.items() if name in text), "")
        self.aim.at(f"before {self.what}")
        rows = await super().run(statements)
        self.aim.at(f"after {self.what}")
        return rows

    async def _flush(self) -> None:
        await super()._flush()
        self.aim.at(f"sent {self.what}")


class AimedClient(EnteredAddressClient):
    """A client with which the process may die before or after a request to the witness."""

    aim: Aim

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        self.aim.at("before question")
        answer = await super().fetch(url, limits, content=content, headers=headers)
        self.aim.at("after question")
        return answer


async def keep(
    settings: VaultSettings, organisation: ParticipantIdentifier, address: str, aim: Aim, ready: int
) -> None:
    """Add to the log and keep it, without end; signal ``ready`` at the start."""
    AimedSession.aim = AimedClient.aim = aim
    setattr(gates, "Session", AimedSession)  # noqa: B010
    gate = await Gate.start(settings)
    member = Member(ONE.key, address)
    async with AimedClient(any_address, plain=True) as caller:
        keeper = LogKeeper(gate, lambda _: (member,), caller, lambda: datetime.now(UTC), timedelta(minutes=1))
        os.write(ready, b".")
        while True:
            for entries in (1, 300, 7):
                async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as vault:
                    for number in range(entries):
                        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))
                await keeper.round(LogPlace(organisation, AP))


def forked(given: tuple[VaultSettings, ParticipantIdentifier, str], point: str, number: float) -> int:
    """Fork a process that keeps the log, wait until it is killed, and return its status.

    It dies when it passes ``point`` for the ``number``-th time or, without a point, ``number`` seconds
    after it began.
    """
    heard, ready = os.pipe()
    child = os.fork()
    if not child:
        with cheap_keys():
            asyncio.run(keep(*given, Aim(point, int(number)), ready))
        os._exit(0)
    os.close(ready)
    if os.read(heard, 1) and not point:
        time.sleep(number)
        os.kill(child, signal.SIGKILL)
    os.close(heard)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(file: Path) -> None:
    """Fork as each line of the standard input asks, and print the outcome of each process."""
    given = pickle.loads(file.read_bytes())
    for line in sys.stdin:
        number, _, point = line.strip().partition(" ")
        print(forked(given, point, float(number)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
