"""Statements and refusals as text on a page, in the person's language.

The statement itself is signed, and is shown as it is next to this text. The text includes every member of it,
and a kind or member that has no translation is shown by its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from samdrift.governance.incidents import CLOCKS
from samdrift.governance.pages.directory import Names
from samdrift.governance.reviews import SYSTEMS
from samdrift.rights.agreements import AGREEMENT_ACTS, AgreementKind, Function, PartyKind, PartyNamed
from samdrift.rights.consentfold import consents_of
from samdrift.rights.consents import EVERYTHING, Extent, ExtentKind, Level
from samdrift.rights.fields import ORGANISATION, Scope, Subject
from samdrift.rights.folding import Effect
from samdrift.rights.incidents import Clock
from samdrift.rights.keyacts import Enrolled
from samdrift.rights.record import MAX_A_DAY, Record, Verdict
from samdrift.rights.reviews import ReviewOpened
from samdrift.rights.signing import Refusal
from samdrift.rights.statements import Ended, Right, Rights, Statement, Substitution
from samdrift.web.pages import Band, Wording
from samdrift.web.texts import Phrase

KINDS: Mapping[str, Phrase] = {
    "grant": Phrase("Gives a right"),
    "ask": Phrase("Asks for a right, which another person must approve"),
    "approve": Phrase("Approves what was asked for"),
    "review": Phrase("Has reviewed a right"),
    "object": Phrase("Objects, and holds it back until the objection ends"),
    "end": Phrase("Ends something"),
    "enrol": Phrase("Asks to enrol a person’s key, which another person must approve"),
    "lose": Phrase("States that a key is lost: it signs nothing from now on"),
    "party": Phrase("States who a party of agreements is"),
    "agreement": Phrase("Enters an agreement, which an officer must countersign"),
    "notice": Phrase("Gives notice of a sub-supplier, to which the organisation can object"),
    "extend": Phrase("Asks to extend an agreement, which another person must approve"),
    "release": Phrase("Asks to drop a duty, which another person must approve"),
    "consent": Phrase("Asks to see what the operator does not see without consent"),
    "emergency": Phrase("States an emergency: metadata is seen for an hour without consent"),
    "account": Phrase("Gives an account of what was done in an emergency"),
    "settle": Phrase("Asks to end unsigned rights, which another person must approve"),
    "review-open": Phrase("Opens a review: what has no answer at its end is removed"),
    "review-close": Phrase("Closes a review: what has no answer is removed"),
    "incident": Phrase("Opens an incident, whose clocks run from when it was known"),
    "incident-note": Phrase("Adds a note to an incident"),
    "incident-told": Phrase("Records that an addressee was notified of an incident"),
    "incident-close": Phrase("Closes an incident"),
    "at-end": Phrase("Chooses what happens to sending when cover by agreements ends"),
}
RIGHTS: Mapping[Right, Phrase] = {
    Right.READ: Phrase("Read"),
    Right.WRITE: Phrase("Write"),
    Right.APPROVE: Phrase("Approve drafts"),
    Right.MANAGE: Phrase("Manage the mailbox"),
    Right.ADMINISTRATOR: Phrase("Administrator"),
    Right.SECURITY_OFFICER: Phrase("Security officer"),
    Right.AUDITOR: Phrase("Auditor"),
}
EXTENTS: Mapping[tuple[ExtentKind, Level], Phrase] = {
    (ExtentKind.MESSAGE, Level.METADATA): Phrase("Data about one message, but not its content"),
    (ExtentKind.MESSAGE, Level.CONTENT): Phrase("One message and its content"),
    (ExtentKind.MAILBOX, Level.METADATA): Phrase(
        "Data about the messages of one mailbox, but not their content"
    ),
    (ExtentKind.MAILBOX, Level.CONTENT): Phrase("The messages of one mailbox and their content"),
    (ExtentKind.SPAN, Level.METADATA): Phrase("Data about messages of a span of time, but not their content"),
    (ExtentKind.SPAN, Level.CONTENT): Phrase("The messages of a span of time and their content"),
}
_LABELS: Mapping[str, Phrase] = {
    "to": Phrase("For"),
    "for": Phrase("In place of"),
    "of": Phrase("About"),
    "from": Phrase("From"),
    "until": Phrase("Until"),
    "scope": Phrase("Where"),
    "rights": Phrase("Rights"),
    "outcome": Phrase("Outcome"),
    "name": Phrase("Name"),
    "since": Phrase("Lost since"),
    "key": Phrase("Key"),
    "form": Phrase("Kind"),
    "document": Phrase("SHA-256 of the paper"),
    "notice": Phrase("Days of notice"),
    "countries": Phrase("Data is processed in"),
    "secrecy": Phrase("Basis of secrecy"),
    "window": Phrase("Objections until"),
    "sending": Phrase("Sending"),
    "ground": Phrase("Reason"),
    "ticket": Phrase("Ticket"),
    "extent": Phrase("What is seen"),
    "level": Phrase("How much of it"),
    "minutes": Phrase("Minutes, from the last approval on"),
    "done": Phrase("What was done"),
    "number": Phrase("Unsigned statements"),
    "listing": Phrase("SHA-256 of their list"),
    "began": Phrase("Began"),
    "about": Phrase("About"),
    "items": Phrase("What is reviewed"),
    "reviewer": Phrase("Reviewed by"),
    "stand-in": Phrase("Or in their place by"),
    "aware": Phrase("Known since"),
    "clocks": Phrase("To be notified"),
    "clock": Phrase("Told"),
    "told": Phrase("At"),
    "file": Phrase("SHA-256 of a file"),
    "principal": Phrase("Buyer"),
    "performer": Phrase("Performer"),
    "functions": Phrase("Functions"),
    "duties": Phrase("Duties"),
}
FUNCTIONS: Mapping[Function, Phrase] = {
    Function.AP: Phrase("Access point"),
    Function.MT: Phrase("Message service"),
    Function.MK: Phrase("Message client"),
    Function.HOSTING: Phrase("Hosting"),
    Function.BACKUP: Phrase("Backup"),
    Function.HSM: Phrase("Key hardware (HSM)"),
    Function.SUPPORT: Phrase("Support"),
    Function.WITNESS: Phrase("Witness of logs"),
}
FORMS: Mapping[AgreementKind, Phrase] = {
    AgreementKind.SERVICE: Phrase("Service agreement"),
    AgreementKind.DATA_PROCESSING: Phrase("Data processing agreement"),
    AgreementKind.COOPERATION: Phrase("Cooperation"),
    AgreementKind.BETWEEN_AGENCIES: Phrase("Agreement between agencies"),
    AgreementKind.INTERNAL: Phrase("Internal"),
}
PARTY_KINDS: Mapping[PartyKind, Phrase] = {
    PartyKind.AGENCY: Phrase("Agency"),
    PartyKind.MUNICIPALITY: Phrase("Municipality"),
    PartyKind.REGION: Phrase("Region"),
    PartyKind.MUNICIPAL_FEDERATION: Phrase("Municipal federation"),
    PartyKind.JOINT_BOARD: Phrase("Joint board"),
    PartyKind.COMPANY: Phrase("Company"),
}
_WITHIN: Mapping[str, Phrase] = {"clause": Phrase("Clause"), "duty": Phrase("Duty")}
"""Labels of members that are nested in another member."""
_OF_MEMBERS: Mapping[str, Mapping[str, Phrase]] = {
    "functions": {str(each): words for each, words in FUNCTIONS.items()},
    "form": {str(each): words for kinds in (FORMS, PARTY_KINDS) for each, words in kinds.items()},
}
"""Texts for the values of some members."""
_OF_PARTIES = frozenset({"principal", "performer", "party"})
_OF_AGREEMENTS: Mapping[str, Phrase] = {"for": Phrase("For organisations")}
_ABOUT_AGREEMENTS = frozenset(each.kind for each in AGREEMENT_ACTS)
_HEAD = frozenset({"version", "organisation", "kind", "by", "at", "why"})
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VALUES: Mapping[str, Phrase] = {
    "metadata": Phrase("Data, but not content"),
    "content": Phrase("Also content"),
    "organisations-case": Phrase("The organisation’s own case"),
    "outage": Phrase("An outage"),
    "security": Phrase("Security"),
    "lawful-demand": Phrase("A demand by law"),
    "federation-support": Phrase("The federation’s support"),
    "organisation": Phrase("The organisation"),
    "stop": Phrase("New messages stop"),
    "continue": Phrase("New messages go on being sent"),
    "keep": Phrase("Keep"),
    "remove": Phrase("Remove"),
}
_SUBJECT = re.compile(r"(person|system|custodian|operator|claim):.+")
_IN_OWN_WORDS = frozenset(
    {"about", "clause", "credential", "done", "name", "public", "reference", "secrecy", "ticket", "title"}
)
"""Members with free text, which is shown unchanged even if it looks like a value of another kind."""

_REASONS: Mapping[Verdict, Phrase] = {
    Refusal.MALFORMED: Phrase("The signature has an unknown form."),
    Refusal.OTHER_ORGANISATION: Phrase("The statement is about another organisation."),
    Refusal.EXPIRED: Phrase("It was stated more than a day ago, or in the future. State it again."),
    Refusal.OUT_OF_ORDER: Phrase("Something else has been stated since. State it again."),
    Refusal.REPEATED: Phrase("It is already in the record."),
    Refusal.UNKNOWN_KEY: Phrase("No key is enrolled that has signed it."),
    Refusal.OTHERS_KEY: Phrase("It is signed with another person’s key."),
    Refusal.KEY_OVER: Phrase("The key that signed it has not begun, has ended, or was lost."),
    Refusal.CODE_SPENT: Phrase("A code on paper enrols a new key and does nothing else."),
    Refusal.NAMESPACE: Phrase("It was signed for another purpose. Use the command that is shown."),
    Refusal.CHALLENGE: Phrase("What was signed is not this statement."),
    Refusal.ORIGIN: Phrase("It was signed on another site."),
    Refusal.NOT_VERIFIED: Phrase("The authenticator has not asked who you are."),
    Refusal.COUNTER: Phrase(
        "The authenticator’s counter went back: there may be a copy of it. State the key as lost, and notify "
        "another officer."
    ),
    Refusal.SIGNATURE: Phrase("The signature is not valid."),
    Refusal.TOO_MANY: Phrase(
        "At most %(count)s statements about agreements are allowed per day. State the rest tomorrow.",
        {"count": MAX_A_DAY},
    ),
    Refusal.CROWDED: Phrase("Too many statements were made in the same second. State it again."),
    Effect.OTHER_ORGANISATION: Phrase("The statement is about another organisation."),
    Effect.NO_AUTHORITY: Phrase("You may not state that, or not yet."),
    Effect.SELF: Phrase("You cannot give rights to yourself or approve your own request."),
    Effect.TAKES_TWO: Phrase("Two people are needed: one to request it and another to approve it."),
    Effect.NAMES_NOTHING: Phrase("There is no such statement in the record."),
    Effect.OVER: Phrase("It has already ended or been approved."),
    Effect.TOO_LONG: Phrase("It is longer than two people can extend an agreement."),
    Effect.TOO_EARLY: Phrase("The review goes on: something in it has no answer yet."),
    Effect.KEY_TAKEN: Phrase("Another person has that key, it is enrolled already, or it was lost."),
}


def refusal(verdict: Verdict) -> Phrase:
    """Return the reason why a statement is refused."""
    return _REASONS.get(verdict, Phrase("It would have no effect."))


def kind_of(statement: Statement) -> Phrase:
    """Return a phrase for what a statement does."""
    if isinstance(statement.act, Ended) and statement.act.subject is not None:
        return Phrase("Ends everything that a holder was given")
    return KINDS.get(statement.kind, Phrase(statement.kind))


class Telling:
    """Descriptions of statements in one record, in one person's language."""

    def __init__(self, record: Record, names: Names, wording: Wording) -> None:
        self._record, self._names, self._wording = record, names, wording
        self._numbers = {each.statement.digest: each for each in record.entries}
        named = (each.statement.act for each in record.entries)
        self._parties = {str(each.party): each.name for each in named if isinstance(each, PartyNamed)}

    def lines(self, statement: Statement) -> list[tuple[str, str]]:
        """Return a statement as pairs of label and value."""
        text = self._wording.text
        fields: dict[str, Any] = json.loads(statement.content)
        pairs = [
            (text(Phrase("What")), text(kind_of(statement))),
            (text(Phrase("By")), self.subject(statement.by)),
        ]
        for name, value in fields.items():
            if name not in _HEAD:
                pairs += self._lines(self._label(name, statement.kind), name, value)
        if isinstance(statement.act, Enrolled):
            pairs.append((text(Phrase("First digits")), statement.act.key.fingerprint[:16]))
        return [
            *pairs,
            (text(Phrase("Why")), statement.why),
            (text(Phrase("Stated")), self._moment(statement.at)),
            (text(Phrase("Organisation")), statement.organisation),
        ]

    def about(self, statement: Statement) -> list[tuple[str, str]]:
        """Return the context of a statement: the statement that it refers to, or everything that it ends."""
        if isinstance(statement.act, Ended) and statement.act.subject is not None:
            held = self._record.state.holdings(statement.at, statement.act.subject)
            return [(self._place(each.given.what.scope), self._given(each.given.what)) for each in held]
        named = self._numbers.get(getattr(statement.act, "of", None) or "")
        return [] if named is None else self.lines(named.statement)

    def subject(self, subject: Subject) -> str:
        """Return a subject with its name and id, so that people with the same name can be told apart."""
        name, written = self._names.of(subject), str(subject)
        return written if name == written else f"{name} ({written})"

    def reviewed(self, opened: ReviewOpened) -> str:
        """Return the subject of a review: the name of a mailbox, or a kind of rights."""
        if opened.about == str(ORGANISATION):
            return self._wording.text(Phrase("Roles in the organisation"))
        if opened.about == SYSTEMS:
            return self._wording.text(Phrase("Systems"))
        mailbox = opened.about.removeprefix("mailbox:")
        return self._names.mailboxes.get(mailbox, mailbox)

    def _place(self, scope: Scope) -> str:
        return self._value(str(scope))

    def _given(self, what: Rights | Substitution) -> str:
        if isinstance(what, Rights):
            return ", ".join(self._value(each.value) for each in sorted(what.rights))
        return self._wording.text(Phrase("Substitute for %(name)s", {"name": self._names.of(what.absent)}))

    def summary(self, digest: str) -> str:
        """Return one line about what a statement in the record does, and for whom."""
        entry = self._numbers.get(digest)
        if entry is None:
            return digest
        text = self._wording.text
        line = text(
            Phrase(
                "Statement %(number)s: %(what)s",
                {"number": entry.number, "what": text(kind_of(entry.statement))},
            )
        )
        to = receiver(entry.statement)
        return f"{line} – {self._names.of(to)}" if to is not None else line

    def _label(self, name: str, kind: str) -> str:
        special = _OF_AGREEMENTS.get(name) if kind in _ABOUT_AGREEMENTS else None
        known = special or _LABELS.get(name)
        return self._wording.text(known) if known else name

    def _lines(self, label: str, name: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for inner, member in value.items():
                within = self._wording.text(_WITHIN[inner]) if inner in _WITHIN else inner
                yield from self._lines(f"{label}: {within}", inner, member)
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            for number, each in enumerate(value, 1):
                yield from self._lines(f"{label} {number}", name, each)
        else:
            shown = str if name in _IN_OWN_WORDS else partial(self._member, name)
            yield label, ", ".join(map(shown, value)) if isinstance(value, list) else shown(value)

    def _member(self, name: str, value: Any) -> str:
        """Return the text for a member's value, interpreted by the member's name."""
        words = _OF_MEMBERS.get(name, {}).get(value)
        if words is not None:
            return self._wording.text(words)
        if name in ("clock", "clocks") and value in tuple(Clock):
            return CLOCKS[Clock(value)].of(self._wording.formats.language)
        if name in _OF_PARTIES and value in self._parties:
            return f"{self._parties[value]} ({value})"
        return self._value(value)

    def _value(self, value: Any) -> str:
        written = str(value)
        if _MOMENT.fullmatch(written):
            with suppress(ValueError, OverflowError):
                return self._moment(datetime.fromisoformat(written))
        if _DIGEST.fullmatch(written) and written in self._numbers:
            return f"{self.summary(written)} ({written})"
        if _SUBJECT.fullmatch(written):
            with suppress(ValueError):
                return self.subject(Subject.parse(written))
        if written in _VALUES:
            return self._wording.text(_VALUES[written])
        if written.startswith("mailbox:"):
            mailbox = written.partition(":")[2]
            name = self._names.mailboxes.get(mailbox)
            return f"{name} ({mailbox})" if name else mailbox
        if written.startswith("span:"):
            return self._span(Extent.parse(written))
        if written in tuple(Right):
            return self._wording.text(RIGHTS[Right(written)])
        return written

    def _span(self, extent: Extent) -> str:
        times = {"since": self._moment(extent.start), "until": self._moment(extent.end)}
        everything = Phrase("Everything until %(until)s", times)
        return self._wording.text(
            everything if extent.start == EVERYTHING else Phrase("From %(since)s until %(until)s", times)
        )

    def _moment(self, moment: datetime) -> str:
        return self._wording.formats.exact(moment)


def receiver(statement: Statement) -> Subject | None:
    """Return the subject to whom a statement gives something."""
    found = getattr(statement.act, "to", None) or getattr(
        getattr(statement.act, "what", None), "subject", None
    )
    return found if isinstance(found, Subject) else None


def bands(record: Record, names: Names, now: datetime) -> Iterable[Band]:
    """Yield a banner for each consent or emergency in force."""
    for each in consents_of(record).in_force(now):
        if each.end is not None:
            said = Phrase("%(who)s of the operator sees something now.")
            more = EXTENTS[each.act.extent.kind, each.act.level]
            yield Band(replace(said, values={"who": names.of(each.act.to)}), more, each.end)
