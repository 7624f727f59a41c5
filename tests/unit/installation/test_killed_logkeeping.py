"""Processes that keep a log are killed, and never state two histories of it."""

from __future__ import annotations

import asyncio
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.audit.notes import Checkpoint, Note, VerifierKey
from samdrift.audit.proofs import WitnessRequest
from samdrift.contracts.principals import Role
from samdrift.net.server import listening_socket, serving
from samdrift.transparency.witness import Witness
from samdrift.transparency.witnessstate import WitnessState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.sizes import count, seed, soak
from tests.unit.audit.signing import ONE
from tests.unit.installation.logkeeper import POINTS
from tests.vaults import NOW, Installation

AP = Role.ACCESS_POINT
COMMAND = (sys.executable, "-m", "tests.unit.installation.logkeeper")
ROOT = Path(__file__).parents[3]
_SECONDS = 0.3
"""Longest time in seconds before a process is killed, in which it signs some ten checkpoints."""


@dataclass
class Watching:
    """A witness over HTTP that remembers every root it was shown, even if its answer was lost."""

    witness: Witness
    shown: dict[int, set[bytes]] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)

    async def ask(self, request: Request) -> Response:
        content = await request.body()
        checkpoint = Checkpoint.parse(Note.parse(WitnessRequest.parse(content).checkpoint).text)
        self.shown.setdefault(checkpoint.size, set()).add(checkpoint.root)
        reply = self.witness.add_checkpoint(content)
        self.statuses.add(reply.status)
        return Response(reply.body, reply.status, media_type=reply.content_type)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        sock = listening_socket("127.0.0.1")
        application = Starlette(routes=[Route("/add-checkpoint", self.ask, methods=["POST"])])
        async with serving(application, sock):
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"


async def killed(given: Path, moments: Iterable[tuple[str, float]]) -> None:
    """Start a process that keeps the log for each of the moments, and kill it then."""
    forking = await asyncio.create_subprocess_exec(
        *COMMAND, given, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert forking.stdin is not None
    assert forking.stdout is not None
    for point, number in moments:
        forking.stdin.write(f"{number} {point}\n".encode())
        async with asyncio.timeout(120):
            assert int(await forking.stdout.readline()) == -signal.SIGKILL, point
    forking.stdin.close()
    assert not await forking.wait()


def moments(drawn: random.Random, kills: int) -> list[tuple[str, float]]:
    """Draw the moments: half at the points in turn, and half some time after the start."""
    named = [(POINTS[number % len(POINTS)], drawn.randrange(4)) for number in range(kills // 2)]
    timed = [("", drawn.random() * _SECONDS) for _ in range(kills - len(named))]
    found = [*named, *timed]
    drawn.shuffle(found)
    return found


@soak
async def test_a_kill_at_any_moment_leaves_one_root_for_one_size(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    """At entry, tile, checkpoint or cosignature, the log goes on consistently with everything ever shown."""
    drawn = random.Random(seed(41))
    async with installation.open(organisation, AP) as vault:
        await vault.tree.sign(NOW)
        state = await vault.tree.state()
    assert state.key is not None
    logs = {state.origin: [VerifierKey.parse(state.key)]}
    given = tmp_path / "given"
    with WitnessState(tmp_path / "state.sqlite", ONE.key, new=True) as remembered:
        witness = Witness(ONE.key, ONE.private.sign, logs, remembered, lambda: datetime.now(UTC))
        watching = Watching(witness)
        async with watching.running() as address:
            given.write_bytes(pickle.dumps((installation.settings, organisation, address)))
            await killed(given, moments(drawn, count(2 * len(POINTS), 1_000)))
    assert all(len(roots) == 1 for roots in watching.shown.values())
    assert watching.statuses <= {200, 409}, "409 may only follow a cosignature that a kill has lost"
    async with installation.open(organisation, AP) as vault:
        assert (await vault.tree.state()).refusal is None
    database = await superuser(installation)
    schema = (await vault_login(installation, organisation, AP)).schema
    for size, root in database.rows(f"SELECT size, root FROM {schema}.log_checkpoints"):
        assert watching.shown.get(size, {root}) == {root}
