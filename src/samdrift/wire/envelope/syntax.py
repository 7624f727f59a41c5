"""The elements of an envelope: the syntax mapping of envelope-profile-xhe 2.2 as a table.

Only the elements and attributes that the mapping names (R1-XHE), in the order
and number that it says (R14-XHE). What the XHE schema would allow beside them
is listed in ``docs/differences.py``.

Clauses: accesspoint-test-cases 6.2.1 TF-06.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from samdrift.wire.xml import Namespace, name
from samdrift.wire.xml.schema.model import BOOLEAN, DATE_TIME, TEXT, Particle, Schema, Sequence, Simple

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

_PAYLOAD_CONTENT = Sequence("PayloadContentType", (), extensible=True)
"""Text, or one element that is not an aggregate component; what is in that is the payload's own matter."""

_PAYLOAD = Sequence(
    "PayloadType",
    (
        Particle(xhb("DocumentTypeCode"), TEXT),
        Particle(xhb("ContentTypeCode"), TEXT),
        Particle(xhb("HandlingServiceID"), TEXT, 0),
        Particle(xhb("InstanceEncryptionIndicator"), BOOLEAN),
        Particle(xha("PayloadContent"), _PAYLOAD_CONTENT),
    ),
)

_SIGNATURE = Sequence("SignatureType", (), extensible=True)
"""The content of a signature is judged by its verification, which has an answer of its own (``SIG``)."""

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
            Particle(name(Namespace.DSIG, "Signature"), _SIGNATURE, 0, None),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an envelope where an element may stand.

    ``path`` is made of local names, as findings have it. ``inner`` are the places
    inside it by expanded name, each with its number in the sequence.
    """

    path: str
    declared: Sequence | Simple
    is_text: bool
    inner: Mapping[str, tuple[int, Place]]


def _place(parent: str, tag: str, declared: Sequence | Simple) -> Place:
    path = f"{parent}/{tag.rpartition('}')[2]}"
    particles = declared.particles if isinstance(declared, Sequence) else ()
    inner = {
        particle.tag: (number, _place(path, particle.tag, particle.type))
        for number, particle in enumerate(particles)
    }
    return Place(path, declared, isinstance(declared, Simple), inner)


ROOT: Final = _place("", ENVELOPE.root, ENVELOPE.type)
"""The table with every element at its place, worked out once: it is walked several times a message."""


def _find(*path: str) -> Place:
    place = ROOT
    for tag in path:
        _, place = place.inner[tag]
    return place


CRITERION: Final = _find(xha("Header"), xha("BusinessScope"), xha("BusinessScopeCriterion"))
PAYLOAD: Final = _find(xha("Payloads"), xha("Payload"))
CONTENT: Final = _find(xha("Payloads"), xha("Payload"), xha("PayloadContent"))
SIGNATURE: Final = _find(name(Namespace.DSIG, "Signature"))
