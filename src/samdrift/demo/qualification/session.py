"""A test session: sends our messages, waits for DIGG's, and reads the results of the cases from the logs.

A session runs next to the installation, on the installation's vaults: the messages that it stores are sent by
the installation, which also receives incoming ones. The session itself does not communicate with the test
bed, whose participants are read from a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from samdrift import __version__
from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import LogEntry
from samdrift.config.errors import Unusable
from samdrift.config.keys import Key, Tables
from samdrift.config.kinds import PARTICIPANT, TEXT
from samdrift.config.model import Config, Environment, OrganisationConfig
from samdrift.config.reading import read_table
from samdrift.config.toml import ConfigError, read_file
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.qualification.cases import CASES, Model, QaCase, Verdict
from samdrift.demo.qualification.protocol import NO_REPORT, CaseRecord, State, TestProtocol
from samdrift.evidence.trace import Logged, entries
from samdrift.installation.operator import submitting
from samdrift.installation.vaultsettings import vault_settings
from samdrift.messageservice.outgoing.compose import Address, Draft, compose
from samdrift.messageservice.service import MessageInvalid, MessageService
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import SDK_MESSAGE_BASE, SDK_MESSAGE_EXTENDED, ParticipantIdentifier

NAMES = ("TestAP-01", "TestAP-02", "TestAP-03", "TestAP-04", "TestAP-05")
"""Names from the text (accesspoint-test-cases 3.1); the second takes part in no case."""
_DOCUMENTS = {Model.BASE: SDK_MESSAGE_BASE, Model.EXTENDED: SDK_MESSAGE_EXTENDED}
_ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
_TEXT = "Testmeddelande i QA-miljön. Uppgifterna är påhittade."
_PAUSE = 2.0
_PAGE = 500
_MOST_REFUSED = 1000
_ARRIVALS = (APEvent.AP_ENVELOPE_RECEIVED, APEvent.AP_ENVELOPE_REFUSED)


@dataclass(frozen=True, slots=True)
class Subject:
    """The tested access point, from its configuration, and the participant that takes part."""

    config: Config
    organisation: OrganisationConfig
    model: Model

    @property
    def participant(self) -> ParticipantIdentifier:
        return self.organisation.identifier

    def protocol(self, tester: str) -> TestProtocol:
        """Return a protocol in which no case has begun."""
        own = self.config.access_point
        party = own.party if own else ""
        return TestProtocol(party, self.participant.value, self.model.value, __version__, tester)


def subject_of(config: Config, tested: ParticipantIdentifier | None, model: Model) -> Subject:
    """Return the participant that takes part; :class:`Unusable` if there is none.

    It is the one that the installation serves in both roles or, of several, the one named ``tested``.
    """
    if config.environment is Environment.PRODUCTION:
        raise Unusable("the configuration is of production; the test cases are run in the QA environment")
    served = [one for one in config.organisations if set(_ROLES) <= set(one.roles)]
    chosen = [one for one in served if tested in (None, one.identifier)]
    if config.access_point is None or not chosen:
        raise Unusable("the configuration serves no such participant as access point and message service")
    if len(chosen) > 1:
        raise Unusable(
            "the configuration serves several participants; name one as `tested` in the file of them"
        )
    (organisation,) = chosen
    if not organisation.functional_addresses:
        raise Unusable(f"{organisation.identifier} has no functional address to send from")
    if model is Model.BASE and not organisation.base_model:
        raise Unusable(f"{organisation.identifier} is not configured for the base transport model")
    return Subject(config, organisation, model)


class Session:
    """One run of the protocol's open cases."""

    def __init__(
        self,
        subject: Subject,
        participants: Participants,
        protocol: TestProtocol,
        gate: Gate,
        messages: MessageService,
        keep: Callable[[], None],
    ) -> None:
        """``keep`` stores the protocol; it is called before anything is sent and after each change."""
        self._subject = subject
        self._bed = participants.bed
        self._protocol = protocol
        self._gate = gate
        self._messages = messages
        self._keep = keep
        self._came_in: list[LogEntry] = []
        self._read_to = 0
        """Position in the access point's log up to which arrivals have been read."""
        self._claimed_at: dict[str, datetime] = {}
        """Time of the last message claimed by a case, by participant; later ones are for the next case."""

    async def run(self, chosen: Sequence[QaCase], within: float) -> AsyncIterator[QaCase]:
        """Continue the chosen cases until all are final or the time is over; yield each that changes."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + within
        while True:
            for case in chosen:
                record = self._protocol.cases[case.id]
                before = (record.state, record.message, record.seen, record.code)
                if not record.state.final and self._may_begin(case, chosen):
                    await self._go_on(case, record)
                if (record.state, record.message, record.seen, record.code) != before:
                    self._keep()
                    yield case
            if clock() >= deadline or not any(self._waits(case) for case in chosen):
                return
            await asyncio.sleep(min(_PAUSE, max(0.0, deadline - clock())))

    def _waits(self, case: QaCase) -> bool:
        """Return whether waiting can change a case.

        It cannot if an envelope was refused and judged: the remaining decision is a person's.
        """
        record = self._protocol.cases[case.id]
        return not record.state.final and not (record.as4 and not record.message)

    def _may_begin(self, case: QaCase, chosen: Sequence[QaCase]) -> bool:
        """Return whether a case may begin: only one case per participant waits for a message at a time."""
        if case.sends:
            return True
        earlier = chosen[: chosen.index(case)]
        return not any(
            one.participant == case.participant
            and not one.sends
            and not self._protocol.cases[one.id].as4
            and not self._protocol.cases[one.id].state.final
            for one in earlier
        )

    async def _go_on(self, case: QaCase, record: CaseRecord) -> None:
        if record.state is State.NOT_BEGUN:
            begun = (
                datetime.now(UTC) if case.sends else self._claimed_at.get(case.participant, datetime.now(UTC))
            )
            record.state, record.begun_at = State.WAITING, begun.isoformat()
            if case.sends:
                record.message = str(uuid.uuid4())
            self._keep()
        if case.sends:
            await self._sent(case, record)
        else:
            await self._came(case, record)

    async def _sent(self, case: QaCase, record: CaseRecord) -> None:
        """Send the case's message unless that is done, using the id already recorded in the protocol."""
        found = await self._trace(record.message)
        if not found:
            try:
                await self._send(case, record.message)
            except MessageInvalid as error:
                _decide(case, record, Verdict(False, "Meddelandet kunde inte skickas.", str(error)), [])
                return
            found = await self._trace(record.message)
        _decide(case, record, case.judge([one.entry for one in found]), found)

    async def _send(self, case: QaCase, message_id: str) -> None:
        own, recipient = self._subject.organisation, self._bed[case.participant]
        sender = Address(own.identifier, own.name, own.functional_addresses[0], "")
        to = Address(recipient.identifier, "", recipient.address, "")
        draft = Draft(f"Testmeddelande {case.id}", _TEXT, confidentiality=False)
        message = compose(draft, sender, to, message_id=message_id, at=datetime.now(UTC))
        document = _DOCUMENTS[self._subject.model]
        await self._messages.send(workers.TESTBED, own.identifier, message, document)

    async def _came(self, case: QaCase, record: CaseRecord) -> None:
        """Judge the case's incoming message, after claiming the first unclaimed one if it has none yet."""
        if record.as4 and not record.message:
            return  # The message was refused and judged; the rest is for a person to decide.
        if not record.as4:
            found = await self._arrival(case, datetime.fromisoformat(record.begun_at))
            if found is None:
                record.seen = "Inget har kommit in för testfallet ännu."
                return
            self._claimed_at[case.participant] = found.entry.at
            record.as4, record.message = found.entry.ids.get("as4", ""), found.entry.ids.get("envelope", "")
            if found.entry.event == APEvent.AP_ENVELOPE_REFUSED:
                _decide(case, record, case.judge([found.entry]), [found])
                return
        logged = await self._trace(record.message)
        _decide(case, record, case.judge([one.entry for one in logged]), logged)

    async def _arrival(self, case: QaCase, since: datetime) -> Logged | None:
        """Return the first unclaimed envelope from the case's participant since a time, except receipts."""
        sender, claimed = self._bed[case.participant].identifier.value, self._protocol.claimed
        for entry in await self._arrivals(since):
            ids = entry.ids
            if ids.get("sender", "").lower() != sender or ids.get("as4") in claimed:
                continue
            if entry.event == APEvent.AP_ENVELOPE_REFUSED:
                return Logged(Role.ACCESS_POINT, False, entry)
            envelope = ids["envelope"]
            message_service = [
                one.entry for one in await self._trace(envelope) if one.role is Role.MESSAGE_SERVICE
            ]
            if not message_service:
                return None  # Unknown whether it is a receipt until the message service has fetched it.
            if not _is_receipt(envelope, message_service):
                return Logged(Role.ACCESS_POINT, False, entry)
        return None

    async def _arrivals(self, since: datetime) -> list[LogEntry]:
        """Return arrivals and refusals since a time, for our participant or an unknown one, in order."""
        participant = self._subject.participant
        async with self._gate.open(workers.TESTBED, participant, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            while page := await vault.log(self._read_to, _PAGE):
                self._came_in += [entry for entry in page if entry.event in _ARRIVALS]
                self._read_to = page[-1].sequence
        found = [*self._came_in, *await self._gate.refused(_MOST_REFUSED)]
        return sorted((entry for entry in found if entry.at >= since), key=lambda entry: entry.at)

    async def _trace(self, identifier: str) -> tuple[Logged, ...]:
        return await entries(
            self._gate, workers.TESTBED, Purpose.TRACE, self._subject.participant, _ROLES, identifier
        )


def _is_receipt(envelope: str, found: Sequence[LogEntry]) -> bool:
    return any(
        entry.event.startswith("mt:receipt:") and entry.ids.get("envelope") == envelope for entry in found
    )


def _decide(case: QaCase, record: CaseRecord, verdict: Verdict, found: Sequence[Logged]) -> None:
    """Record the verdict of the logs; a case with a required report to DIGG also needs evidence of it."""
    record.seen, record.code = verdict.seen, verdict.code
    record.log = [
        {
            "at": one.entry.at.isoformat(),
            "where": one.role.value,
            "event": one.entry.event,
            "facts": dict(one.entry.ids),
        }
        for one in found
    ]
    if verdict.passed is None:
        return
    record.lacks_report = verdict.passed and case.report and not record.files
    if record.lacks_report:
        record.seen = f"{verdict.seen} {NO_REPORT}"
        return
    record.state = State.PASSED if verdict.passed else State.FAILED


@contextlib.asynccontextmanager
async def session(
    subject: Subject, participants: Participants, protocol: TestProtocol, keep: Callable[[], None]
) -> AsyncIterator[Session]:
    """Open the installation, which may be running at the same time, while the context lasts."""
    gate = await Gate.start(vault_settings(subject.config))
    try:
        for role in _ROLES:
            if not gate.registry.serves(subject.participant, role):
                raise Unusable(f"{subject.participant} is suspended, or has not been added")
        async with submitting(subject.config, gate) as messages:
            yield Session(subject, participants, protocol, gate, messages, keep)
    finally:
        await gate.close()


def chosen(ids: Sequence[str]) -> tuple[QaCase, ...]:
    """Return the cases with these ids in DIGG's order, or all; :class:`Unusable` for an unknown id."""
    unknown = set(ids) - {case.id for case in CASES}
    if unknown:
        raise Unusable(f"no such case: {', '.join(sorted(unknown))}")
    return tuple(case for case in CASES if not ids or case.id in ids)


@dataclass(frozen=True, slots=True)
class TestParticipant:
    """A participant behind one of the test bed's access points."""

    __test__ = False

    identifier: Annotated[ParticipantIdentifier, Key("Its participant identifier.", PARTICIPANT)]
    address: Annotated[str, Key("Its functional address, which an SDK message names.", TEXT)]
    """Functional address; the test bed does not check it."""


_BED = Tables(TestParticipant)


@dataclass(frozen=True, slots=True)
class _File:
    """The contents of the file of participants."""

    first: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[0])]
    third: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[2])]
    fourth: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[3])]
    fifth: Annotated[TestParticipant, Key("A participant of the test bed.", _BED, name=NAMES[4])]
    second: Annotated[TestParticipant | None, Key("A participant in no case.", _BED, name=NAMES[1])] = None
    tested: Annotated[ParticipantIdentifier | None, Key("Our own participant.", PARTICIPANT)] = None


@dataclass(frozen=True, slots=True)
class Participants:
    """The participants of the test bed by name, and ours if the file names it."""

    tested: ParticipantIdentifier | None
    bed: Mapping[str, TestParticipant]


def read_participants(path: Path) -> Participants:
    """Read and check the file, or raise :class:`ConfigError` with all faults."""
    table = read_file(path)
    file: _File = read_table(Tables(_File), table, {})
    table.found.require_no_faults()
    each = (file.first, file.second, file.third, file.fourth, file.fifth)
    bed = {name: one for name, one in zip(NAMES, each, strict=True) if one is not None}
    identifiers = [one.identifier for one in bed.values()]
    if len(set(identifiers)) < len(identifiers):
        raise ConfigError(str(path), "two participants have the same identifier")
    if file.tested in identifiers:
        raise ConfigError("tested", "is a participant of the test bed")
    return Participants(file.tested, bed)
