"""Acts about agreements: parties, agreements, notices of sub-suppliers, extensions, releases, and choices.

An agreement is entered as a statement of all the facts in the paper document that coverage depends on, with
the digest of the document itself. It counts for an organisation once one of its own people has countersigned
it with a statement that approves it. If twelve organisations share an agreement, each countersigns the same
terms, and :attr:`Agreed.terms` is the same digest for all of them.

Releasing a duty, extending an agreement and entering one require two people of the organisation, or one if
the operator's staff entered it (:mod:`samdrift.rights.agreementfold`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from samdrift.rights.canonical import CanonicalError, Json, encode
from samdrift.rights.fields import Fields, StatementError, moment_text
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

LONGEST_AGREEMENT = timedelta(days=3660)
"""Maximum term of an agreement in one statement; after ten years it has to be entered again."""
LONGEST_EXTENSION = timedelta(days=90)
"""Maximum time by which two people can extend an agreement that ends."""
MAX_NOTICE = 3660
"""Maximum period of notice of an agreement, in days."""

_MAX_NAME = 200
_MAX_CLAUSE = 100
_MAX_ORGANISATIONS = 200
_MAX_PARTICIPANT = 256
_COUNTRY = re.compile(r"[A-Z]{2}")
_PARTY = re.compile(
    r"(?P<country>[A-Z]{2}):(?P<number>[A-Za-z0-9][A-Za-z0-9-]{1,30})(?:#(?P<unit>[a-z0-9-]{1,40}))?"
)
_SWEDISH = re.compile(r"[0-9]{6}-[0-9]{4}")
_DUTY = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")

Read = TypeVar("Read")


class PartyKind(StrEnum):
    """Kinds of parties to agreements."""

    AGENCY = "agency"
    MUNICIPALITY = "municipality"
    REGION = "region"
    MUNICIPAL_FEDERATION = "municipal-federation"
    """Municipal federation (kommunalförbund)."""
    JOINT_BOARD = "joint-board"
    """Joint board (gemensam nämnd), which is part of one of its municipalities."""
    COMPANY = "company"


class AgreementKind(StrEnum):
    """Kinds of agreements, by their legal form."""

    SERVICE = "service"
    """Service agreement (nyttjandeavtal)."""
    DATA_PROCESSING = "data-processing"
    """Data processing agreement (personuppgiftsbiträdesavtal)."""
    COOPERATION = "cooperation"
    """Cooperation between municipalities by agreement (avtalssamverkan)."""
    BETWEEN_AGENCIES = "between-agencies"
    """Agreement between authorities (överenskommelse)."""
    INTERNAL = "internal"
    """Agreement between parts of one legal person."""


class Function(StrEnum):
    """Functions that a party performs for an organisation."""

    AP = "ap"
    MT = "mt"
    MK = "mk"
    HOSTING = "hosting"
    BACKUP = "backup"
    HSM = "hsm"
    SUPPORT = "support"
    WITNESS = "witness"


ROLES = frozenset({Function.AP, Function.MT, Function.MK})
"""Functions that are roles of an installation; all others support them."""


class Secrecy(StrEnum):
    """Grounds that oblige a performer to keep the data it sees secret."""

    OSL = "osl-10-2a"
    """Offentlighets- och sekretesslagen, 10 kap. 2 a §: disclosure for technical processing or storage."""
    OSL_STAFF = "osl"
    """The secrecy rules for authorities, which bind a performer that is an authority itself."""
    LAW_2020_914 = "lag-2020-914"
    """Statutory duty of confidentiality for companies (lag 2020:914)."""
    CLAUSE = "clause"
    """A clause of the agreement."""


class AtEnd(StrEnum):
    """The organisation's choice for new messages when cover has ended; receiving continues either way."""

    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """A party by country and number, ``SE:212000-1876``, or a unit of one, ``SE:212000-1876#it``."""

    country: str
    number: str
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a party; raise :class:`ValueError` if the text is not one.

        A Swedish number must have a correct check digit, and must not be a personal number.
        """
        match = _PARTY.fullmatch(text)
        if match is None or (match["country"] == "SE" and not _is_swedish(match["number"])):
            raise ValueError("a party is a country, a colon and a number, with # and a unit")
        return cls(match["country"], match["number"], match["unit"] or "")

    @property
    def whole(self) -> Party:
        """The legal person that it is, or of which it is a unit."""
        return Party(self.country, self.number)

    def __str__(self) -> str:
        return f"{self.country}:{self.number}" + (f"#{self.unit}" if self.unit else "")


@dataclass(frozen=True, slots=True)
class PartyNamed:
    """The name and kind of a party, and the participant that it is in the federation, if any."""

    kind: ClassVar[str] = "party"

    party: Party
    name: str
    form: PartyKind
    participant: str = ""

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        members: dict[str, Json] = {"party": str(self.party), "name": self.name, "form": self.form.value}
        return members | ({"participant": self.participant} if self.participant else {})

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        party, name = _party(fields, "party"), fields.text("name", _MAX_NAME)
        form = fields.one_of("form", PartyKind)
        if form is PartyKind.JOINT_BOARD and not party.unit:
            raise StatementError("a joint board is a unit of one of its municipalities", "party")
        return cls(party, name, form, _participant(fields, "participant") if "participant" in fields else "")


@dataclass(frozen=True, slots=True, order=True)
class Carried:
    """A duty that an agreement carries, and the number of its clause."""

    duty: str
    clause: str


@dataclass(frozen=True, slots=True, order=True)
class Signatory:
    """A person who signed for a party."""

    party: Party
    name: str


@dataclass(frozen=True, slots=True)
class Agreed:
    """An agreement by which ``principal`` engages ``performer`` for ``functions`` of ``organisations``."""

    kind: ClassVar[str] = "agreement"

    form: AgreementKind
    principal: Party
    performer: Party
    functions: frozenset[Function]
    organisations: tuple[str, ...]
    start: datetime
    end: datetime
    notice: int
    """Period of notice, in days."""
    document: str
    """SHA-256 of the paper document."""
    signatories: tuple[Signatory, ...]
    countries: tuple[str, ...]
    """Countries in which data is processed."""
    secrecy: frozenset[Secrecy]
    duties: tuple[Carried, ...]

    @property
    def terms(self) -> str:
        """Digest of the terms, the same in every organisation that countersigns the agreement."""
        return hashlib.sha256(encode(self.members())).hexdigest()

    def clause(self, duty: str) -> str | None:
        """Return the clause that carries a duty, or ``None``."""
        return next((each.clause for each in self.duties if each.duty == duty), None)

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "form": self.form.value,
            "principal": str(self.principal),
            "performer": str(self.performer),
            "functions": sorted(self.functions),
            "for": list(self.organisations),
            "from": moment_text(self.start),
            "until": moment_text(self.end),
            "notice": self.notice,
            "document": self.document,
            "signatories": [{"party": str(each.party), "name": each.name} for each in self.signatories],
            "countries": list(self.countries),
            "secrecy": sorted(self.secrecy),
            "duties": [{"duty": each.duty, "clause": each.clause} for each in self.duties],
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        form = fields.one_of("form", AgreementKind)
        principal, performer = _party(fields, "principal"), _party(fields, "performer")
        if principal == performer:
            raise StatementError("the two parties must differ", "performer")
        if (principal.whole == performer.whole) != (form is AgreementKind.INTERNAL):
            raise StatementError("an internal agreement, and no other, is between parts of one party", "form")
        functions = frozenset(_list(fields, "functions", len(Function), Function, least=1))
        organisations = _list(fields, "for", _MAX_ORGANISATIONS, _as_participant, least=1)
        start, end = fields.moment("from"), fields.moment("until")
        if not start < end <= start + LONGEST_AGREEMENT:
            raise StatementError(
                f"it must end after its beginning, and at most {LONGEST_AGREEMENT.days} days after it",
                "until",
            )
        agreed = cls(
            form,
            principal,
            performer,
            functions,
            organisations,
            start,
            end,
            _number(fields, "notice", MAX_NOTICE),
            fields.digest("document"),
            _objects(fields, "signatories", 20, _signatory),
            _list(fields, "countries", 50, _as_country, least=1),
            frozenset(_list(fields, "secrecy", len(Secrecy), Secrecy)),
            _objects(fields, "duties", 400, _carried),
        )
        agreed._check()
        return agreed

    def _check(self) -> None:
        names = [each.duty for each in self.duties]
        if len(set(names)) != len(names):
            raise StatementError("a duty is repeated", "duties")
        if {each.party for each in self.signatories} != {self.principal, self.performer}:
            raise StatementError("both parties have signed, and no others", "signatories")
        if self.form is not AgreementKind.INTERNAL and not self.secrecy:
            raise StatementError("an agreement with another has a basis of secrecy", "secrecy")


@dataclass(frozen=True, slots=True)
class NoticeGiven:
    """A notice that the performer of the agreement ``of`` will engage a sub-supplier from ``start``.

    The organisation can object to it before ``window``.
    """

    kind: ClassVar[str] = "notice"

    of: str
    performer: Party
    functions: frozenset[Function]
    countries: tuple[str, ...]
    window: datetime
    start: datetime

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "of": self.of,
            "performer": str(self.performer),
            "functions": sorted(self.functions),
            "countries": list(self.countries),
            "window": moment_text(self.window),
            "from": moment_text(self.start),
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        of, performer = fields.digest("of"), _party(fields, "performer")
        functions = frozenset(_list(fields, "functions", len(Function), Function, least=1))
        countries = _list(fields, "countries", 50, _as_country, least=1)
        window, start = fields.moment("window"), fields.moment("from")
        if not at < window:
            raise StatementError("the window for objections must end after the notice is given", "window")
        if not window <= start:
            raise StatementError("a sub-supplier can only be engaged after the window has closed", "from")
        return cls(of, performer, functions, countries, window, start)


@dataclass(frozen=True, slots=True)
class Extended:
    """An extension of the agreement ``of`` until ``end``, which another person has to approve."""

    kind: ClassVar[str] = "extend"

    of: str
    end: datetime

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"of": self.of, "until": moment_text(self.end)}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        of, end = fields.digest("of"), fields.moment("until")
        if not at < end:
            raise StatementError("it must end after it is stated", "until")
        return cls(of, end)


@dataclass(frozen=True, slots=True)
class Released:
    """The release of a duty that the newest catalogue lacks, which another person has to approve."""

    kind: ClassVar[str] = "release"

    duty: str
    catalogue: str
    """Name and version of the catalogue that lacks the duty."""

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"duty": self.duty, "catalogue": self.catalogue}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        return cls(_as(_as_duty, fields.text("duty", 64), "duty"), fields.text("catalogue", 64))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The organisation's choice of what happens to new messages when the cover of a function ends."""

    kind: ClassVar[str] = "at-end"

    sending: AtEnd

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"sending": self.sending.value}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        return cls(fields.one_of("sending", AtEnd))


