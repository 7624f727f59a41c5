"""Checkpoints of all logs of one process, each signed once per cadence and shown to its witnesses.

Each log has its own moment in the cadence (:mod:`samdrift.installation.logturns`). One that grows after a
cadence of silence is signed immediately, over the connection that wrote the entry. A log without new entries
is neither signed nor read: its witnesses are asked to cosign the same checkpoint again, which shows that it
was silent, and the vault of a log without witnesses is not opened (:mod:`samdrift.vault.growth`), except for
an occasional check in case news of an entry was lost. A failing witness or vault affects only its log;
entries are written whatever happens to the checkpoints.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import failing, unexpected
from samdrift.audit.policies import Member, Policy
from samdrift.audit.reading import Malformed
from samdrift.config.errors import shown
from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.health import Dependency, Note, SharedServices
from samdrift.installation.logturns import LogPlace, LogTurns
from samdrift.installation.replaceable import current_organisations
from samdrift.installation.timestamping import Stamper, stamper
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import HsmUnavailable, KeyFault, KeyStoreError
from samdrift.net.addresses import EnteredAddresses, any_address
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.following import Followed, file_state
from samdrift.scheduling.leases import NotLeased
from samdrift.scheduling.rounds import Looks
from samdrift.transparency.asking import Caller, Cosigned, WitnessRefused, WitnessUnanswered, cosign
from samdrift.vault.gate import Gate
from samdrift.vault.logtree import LogShortened, LogTree, SigningStopped, TreeState
from samdrift.vault.registry import RegistrationState
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.webaddress import web_address

_AT_ONCE = 64
"""Maximum number of logs whose witnesses are awaited at the same time."""
OLDEST_COSIGNATURE = "samdrift_log_oldest_cosignature_seconds"
_UNASKED = 3
"""Cadences without a request after which an unreachable witness is no longer reported by this process."""
_LOOK_SECONDS = 5.0
"""Longest time until logs that are new to this process are noticed."""
_EARLY_SECONDS = 0.002
"""Time by which timers may fire early, added so that one turn does not wake the process twice."""
_BURST_SECONDS = 2.0
"""Time for a burst of entries after a silence to end; the connection that wrote them stays open longer."""
_PAUSES_EVERY = timedelta(minutes=2)
_LOGGER = logging.getLogger("samdrift")


class PolicyUnusable(Explained, ValueError):
    """A policy file that cannot be read; the text names the file and the line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


_Answer = Cosigned | WitnessRefused | WitnessUnanswered
OPERATORS = LogPlace()
"""The operator's own log."""


@dataclass(slots=True)
class LogHealth:
    """The state of this process's logs for the metrics: counts and ages, without names."""

    stopped: set[LogPlace] = field(default_factory=set)
    """Logs whose signing stopped because a witness refused."""
    failures: int = 0
    """Rounds since the start that ended without a checkpoint, except those of locked vaults."""
    witnessed: dict[LogPlace, datetime] = field(default_factory=dict)
    """Last moment at which all witnesses of a log had cosigned; the first attempt if they never have."""

    def forget(self, place: LogPlace) -> None:
        """Forget a log that is no longer signed by this process."""
        self.stopped.discard(place)
        self.witnessed.pop(place, None)


class LogMetrics(Collector):
    """Metrics of logs that are no longer signed, of failed rounds, and of the oldest cosignature."""

    def __init__(self, healths: Sequence[LogHealth] = (), clock: Clock = system_clock) -> None:
        self._healths = healths
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        yield GaugeMetricFamily(
            "samdrift_logs_stopped",
            "Logs of which nothing is signed, since a witness refused or entries that were signed are gone",
            sum(len(each.stopped) for each in self._healths),
        )
        yield CounterMetricFamily(
            "samdrift_log_rounds_failed",
            "Rounds of a log that ended without a checkpoint",
            value=sum(each.failures for each in self._healths),
        )
        times = [time for each in self._healths for time in each.witnessed.values()]
        yield GaugeMetricFamily(
            OLDEST_COSIGNATURE,
            "Time since all witnesses of a log cosigned, of the log where it is longest",
            (self._clock() - min(times)).total_seconds() if times else 0,
        )


def read_policy(file: Path) -> Policy:
    """Read a policy file; :class:`PolicyUnusable` names the faulty line."""
    try:
        return Policy.parse(file.read_bytes())
    except Malformed as fault:
        raise PolicyUnusable(f"{shown(file)}: {fault}") from None
    except OSError as error:
        raise PolicyUnusable(f"{shown(file)}: cannot be read ({type(error).__name__})") from None


