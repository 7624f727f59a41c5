"""Sign-in by client certificate: the TLS connection identifies the person, and every request is checked.

TLS has already verified possession of the key and the chain to a trusted issuer. Whether the person is known
and the certificate still valid is decided here, so that a page can tell the person what to do. A session is
valid only on connections that show the certificate with which it began: its cookie alone is not enough, and a
revoked certificate ends the session at the next request.
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
"""Level of assurance of people who signed in by certificate."""
_ARMOURED = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_ODD = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)
_UNFIT_LIST = "a revocation list is not of one of the issuers, or does not cover all their revocations"


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Issuers, revocation lists and holders of the certificates that sign people in."""

    issuers: Path
    """File with the issuers (PEM), each of which directly issues the certificates of people."""
    revocation_lists: Path | None = None
    """File with their revocation lists (PEM, or one in DER); if set, a certificate needs a current list."""
    revoked: frozenset[str] = frozenset()
    """SHA-256 of certificates that are no longer accepted."""
    named: Callable[[x509.Certificate], str | None] = fingerprint
    """Function that returns the identifier of a certificate's holder; ``None`` to refuse sign-in."""


@dataclass(frozen=True, slots=True)
class _Issuers:
    """Issuers, each with its revocation lists, as last read from the files."""

    lists: Mapping[x509.Certificate, tuple[x509.CertificateRevocationList, ...]]

    def of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """Return the direct issuer of a certificate; ``None`` if it is not among them."""
        return next((issuer for issuer in self.lists if _issued(certificate, issuer)), None)


class ClientCertificates:
    """Judgement of client certificates by the current files; an unusable new version of a file is ignored."""

    def __init__(self, settings: CertificateSettings, clock: Clock) -> None:
        """Read the files; raise :class:`OSError`, or :class:`ValueError` if they do not fit together."""
        self._settings = settings
        self._clock = clock
        files = [each for each in (settings.issuers, settings.revocation_lists) if each is not None]
        self._issuers = Followed(
            "client certificates' issuers and revocation lists",
            self._read,
            lambda: tuple(file_state(each) for each in files),
        )

    def person(self, shown: bytes | None) -> Person:
        """Return the holder of a certificate; raise :class:`SignInFailed`, with advice for the person."""
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
        """Return whether a session is valid on a connection that shows this certificate."""
        try:
            now = self.person(shown)
        except SignInFailed:
            return False
        then = session.person
        return (now.subject, now.provider_session) == (then.subject, then.provider_session)

    def lists_end(self) -> datetime | None:
        """Return the time at which the first revocation list expires; ``None`` if none are used."""
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
        """Return sign-in at the pages of ``place``."""
        return CertificateSignIn(self.certificates, place)


class CertificateSignIn:
    """Sign-in at one place (:class:`~samdrift.web.signin.pending.SignInFlow`), without any other service."""

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
        """Begin a session for the connection's certificate; raise :class:`SignInFailed`."""
        try:
            return await self._complete(fields, cookie, shown)
        except SignInFailed as failure:
            await self._place.on_failure(failure.fault)
            raise

    async def end_from_outside(self, notice: str) -> int:
        """Refuse a notice, since certificates have no logout notices."""
        raise SignInFailed(Fault.EVENT)

    async def leave(self, back: str) -> str | None:
        """Return ``None``, since there is no sign-in service to leave."""
        return None

    async def metadata(self) -> str | None:
        """Return ``None``, since there is no sign-in service that needs our metadata."""
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
    """Return whether a list is signed by the issuer and complete; a partial list is not enough."""
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
    "The certificate that your browser showed is not from an issuer accepted here. Close all windows of"
    " the browser, come back and choose another one."
)
_ENDED = Phrase("Your certificate is not valid today. Get a new one, and have it named here.")
_REVOKED = Phrase("Your certificate is revoked. Get a new one, and have it named here.")
_LIST_ENDED = Phrase(
    "It cannot be checked whether your certificate is revoked: the issuer’s revocation list here is not"
    " in force. Ask the machine’s administrator to install the current one; no restart is needed."
)


def _not_named(digest: str, subject: str) -> Phrase:
    values = {"digest": digest, "subject": subject}
    return Phrase(
        "Your certificate is good, but no one is named here with it. Give this to the administrator of"
        " the configuration: SHA-256 %(digest)s, subject %(subject)s.",
        values,
    )
