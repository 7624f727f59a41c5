"""Principals, roles and purposes: the arguments of every opening of a vault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Parts of the platform that keep an organisation's information."""

    ACCESS_POINT = "ap"
    MESSAGE_SERVICE = "mt"
    MESSAGE_CLIENT = "mk"
    GOVERNANCE = "gov"


ORGANISATIONS_OWN = (Role.MESSAGE_SERVICE, Role.ACCESS_POINT, Role.MESSAGE_CLIENT, Role.GOVERNANCE)
"""Order of preference among an organisation's vaults for matters of the whole organisation.

The first one that the organisation has keeps its log-signing key and the log of operations on the
organisation.
"""


class PrincipalKind(StrEnum):
    """Kinds of actors."""

    WORKER = "worker"
    """A part of the platform that acts for the organisation without a person's involvement."""
    SYSTEM = "system"
    """An organisation's own system, identified by its client certificate or access token."""
    USER = "user"
    OPERATOR = "operator"


class ProofKind(StrEnum):
    """Ways in which a member of the operator's staff has proved their identity."""

    SIGNATURE = "signature"
    """A signature over the command with the person's own key."""
    PASSPHRASE = "passphrase"  # noqa: S105
    """A custodian's passphrase."""
    SESSION = "session"
    """A session at the operator's console of a person who signed in there."""
    ELSEWHERE = "operator-log"
    """A signature that is kept in the operator's log, because its text concerns another organisation."""
    NONE = "none"
    """No proof: the name is only the one that the person typed."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The sign-in behind a console session, for enquiries to the sign-in service."""

    issuer: str
    """The sign-in service, or the issuer of the person's certificate."""
    level: str
    """Level of assurance that the service reported (``acr``)."""
    at: str
    """The time of the sign-in according to the service (``auth_time``), in ISO 8601."""
    certificate: str = ""
    """SHA-256 of the certificate that the person signed in with, if any."""

    def facts(self) -> dict[str, str]:
        """Return the sign-in as facts for a log entry."""
        shown = {"proof_certificate": self.certificate} if self.certificate else {}
        return {"proof_issuer": self.issuer, "proof_level": self.level, "proof_at": self.at, **shown}


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof of who ran a command, in the form in which a log entry keeps it for later verification."""

    kind: ProofKind
    text: str = ""
    """The signed text: the command, its subject and reason, the person who ran it, and the time."""
    signature: str = ""
    """Signature of the text in OpenSSH's format: base64, without the first and last line."""
    account: str = ""
    """Operating system account, if the name is not proved and differs from the account."""
    signed_in: SignedIn | None = None
    """The sign-in of a session, witnessed by the platform; it cannot be verified from the entry alone."""

    def facts(self) -> dict[str, str]:
        """Return the proof as facts for a log entry."""
        signed_in = {} if self.signed_in is None else self.signed_in.facts()
        signed = {"proof_text": self.text, "proof_signature": self.signature} if self.text else {}
        account = {"account": self.account} if self.account else {}
        return {"proof": self.kind.value, **signed, **signed_in, **account}

    def elsewhere(self) -> Proof:
        """Return the proof for the log of an organisation that the text does not concern.

        It only points to the operator's log, which has the signed text.
        """
        return Proof(ProofKind.ELSEWHERE) if self.text else self


NOT_PROVEN = Proof(ProofKind.NONE)
BY_PASSPHRASE = Proof(ProofKind.PASSPHRASE)


@dataclass(frozen=True, slots=True)
class Principal:
    """The acting person, system or worker.

    ``organisation`` is the participant identifier that the actor was authenticated for. The gate compares it
    with the organisation that is to be opened; a worker of the platform has none and is bound by its role
    instead.
    """

    kind: PrincipalKind
    name: str
    organisation: str | None = None
    through: str = ""
    """The organisation's system that a person acts through; recorded in each entry."""
    proof: Proof | None = None
    """Proof of identity, if a member of the operator's staff acts; recorded in each entry."""


class Purpose(StrEnum):
    """Reason for opening a vault; recorded in the organisation's log with each opening."""

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
    """The operator's staff manage transfers, without access to content."""
    AUTHORISE = "authorise"
    """A message client requests an access token or presents one."""
    EXPORT = "export"
    """All of the organisation's data is exported, for the organisation to keep or move."""
    CLOSE = "close"
    """Ending work in progress because the organisation is being closed here."""
    MEASURE = "measure"
    """Measuring queue lengths for the operator's monitoring."""
    ADMINISTER = "administer"
    """The operator's staff manage the organisation's vaults and keys without opening them."""
    IMPORT = "import"
    """Storing data that the organisation brings from its previous supplier."""
