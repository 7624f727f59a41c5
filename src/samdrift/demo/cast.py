"""The participants of the demonstration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samdrift.contracts.principals import Role
from samdrift.federation.directory import FunctionalAddress
from samdrift.messageservice.outgoing.compose import Address
from samdrift.wire.identifiers import ParticipantIdentifier

_HOSTS = {Role.MESSAGE_CLIENT: "meddelanden", Role.GOVERNANCE: "styrning"}


@dataclass(frozen=True, slots=True)
class DemoOrganisation:
    """An organisation of the demonstration, with one mailbox."""

    identifier: ParticipantIdentifier
    name: str
    number: str
    mailbox: FunctionalAddress
    roles: tuple[Role, ...] = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
    further: tuple[FunctionalAddress, ...] = ()
    """Additional mailboxes."""

    @property
    def mailboxes(self) -> tuple[FunctionalAddress, ...]:
        """Return all mailboxes of the organisation."""
        return self.mailbox, *self.further

    @property
    def address(self) -> Address:
        return Address(self.identifier, self.name, self.mailbox.identifier, self.mailbox.name)

    def host(self, role: Role) -> str:
        """Return the host of a role's pages, which resolves to this machine (RFC 6761 6.3)."""
        domain = self.identifier.value.partition(":")[2].removesuffix(".se")
        return f"{domain}.{_HOSTS[role]}.localhost"


@dataclass(frozen=True, slots=True)
class DemoOperator:
    """An operator of the demonstration and the organisations that it serves."""

    folder: str
    party: str
    organisations: tuple[DemoOrganisation, ...]


HABO = DemoOrganisation(
    ParticipantIdentifier("0203:habo.se"),
    "Habo kommun",
    "2120001611",
    FunctionalAddress("sdk.socialtjanst.0203:habo.se", "Socialtjänsten"),
)
MULLSJO = DemoOrganisation(
    ParticipantIdentifier("0203:mullsjo.se"),
    "Mullsjö kommun",
    "2120000472",
    FunctionalAddress("sdk.socialtjanst.0203:mullsjo.se", "Socialtjänsten"),
)
AGENCY = DemoOrganisation(
    ParticipantIdentifier("0203:arbetsformedlingen.se"),
    "Arbetsförmedlingen",
    "2021002114",
    FunctionalAddress("sdk.registrator.0203:arbetsformedlingen.se", "Registrator"),
)
OPERATORS = (
    DemoOperator("operator-a", "AP0001-SDK-DEMO", (HABO, MULLSJO)),
    DemoOperator("operator-b", "AP0002-SDK-DEMO", (AGENCY,)),
)

OPERATOR_PARTY = "SE:559900-0006"
"""The party of both operators in agreements; its number is not assigned to anyone."""


def with_pages(operators: tuple[DemoOperator, ...] = OPERATORS) -> tuple[DemoOperator, ...]:
    """Return the operators with organisations that also have message client, governance and registrar."""
    return tuple(
        replace(one, organisations=tuple(_with_pages(each) for each in one.organisations))
        for one in operators
    )


def _with_pages(organisation: DemoOrganisation) -> DemoOrganisation:
    value = organisation.identifier.value
    registrar = FunctionalAddress(f"sdk.registrator.{value}", "Registrator")
    return replace(
        organisation,
        roles=(*organisation.roles, Role.MESSAGE_CLIENT, Role.GOVERNANCE),
        further=() if organisation.mailbox == registrar else (registrar,),
    )
