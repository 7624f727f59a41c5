"""The records of signed statements of all organisations served here: reading, appending, and copying.

A statement is appended to the governance vault, in one transaction with its log entry, and then to the vault
of every other role of the organisation. Each role decides from its own copy, which it verifies for itself. A
copy that could not be written (because the vault is locked, or the process was killed) is updated later, by
the next statement or by the role's own upkeep. A refused statement is logged too, with the reason.
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
"""Maximum attempts at appending statements while another process is appending some."""
_PLACES = (Role.GOVERNANCE, *(each for each in ORGANISATIONS_OWN if each is not Role.GOVERNANCE))
"""Roles whose vaults may have the record, in the order in which they are tried."""
Roots = Callable[[Subject], Collection[str]]
"""Lookup of the fingerprints of the keys by which the installation knows a custodian."""

_REASONS: Mapping[Verdict, str] = {
    Refusal.MALFORMED: "its signature has an unknown form",
    Refusal.OTHER_ORGANISATION: "it is about another organisation",
    Refusal.EXPIRED: "it was stated more than a day ago, or in the future: state it again",
    Refusal.OUT_OF_ORDER: "something else has been stated since: state it again",
    Refusal.REPEATED: "it is already in the record",
    Refusal.UNKNOWN_KEY: "no key is enrolled that has signed it",
    Refusal.OTHERS_KEY: "it is signed with another person's key",
    Refusal.KEY_OVER: "the key that signed it has not begun, has ended, or was lost",
    Refusal.CODE_SPENT: "a code on paper enrols a new key and does nothing else",
    Refusal.NAMESPACE: "it was signed for another purpose: use the command that was shown",
    Refusal.CHALLENGE: "what was signed is not this statement",
    Refusal.ORIGIN: "it was signed on another site",
    Refusal.NOT_VERIFIED: "the authenticator has not verified who the person is",
    Refusal.COUNTER: "the authenticator's counter went back: there may be a copy of it",
    Refusal.SIGNATURE: "the signature is not valid",
    Refusal.TOO_MANY: f"at most {MAX_A_DAY} statements about agreements are allowed per day: wait a day",
    Refusal.CROWDED: f"at most {MAX_A_SECOND} such statements are allowed per second: state it again",
    Effect.OTHER_ORGANISATION: "it does not name this organisation",
    Effect.NO_AUTHORITY: "this person may not state that, or not yet",
    Effect.SELF: "people cannot give rights to themselves or approve their own request",
    Effect.TAKES_TWO: "two people are needed: one to request it and another to approve it",
    Effect.NAMES_NOTHING: "there is no such statement in the record",
    Effect.OVER: "it has already ended or been approved",
    Effect.TOO_LONG: "it is longer than two people can extend an agreement",
    Effect.TOO_EARLY: "the review goes on: something in it has no answer yet",
    Effect.OTHER_LISTING: "it does not go on from the last reading of the group: read it again",
    Effect.EMPTIES: "a reading leaves no one in the group: end the right by samdrift gov grant end instead",
    Effect.KEY_TAKEN: "another person has that key, or it was lost",
}


class StatementRefused(Explained):
    """Error raised for a refused statement; ``verdict`` and the organisation's log have the reason."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the statement was refused: {_REASONS.get(verdict, 'it would have no effect')}")
        self.verdict = verdict


class SilenceHeld(Temporary):
    """Error raised for a review that would end by silence while its reviewers may be unable to answer."""

    service = "rights"

    def __init__(self, role: Role) -> None:
        super().__init__(
            f"the statement was refused: a vault of the organisation ({role.value}) is locked, or cannot be"
            " seen here. A review ends by silence only if its people could have answered: unlock the"
            " vault, or close the review by samdrift gov review close"
        )


class RecordBroken(Temporary):
    """Error raised for an invalid record in a vault, which is not used until it is restored."""

    service = "rights"

    def __init__(self, broken: Broken) -> None:
        super().__init__(
            f"the record of signed statements is not valid from number {broken.number} on"
            f" ({broken.verdict}): restore the vault from a backup, and ask who has written to the database"
        )
        self.broken = broken


