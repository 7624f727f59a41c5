"""Keys in an organisation's vault that identify it to its sign-in service and its message service."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose
from samdrift.entrance.sites import Sites
from samdrift.vault.people import People, SignInKeys
from samdrift.vault.workergate import WorkerGate
from samdrift.web.sites import site_of
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey, TokenKey
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import PublicKey

JWKS = "/jwks"
"""Path of the public keys of an organisation's message client (RFC 7517 5)."""


class OwnKeys:
    """Implementation of :class:`samdrift.web.signin.saml.flow.SamlKeys`, plus keys for assertions."""

    def __init__(self, vaults: WorkerGate[People], organisation: ParticipantIdentifier, clock: Clock) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._clock = clock

    async def signing(self) -> Sequence[SigningKey]:
        """Return the keys that sign requests, the one in use first."""
        return (await self._sign_in_keys()).signing

    async def decrypting(self) -> Sequence[DecryptionKey]:
        """Return the keys that assertions may be encrypted for, newest first."""
        return (await self._sign_in_keys()).decrypting

    async def tokens(self) -> Sequence[TokenKey]:
        """Return the keys that sign statements of the organisation's identity, the one in use first.

        A new key is published for a while before it replaces the previous one, so that a service that reads
        our keys only occasionally knows it before it is used.
        """
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            return vault.token_keys(now=self._clock())[::-1]

    async def _sign_in_keys(self) -> SignInKeys:
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            return vault.sign_in_keys()


def jwks_route(sites: Sites, vaults: WorkerGate[People], clock: Clock) -> Route:
    """Return the public route of the organisation's public keys."""

    async def jwks(request: Request) -> Response:
        keys = await OwnKeys(vaults, sites.organisation(site_of(request)), clock).tokens()
        return JSONResponse({"keys": [PublicKey.named(key.public).published() for key in keys]})

    return Route(JWKS, jwks)
