"""The records of signed statements of all organisations that are served here: read, continued, and copied.

A statement is appended to governance's vault, in one transaction with its entry in the log, and then to the
vault of every other role that the organisation has: each decides from its own copy, which it verifies for
itself. A copy that could not be written (the vault is locked, the process was killed) is brought up to date
afterwards, by whoever comes first: the next statement, or the role's own upkeep. A statement that is
refused is an entry in the log, too, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.principals import ORGANISATIONS_OWN, Purpose, Role
from samdrift.contracts.statements import NumberedStatement, RightsBehind
from samdrift.governance.emergency import announce
from samdrift.governance.events import GovEvent
from samdrift.rights.consentfold import Consents, moment_of, officers
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.folding import Effect
from samdrift.rights.folds import FOLDS
from samdrift.rights.keyacts import Enrolled
from samdrift.rights.record import GOOD, MAX_A_DAY, MAX_A_SECOND, Broken, Entry, Further, Record, Verdict
from samdrift.rights.reviews import ReviewClosed
from samdrift.rights.signing import Refusal, Signed
from samdrift.rights.statements import Approved
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.signedstatements import SignedStatementKeeping, StatementTaken
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 500
_ATTEMPTS = 5
"""Attempts at appending statements, where another process has appended some at the same moment."""
_PLACES = (Role.GOVERNANCE, *(each for each in ORGANISATIONS_OWN if each is not Role.GOVERNANCE))
"""Roles in whose vaults the record is looked for, in this order."""
Roots = Callable[[Subject], Collection[str]]
"""Fingerprints of the keys by which the installation knows a custodian."""

_REASONS: Mapping[Verdict, str] = {
    Refusal.MALFORMED: "its signature is not in a form that is known here",
    Refusal.OTHER_ORGANISATION: "it is about another organisation",
    Refusal.EXPIRED: "it was stated more than a day ago, or in the future: state it again",
    Refusal.OUT_OF_ORDER: "something else was stated since: state it again",
    Refusal.REPEATED: "it is in the record already",
    Refusal.UNKNOWN_KEY: "no key is enrolled that has signed it",
    Refusal.OTHERS_KEY: "it is signed with another person's key",
    Refusal.KEY_OVER: "the key that signed it has not begun, has ended, or was lost",
    Refusal.CODE_SPENT: "a code on paper enrols a new key and does nothing else",
    Refusal.NAMESPACE: "it was signed for another purpose: use the command that was shown",
    Refusal.CHALLENGE: "what was signed is not this statement",
    Refusal.ORIGIN: "it was signed on another site",
    Refusal.NOT_VERIFIED: "the authenticator has not asked who the person is",
    Refusal.COUNTER: "the authenticator counts less than before: there may be a copy of it",
    Refusal.SIGNATURE: "the signature does not hold",
    Refusal.TOO_MANY: f"one states at most {MAX_A_DAY} things about agreements in a day: wait a day",
    Refusal.CROWDED: f"a second has room for {MAX_A_SECOND} statements, or for grants alone: state it again",
    Effect.OTHER_ORGANISATION: "it does not name this organisation",
    Effect.NO_AUTHORITY: "this person may not state that, or not yet",
    Effect.SELF: "nobody gives to themselves, or approves their own request",
    Effect.TAKES_TWO: "it takes two: one who asks and another who approves",
    Effect.NAMES_NOTHING: "there is no such statement in the record",
    Effect.OVER: "it has ended already, or was approved before",
    Effect.TOO_LONG: "it is longer than two people can extend an agreement by",
    Effect.TOO_EARLY: "the review goes on: something in it has no answer yet",
    Effect.OTHER_LISTING: "it does not go on from the last reading of the group: read it again",
    Effect.EMPTIES: "a reading leaves nobody in the group: end the right by samdrift gov grant end instead",
    Effect.KEY_TAKEN: "another person has that key, or it was lost",
}


class StatementRefused(Explained):
    """A statement that was not accepted; the reason is in ``verdict`` and in the organisation's log."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"nothing was stated: {_REASONS.get(verdict, 'it would have no effect')}")
        self.verdict = verdict


class SilenceHeld(Temporary):
    """A review that would end by silence while its people may not be able to answer."""

    service = "rights"

    def __init__(self, role: Role) -> None:
        super().__init__(
            f"nothing was stated: a vault of the organisation ({role.value}) is locked, or cannot be"
            " seen here. A review ends by silence only when its people could have answered: unlock the"
            " vault, or close the review by samdrift gov review close"
        )