class Policies:
    """The witnesses of each log, according to the current policy files."""

    def __init__(self, config: Config) -> None:
        self._organisations = current_organisations(config)
        self._read: Sequence[OrganisationConfig] = ()
        self._chosen: dict[ParticipantIdentifier, Path | None] = {}
        """Policy files chosen by the organisations in ``_read``."""
        self._operators = config.logs.witnesses
        self._followed: dict[Path, Followed[Policy]] = {}

    def of(self, place: LogPlace) -> tuple[Member, ...]:
        """Return the witnesses of a log; :class:`PolicyUnusable` if its file was never readable."""
        file = self._operators if place.organisation is None else self._chosen_by(place.organisation)
        if file is None:
            return ()
        if file not in self._followed:
            name = f"the policy {shown(file)}"
            self._followed[file] = Followed(name, lambda: read_policy(file), lambda: file_state(file))
        return tuple(self._followed[file].current().witnesses.values())

    def _chosen_by(self, organisation: ParticipantIdentifier) -> Path | None:
        organisations = self._organisations()
        if organisations is not self._read:
            self._read, self._chosen = organisations, {one.identifier: one.witnesses for one in organisations}
        return self._chosen.get(organisation)


class LogKeeper:
    """Signs checkpoints of this process's logs, and has witnesses cosign them."""

    def __init__(
        self,
        gate: Gate,
        witnesses: Callable[[LogPlace], Sequence[Member]],
        caller: Caller,
        clock: Clock,
        cadence: timedelta,
        note: Note = lambda *_: None,
        stamper: Stamper | None = None,
    ) -> None:
        """``witnesses`` returns a log's current witnesses; ``stamper`` obtains time stamps.

        ``note`` is notified of witnesses that do not answer, and of each log by name that is not signed or
        not accepted, with the reason; then again when it recovers, and with ``None`` when another process
        signs it.
        """
        self.health = LogHealth()
        self._gate = gate
        self._witnesses = witnesses
        self._caller = caller
        self._clock = clock
        self._cadence = cadence
        self._note = note
        self._stamper = stamper
        self._rounds: set[LogPlace] = set()
        """Logs that have had a round since the start of the process."""
        self._gone: dict[LogPlace, str] = {}
        """Names of the logs that were reported as gone."""
        self._away = SharedServices(Dependency.LOG, note, _UNASKED * cadence)
        """Witnesses that do not answer, whichever log asks them."""
        self._seen: dict[tuple[str, str], int] = {}
        """Size at which a witness last cosigned a log, by the log's name and the witness's key."""
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[LogPlace] = set()
        """Logs with a round in progress."""
        self._unexpected = unexpected("the log")
        self._waits = failing("the log", KeyStoreError, after=0.0)

    async def keep(self, logs: Iterable[LogPlace], roles: Iterable[Role]) -> None:
        """Sign ``logs`` and those of the organisations served here in ``roles``, until cancelled."""
        fixed, served = tuple(logs), tuple(roles)
        registry, growth = self._gate.registry, self._gate.growth
        leases, turns, version = self._gate.leases, LogTurns(self._cadence), (-1, -1)
        growth.sign_here(served)
        once_in_a_while = Looks[LogPlace](self._clock)
        along: list[LogPlace] = []
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(self._hear())
            rounds.create_task(self._go_along(once_in_a_while, along))
            while True:
                now = self._clock().timestamp()
                if registry.version != version:
                    version = registry.version
                    own = [place for place in fixed if leases.holds(place.organisation, place.role)]
                    found = [LogPlace(each, role) for role in served for each in registry.worked_for(role)]
                    once_in_a_while.follow(found)
                    self._follow(turns, (*own, *found), now)
                in_turn = [place for place in turns.due(now) if self._wanted(place)]
                looked_at = [*once_in_a_while.due(), *along]
                for place in dict.fromkeys([*looked_at, *in_turn, *self._early(turns, now)]):
                    turns.opened(place, now)
                    once_in_a_while.looked(place)
                    self._take_growth(place)
                    rounds.create_task(self._in_its_place(place))
                along.clear()
                self._away.forget()
                await asyncio.sleep(turns.wait(now, _LOOK_SECONDS) + _EARLY_SECONDS)

    async def _hear(self) -> None:
        """Note growth that other processes report for vaults whose logs are signed here, until cancelled."""
        async for organisation, role in self._gate.wakeups():
            self._gate.growth.note(organisation, role)

    async def _go_along(self, looks: Looks[LogPlace], along: list[LogPlace]) -> None:
        """Queue logs for a check while their vaults' connections are open anyway, until cancelled."""
        async for organisation, role in self._gate.visits.listen():
            place = LogPlace(organisation, role)
            if looks.along(place):
                along.append(place)

    def _follow(self, turns: LogTurns, places: Iterable[LogPlace], now: float) -> None:
        """Sign these logs from now on, and treat new ones as grown because their state is unknown."""
        new, gone = turns.follow(places, now)
        for place in gone:
            self.health.forget(place)
            self._rounds.discard(place)
            if origin := self._gone.pop(place, ""):
                self._note(Dependency.LOG, origin, None)
            if place.organisation is not None and place.role is not None:
                self._gate.growth.forget(place.organisation, place.role)
        for place in new:
            self._note_growth(place)

    def _note_growth(self, place: LogPlace) -> None:
        if place.organisation is not None and place.role is not None:
            self._gate.growth.note(place.organisation, place.role)

    def _wanted(self, place: LogPlace) -> bool:
        """Return whether a log must be opened in its turn, because it has grown or has witnesses to ask."""
        if place.organisation is None or place.role is None or self._stamper is not None:
            return True
        try:
            asked = bool(self._witnesses(place))
        except PolicyUnusable:
            asked = True
        return self._take_growth(place) or asked

    def _take_growth(self, place: LogPlace) -> bool:
        """Return whether a log may have grown, and clear that mark, since the next round signs the growth."""
        if place.organisation is None or place.role is None:
            return False
        return self._gate.growth.take(place.organisation, place.role)

    def _early(self, turns: LogTurns, now: float) -> list[LogPlace]:
        """Return the logs that grew after a cadence of silence, a moment after they did."""
        growth = self._gate.growth
        grown = (LogPlace(*hosted) for hosted in growth.for_longer_than(_BURST_SECONDS))
        return [place for place in grown if turns.rested(place, now) and self._wanted(place)]

    async def round(self, place: LogPlace) -> TreeState:
        """Sign a log's new entries, ask each of its witnesses, and return the state of the log.

        The vault is opened once if nothing is new and no commit is pending. Otherwise witnesses are asked
        between two openings, without holding a connection. :class:`SigningStopped` if a witness refuses or
        has refused.
        """
        witnesses = self._witnesses(place)
        answers: Sequence[_Answer] | None = None
        async with self._tree(place) as tree:
            state = await self._signed(place, tree)
            if not witnesses:
                self._noted(place, state.origin, "")
                if not tree.signed:
                    await tree.silent(self._clock())
                return state
            if (state.origin, str(witnesses[0].key)) not in self._seen:
                known = {each.witness: each.size for each in await tree.witnesses()}
                for one in witnesses:
                    self._seen[state.origin, str(one.key)] = known.get(str(one.key), 0)
            if not tree.signed:
                answers = await self._answers(place, state, witnesses)
                stopped = await self._keep(tree, state, witnesses, answers)
        if answers is None:
            answers = await self._answers(place, state, witnesses)
            async with self._tree(place) as tree:
                stopped = await self._keep(tree, state, witnesses, answers)
        if stopped:
            raise SigningStopped
        if all(isinstance(answer, Cosigned) for answer in answers):
            self.health.witnessed[place] = self._clock()
        return state

    async def _in_its_place(self, place: LogPlace) -> None:
        """Run a round of a log in its turn; if one is in progress, only note that the log may have grown."""
        if place in self._under_way:
            self._note_growth(place)
            return
        self._under_way.add(place)
        try:
            await self._among_few(place)
        finally:
            self._under_way.discard(place)

    async def _among_few(self, place: LogPlace) -> None:
        async with self._places:
            try:
                async with self._gate.leases.working(place.organisation, place.role):
                    await self._whole_round(place)
            except NotLeased:
                return
            except Exception as error:
                self._note_growth(place)  # Retry when its next turn comes.
                self._failed(place, error)

    async def _whole_round(self, place: LogPlace) -> None:
        """Sign a log, a second time if the first round added an entry to it, and have it time-stamped."""
        await self.round(place)
        if self._grown_by_itself(place):
            await self.round(place)
        self.health.stopped.discard(place)
        if self._stamper is not None:
            await self._stamper.stamp(lambda: self._tree(place))

    def _grown_by_itself(self, place: LogPlace) -> bool:
        """Return whether the first round of a log added an entry to it, for a key that was not announced.

        That entry is signed immediately, so that the vault need not be opened for it again.
        """
        if place in self._rounds or place.organisation is None or place.role is None:
            return False
        self._rounds.add(place)
        return self._gate.growth.take(place.organisation, place.role)

    def _failed(self, place: LogPlace, error: Exception) -> None:
        """Count a round that ended without a checkpoint, and log a fault that is not logged elsewhere."""
        match error:
            case SigningStopped():
                self.health.stopped.add(place)
            case KeyStoreError():
                self.health.failures += error.fault is not KeyFault.LOCKED
                if error.fault is KeyFault.TAMPERED:
                    self._unexpected(error)
                elif error.fault not in (KeyFault.LOCKED, KeyFault.UNAVAILABLE):
                    self._waits(error)
            case Temporary():
                self.health.failures += not getattr(error, "expected", False)
            case PolicyUnusable():
                self.health.failures += 1
                _LOGGER.warning("logs: %s", error)
            case _:
                self.health.failures += 1
                self._unexpected(error)

    async def _answers(
        self, place: LogPlace, state: TreeState, witnesses: Sequence[Member]
    ) -> Sequence[_Answer]:
        """Ask all witnesses concurrently."""
        self.health.witnessed.setdefault(place, self._clock())
        answers = await asyncio.gather(*(self._asked(place, state, one) for one in witnesses))
        faults = [
            f"the witness {_place(one)} {_words(answer)}"
            for one, answer in zip(witnesses, answers, strict=True)
            if not isinstance(answer, Cosigned) and not _is_of_all_logs(answer)
        ]
        self._noted(place, state.origin, faults[0] if faults else "")
        return answers

    async def _keep(
        self, tree: LogTree, state: TreeState, witnesses: Sequence[Member], answers: Sequence[_Answer]
    ) -> bool:
        """Store the witnesses' answers; return whether one of them ends the signing."""
        stopped = False
        for one, answer in zip(witnesses, answers, strict=True):
            now = self._clock()
            if isinstance(answer, Cosigned):
                await tree.answered(state, one.key, now, answer.time, answer.line, "")
                self._seen[state.origin, str(one.key)] = state.signed or 0
                continue
            await tree.answered(state, one.key, now, None, None, _words(answer))
            if isinstance(answer, WitnessRefused) and answer.reason.stops:
                if await tree.refuse(state, one.key, answer.reason.value, answer.seen, now):
                    _LOGGER.error("ALARM a log: %s. 'samdrift log status' says whose log it is", answer)
                stopped = True
        return stopped

    async def _signed(self, place: LogPlace, tree: LogTree) -> TreeState:
        """Sign new entries; report a log whose signing has stopped."""
        try:
            return await tree.sign(self._clock())
        except (SigningStopped, HsmUnavailable) as fault:
            origin = (await tree.state()).origin
            if isinstance(fault, LogShortened) and place not in self._gone:
                _LOGGER.error(
                    "ALARM the log %s: %s. 'samdrift log status' says whose log it is", origin, fault
                )
            self._noted(place, origin, str(fault))
            raise

    def _noted(self, place: LogPlace, origin: str, reason: str) -> None:
        """Report a log that is not witnessed, and report its recovery once."""
        if reason or place in self._gone:
            self._note(Dependency.LOG, origin, reason)
        if reason:
            self._gone[place] = origin
        else:
            self._gone.pop(place, None)

    async def _asked(self, place: LogPlace, state: TreeState, witness: Member) -> _Answer:
        async def prove(old: int, new: int) -> Sequence[bytes]:
            if old in (0, new):
                return ()
            async with self._tree(place) as tree:
                return await tree.consistency(old, new)

        seen = self._seen.get((state.origin, str(witness.key)), 0)
        began = self._clock()
        answer: _Answer
        try:
            answer = await cosign(self._caller, witness, state.note or b"", seen, prove, began)
        except (WitnessRefused, WitnessUnanswered) as fault:
            answer = fault
        away = answer.text if _is_of_all_logs(answer) else ""
        self._away.note(f"witness {_place(witness)}", away, began)
        return answer

    @contextlib.asynccontextmanager
    async def _tree(self, place: LogPlace) -> AsyncIterator[LogTree]:
        if place.organisation is None or place.role is None:
            yield self._gate.operator_tree()
            return
        async with self._gate.open(workers.LOG, place.organisation, place.role, Purpose.MAINTAIN) as vault:
            yield vault.tree


