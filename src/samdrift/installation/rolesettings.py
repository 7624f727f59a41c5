"""The settings of each role, from the configuration."""

from __future__ import annotations

from datetime import timedelta

from samdrift.accesspoint.settings import AccessPointSettings, Client, RetryPolicy
from samdrift.config.model import Config, OrganisationConfig
from samdrift.config.roles import AccessPointConfig, MessageServiceConfig
from samdrift.contracts.principals import Role
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.wire.filetypes import PDF, canonical
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)

EXTENDED_MODEL = SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED
BASE_MODEL = SDK_MESSAGE_BASE, RECEIPT_BASE


def access_point_settings(config: Config, own: AccessPointConfig) -> AccessPointSettings:
    return AccessPointSettings(
        party=own.party,
        federation=config.federation.identifier,
        message_id_domain=own.message_id_domain,
        base_model=frozenset(one.identifier for one in config.organisations if one.base_model),
        profiles=own.profiles,
        timestamp_peers=frozenset(own.timestamp_peers),
        retry=RetryPolicy(own.attempts, timedelta(seconds=own.interval_seconds)),
        lease=timedelta(seconds=own.lease_seconds),
        answer_within=timedelta(seconds=own.answer_seconds),
        clock_tolerance=timedelta(seconds=own.clock_seconds),
        peer_alarm=own.peer_alarm,
        peer_alarm_within=timedelta(seconds=own.peer_alarm_seconds),
        parallel=own.parallel,
        measure_every=timedelta(seconds=config.metrics.queue_seconds if config.metrics else 0),
    )


def documents(organisation: OrganisationConfig | None) -> tuple[DocumentIdentifier, ...]:
    """Return the document types of an organisation; without an entry, only those of the extended model."""
    base = organisation is not None and organisation.base_model
    return (*EXTENDED_MODEL, *BASE_MODEL) if base else EXTENDED_MODEL


def clients(config: Config) -> dict[str, Client]:
    """Return the clients of interface C, by the SHA-256 of their client certificates."""
    return {
        fingerprint: Client(organisation.identifier, system)
        for organisation in config.organisations
        if Role.ACCESS_POINT in organisation.roles
        for system, fingerprint in organisation.clients.items()
    }


def message_service_settings(config: Config, own: MessageServiceConfig) -> MessageServiceSettings:
    return MessageServiceSettings(
        federation=config.federation.identifier,
        submit_within=timedelta(seconds=own.submit_seconds),
        transfer_within=timedelta(seconds=own.transfer_seconds),
        receipt_within=timedelta(seconds=own.receipt_seconds),
        retry_after=timedelta(seconds=own.retry_seconds),
        lease=timedelta(seconds=own.lease_seconds),
        parallel=own.parallel,
    )


def profiles(config: Config) -> dict[ParticipantIdentifier, OrganisationProfile]:
    """Return the message service's profile of each organisation that it serves."""
    return {one.identifier: profile(one) for one in config.organisations if Role.MESSAGE_SERVICE in one.roles}


def profile(organisation: OrganisationConfig) -> OrganisationProfile:
    """Return an organisation's profile as configured.

    PDF is always supported (content-specification 4.3.3.3 sentence 3).
    """
    return OrganisationProfile(
        organisation.identifier,
        organisation.name,
        frozenset(organisation.functional_addresses),
        frozenset({PDF, *map(canonical, organisation.file_types)}),
        organisation.base_model,
    )
