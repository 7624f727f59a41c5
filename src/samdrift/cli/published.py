"""Lookup of whether a certificate is still published, before its key is destroyed.

Peers use the certificates that SMPs and certificate publishing name, to encrypt and to verify. Once the key
is gone, messages encrypted for it cannot be opened and get no receipt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from cryptography import x509

from samdrift.administration.readiness import discovering, registration
from samdrift.config.model import Config
from samdrift.installation.rolesettings import BASE_MODEL, EXTENDED_MODEL
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.smp import ServiceMetadata

Anyway = Annotated[
    bool, typer.Option("--anyway", help="Proceed even while SMP names its certificate or does not answer.")
]
REPLACE_FIRST = "replace it there first, or destroy the key anyway with --anyway"

_AT_ONCE = 8
_SHOWN = 3


async def still_named(
    config: Config, certificate: x509.Certificate, participants: Sequence[ParticipantIdentifier]
) -> str:
    """Return why the certificate's key must be kept: an SMP names it or does not answer; otherwise empty.

    Certificate publishing answers in the same metadata (certpub-rest-binding 3). Every type of message is
    looked up, including those that a participant is no longer configured for.
    """
    turn = asyncio.Semaphore(_AT_ONCE)
    async with discovering(config) as discovery:

        async def reason(who: ParticipantIdentifier, document: DocumentIdentifier) -> str:
            async with turn:
                answer = await registration(discovery, who, document)
            if answer.unknown:
                return f"it is unknown whether SMP names its certificate for {who}: {answer.unknown}"
            if answer.value is not None and certificate in _certificates(answer.value):
                return f"SMP names its certificate for {who} ({document.value})"
            return ""

        asked = [(who, document) for who in participants for document in (*EXTENDED_MODEL, *BASE_MODEL)]
        found = await asyncio.gather(*(reason(*each) for each in asked))
    reasons = list(dict.fromkeys(filter(None, found)))
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return "; ".join(reasons[:_SHOWN]) + more


def _certificates(metadata: ServiceMetadata) -> Iterator[x509.Certificate]:
    """Yield every certificate that the metadata names, of access points and of the participant."""
    yield from (endpoint.certificate for endpoint in metadata.endpoints)
    yield from metadata.certificates.signing
    yield from metadata.certificates.encryption
