"""An organisation's SAML sign-in service: its settings and its metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from samdrift.contracts.clock import Clock
from samdrift.net.client import FetchLimits, HttpFault, NoAnswer
from samdrift.web.signin.kept import Kept, ProviderUnavailable
from samdrift.web.signin.provider import Fetches
from samdrift.wire.errors import WireError
from samdrift.wire.saml import metadata
from samdrift.wire.saml.parts import DISPLAY_NAME

_LIMITS = FetchLimits(max_bytes=metadata.LIMITS.max_bytes, seconds=20.0)
_FILE_FRESH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class SamlSettings:
    """An organisation's SAML sign-in service as entered by its administrator."""

    entity: str
    """The service's entity identifier."""
    levels: tuple[str, ...]
    """Levels of assurance (``AuthnContextClassRef``) that are accepted, the preferred one first."""
    signers: tuple[x509.Certificate, ...] | None = None
    """Certificates that may sign the metadata; ``None`` if a file of the operator's is trusted as it is."""
    subject_attribute: str = ""
    """The attribute that identifies a person; empty for a persistent ``NameID``."""
    name_attribute: str = DISPLAY_NAME
    attributes: tuple[str, ...] = ()
    """Further attributes that are kept with a session, such as groups."""
    longest_since: timedelta | None = None
    """Maximum time since the person authenticated."""
    encrypted: bool = True
    """True to refuse assertions that are not encrypted."""


Read = Callable[[], Awaitable[bytes]]
"""Function that returns metadata or raises :class:`ProviderUnavailable`."""


def from_file(file: Path) -> Read:
    """Return a function that reads metadata from a file, which may be replaced."""

    async def read() -> bytes:
        try:
            return await asyncio.to_thread(file.read_bytes)
        except OSError as error:
            raise ProviderUnavailable(f"its file cannot be read ({error.strerror})") from None

    return read


def from_address(url: str, client: Fetches) -> Read:
    """Return a function that fetches metadata from an address entered by a person."""

    async def read() -> bytes:
        try:
            answer = await client.fetch(url, _LIMITS, headers={"accept": "application/samlmetadata+xml"})
        except NoAnswer as failure:
            text = f"their address does not answer ({failure.kind})"
            raise ProviderUnavailable(text, reported=failure.fault is not HttpFault.FORBIDDEN) from None
        if answer.status != 200:
            text = f"their address has none: it answers {answer.status}"
            raise ProviderUnavailable(text, reported=answer.status >= 500)
        return answer.body

    return read


class SamlProvider:
    """One organisation's SAML sign-in service."""

    def __init__(self, settings: SamlSettings, read: Read, clock: Clock) -> None:
        """Use ``read`` to get the metadata.

        They are trusted because of their signature and not their source, unless the settings name no signers.
        """
        self.settings = settings
        self._read = read
        self._clock = clock
        own = {} if settings.signers is not None else {"fresh": _FILE_FRESH}
        self._kept = Kept(self._described, clock, settings.entity, **own)

    async def description(self) -> metadata.IdentityProvider:
        """Return the service's published description; raise :class:`ProviderUnavailable`."""
        found = await self._kept.now()
        if not found.valid(self._clock()):
            raise ProviderUnavailable("the metadata of the sign-in service are out of date")
        return found

    async def _described(self) -> metadata.IdentityProvider:
        data = await self._read()
        try:
            found = await asyncio.to_thread(
                metadata.read_identity_provider, data, self.settings.entity, self.settings.signers
            )
        except WireError as error:
            raise ProviderUnavailable(f"they are not usable: {error}") from None
        if not found.valid(self._clock()):
            raise ProviderUnavailable("they are out of date")
        return found