async def note_pauses(gate: Gate, keys: KeyStore, every: timedelta) -> None:
    """Record in the operator's log which vaults sign nothing because locked or suspended, until cancelled.

    This is for the process that has the keys of all vaults: a locked vault's own log is closed, too.
    """
    known: dict[str, str | None] = {}
    while True:
        ours = gate.leases.holds(None, None)
        hosted = [one for one in gate.registry.all() if ours and one.state is not RegistrationState.CLOSING]
        locked = await asyncio.to_thread(_locked, keys, [one.vault for one in hosted])
        for one in hosted:
            if one.vault not in locked:
                continue
            with contextlib.suppress(Temporary):
                reason = "suspended" if not one.active else "locked" if locked[one.vault] else None
                if known.get(one.vault, "unknown") != reason:
                    await gate.pause_signing(one, reason)
                    known[one.vault] = reason
        await asyncio.sleep(every.total_seconds())


def _locked(keys: KeyStore, vaults: Iterable[str]) -> dict[str, bool]:
    """Return whether each vault waits for its officer, for those whose keys can be read."""
    found = {}
    for vault in vaults:
        with contextlib.suppress(KeyStoreError):
            found[vault] = keys.locked(vault)
    return found


def _place(witness: Member) -> str:
    """Return a witness's name, with host and port if its policy has a valid address."""
    try:
        where = urlsplit(web_address(witness.address or "", "address")).netloc
    except WireError:
        return witness.key.name
    return f"{witness.key.name} at {where}"


