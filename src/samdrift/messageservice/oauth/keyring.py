"""Whose keys verify what: our own issuers', others' issuers', and those of registered clients."""

from __future__ import annotations

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.messageservice.oauth.jwt import UnverifiedJwt
from samdrift.messageservice.oauth.keys import PublicKey, PublicKeys
from samdrift.messageservice.oauth.keysource import Fetch, KeptKeys, KeysUnavailable
from samdrift.messageservice.oauth.remote import ClientFor, fetched_keys, issuer_keys
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

WORKER = "authorization"


class Keyring:
    """Keys as they are needed, each kept for a while. All of them raise :class:`KeysUnavailable`."""

    def __init__(self, gate: Gate, client_for: ClientFor, clock: Clock) -> None:
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._client_for = client_for
        self._clock = clock
        self._kept: dict[ParticipantIdentifier | ExternalIssuer | KeysAt, KeptKeys] = {}

    async def own(self, organisation: ParticipantIdentifier, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Keys of the organisation's issuer here that may have signed ``token``."""
        return await self._own(organisation).fitting(token)

    async def published(self, organisation: ParticipantIdentifier) -> PublicKeys:
        """All keys of the organisation's issuer here."""
        return await self._own(organisation).all()

    async def external(self, issuer: ExternalIssuer, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Keys of an organisation's own authorisation server that may have signed ``token``."""
        return await self._keep(issuer, lambda: issuer_keys(self._client_for, issuer)).fitting(token)

    async def client(self, keys: PublicKeys | KeysAt, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Keys of a client that may have signed ``token``."""
        if isinstance(keys, PublicKeys):
            return keys.fitting(token.algorithm, token.kid)
        return await self._keep(keys, lambda: fetched_keys(self._client_for, keys)).fitting(token)

    def _own(self, organisation: ParticipantIdentifier) -> KeptKeys:
        return self._keep(organisation, lambda: self._made_in_place(organisation))

    def _keep(self, whose: ParticipantIdentifier | ExternalIssuer | KeysAt, fetch: Fetch) -> KeptKeys:
        if whose not in self._kept:
            self._kept[whose] = KeptKeys(fetch, self._clock)
        return self._kept[whose]

    async def _made_in_place(self, organisation: ParticipantIdentifier) -> PublicKeys:
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                keys = vault.token_keys(now=self._clock())
        except (VaultError, KeyStoreError):
            raise KeysUnavailable("a vault does not give its keys") from None
        return PublicKeys(PublicKey.named(key.public) for key in keys)
