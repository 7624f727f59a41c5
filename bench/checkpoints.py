"""Cost of checkpoints on idle logs: one round over every log, with another operator's witness.

Measures CPU of this process and of PostgreSQL with its backends, as a share of a core for 1 200 logs at the
default cadence. The witness is `samdrift witness serve` in a process of its own, which is not counted because
another operator runs it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.measure import Row, reported
from samdrift.audit.notes import VerifierKey
from samdrift.audit.policies import Member, Policy
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.installation.logkeeping import LogKeeper
from samdrift.installation.logturns import LogPlace
from samdrift.installation.loop import run
from samdrift.installation.witnesses import opened
from samdrift.net.addresses import any_address
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.server import listening_socket
from samdrift.vault.gate import Gate
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier

_LOGS, _ROUNDS = 40, 12
_WHOLE, _CADENCE = 1200, timedelta(seconds=300)
_BAR = 0.7
_SETTLING = 61.0
"""Seconds after which a changed key store folder is no longer listed at each opening."""
_NAME = "witness.bench/1"
_WORKER = Principal(PrincipalKind.WORKER, "bench")


def rows() -> list[Row]:
    """Measure the percentage of a core that checkpoints of 1 200 idle logs use."""
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        return run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    settings = VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"bench"
    )
    async with AsyncExitStack() as stack:
        provisioner = await Provisioner.connect(settings)
        stack.push_async_callback(provisioner.close)
        await provisioner.install()
        for number in range(_LOGS):
            await provisioner.add_organisation(
                ParticipantIdentifier(f"0203:kommun{number}.se"), [Role.ACCESS_POINT]
            )
        gate = await Gate.start(settings)
        stack.push_async_callback(gate.close)
        places = [
            LogPlace(each, Role.ACCESS_POINT) for each in gate.registry.organisations(Role.ACCESS_POINT)
        ]
        members: tuple[Member, ...] = ()
        client = await stack.enter_async_context(EnteredAddressClient(any_address, plain=True))
        keeper = LogKeeper(gate, lambda _: members, client, system_clock, _CADENCE)
        states = [await keeper.round(place) for _ in range(2) for place in places]
        policy = [f"log {VerifierKey.parse(state.key)}" for state in states[_LOGS:] if state.key]
        members = (_witness(stack, folder / "witness", policy),)
        await asyncio.sleep(_SETTLING)
        shares, servers, used = [], [], _Used(folder)
        for number in range(_ROUNDS + 2):
            own, server = used.own(), used.server()
            for place in places:
                await keeper.round(place)
            if number >= 2:
                own, server = used.own() - own, used.server() - server
                share = 100 * _WHOLE / _LOGS / _CADENCE.total_seconds()
                shares.append((own + server) * share)
                servers.append(server * share)
        for place in places:
            async with gate.open(_WORKER, place.organisation, Role.ACCESS_POINT, Purpose.MAINTAIN) as vault:
                (answer,) = await vault.tree.witnesses()
                assert not answer.fault, answer.fault
        return [
            reported(
                f"{_WHOLE} idle logs, one cadence of {_CADENCE.seconds} s",
                shares,
                unit="% of a core",
                bar=_BAR,
            ),
            reported("of which PostgreSQL", servers, unit="% of a core"),
        ]


def _witness(stack: AsyncExitStack, folder: Path, logs: list[str]) -> Member:
    """Start the witness; return its entry for a policy."""
    with opened(folder, _NAME, {}) as made:
        key = made.key
    with listening_socket("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    file = folder / "logs.policy"
    file.write_text("".join(f"{line}\n" for line in [*logs, "quorum none"]))
    assert Policy.parse(file.read_bytes()).logs
    command = [sys.executable, "-m", "samdrift.cli.main", "witness", "serve", str(folder)]
    command += ["--name", _NAME, "--logs", str(file), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on"):
            break
    return Member(key, f"http://127.0.0.1:{port}")


class _Used:
    """Seconds of CPU of this process and of PostgreSQL with its backends."""

    def __init__(self, folder: Path) -> None:
        (file,) = folder.rglob("postmaster.pid")
        self._server = psutil.Process(int(file.read_text().split()[0]))

    def own(self) -> float:
        return time.process_time()

    def server(self) -> float:
        return sum(map(_ran, [self._server, *self._server.children(recursive=True)]))


def _ran(process: psutil.Process) -> float:
    """Return the CPU time of a process from the scheduler, which counts nanoseconds."""
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0
