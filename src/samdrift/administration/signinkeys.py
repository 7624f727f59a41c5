"""Keys that identify an organisation's pages to its sign-in service, and its message client to others.

SAML keys are created here and self-signed, since a service identifies them by our metadata; keys for signed
statements are created and replaced automatically in the vault.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from samdrift.administration.administration import Administration, note
from samdrift.administration.dualcontrol import Matter, Persons, two_persons
from samdrift.administration.events import AdminEvent
from samdrift.administration.keyholder import owner, subject
from samdrift.audit.events import AuditEvent
from samdrift.config.errors import Unusable
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.installation.keyrows import KeyRow, key_rows
from samdrift.installation.signin import saml_metadata
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import PublicKey

NAMES = (KeyName.SIGN_IN_SIGNING, KeyName.SIGN_IN_ENCRYPTION)
LASTS = timedelta(days=3 * 365)
"""Lifetime of a certificate; most services check only the key, but some check the dates."""


@dataclass(frozen=True, slots=True)
class SignInKeyring:
    """Keys that one organisation's message client uses with other services."""

    installation: Administration
    organisation: ParticipantIdentifier
    clock: Clock
    vault: str

    @classmethod
    def of(cls, installation: Administration, organisation: ParticipantIdentifier, clock: Clock) -> Self:
        """Return an organisation's keys; raise :class:`Unusable` if it has no message client here."""
        found = installation.gate.registry.find(organisation, Role.MESSAGE_CLIENT)
        if found is None:
            raise Unusable("that organisation has no message client here")
        return cls(installation, organisation, clock, found.vault)

    def rows(self) -> list[KeyRow]:
        """Return the SAML keys by name, the newest first."""
        return key_rows(self.installation.keys.keys(self.vault), self.clock(), NAMES)

    async def renew(self, persons: Persons, by: str, start: datetime | None) -> None:
        """Create a new key of each kind; until ``start``, requests are still signed with the previous one."""
        name = subject(owner(self.installation.config, self.organisation))
        text = f"make new sign-in keys of {self.organisation}"
        await two_persons(
            self.installation, Matter("org sign-in renew", self.organisation.value, text), persons
        )
        until = max(start or self.clock(), self.clock()) + LASTS
        for key in NAMES:
            signs = key is KeyName.SIGN_IN_SIGNING
            certificate = await asyncio.to_thread(
                self.installation.keys.create_certified_key,
                self.vault,
                key.value,
                name,
                until,
                active_from=start if signs else None,
            )
            facts = {"key": key.value, "certificate": fingerprint(certificate)}
            await self._note(AdminEvent.KEYS_SELF_CERTIFIED, by, **facts)

    async def retire(self, persons: Persons, by: str, name: KeyName, number: int) -> None:
        """Destroy a key permanently; :class:`Unusable` if it is in use or does not exist."""
        rows = [row for row in self.rows() if row.key and (row.name, row.key.number) == (name, number)]
        if not rows:
            raise Unusable(f"the organisation has no {name} key with the number {number}")
        if rows[0].in_use:
            raise Unusable("the key in use is replaced before it is retired: samdrift org sign-in renew")
        text = f"destroy the {name} key number {number} of {self.organisation} for good"
        matter = Matter("org sign-in retire", self.organisation.value, text)
        await two_persons(self.installation, matter, persons)
        await self._note(AdminEvent.KEYS_RETIRED, by, key=name.value, number=str(number))
        await asyncio.to_thread(self.installation.keys.retire, self.vault, name.value, number)

    def metadata(self) -> str:
        """Return our metadata for the sign-in service; raise :class:`Unusable` if there are no keys yet."""
        keys = self.installation.keys
        try:
            signing = keys.signing_keys(self.vault, KeyName.SIGN_IN_SIGNING)
            decrypting = keys.decryption_keys(self.vault, KeyName.SIGN_IN_ENCRYPTION)
        except KeyStoreError as error:
            if error.fault is not KeyFault.MISSING:
                raise
            raise Unusable("there are no sign-in keys yet: samdrift org sign-in renew") from None
        return saml_metadata(self.installation.config, self.organisation, signing, decrypting)

    def key_set(self) -> str:
        """Return the public keys of signed statements as a JWK Set (RFC 7517 5)."""
        keys = self.installation.keys.token_keys(self.vault, self.clock().date())
        return json.dumps({"keys": [PublicKey.named(key.public).published() for key in keys]}, indent=2)

    async def _note(self, event: AuditEvent, by: str, **facts: str) -> None:
        await note(self.installation, event, by, self.organisation, facts)
