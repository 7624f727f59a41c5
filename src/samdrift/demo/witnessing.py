"""Witnesses of the demonstration: each operator runs one for the other's logs, and all logs are verified.

The witness is the one of `samdrift witness serve`. The verification works as it would for a stranger who
trusts neither operator: over the network, with the organisation's own policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from socket import socket

from samdrift.audit.merkle import Frontier
from samdrift.audit.notes import VerifierKey
from samdrift.audit.operations import unexpected
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed, Unverified
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.cast import DemoOperator
from samdrift.demo.scenario import DemoFailed
from samdrift.installation.logkeeping import OPERATORS, LogKeeper, Policies, witness_caller
from samdrift.installation.logturns import LogPlace
from samdrift.installation.operator import Operator
from samdrift.installation.witnesses import opened
from samdrift.net.addresses import any_address
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.transparency.following import LogAddress, LogCopy, follow
from samdrift.transparency.witness import application
from samdrift.vault.gate import Gate
from samdrift.vault.logtree import TreeState
from samdrift.vault.messageservice import MessageServiceVault

POLICY = "witnesses.policy"
"""The file in an operator's folder with the witness of its logs, which the other operator runs."""
_HOST = "127.0.0.1"
_PAGE = 500
_TRIES = 10
_PAUSE = 0.5
"""Seconds between two attempts to have a log witnessed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that was verified as a stranger would verify it."""

    whose: str
    entries: int
    witness: str


@dataclass(slots=True)
class DemoWitness:
    """The witness that an operator runs, with the address at which it will answer."""

    folder: Path
    name: str
    sock: socket
    key: VerifierKey
    logs: dict[str, list[VerifierKey]] = field(default_factory=dict)

    @classmethod
    def of(cls, operator: DemoOperator, folder: Path) -> DemoWitness:
        """Create the witness's key, or load the existing one."""
        name = f"witness.{operator.folder}.samdrift.test/1"
        sock = listening_socket(_HOST)
        sock.listen()  # Queue connections of operators that start before the witness serves.
        with opened(folder / "witness", name, {}) as made:
            return cls(folder / "witness", name, sock, made.key)

    def write_policy(self, folder: Path) -> None:
        """Write a policy that has this witness cosign the logs of the operator in ``folder``."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        address = f"http://{_HOST}:{self.sock.getsockname()[1]}"
        (folder / POLICY).write_text(f"witness other {self.key} {address}\nquorum other\n")

    async def enter(self, operator: Operator) -> None:
        """Register the logs of an operator, with the key that each announces."""
        for place in logs_of(operator.gate):
            state = await _sign(operator.gate, place)
            if state.key is None:
                state = await _sign(operator.gate, place)
            self.logs[state.origin] = [VerifierKey.parse(str(state.key))]

    async def serve(self, stack: AsyncExitStack) -> None:
        """Answer requests until ``stack`` ends."""
        witness = stack.enter_context(opened(self.folder, self.name, self.logs))
        app = application(witness, unexpected("the witness"))
        await stack.enter_async_context(serving(app, self.sock, per_address=0))


def logs_of(gate: Gate) -> tuple[LogPlace, ...]:
    """Return the logs of an operator: its own, and those of its organisations."""
    return (OPERATORS, *(LogPlace(one.organisation, one.role) for one in gate.registry.all()))


class NotYetWitnessed(DemoFailed):
    """A log has entries that are not witnessed yet."""


async def prove_logs(operators: Sequence[tuple[Config, Operator, DemoWitness]]) -> list[Verified]:
    """Have every log witnessed, and verify each as a stranger: by its key, the witness and the quorum."""
    found: list[Verified] = []
    for config, operator, witness in operators:
        cadence = timedelta(seconds=config.logs.checkpoint_seconds)
        async with witness_caller(config) as caller:
            keeper = LogKeeper(operator.gate, Policies(config).of, caller, system_clock, cadence)
            found += [
                await _proved(keeper, config, operator.gate, place, witness)
                for place in logs_of(operator.gate)
            ]
    return found


async def _proved(
    keeper: LogKeeper, config: Config, gate: Gate, place: LogPlace, witness: DemoWitness
) -> Verified:
    """Verify one log up to its current size, retrying while it grows or its witness is busy."""
    for _ in range(_TRIES - 1):
        state = await keeper.round(place)
        with contextlib.suppress(NotYetWitnessed):
            return await _verified(config, gate, place, state, witness)
        await asyncio.sleep(_PAUSE)
    return await _verified(config, gate, place, await keeper.round(place), witness)


async def _verified(
    config: Config, gate: Gate, place: LogPlace, state: TreeState, witness: DemoWitness
) -> Verified:
    policy = Policy.parse(f"log {state.key}\nwitness other {witness.key}\nquorum other\n".encode())
    whose = "the operator" if place.organisation is None else f"{place.organisation.value} {place.role}"
    try:
        if place.organisation is None:
            size = await _operators(gate, policy)
        else:
            size = await _followed(config, gate, place, policy)
    except (Explained, Malformed, Unverified) as fault:
        raise DemoFailed(f"the log of {whose} does not hold: {fault}") from None
    if size < state.size:
        raise NotYetWitnessed(f"the log of {whose} has {state.size} entries, of which {size} are witnessed")
    return Verified(f"{whose} at {_party(config)}", size, witness.name)


async def _followed(config: Config, gate: Gate, place: LogPlace, policy: Policy) -> int:
    """Verify a log from its first entry on, over interface C; return its verified size."""
    assert place.organisation is not None
    async with gate.open(
        workers.DEMONSTRATION, place.organisation, Role.MESSAGE_SERVICE, Purpose.TRACE
    ) as vault:
        assert isinstance(vault, MessageServiceVault)
        file, password = vault.tls_client()()
    (own,) = [one for one in config.organisations if one.identifier == place.organisation]
    tls = client_tls(TlsIdentity(file, password=password), config.inner_issuers)
    address = f"{own.access_point}/c/v1/logs/{place.role}"
    with tempfile.TemporaryDirectory() as folder, LogCopy(Path(folder) / "copy") as copy:
        async with EnteredAddressClient(any_address, tls) as client:
            followed = await follow(LogAddress(client, address), policy, copy)
    return followed.checkpoint.checkpoint.size


async def _operators(gate: Gate, policy: Policy) -> int:
    """Verify the operator's own log, which no other party follows, by hashing it from its first entry on."""
    signed = policy.open(await gate.operator_tree().published() or b"").checkpoint
    edge, after = Frontier(), 0
    while edge.size < signed.size:
        page = await gate.read_operator_log(after, _PAGE)
        leaves = [one.leaf.hash for one in page if one.leaf is not None]
        edge.extend(leaves[: signed.size - edge.size])
        after = page[-1].sequence
    if edge.root() != signed.root:
        raise Unverified("its entries do not lead to the root that is signed")
    return signed.size


async def _sign(gate: Gate, place: LogPlace) -> TreeState:
    if place.organisation is None or place.role is None:
        return await gate.operator_tree().sign(system_clock())
    async with gate.open(workers.DEMONSTRATION, place.organisation, place.role, Purpose.MAINTAIN) as vault:
        return await vault.tree.sign(system_clock())


def _party(config: Config) -> str:
    return "" if config.access_point is None else config.access_point.party