class Records:
    """The records of the organisations whose governance is served here."""

    def __init__(self, gate: Gate, clock: Clock, folds: Sequence[Further] = FOLDS) -> None:
        self._gate = gate
        self._vaults = gate.worker("governance", Role.GOVERNANCE)
        self._clock = clock
        self._folds = tuple(folds)
        self._records: dict[ParticipantIdentifier, Record] = {}
        self._turns: dict[ParticipantIdentifier, asyncio.Lock] = {}

    async def read(self, organisation: ParticipantIdentifier) -> Record:
        """Return the current record; raise :class:`RightsBehind` if a statement is not understood."""
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            return await self._current(organisation, vault)

    async def read_now(self, organisation: ParticipantIdentifier) -> tuple[Record, datetime]:
        """Return the record as in :meth:`read`, and the current time in whole seconds.

        The time is never earlier than the last one a witness signed in the log, so that setting the clock
        back does not restore what has ended.
        """
        now = self._clock().replace(microsecond=0)
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            record = await self._current(organisation, vault)
            witnessed = (await vault.cover_facts()).witnessed
        return record, moment_of(record, now, witnessed and witnessed.replace(microsecond=0))

    async def read_anywhere(self, organisation: ParticipantIdentifier) -> Record:
        """Return the record from the governance vault or, if it is not here, from another role's.

        This also works while the organisation is suspended. The record is empty if the organisation never
        stated anything. An empty record in one vault is skipped, so that a new vault does not make it seem
        that there are no statements.
        """
        record, _ = await self.read_with_time(organisation)
        return record

    async def read_with_time(self, organisation: ParticipantIdentifier) -> tuple[Record, datetime | None]:
        """Return the record as in :meth:`read_anywhere`, and the last time that a witness signed for its log.

        The current time cannot be earlier than that, whatever the clock is set to. The returned time is
        ``None`` if no witness has signed.
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
        """Append all of some statements, or none, and copy them to every role.

        Raise :class:`StatementRefused` with the reason if one is refused. ``roots`` decides whether a
        custodian's first key is genuine, because the record does not define custodians. Raise
        :class:`SilenceHeld` if a review would end by silence while a vault of the organisation is locked.
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
        """Append statements, and try again if another process appended some at the same time.

        This is possible because a signature does not cover the statement's number.
        """
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(StatementTaken):
                return await self._appended_whole(organisation, signed, roots)
        return await self._appended_whole(organisation, signed, roots)

    async def _appended_whole(
        self, organisation: ParticipantIdentifier, signed: Sequence[Signed], roots: Roots
    ) -> tuple[tuple[Entry, ...], Verdict | None]:
        try:
            return await self._appended(organisation, signed, roots)
        except BaseException:  # The cached record may have statements that were not stored.
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
        """Notify the organisation of each emergency that one of the statements begins."""
        record = self._records.get(organisation)
        consents = (
            next((each for each in record.folds if isinstance(each, Consents)), None) if record else None
        )
        for each in entries:
            act = each.statement.act
            found = consents.find(act.of) if consents and isinstance(act, Approved) else None
            if record and consents and found is not None and found.emergency and found.begins is not None:
                able, number = officers(record, found.begins), consents.emergencies(found.begins)
                await announce(self._gate, organisation, found, number, able, self._clock())

    async def copy(self, organisation: ParticipantIdentifier) -> Mapping[Role, bool]:
        """Bring every role's copy up to date, and return for each role whether that succeeded.

        A copy that differs from the record is left unchanged, and its role will find it invalid.
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
            # The witnessed time counts too: setting the clock back must not make a statement of more than a
            # day ago valid.
            before, now = record.number, self._clock()
            now = max(now, (await vault.cover_facts()).witnessed or now).replace(microsecond=0)
            for each in signed:
                verdict: Verdict = record.judge(each, now)
                if verdict in GOOD and not _is_known(each, roots):
                    verdict = Refusal.UNKNOWN_KEY
                if verdict in GOOD:
                    record.append(each, now)
                    continue
                if record.number > before:  # Drop the record, since its new statements are not stored.
                    self._records.pop(organisation, None)
                copied = {"counted_back": each.key} if verdict is Refusal.COUNTER else {}
                vault.record(GovEvent.STATEMENT_REFUSED, reason=verdict.value, **copied, **_facts(each))
                return (), verdict
            entries = tuple(record.entries[before:])
            for entry in entries:
                one = NumberedStatement(entry.number, entry.signed.content, entry.logged)
                await vault.append_signed_statements([one], **_facts(entry.signed))
            return entries, None

    async def _copied(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        try:
            async with self._gate.open(workers.GOVERNANCE, organisation, role, Purpose.ADMINISTER) as vault:
                assert isinstance(vault, SignedStatementKeeping)
                last = await vault.stored_signed_statements()
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
        if record is None or last < record.number:  # Statements were lost, and are stored again one by one.
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
    """Read statements from a vault into a record, up to number ``last`` or one that is not understood.

    Raise :class:`~samdrift.rights.record.Broken` if a statement is invalid.
    """
    while record.number < last and record.not_understood is None:
        for each in await vault.signed_statements_after(record.number, _PAGE):
            record.accept(each.content, each.number, each.logged)


def _is_known(signed: Signed, roots: Roots) -> bool:
    """Return whether a key that a custodian enrols for themselves is the one known here.

    This is always true for any other statement.
    """
    act, by = signed.statement.act, signed.statement.by
    if by.kind is not SubjectKind.CUSTODIAN or not isinstance(act, Enrolled) or act.to != by:
        return True
    return act.key.fingerprint in roots(by)


def _facts(signed: Signed) -> dict[str, str]:
    statement = signed.statement
    return {"kind": statement.kind, "by": str(statement.by), "digest": statement.digest}
