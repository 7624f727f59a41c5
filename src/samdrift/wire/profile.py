"""Transport profiles as data: what DIGG's versions of the AS4 profile fix (transport-profile-as4 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass


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
    payload_content_id: str = "message"
    payload_mime_type: str = "text/xml"


AS4_1_0 = TransportProfile("digg-transport-as4-v1_0")
AS4_1_2 = TransportProfile("digg-transport-as4-v1_2")
PROFILES = {profile.identifier: profile for profile in (AS4_1_2, AS4_1_0)}
"""By identifier in SMP, in the order in which they are preferred where nobody says otherwise."""
