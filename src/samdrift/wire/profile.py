"""Transport profiles: the values fixed by DIGG's versions of the AS4 profile (transport-profile-as4 2.3.1).

Missing: transport-profile-as4 2.2 a: the overview names a timestamp of WS-Security; none is sent by default,
since a Domibus under DIGG's own p-mode rejects every message that has one. Missing: the text of version 1.2,
which was not available.
"""

from __future__ import annotations

from dataclasses import dataclass

from samdrift.wire.identifiers import PARTICIPANT_SCHEME


@dataclass(frozen=True, slots=True)
class TransportProfile:
    """Parameters of one version of DIGG's transport profile for AS4.

    Clauses: transport-profile-as4 2.3.1 e, k, l, n, o.
    """

    identifier: str
    party_type: str = "urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap"
    initiator_role: str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/initiator"
    responder_role: str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/responder"
    default_mpc: str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/defaultMPC"
    property_type: str = PARTICIPANT_SCHEME
    """The ``type`` of the message properties ``originalSender`` and ``finalRecipient``."""
    payload_content_id: str = "message"
    payload_mime_type: str = "text/xml"
    security_timestamp: bool = False
    """Sign a ``wsu:Timestamp``; off, because a Domibus under DIGG's p-mode rejects a message that has one."""


AS4_1_0 = TransportProfile("digg-transport-as4-v1_0")
AS4_1_2 = TransportProfile(
    "digg-transport-as4-v1_2",
    initiator_role="urn:fdc:digg.se:edelivery:transportprofile:as4:role:ap",
    responder_role="urn:fdc:digg.se:edelivery:transportprofile:as4:role:ap",
    property_type="urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:participant",
)
"""UNCONFIRMED: DIGG's text of this version was not available; roles and types are from third parties."""
PROFILES = {profile.identifier: profile for profile in (AS4_1_0, AS4_1_2)}
"""Profiles by identifier in SMP, in the default order of preference: the confirmed version first."""