class RecordBroken(Temporary):
    """A record in a vault that does not hold: nothing is decided from it until it is restored."""

    service = "rights"

    def __init__(self, broken: Broken) -> None:
        super().__init__(
            f"the record of signed statements does not hold from number {broken.number} on"
            f" ({broken.verdict}): restore the vault from a backup, and ask who has written to the database"
        )
        self.broken = broken


class Records:
    """The records of the organisations whose governance is here."""

    def __init__(self, gate: Gate, clock: Clock, folds: Sequence[Further] = FOLDS) -> None:
        self._gate = gate
        self._vaults = gate.worker("governance", Role.GOVERNANCE)
        self._clock = clock
        self._folds = tuple(folds)
        self._records: dict[ParticipantIdentifier, Record] = {}
        self._turns: dict[ParticipantIdentifier, asyncio.Lock] = {}

    async def read(self, organisation: ParticipantIdentifier) -> Record:
        """Return the record as it is now; :class:`RightsBehind` where a statement is not understood."""
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            return await self._current(organisation, vault)

    async def read_now(self, organisation: ParticipantIdentifier) -> tuple[Record, datetime]:
        """Return the record as :meth:`read`, and the moment that counts, to the second.

        What ended by what a witness has put under the log does not come back by a clock that is set back.
        """
        now = self._clock().replace(microsecond=0)
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            record = await self._current(organisation, vault)
            witnessed = (await vault.cover_facts()).witnessed
        return record, moment_of(record, now, witnessed and witnessed.replace(microsecond=0))

    async def read_anywhere(self, organisation: ParticipantIdentifier) -> Record:
        """Return the record as governance has it or, where the organisation has none here, another role.

        Also while the organisation is suspended; an empty record where it never stated anything. An empty
        one in one vault is none, so that a new vault is not taken for an organisation that stated nothing.
        """
        record, _ = await self.read_with_time(organisation)
        return record

    async def read_with_time(self, organisation: ParticipantIdentifier) -> tuple[Record, datetime | None]:
        """Return the record as :meth:`read_anywhere`, and the last moment that a witness put under its log.

        It is not earlier than that now, however the clock is set; ``None`` where no witness has signed.
        """
        for role in _PLACES:
            if self._gate.registry.find(organisation, role) is not None:
                async with self._gate.open(workers.GOVERNANCE, organisation, role, Purpose.EXPORT) as vault:
                    assert isinstance(vault, CoverKeeping)
                    if await vault.last_signed_statement():
                        record = await self._current(organisation, vault)
                        return record, (await vault.cover_facts()).witnessed
        return Record(organisation.value, self._folds), None

    async def append(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed], roots: Roots
    ) -> tuple[Entry, ...]:
        """Append statements, all or none, and copy them to every role; :class:`StatementRefused` with why.

        ``roots`` decides whose first key a custodian's is: a record does not say who is one. No review ends
        by silence while a vault of the organisation is locked: :class:`SilenceHeld`.
        """
        await self._require_answerable(organisation, signed)
        async with self._turns.setdefault(organisation, asyncio.Lock()):
            entries, refused = await self._appended_in_turn(organisation, signed, roots)
        if refused is not None:
            raise StatementRefused(refused)
        await self._announce(organisation, entries)
        await self.copy(organisation)
        return entries

    async def _appended_in_turn(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed], roots: Roots
    ) -> tuple[tuple[Entry, ...], Verdict | None]:
        """Append, again after what another process appended at the same time: a signature knows no number."""
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(StatementTaken):
                return await self._appended_whole(organisation, signed, roots)
        return await self._appended_whole(organisation, signed, roots)

    async def _appended_whole(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed], roots: Roots
    ) -> tuple[tuple[Entry, ...], Verdict | None]:
        try:
            return await self._appended(organisation, signed, roots)
        except BaseException:  # What was folded in may not be stored.
            self._records.pop(organisation, None)
            raise

    async def _require_answerable(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed]
    ) -> None:
        closings = [each.statement for each in signed if isinstance(each.statement.act, ReviewClosed)]
        if not closings:
            return
        state = (await self.read(organisation)).state
        if not any(state.ends_by_silence(each) for each in closings):
            return
        for role in Role:
            if self._gate.registry.find(organisation, role) is not None:
                try:
                    async with self._gate.open(workers.GOVERNANCE, organisation, role, Purpose.ADMINISTER):
                        pass
                except VaultError:
                    raise SilenceHeld(role) from None

    async def _announce(self, organisation: ParticipantIdentifier, entries: Sequence[Entry]) -> None:
        """Notify the organisation of each emergency that begins with one of some statements."""
        record = self._records.get(organisation)
        consents = (
            next((each for each in record.folds if isinstance(each, Consents)), None) if record else None
        )
        for each in entries:
            act = each.statement.act
            found = consents.find(act.of) if consents and isinstance(act, Approved) else None
            if record and found is not None and found.emergency and found.begins is not None:
                able = officers(record, found.begins)
                await announce(self._gate, organisation, found, able, self._clock())

    async def copy(self, organisation: ParticipantIdentifier) -> Mapping[Role, bool]:
        """Bring every role's copy up to date; of each, whether that could be done.

        A copy that differs from the record is left unchanged: its role finds that it does not hold.
        """
        others = [role for role in Role if role is not Role.GOVERNANCE]
        hosted = [role for role in others if self._gate.registry.find(organisation, role) is not None]
        done = await asyncio.gather(*(self._copied(organisation, role) for role in hosted))
        return dict(zip(hosted, done, strict=True))

    async def _appended(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed], roots: Roots
    ) -> tuple[tuple[Entry, ...], Verdict | None]:
        async with self._vaults.open(organisation, Purpose.ADMINISTER) as vault:
            record = await self._current(organisation, vault)
            # A statement that was not appended within a day is too old also where the clock was set back.
            before, now = record.number, self._clock()
            now = max(now, (await vault.cover_facts()).witnessed or now)
            for each in signed:
                verdict: Verdict = record.judge(each, now)
                if verdict in GOOD and not _is_known(each, roots):
                    verdict = Refusal.UNKNOWN_KEY
                if verdict in GOOD:
                    record.append(each)
                    continue
                if record.number > before:  # What was folded in is not stored.
                    self._records.pop(organisation, None)
                copied = {"counted_back": each.key} if verdict is Refusal.COUNTER else {}
                vault.record(GovEvent.STATEMENT_REFUSED, reason=verdict.value, **copied, **_facts(each))
                return (), verdict
            entries = tuple(record.entries[before:])
            for entry in entries:
                one = NumberedStatement(entry.number, entry.signed.content)
                await vault.append_signed_statements([one], **_facts(entry.signed))
            return entries, None

    async def _copied(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        try:
            async with self._gate.open(workers.GOVERNANCE, organisation, role, Purpose.ADMINISTER) as vault:
                assert isinstance(vault, SignedStatementKeeping)
                last = await vault.last_signed_statement()
                async with self._vaults.open(organisation, Purpose.READ) as office:
                    here = await vault.signed_statements_after(last - 1, 1)
                    if here and here != await office.signed_statements_after(last - 1, 1):
                        return False
                    while found := await office.signed_statements_after(last, _PAGE):
                        last = await vault.append_signed_statements(found)
        except (VaultError, StatementTaken):
            return False
        return True

    async def _current(self, organisation: ParticipantIdentifier, vault: SignedStatementKeeping) -> Record:
        record = self._records.get(organisation)
        last = await vault.last_signed_statement()
        if record is None or last < record.number:  # The database came back from a backup.
            record = Record(organisation.value, self._folds)
        try:
            await read_on(record, vault, last)
        except Broken as broken:
            raise RecordBroken(broken) from None
        if record.not_understood is not None:
            raise RightsBehind(record.number, record.not_understood)
        self._records[organisation] = record
        return record


async def read_on(record: Record, vault: SignedStatementKeeping, last: int) -> None:
    """Continue a record by what a vault has after it, up to number ``last`` or to what is not understood.

    :class:`~samdrift.rights.record.Broken` where a statement does not hold.
    """
    while record.number < last and record.not_understood is None:
        for each in await vault.signed_statements_after(record.number, _PAGE):
            record.accept(each.content, each.number)


def _is_known(signed: Signed, roots: Roots) -> bool:
    """Return whether a custodian who states a key is one, and the key is the one that is known here."""
    act, by = signed.statement.act, signed.statement.by
    if by.kind is not SubjectKind.CUSTODIAN or not isinstance(act, Enrolled) or act.to != by:
        return True
    return act.key.fingerprint in roots(by)


def _facts(signed: Signed) -> dict[str, str]:
    statement = signed.statement
    return {"kind": statement.kind, "by": str(statement.by), "digest": statement.digest}
