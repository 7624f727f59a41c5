"""Processes that keep a log are killed, and no history of it is ever stated beside another."""

from __future__ import annotations

import asyncio
import pickle
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
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
from tests.vaults import NOW, Installation

AP = Role.ACCESS_POINT
COMMAND = (sys.executable, "-m", "tests.unit.installation.logkeeper")
ROOT = Path(__file__).parents[3]


@dataclass
class Watching:
    """A witness over HTTP that remembers every root it was shown, also where it did not answer."""

    witness: Witness
    shown: dict[int, set[bytes]] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    before: int = 0
    """Requests that are answered before the process is killed; the next one is not, or is while it dies."""
    kill: Callable[[], None] = lambda: None
    after: bool = False
    """Kills once the answer is given, and not before."""

    async def ask(self, request: Request) -> Response:
        content = await request.body()
        checkpoint = Checkpoint.parse(Note.parse(WitnessRequest.parse(content).checkpoint).text)
        self.shown.setdefault(checkpoint.size, set()).add(checkpoint.root)
        self.before -= 1
        if self.before == 0 and not self.after:
            self.kill()
        reply = self.witness.add_checkpoint(content)
        if self.before == 0 and self.after:
            self.kill()
        self.statuses.add(reply.status)
        return Response(reply.body, reply.status, media_type=reply.content_type)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        sock = listening_socket("127.0.0.1")
        application = Starlette(routes=[Route("/add-checkpoint", self.ask, methods=["POST"])])
        async with serving(application, sock):
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"


async def killed(given: Path, drawn: random.Random, watching: Watching) -> None:
    """Start a process that keeps the log; kill it as a request of it arrives, is answered, or later."""
    process = await asyncio.create_subprocess_exec(*COMMAND, given, cwd=ROOT)
    later = drawn.randrange(3_000) if drawn.random() < 0.5 else 0

    def kill() -> None:
        waiting.append(asyncio.create_task(_after(later, process)))

    waiting: list[asyncio.Task[None]] = []
    watching.before, watching.after, watching.kill = drawn.randrange(1, 7), drawn.random() < 0.5, kill
    assert await process.wait() == -signal.SIGKILL
    await asyncio.gather(*waiting)


async def _after(turns: int, process: asyncio.subprocess.Process) -> None:
    """Kill after so many turns of the event loop: some moments of the process, however fast it is."""
    for _ in range(turns):
        await asyncio.sleep(0)
    process.kill()


@soak
async def test_a_kill_at_any_moment_leaves_one_root_for_one_size(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> None:
    """Between entry, tile, checkpoint and cosignature: what comes next continues all that was ever shown."""
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
            for _ in range(count(2, 1_000)):
                await killed(given, drawn, watching)
    assert all(len(roots) == 1 for roots in watching.shown.values())
    assert watching.statuses <= {200, 409}, "409 only names the size of a cosignature that was not kept"
    async with installation.open(organisation, AP) as vault:
        assert (await vault.tree.state()).refusal is None
    database = await superuser(installation)
    schema = (await vault_login(installation, organisation, AP)).schema
    for size, root in database.rows(f"SELECT size, root FROM {schema}.log_checkpoints"):
        assert watching.shown.get(size, {root}) == {root}
