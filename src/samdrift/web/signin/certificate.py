"""Sign-in by a client certificate: the connection has shown who is there, and each page looks at it again.

TLS has verified by then that the key is there and that the certificate leads to a trusted issuer. Whose it
is, and whether it still counts, is decided here, so that a person reads on a page what to do about it. A
session holds only on connections that show the certificate that it was begun with: its cookie alone opens
nothing, and a certificate that is revoked ends the session at its next page.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from samdrift.contracts.clock import Clock
from samdrift.net.following import Followed, file_state
from samdrift.trust.keys import KeyMaterialError, certificates
from samdrift.web.sessions import Person, Session
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.paths import ANSWER
from samdrift.web.signin.pending import Begun, Completed, Pending, one
from samdrift.web.signin.service import Place
from samdrift.web.texts import Phrase
from samdrift.wire.crypto.certificates import common_name, fingerprint, from_der

LEVEL = "certificate"
"""The level of assurance of whoever signed in by a certificate."""
_ARMOURED = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_ODD = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)
_UNFIT_LIST = "a revocation list is not of one of the issuers, or not one of all that they have revoked"


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """The persons whose certificates sign them in, and where their issuers and lists are."""

    issuers: Path
    """The issuers, each of which issues persons' certificates itself, in PEM."""
    revocation_lists: Path | None = None
    """Their revocation lists, in PEM, or one in DER; with it, a certificate needs a list in force."""
    revoked: frozenset[str] = frozenset()
    """SHA-256 of certificates that do not count any more."""
    named: Callable[[x509.Certificate], str | None] = fingerprint
    """Returns the identifier of the certificate's holder; ``None`` for a person who may not sign in."""


@dataclass(frozen=True, slots=True)
class _Issuers:
    """Issuers, each with its revocation lists, as the files have them now."""

    lists: Mapping[x509.Certificate, tuple[x509.CertificateRevocationList, ...]]

    def of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """Return who issued a certificate directly."""
        return next((issuer for issuer in self.lists if _issued(certificate, issuer)), None)


class ClientCertificates:
    """Judges client certificates as files say at the moment; one that cannot be used changes nothing."""

    def __init__(self, settings: CertificateSettings, clock: Clock) -> None:
        """:class:`OSError`, or :class:`ValueError` for files that do not fit together."""
        self._settings = settings
        self._clock = clock
        files = [each for each in (settings.issuers, settings.revocation_lists) if each is not None]
        self._issuers = Followed(
            "client certificates' issuers and revocation lists",
            self._read,
            lambda: tuple(file_state(each) for each in files),
        )

    def person(self, shown: bytes | None) -> Person:
        """Return whose certificate a connection shows; :class:`SignInFailed`, with what to do about it."""
        if shown is None:
            raise SignInFailed(Fault.NO_CERTIFICATE, _NONE_SHOWN)
        try:
            certificate = from_der(shown)
            known = self._settings.named(certificate)
            subject = certificate.subject.rfc4514_string()
        except _ODD:
            raise SignInFailed(Fault.NO_CERTIFICATE, _NONE_SHOWN) from None
        now, digest = self._clock(), fingerprint(certificate)
        self._require_in_force(certificate, now)
        if known is None:
            raise SignInFailed(Fault.PERSON, _not_named(digest, subject))
        name = common_name(certificate) or known
        return Person(certificate.issuer.rfc4514_string(), known, name, LEVEL, now, digest)

    def hold(self, session: Session, shown: bytes | None) -> bool:
        """Return whether a session still holds on a connection that shows this certificate."""
        try:
            now = self.person(shown)
        except SignInFailed:
            return False
        then = session.person
        return (now.subject, now.provider_session) == (then.subject, then.provider_session)

    def lists_end(self) -> datetime | None:
        """Return when the first of the revocation lists ends; ``None`` where none are used."""
        lists = [each for some in self._issuers.current().lists.values() for each in some]
        return min((_until(each) for each in lists), default=None)

    def _require_in_force(self, certificate: x509.Certificate, now: datetime) -> None:
        found = self._issuers.current()
        issuer = found.of(certificate)
        if issuer is None:
            raise SignInFailed(Fault.CERTIFICATE_ISSUER, _ANOTHER)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise SignInFailed(Fault.CERTIFICATE_PERIOD, _ENDED)
        if fingerprint(certificate) in self._settings.revoked:
            raise SignInFailed(Fault.REVOKED, _REVOKED)
        if self._settings.revocation_lists is None:
            return
        in_force = [each for each in found.lists[issuer] if each.last_update_utc <= now <= _until(each)]
        if any(each.get_revoked_certificate_by_serial_number(certificate.serial_number) for each in in_force):
            raise SignInFailed(Fault.REVOKED, _REVOKED)
        if not in_force:
            raise SignInFailed(Fault.REVOCATION_UNKNOWN, _LIST_ENDED)

    def _read(self) -> _Issuers:
        settings = self._settings
        issuers = certificates(settings.issuers.read_bytes())
        lists = [] if settings.revocation_lists is None else _lists(settings.revocation_lists.read_bytes())
        known: dict[x509.Certificate, tuple[x509.CertificateRevocationList, ...]] = dict.fromkeys(issuers, ())
        for each in lists:
            signers = [issuer for issuer in issuers if _signed(each, issuer)]
            if not signers:
                raise KeyMaterialError(_UNFIT_LIST)
            known |= {issuer: (*known[issuer], each) for issuer in signers}
        return _Issuers(known)