def _is_of_all_logs(answer: _Answer) -> TypeGuard[WitnessUnanswered]:
    return isinstance(answer, WitnessUnanswered) and answer.of_all


def _words(answer: WitnessRefused | WitnessUnanswered) -> str:
    """Return a witness's fault, worded to follow its name."""
    if isinstance(answer, WitnessRefused):
        return answer.reason.text
    return f"has not answered: {answer.text}"


@contextlib.asynccontextmanager
async def operators_log_kept(
    config: Config, gate: Gate, keys: KeyStore, clock: Clock, note: Note
) -> AsyncIterator[LogHealth]:
    """Keep the operator's own log while the context lasts, and record in it which vaults sign nothing."""
    async with (
        logs_kept(config, gate, clock, [OPERATORS], (), note) as health,
        in_background(
            note_pauses(gate, keys, _PAUSES_EVERY), on_failure=unexpected("the look at locked vaults")
        ),
    ):
        yield health


@contextlib.asynccontextmanager
async def witness_caller(config: Config) -> AsyncIterator[Caller]:
    """Provide the client that calls witnesses; only a demonstration may call this machine and omit TLS."""
    if config.federation.private_addresses:
        client = EnteredAddressClient(any_address, plain=True)
    else:
        client = EnteredAddressClient(EnteredAddresses(config.logs.witness_networks))
    async with client:
        yield client


@contextlib.asynccontextmanager
async def stamp_caller(config: Config) -> AsyncIterator[Caller]:
    """Provide the client that calls the time-stamping authority, even without TLS, as stamps are signed."""
    permits = (
        any_address if config.federation.private_addresses else EnteredAddresses(config.logs.witness_networks)
    )
    async with EnteredAddressClient(permits, plain=True) as client:
        yield client


@contextlib.asynccontextmanager
async def logs_kept(
    config: Config,
    gate: Gate,
    clock: Clock,
    logs: Iterable[LogPlace],
    roles: Iterable[Role],
    note: Note,
) -> AsyncIterator[LogHealth]:
    """Keep logs signed and witnessed while the context lasts."""
    cadence = timedelta(seconds=config.logs.checkpoint_seconds)
    async with contextlib.AsyncExitStack() as stack:
        caller = await stack.enter_async_context(witness_caller(config))
        authority = await stack.enter_async_context(stamp_caller(config))
        stamps = stamper(config.logs, authority, clock, note)
        keeper = LogKeeper(gate, Policies(config).of, caller, clock, cadence, note, stamps)
        async with in_background(keeper.keep(logs, roles), on_failure=unexpected("the log")):
            yield keeper.health
