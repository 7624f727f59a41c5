"""Principals, roles and purposes: the arguments of every opening of a vault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The parts of the platform that keep an organisation's information."""

    ACCESS_POINT = "ap"
    MESSAGE_SERVICE = "mt"
    MESSAGE_CLIENT = "mk"
    GOVERNANCE = "gov"


ORGANISATIONS_OWN = (Role.MESSAGE_SERVICE, Role.ACCESS_POINT, Role.MESSAGE_CLIENT, Role.GOVERNANCE)
"""The order in which a vault is chosen for matters of the whole organisation: its log-signing key, and the
log of operations on it. The first one that the organisation has is used.
"""


class PrincipalKind(StrEnum):
    """Kinds of actors."""

    WORKER = "worker"
    """A part of the platform that acts for the organisation without a person."""
    SYSTEM = "system"
    """An organisation's own system, known by its client certificate or access token."""
    USER = "user"
    OPERATOR = "operator"


class ProofKind(StrEnum):
    """Ways in which someone of the operator's staff has shown who they are."""

    SIGNATURE = "signature"
    """One by their own key, over the command."""
    PASSPHRASE = "passphrase"  # noqa: S105
    """A custodian's passphrase."""
    SESSION = "session"
    """A session at the operator's console, of a person who signed in there."""
    ELSEWHERE = "operator-log"
    """A signature that the operator's log has: its text is about something of another organisation."""
    NONE = "none"
    """No proof: the name is only what the person typed."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The sign-in behind a console session, for inquiries at the sign-in service."""

    issuer: str
    """The sign-in service, or the issuer of the person's certificate."""
    level: str
    """Level of assurance that the service gave (``acr``)."""
    at: str
    """The time of the sign-in according to the service (``auth_time``), in ISO 8601."""
    certificate: str = ""
    """SHA-256 of the certificate that the person showed, where that signed them in."""

    def facts(self) -> dict[str, str]:
        """Return it as facts of an entry."""
        shown = {"proof_certificate": self.certificate} if self.certificate else {}
        return {"proof_issuer": self.issuer, "proof_level": self.level, "proof_at": self.at, **shown}


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of who ran a command, in the form in which a log entry keeps it for later verification."""

    kind: ProofKind
    text: str = ""
    """The signed text: the command, its subject and reason, who ran it and when."""
    signature: str = ""
    """Its signature in OpenSSH's form, base64 without its first and last line."""
    account: str = ""
    """The account of the operating system, where nothing proves the name and it is another."""
    signed_in: SignedIn | None = None
    """The sign-in of a session: witnessed by the platform, and not verifiable from the entry alone."""

    def facts(self) -> dict[str, str]:
        """Return it as facts of an entry."""
        signed_in = {} if self.signed_in is None else self.signed_in.facts()
        signed = {"proof_text": self.text, "proof_signature": self.signature} if self.text else {}
        account = {"account": self.account} if self.account else {}
        return {"proof": self.kind.value, **signed, **signed_in, **account}

    def elsewhere(self) -> Proof:
        """Return the proof for the log of an organisation that the text does not concern: a pointer to it."""
        return Proof(ProofKind.ELSEWHERE) if self.text else self


NOT_PROVEN = Proof(ProofKind.NONE)
BY_PASSPHRASE = Proof(ProofKind.PASSPHRASE)


@dataclass(frozen=True, slots=True)
class Principal:
    """The acting person, system or worker.

    ``organisation`` is the participant identifier that the actor was
    authenticated for. The gate compares it with the organisation that is to be
    opened; a worker of the platform has none and is bound by its role instead.
    """

    kind: PrincipalKind
    name: str
    organisation: str | None = None
    through: str = ""
    """The organisation's system that a person acts through; each entry names it."""
    proof: Proof | None = None
    """The proof of who it is, where someone of the operator's staff acts; each entry has it."""


class Purpose(StrEnum):
    """Why a vault is opened; is recorded in the organisation's log with each opening."""

    SUBMIT = "submit"
    SEND = "send"
    RECEIVE = "receive"
    DELIVER = "deliver"
    COMPOSE = "compose"
    PROCESS = "process"
    READ = "read"
    DISPOSE = "dispose"
    TRACE = "trace"
    MAINTAIN = "maintain"
    OPERATE = "operate"
    """The operator's staff see to transfers; they have no path to content."""
    AUTHORISE = "authorise"
    """A message client asks for an access token, or shows one."""
    EXPORT = "export"
    """Everything of the organisation is taken out, for it to keep or to move."""
    CLOSE = "close"
    """Ending work in progress because the organisation is being closed here."""
    MEASURE = "measure"
    """Lengths of queues, for the operator's monitoring."""
    ADMINISTER = "administer"
    """The operator's staff see to the organisation's vaults and keys, without opening them."""
    IMPORT = "import"
    """Storing data that the organisation brings from another supplier."""
