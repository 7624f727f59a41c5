"""The people of the demonstration: the same kinds in every organisation, all fictitious."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from samdrift.demo.cast import DemoOrganisation
from samdrift.federation.signin import SignInPerson
from samdrift.rights import Right


class Work(StrEnum):
    """Kinds of work of the people who use an organisation's pages."""

    CASE_WORKER = "case-worker"
    REGISTRAR = "registrar"
    MANAGER = "mailbox-manager"
    ADMINISTRATOR = "administrator"
    SECURITY_OFFICER = "security-officer"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A person of one organisation."""

    subject: str
    name: str
    work: Work

    @property
    def about(self) -> str:
        """Return the person's work in Swedish, and what they may do."""
        return _ABOUT[self.work]

    @property
    def at_sign_in(self) -> SignInPerson:
        """Return the person as the sign-in service knows them."""
        return SignInPerson(self.subject, self.name, self.about, {"groups": [self.work.value]})


_ABOUT = {
    Work.CASE_WORKER: "Handläggare: läser och skriver i en brevlåda",
    Work.REGISTRAR: "Registrator: läser och skriver i alla brevlådor",
    Work.MANAGER: "Brevlådeansvarig: läser, skriver, godkänner och ger behörighet i en brevlåda",
    Work.ADMINISTRATOR: "Administratör: ger behörighet och ser inget innehåll",
    Work.SECURITY_OFFICER: "Säkerhetsansvarig: läser loggen och ser inget innehåll",
}
OF_MAILBOXES = {
    Work.CASE_WORKER: frozenset({Right.READ, Right.WRITE}),
    Work.REGISTRAR: frozenset({Right.READ, Right.WRITE}),
    Work.MANAGER: frozenset({Right.READ, Right.WRITE, Right.APPROVE, Right.MANAGE}),
}
"""Rights to mailboxes: a registrar has them to all, the others to the first."""
ROLES = {Work.ADMINISTRATOR: Right.ADMINISTRATOR, Work.SECURITY_OFFICER: Right.SECURITY_OFFICER}

_NAMES = {
    "habo": ("Anna Andersson", "Ali Demir", "Bo Berg", "Eva Ek", "Karin Kvist", "Sten Sand"),
    "mullsjo": ("Maja Moberg", "Nils Nord", "Rut Rask", "Ylva Yng", "Tor Tall", "Sara Sjö"),
    "arbetsformedlingen": ("Lena Lind", "Omar Osman", "Pia Palm", "Rolf Ros", "Disa Dal", "Gun Gren"),
}
_WORK = (Work.CASE_WORKER, Work.CASE_WORKER, Work.REGISTRAR, Work.MANAGER, *ROLES)


def persons_of(organisation: DemoOrganisation) -> tuple[DemoPerson, ...]:
    """Return the people of an organisation of the demonstration."""
    names = _NAMES[organisation.identifier.value.partition(":")[2].removesuffix(".se")]
    return tuple(
        DemoPerson(name.split()[0].lower(), name, work) for name, work in zip(names, _WORK, strict=True)
    )
