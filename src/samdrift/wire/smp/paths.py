"""Where an SMP publishes what it knows (certpub-rest-binding 3, SMP 1.0 3.4.1)."""

from __future__ import annotations

from urllib.parse import quote

from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier


def service_group_path(participant: ParticipantIdentifier) -> str:
    """``/{scheme}::{identifier}`` below the SMP's address, percent-encoded."""
    return f"/{_encoded(participant.scheme, participant.value)}"


def service_metadata_path(participant: ParticipantIdentifier, document: DocumentIdentifier) -> str:
    """``/{scheme}::{identifier}/services/{scheme}::{document}`` below the SMP's address, percent-encoded."""
    return f"{service_group_path(participant)}/services/{_encoded(document.scheme, document.value)}"


def _encoded(scheme: str, value: str) -> str:
    return quote(f"{scheme}::{value}", safe="")
