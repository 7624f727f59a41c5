"""Who may try: every kind of actor that the gate knows, as a stranger to the organisation."""

from __future__ import annotations

from collections.abc import Mapping

from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.wire.identifiers import ParticipantIdentifier

NAME = "isolation-check"
KINDS: Mapping[PrincipalKind, str] = {
    PrincipalKind.WORKER: "worker",
    PrincipalKind.SYSTEM: "system",
    PrincipalKind.USER: "user",
    PrincipalKind.OPERATOR: "operator's staff",
}
"""What each kind is called in a result; a kind without a name is one that nobody has thought of."""


def strangers(own: ParticipantIdentifier, theirs: ParticipantIdentifier) -> dict[str, Principal]:
    """Everybody who may not open a vault of ``theirs``: those of ``own``, those of nobody, the staff.

    A user of another organisation is a user whatever that organisation lets it
    do, so that its administrator is one too.
    """
    found = {
        f"another organisation's {name}": Principal(kind, NAME, own.value) for kind, name in KINDS.items()
    }
    for kind in (PrincipalKind.SYSTEM, PrincipalKind.USER):
        found[f"anonymous {KINDS[kind]}"] = Principal(kind, "")
    found["another organisation's administrator"] = Principal(PrincipalKind.USER, "administrator", own.value)
    for which, organisation in (("", None), (" in the organisation's name", theirs.value)):
        found[f"operator's staff{which}"] = Principal(PrincipalKind.OPERATOR, NAME, organisation)
    return found


def not_staff(own: ParticipantIdentifier, theirs: ParticipantIdentifier) -> dict[str, Principal]:
    """Everybody who may not do what the operator's staff may: the organisation's own among them."""
    others = {actor: one for actor, one in strangers(own, theirs).items() if not _is_staff(one)}
    of_its_own = {
        f"the organisation's own {KINDS[kind]}": Principal(kind, NAME, theirs.value)
        for kind in PrincipalKind
        if kind is not PrincipalKind.OPERATOR
    }
    return others | of_its_own


def _is_staff(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.OPERATOR
