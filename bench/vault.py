"""Cost of an opening of a vault: CPU of this process and of PostgreSQL together, also with a backlog.

Run with ``python -m bench.vault``. The database is embedded, in a temporary
folder, and as durable as in operation.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psutil
import uvloop

from bench.measure import Row, reported
from samdrift.accesspoint.events import APEvent
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import Body
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from samdrift.vault.records import IncomingEnvelope, OutgoingEnvelope
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED, ParticipantIdentifier

_HABO = ParticipantIdentifier("0203:habo.se")
_MULLSJO = ParticipantIdentifier("0203:mullsjo.se")
_WORKER = Principal(PrincipalKind.WORKER, "bench")
_LEASE = timedelta(minutes=5)
_ENVELOPE = os.urandom(10_000)
_ROUNDS, _REPEATS, _WARM_UP = 7, 200, 100
_TAKEN = 100
_BACKLOGS = (1_000, 100_000)

Operation = Callable[[AccessPointVault], Awaitable[None]]


def rows() -> list[Row]:
    """Measure milliseconds of CPU per opening, and claims per second with a small and a large backlog."""
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        return uvloop.run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    settings = VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"bench"
    )
    async with _gate(settings) as gate:
        server = psutil.Process(int((folder / "database/data/postmaster.pid").read_text().split()[0]))
        operations = {
            "read": _read,
            "submit 10 kB": _submit,
            "accept 10 kB": _accept,
            "claim and deliver": _deliver,
        }
        found = [await _cost(gate, server, name, work) for name, work in operations.items()]
        return [*found, *[await _backlog(gate, size) for size in _BACKLOGS]]


@asynccontextmanager
async def _gate(settings: VaultSettings) -> AsyncIterator[Gate]:
    provisioner = await Provisioner.connect(settings)
    await provisioner.install()
    await provisioner.add_organisation(_HABO, [Role.ACCESS_POINT])
    gate = await Gate.start(settings)
    try:
        yield gate
    finally:
        await gate.close()
        await provisioner.close()


async def _cost(gate: Gate, server: psutil.Process, name: str, work: Operation) -> Row:
    """Measure the CPU per opening with ``work`` in it, of this process and the server, in rounds."""
    await _repeat(gate, work, _WARM_UP)
    costs = []
    for _ in range(_ROUNDS):
        before = time.process_time() + _cpu(server)
        await _repeat(gate, work, _REPEATS)
        costs.append((time.process_time() + _cpu(server) - before) / _REPEATS * 1000)
    return reported(f"opening: {name}", costs, "ms CPU, Python and PostgreSQL")


async def _repeat(gate: Gate, work: Operation, times: int) -> None:
    for _ in range(times):
        async with gate.open(_WORKER, _HABO, Role.ACCESS_POINT, Purpose.PROCESS) as vault:
            await work(vault)


def _cpu(server: psutil.Process) -> float:
    """Return the seconds of CPU that the server's processes have used."""
    return sum(
        times.user + times.system for times in (each.cpu_times() for each in (server, *server.children()))
    )


async def _read(vault: AccessPointVault) -> None:
    await vault.inbox(1)


async def _submit(vault: AccessPointVault) -> None:
    now = datetime.now(UTC)
    envelope = _outgoing()
    await vault.submit(envelope, await _body(vault), as4_message_id="a@b", now=now, lease=_LEASE)
    vault.record(
        APEvent.AP_TRANSFER_QUEUED, envelope=envelope.envelope_id, conversation=envelope.conversation_id
    )


async def _accept(vault: AccessPointVault) -> None:
    item = IncomingEnvelope(
        f"{uuid4()}@peer", str(uuid4()), str(uuid4()), _MULLSJO.value, _HABO.value,
        SDK_MESSAGE_EXTENDED.value, "AP0002-SDK-TEST", "00" * 32,
    )  # fmt: skip
    await vault.accept(item, await _body(vault), bytes(4_000), now=datetime.now(UTC))
    vault.record(APEvent.AP_ENVELOPE_RECEIVED, envelope=item.envelope_id, as4=item.as4_message_id)


async def _deliver(vault: AccessPointVault) -> None:
    """Deliver the transfers that earlier submissions left in the queue."""
    now = datetime.now(UTC)
    (transfer,) = await vault.claim_transfers(now=now + _LEASE, lease=_LEASE, limit=1)
    await vault.delivered(transfer.id, now=now, receipt=bytes(4_000), peer="AP0002-SDK-TEST")
    vault.record(APEvent.AP_TRANSFER_DELIVERED, envelope=transfer.envelope.envelope_id)


async def _backlog(gate: Gate, size: int) -> Row:
    """Measure transfers claimed, postponed and delivered per second while ``size`` wait."""
    now = datetime.now(UTC)
    async with gate.open(_WORKER, _HABO, Role.ACCESS_POINT, Purpose.PROCESS) as vault:
        body = await _body(vault)
        for _ in range(size):
            await vault.submit(_outgoing(), _copy(body), as4_message_id="a@b", now=now, lease=None)
    rates = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        await _repeat(gate, _deliver, _TAKEN)
        rates.append(_TAKEN / (time.perf_counter() - start))
    return reported(f"backlog of {size}", rates, "claimed and delivered per second")


def _outgoing() -> OutgoingEnvelope:
    return OutgoingEnvelope(str(uuid4()), str(uuid4()), _HABO, _MULLSJO, SDK_MESSAGE_EXTENDED, NO_PROCESS)


async def _body(vault: AccessPointVault) -> Body:
    writer = vault.new_body(digested=True)
    await writer.write(_ENVELOPE)
    return await writer.finish()


def _copy(body: Body) -> Body:
    """Return another body with the same stream, which will never be opened."""
    return Body(str(uuid4()), body.size, body.sha256, b"", body.shelf)


if __name__ == "__main__":
    for row in rows():
        spread = row.work_spread
        print(f"{row.name:<28} {row.work:8.3f} ({spread.minimum:.3f} to {spread.maximum:.3f}) {row.unit}")
