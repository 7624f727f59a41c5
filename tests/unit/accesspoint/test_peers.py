"""Candidate certificates of a peer for a signature that only names its certificate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from cryptography import x509

from samdrift.accesspoint.peers import Peers, PeerUndecided
from samdrift.contracts.discovery import (
    CertificatePurpose,
    DiscoveryError,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
    SharedService,
)
from samdrift.wire.as4 import UserMessage, user_message
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.profile import AS4_1_0
from samdrift.wire.smp import Endpoint, ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict
from tests.pki import key, root
from tests.settings import access_point_settings

_DOCUMENTS = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)
_CERTIFICATE = root("Root", 0).issue("AP0002-SDK-TEST", private_key=key(2)).certificate


class _Smp:
    """An SMP that knows one participant, or fails as configured."""

    def __init__(self, answers: Mapping[DocumentIdentifier, DiscoveryError | x509.Certificate]) -> None:
        self._answers = answers

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        assert participant.value == "0203:sender.example"
        answer = self._answers.get(document, NotRegistered("not registered"))
        if isinstance(answer, DiscoveryError):
            raise answer
        endpoint = Endpoint(AS4_1_0.identifier, "https://ap.example/as4", answer)
        return ServiceMetadata(participant, document, NO_PROCESS, (endpoint,))


class _NoChecks:
    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        raise AssertionError("looking up is not judging")


def _peers(answers: Mapping[DocumentIdentifier, DiscoveryError | x509.Certificate]) -> Peers:
    settings = access_point_settings("AP0001-SDK-TEST", FEDERATION_TEST, "ap.example")
    return Peers(settings, _Smp(answers), _NoChecks())


def _message(original_sender: str = "0203:sender.example") -> UserMessage:
    return user_message(
        AS4_1_0,
        message_id="m@ap.example",
        timestamp=datetime(2026, 3, 2, tzinfo=UTC),
        from_party="AP0002-SDK-TEST",
        to_party="AP0001-SDK-TEST",
        action=SDK_MESSAGE_EXTENDED.action,
        service=NO_PROCESS.value,
        service_type=NO_PROCESS.scheme,
        conversation_id="c",
        original_sender=original_sender,
        final_recipient="0203:receiver.example",
    )


async def test_those_of_the_access_point_that_receives_for_the_sender() -> None:
    peers = _peers({RECEIPT_EXTENDED: _CERTIFICATE})
    assert await peers.certificates(_message(), _DOCUMENTS) == (_CERTIFICATE,)


@pytest.mark.parametrize("failure", [NotRegistered("x"), DiscoveryUntrusted("x")], ids=repr)
async def test_none_where_smp_has_nothing_to_trust(failure: DiscoveryError) -> None:
    assert await _peers({SDK_MESSAGE_EXTENDED: failure}).certificates(_message(), _DOCUMENTS) == ()


async def test_undecided_while_smp_does_not_answer() -> None:
    with pytest.raises(PeerUndecided):
        await _peers({RECEIPT_EXTENDED: DiscoveryUnavailable("x", SharedService.SMP)}).certificates(
            _message(), _DOCUMENTS
        )


async def test_nothing_is_looked_up_for_a_sender_that_is_no_participant() -> None:
    assert await _peers({}).certificates(_message("nobody"), _DOCUMENTS) == ()
