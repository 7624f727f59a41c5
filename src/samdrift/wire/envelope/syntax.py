"""The elements of an envelope: the syntax mapping of envelope-profile-xhe 2.2 as a table.

Only the elements and attributes that the mapping names (R1-XHE), in the order
and number that it says (R14-XHE). What the XHE schema would allow beside them
is listed in :mod:`samdrift.wire.differences`.
"""

from __future__ import annotations

from typing import Final

from samdrift.wire.schema.model import BOOLEAN, DATE_TIME, TEXT, Particle, Schema, Sequence, Simple
from samdrift.wire.xml import Namespace, name

SCHEME_ID: Final = "schemeID"

XHE_NAMESPACES = (Namespace.XHE, Namespace.XHA, Namespace.XHB, Namespace.XHE_EXT)


def xha(local: str) -> str:
    """The expanded name of an aggregate component."""
    return name(Namespace.XHA, local)


def xhb(local: str) -> str:
    """The expanded name of a basic component."""
    return name(Namespace.XHB, local)


_PARTY_ID = Simple(None, attributes=frozenset({SCHEME_ID}))
_PARTY = Sequence(
    "PartyType",
    (
        Particle(
            xha("PartyIdentification"),
            Sequence("PartyIdentificationType", (Particle(xhb("ID"), _PARTY_ID),)),
        ),
    ),
)
_CRITERION = Sequence(
    "BusinessScopeCriterionType",
    (
        Particle(xhb("BusinessScopeCriterionTypeCode"), TEXT),
        Particle(xhb("BusinessScopeCriterionValue"), TEXT),
    ),
)
_HEADER = Sequence(
    "HeaderType",
    (
        Particle(xhb("ID"), TEXT),
        Particle(xhb("CreationDateTime"), DATE_TIME),
        Particle(
            xha("BusinessScope"),
            Sequence("BusinessScopeType", (Particle(xha("BusinessScopeCriterion"), _CRITERION, 5, 5),)),
        ),
        Particle(xha("FromParty"), _PARTY),
        Particle(xha("ToParty"), _PARTY),
    ),
)

PAYLOAD_CONTENT: Final = Sequence("PayloadContentType", (), extensible=True)
"""Text, or one element that is not an aggregate component; what is in that is the payload's own matter."""

_PAYLOAD = Sequence(
    "PayloadType",
    (
        Particle(xhb("DocumentTypeCode"), TEXT),
        Particle(xhb("ContentTypeCode"), TEXT),
        Particle(xhb("HandlingServiceID"), TEXT, 0),
        Particle(xhb("InstanceEncryptionIndicator"), BOOLEAN),
        Particle(xha("PayloadContent"), PAYLOAD_CONTENT),
    ),
)

SIGNATURE: Final = Sequence("SignatureType", (), extensible=True)
"""What is in a signature is for its verification to judge, which has an answer of its own (``SIG``)."""

ENVELOPE: Final = Schema(
    Namespace.XHE,
    name(Namespace.XHE, "XHE"),
    Sequence(
        "XHEType",
        (
            Particle(xhb("XHEVersionID"), TEXT),
            Particle(xhb("CustomizationID"), TEXT),
            Particle(xha("Header"), _HEADER),
            Particle(xha("Payloads"), Sequence("PayloadsType", (Particle(xha("Payload"), _PAYLOAD),))),
            Particle(name(Namespace.DSIG, "Signature"), SIGNATURE, 0, None),
        ),
    ),
)
