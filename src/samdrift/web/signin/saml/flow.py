"""Sign-in by SAML: HTTP-Redirect to the organisation's sign-in service, and HTTP-POST for the answer.

The answer is posted from another site, so the browser does not send our cookie. The page that receives it
posts it again from our own site, this time with the cookie. So the answer is accepted only in the browser
that asked for it, and nothing is stored for sign-ins that are not completed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509

from samdrift.contracts.clock import Clock
from samdrift.web.sessions import Sessions
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.kept import ProviderUnavailable
from samdrift.web.signin.paths import METADATA, POSTED
from samdrift.web.signin.pending import Begun, Completed, OnFailure, Pending, one
from samdrift.web.signin.saml.checks import Asked, person_of
from samdrift.web.signin.saml.provider import SamlProvider
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.saml.metadata import ServiceProvider
from samdrift.wire.saml.request import AuthnRequest, redirect
from samdrift.wire.saml.response import Response, read_response
from samdrift.wire.xml import base64text

_LOGGER = logging.getLogger("samdrift")
FIELD = "SAMLResponse"
_FAULTS = {
    WireFault.SIGNATURE: Fault.SIGNED_BY,
    WireFault.ALGORITHM: Fault.CIPHER,
    WireFault.DECRYPTION: Fault.DECRYPTION,
}


class SamlKeys(Protocol):
    """An organisation's keys for SAML, in its vault."""

    async def signing(self) -> Sequence[SigningKey]:
        """Return the keys that sign requests, the one in use first."""

    async def decrypting(self) -> Sequence[DecryptionKey]:
        """Return the keys that can decrypt assertions, the newest first."""


@dataclass(frozen=True, slots=True)
class Site:
    """One organisation's pages as a SAML service provider."""

    origin: str
    name: str

    @property
    def entity(self) -> str:
        """Return our entity identifier, which is also the address of our metadata."""
        return self.origin + METADATA

    @property
    def answer(self) -> str:
        """Return the address to which answers are posted."""
        return self.origin + POSTED

    def described(
        self, signers: tuple[x509.Certificate, ...], recipients: tuple[x509.Certificate, ...]
    ) -> str | None:
        """Return our metadata with the certificates of our keys; ``None`` before there are any.

        All signing keys are included, also the next one. Of the decryption keys only the newest is included,
        since assertions are to be encrypted for it from now on.
        """
        if not signers or not recipients:
            return None
        return str(ServiceProvider(self.entity, self.answer, signers, recipients[0], self.name, self.origin))


class SamlSignIn:
    """Sign-in at one organisation (:class:`~samdrift.web.signin.pending.SignInFlow`)."""

    def __init__(
        self,
        provider: SamlProvider,
        keys: SamlKeys,
        sessions: Sessions,
        site: Site,
        clock: Clock,
        on_failure: OnFailure,
    ) -> None:
        self._provider = provider
        self._keys = keys
        self._sessions = sessions
        self._site = site
        self._clock = clock
        self._on_failure = on_failure

    async def begin(self, back: str, *, again: bool = False) -> Begun:
        """Begin a sign-in that returns to the page ``back``; ``again`` demands a new authentication."""
        description = await self._provider.description()
        keys = await self._keys.signing()
        if not keys:
            _LOGGER.warning("sign-in: no key to sign requests: samdrift org sign-in renew")
            raise ProviderUnavailable("the organisation has no key for its sign-in service")
        pending = Pending.new(self._clock(), back)
        settings = self._provider.settings
        request = AuthnRequest(
            self._identifier(pending),
            self._clock(),
            self._site.entity,
            description.sign_in,
            self._site.answer,
            settings.levels,
            again=again,
            persistent=not settings.subject_attribute,
        )
        url = await asyncio.to_thread(redirect, description.sign_in, "SAMLRequest", str(request), keys[0])
        return Begun(url, str(pending))

    async def complete(
        self, fields: Mapping[str, Sequence[str]], cookie: str | None, shown: bytes | None = None
    ) -> Completed:
        """Turn the sign-in service's answer into a session.

        Raises :class:`~samdrift.web.signin.faults.SignInFailed`, once it has been recorded, or
        :class:`~samdrift.web.signin.kept.ProviderUnavailable`.
        """
        try:
            return await self._complete(fields, cookie)
        except SignInFailed as failure:
            await self._on_failure(failure.fault)
            raise

    async def end_from_outside(self, notice: str) -> int:
        """Refuse a logout notice, since those belong to OpenID Connect."""
        await self._on_failure(Fault.EVENT)
        raise SignInFailed(Fault.EVENT)

    async def leave(self, back: str) -> str | None:
        """Return ``None``, since a logout request would put the person's name into an address."""
        return None

    async def metadata(self) -> str | None:
        """Return our metadata; ``None`` before there are keys."""
        signers = tuple(key.certificate for key in await self._keys.signing())
        recipients = tuple(key.certificate for key in await self._keys.decrypting())
        return self._site.described(signers, recipients)

    async def _complete(self, fields: Mapping[str, Sequence[str]], cookie: str | None) -> Completed:
        pending = Pending.read(cookie, self._clock())
        identifier = self._identifier(pending)
        response = await self._read(one(fields, FIELD, Fault.ANSWER))
        asked = Asked(identifier, self._site.answer, self._site.entity)
        person = person_of(response, asked, self._provider.settings, self._clock())
        # The assertion names its request: answering each request only once prevents its replay.
        value = await self._sessions.begin(person, self._sessions.mark("sign-in", identifier))
        if value is None:
            raise SignInFailed(Fault.REPLAYED)
        return Completed(value, pending.back, person)

    async def _read(self, answer: str) -> Response:
        description = await self._provider.description()
        keys = await self._keys.decrypting()
        try:
            data = base64text.decode(answer)
            return await asyncio.to_thread(read_response, data, description.signers, keys)
        except WireError as error:
            raise SignInFailed(_FAULTS.get(error.fault, Fault.ANSWER)) from None

    def _identifier(self, pending: Pending) -> str:
        """Return the identifier of the request, which may not begin with a digit (saml-core 1.3.4)."""
        return "_" + pending.derived(self._sessions, "request")