AgreementAct: TypeAlias = PartyNamed | Agreed | NoticeGiven | Extended | Released | Chosen
AGREEMENT_ACTS: tuple[type[AgreementAct], ...] = (PartyNamed, Agreed, NoticeGiven, Extended, Released, Chosen)


def as_written(content: bytes, at: datetime) -> Agreed:
    """Parse an agreement that a person wrote in JSON, with any spacing, to be stated at ``at``.

    Raise :class:`StatementError`, naming the field if possible, if it is not valid.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise StatementError("a name is repeated")
        return dict(pairs)

    try:
        value = json.loads(content, object_pairs_hook=members)
    except StatementError:
        raise
    except (ValueError, RecursionError):
        raise StatementError("it is not JSON") from None
    if not isinstance(value, dict):
        raise StatementError("it is not an object")
    fields = Fields(value)
    agreed = Agreed.read(fields, at)
    fields.end()
    try:
        encode(agreed.members())
    except CanonicalError as error:
        raise StatementError(error.text, error.where) from None
    return agreed


def _is_swedish(number: str) -> bool:
    """Return whether a number is that of a Swedish legal person.

    Its third digit is 2 or more, where a personal number has a month, and its last digit is a check
    digit (Luhn).
    """
    if not _SWEDISH.fullmatch(number) or number[2] < "2":
        return False
    digits = [int(each) for each in number if each != "-"]
    doubled = [sum(divmod(each * (2 - place % 2), 10)) for place, each in enumerate(digits)]
    return sum(doubled) % 10 == 0


def _party(fields: Fields, name: str) -> Party:
    return _as(Party.parse, fields.text(name, 80), name)


def _participant(fields: Fields, name: str) -> str:
    return _as(_as_participant, fields.text(name, _MAX_PARTICIPANT), name)


def _as_participant(text: str) -> str:
    try:
        if ParticipantIdentifier.parse(text).value == text:
            return text
    except WireError:
        pass
    raise ValueError("it is not a participant in its canonical form")


def _as_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise ValueError("a country is two capitals")
    return text


def _as_duty(text: str) -> str:
    if not _DUTY.fullmatch(text):
        raise ValueError("a duty is a-z, 0-9, dots and hyphens")
    return text


def _as(read: Callable[[str], Read], text: str, name: str) -> Read:
    try:
        return read(text)
    except ValueError:
        raise StatementError("it is not valid in this field", name) from None


def _number(fields: Fields, name: str, most: int) -> int:
    value = fields.take(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise StatementError(f"expected a whole number from 0 to {most}", name)
    return value


def _list(
    fields: Fields, name: str, most: int, read: Callable[[str], Read], least: int = 0
) -> tuple[Read, ...]:
    value = fields.take(name)
    texts = [each for each in value if isinstance(each, str)] if isinstance(value, list) else None
    if texts is None or texts != value or not least <= len(texts) <= most or texts != sorted(set(texts)):
        raise StatementError(f"expected a list of {least} to {most} texts, sorted and without repeats", name)
    return tuple(_as(read, each, name) for each in texts)


def _objects(fields: Fields, name: str, most: int, read: Callable[[Fields], Any]) -> tuple[Any, ...]:
    """Read a list of sorted objects without duplicates; an error names the object and its field."""
    value = fields.take(name)
    if not isinstance(value, list) or len(value) > most:
        raise StatementError(f"expected a list of at most {most} objects", name)
    found = []
    for place, each in enumerate(value):
        where = f"{name}[{place}]"
        if not isinstance(each, Mapping):
            raise StatementError("expected an object", where)
        below = Fields(each)
        try:
            found.append(read(below))
            below.end()
        except StatementError as error:
            raise StatementError(error.text, f"{where}.{error.field}") from None
    if found != sorted(set(found)):
        raise StatementError("the objects must be sorted and without repeats", name)
    return tuple(found)


def _signatory(fields: Fields) -> Signatory:
    return Signatory(_party(fields, "party"), fields.text("name", _MAX_NAME))


def _carried(fields: Fields) -> Carried:
    return Carried(_as(_as_duty, fields.text("duty", 64), "duty"), fields.text("clause", _MAX_CLAUSE))