@dataclass(frozen=True, slots=True)
class CertificateService:
    """Sign-in by client certificates, in place of a sign-in service."""

    certificates: ClientCertificates

    def at(self, place: Place) -> CertificateSignIn:
        """Return sign-in at one place."""
        return CertificateSignIn(self.certificates, place)


class CertificateSignIn:
    """Sign-in at one place (:class:`~samdrift.web.signin.pending.SignInFlow`); it leads nowhere else."""

    def __init__(self, certificates: ClientCertificates, place: Place) -> None:
        self._certificates = certificates
        self._place = place

    async def begin(self, back: str, *, again: bool = False) -> Begun:
        """Begin a sign-in that ends at the page ``back``."""
        pending = Pending.new(self._place.clock(), back)
        return Begun(f"{self._place.origin}{ANSWER}?state={self._state(pending)}", str(pending))

    async def complete(
        self, fields: Mapping[str, Sequence[str]], cookie: str | None, shown: bytes | None = None
    ) -> Completed:
        """Turn the certificate of the connection into a session; :class:`SignInFailed`."""
        try:
            return await self._complete(fields, cookie, shown)
        except SignInFailed as failure:
            await self._place.on_failure(failure.fault)
            raise

    async def end_from_outside(self, notice: str) -> int:
        """Refuse: certificates have no notices of logout."""
        raise SignInFailed(Fault.EVENT)

    async def leave(self, back: str) -> str | None:
        """Return ``None``: there is no sign-in service to leave."""
        return None

    async def metadata(self) -> str | None:
        """Return ``None``: there is no sign-in service that is to know us."""
        return None

    async def _complete(
        self, fields: Mapping[str, Sequence[str]], cookie: str | None, shown: bytes | None
    ) -> Completed:
        pending = Pending.read(cookie, self._place.clock())
        state = self._state(pending)
        if not hmac.compare_digest(one(fields, "state", Fault.STATE).encode(), state.encode()):
            raise SignInFailed(Fault.STATE)
        person = self._certificates.person(shown)
        sessions = self._place.sessions
        value = await sessions.begin(person, sessions.mark("sign-in", state))
        if value is None:
            raise SignInFailed(Fault.REPLAYED)
        return Completed(value, pending.back, person)

    def _state(self, pending: Pending) -> str:
        return pending.derived(self._place.sessions, "state")


def _lists(data: bytes) -> list[x509.CertificateRevocationList]:
    try:
        found = [x509.load_pem_x509_crl(each) for each in _ARMOURED.findall(data)]
        return found or [x509.load_der_x509_crl(data)]
    except _ODD:
        raise KeyMaterialError("no revocation list can be read") from None


def _signed(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Return whether a list is an issuer's, of all that it has revoked: a part of them would not do."""
    try:
        whole = not any(extension.critical for extension in found.extensions)
        in_time = found.next_update_utc is not None
        ours = found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except _ODD:
        return False
    return whole and in_time and ours


def _until(found: x509.CertificateRevocationList) -> datetime:
    until = found.next_update_utc
    assert until is not None
    return until


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*_ODD, InvalidSignature):
        return False
    return True


_NONE_SHOWN = Phrase(
    "Your browser showed no certificate. Put in your card, or import your certificate into the browser, close"
    " all its windows, come back and choose the certificate when you are asked."
)
_ANOTHER = Phrase(
    "The certificate that your browser showed is not of an issuer that is accepted here. Close all windows of"
    " the browser, come back and choose another one."
)
_ENDED = Phrase("Your certificate is not valid today. Get a new one, and have it named here.")
_REVOKED = Phrase("Your certificate is revoked. Get a new one, and have it named here.")
_LIST_ENDED = Phrase(
    "Whether your certificate is revoked cannot be told: the issuer’s revocation list here is not in force."
    " Whoever looks after the machine puts the current one in its place; no restart is needed."
)


def _not_named(digest: str, subject: str) -> Phrase:
    values = {"digest": digest, "subject": subject}
    return Phrase(
        "Your certificate is good, but nobody is named here who has it. Give this to whoever writes the"
        " configuration: SHA-256 %(digest)s, subject %(subject)s.",
        values,
    )
