"""A day of invented messages at a municipality's social services, over a desk in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from samdrift.contracts.messages import MessageStatus
from samdrift.messageclient.mail import (
    Correspondent,
    DeliveryEvent,
    Identifier,
    Note,
    Party,
    Recipient,
    Stage,
)
from samdrift.messageclient.notices.manning import Manning
from tests.unit.messageclient.memorydesk import (
    ALL,
    ANNA,
    BO,
    EVA,
    OURS,
    Office,
    conversation,
    message,
    reference,
)

TEXT = """Hej,

Vi kallar till ett **samordnat möte** kring insatserna före jul. Underlag från skolan finns i bilagan, och \
vårdnadshavaren har samtyckt till att vi delar det med er.

* Torsdag 3 december kl. 9.00
* Elevhälsans lokaler, plan 2

Återkom gärna senast fredag om tiden fungerar."""
PNR = "1.2.752.129.2.1.3.1"
SOC = Party(
    OURS, "SE2120000241-soc", "Håbo kommun", "Socialtjänst", references=(reference("dnr", "SN 2026-00012"),)
)
MULLSJO = Party(
    "0203:mullsjo.se",
    "SE2120000530-eh",
    "Mullsjö kommun",
    "Elevhälsan",
    persons=(Identifier("1.2.752.129.2.1.2.1", "ks", "Karin Sund, kurator"),),
    references=(reference("dnr", "EH 2026/44"),),
)


def other(domain: str, organisation: str, function: str, *references: str) -> Party:
    """Return an address of another organisation."""
    known = tuple(reference("dnr", each) for each in references)
    return Party(f"0203:{domain}", f"SE-{domain}-1", organisation, function, references=known)


REGION = other("rjl.se", "Region Jönköpings län", "Barnhälsan", "BUP 7781")
AF = other("arbetsformedlingen.se", "Arbetsförmedlingen", "Enköping", "AF-2026/88213")
FK = other("forsakringskassan.se", "Försäkringskassan", "Assistansersättning", "004512-2026")
UPPSALA = other("uppsala.se", "Uppsala kommun", "Familjerätten")
POLICE = other("polisen.se", "Polismyndigheten", "Region Mitt", "SN 2026-00009")
SIGTUNA = other("sigtuna.se", "Sigtuna kommun", "Socialjouren")


def office(now: Callable[[], datetime]) -> Office:
    """Return an office in the middle of its morning."""
    one = Office(now)
    one.boxes = {
        "soc": ("Socialtjänst", SOC.address),
        "reg": ("Registrator", "SE2120000241-reg"),
        "elev": ("Elevhälsa", "SE2120000241-elev"),
    }
    for person in (ANNA, BO, EVA):
        one.rights[person.id, "soc"] = ALL
    one.rights[ANNA.id, "reg"] = ALL
    one.rights[EVA.id, "elev"] = ALL
    one.book = [
        Correspondent(_recipient(MULLSJO), True, 14, now() - timedelta(days=1)),
        Correspondent(_recipient(REGION), False, 5, now() - timedelta(days=4)),
        *(Correspondent(_recipient(each), False, 0, None) for each in (AF, FK, UPPSALA, POLICE, SIGTUNA)),
    ]
    one.manning = {"soc": Manning(escalate_after=1)}
    _sip(one, now())
    _others(one, now())
    return one


def _recipient(party: Party) -> Recipient:
    return Recipient(party.organisation, party.address, party.organisation_name, party.address_name)


def _sip(one: Office, now: datetime) -> None:
    files = (
        one.file("Underlag SIP.pdf", "application/pdf", b"%PDF-1.7" * 26_500),
        one.file("Samtycke.pdf", "application/pdf", b"%PDF-1.7" * 6_000),
    )
    before, sent = now - timedelta(days=1, hours=2), now - timedelta(hours=19, minutes=42)
    steps = (
        DeliveryEvent(sent, MessageStatus.SCHEDULED, "SCHEDULED", "Message scheduled for sending", ""),
        DeliveryEvent(sent + timedelta(seconds=9), MessageStatus.SUBMITTED, "SUBMITTED", "Handed over", ""),
        DeliveryEvent(sent + timedelta(seconds=11), MessageStatus.ACKNOWLEDGE, "ACKNOWLEDGE", "Arrived", ""),
        DeliveryEvent(sent + timedelta(seconds=14), MessageStatus.ACCEPTED, "ACCEPTED", "Receipt", ""),
    )
    conversation(
        one,
        "soc",
        message(
            one,
            MULLSJO,
            SOC,
            "Kallelse till SIP-möte 3 december",
            "Hej, går det bra att ringa i dag?",
            before,
        ),
        message(
            one,
            SOC,
            MULLSJO,
            "Sv: Kallelse till SIP-möte 3 december",
            "Tack för samtalet. Vi deltar gärna, helst på förmiddagen.",
            sent,
            author=BO,
            status=MessageStatus.ACCEPTED,
            events=steps,
        ),
        message(
            one,
            MULLSJO,
            SOC,
            "Kallelse till SIP-möte 3 december",
            TEXT,
            now - timedelta(minutes=10),
            files=files,
            unread=True,
        ),
        references=(*SOC.references, Identifier(PNR, "20121212-1212", "20121212-1212")),
        notes=(Note("n0", BO, now - timedelta(hours=1), "Väntar på besked från pappan, ring efter lunch."),),
    )


def _others(one: Office, now: datetime) -> None:
    def at(**ago: float) -> datetime:
        return now - timedelta(**ago)

    def came(sender: Party, subject: str, when: datetime, **more: object) -> None:
        values = {"unread": False, "confidential": True, "text": "Hej, se bifogat underlag.", **more}
        text, unread, confidential = values["text"], values["unread"], values["confidential"]
        assert isinstance(text, str)
        got = message(
            one, sender, SOC, subject, text, when, unread=bool(unread), confidential=bool(confidential)
        )
        kept = {key: each for key, each in more.items() if key in ("handler", "done", "references")}
        conversation(one, "soc", got, **{"references": sender.references, **kept})

    came(REGION, "Remissvar angående utredning", at(minutes=34), unread=True)
    came(AF, "Komplettering av aktivitetsrapport", at(minutes=65), unread=True, confidential=False)
    came(FK, "Begäran om uppgifter, 3 bilagor", at(hours=2), unread=True)
    came(UPPSALA, "Överflyttning av ärende", at(days=1), handler=EVA)
    came(POLICE, "Kopia av orosanmälan", at(days=1, hours=1), done=True)
    came(SIGTUNA, "Adress till vårdnadshavare", at(days=3), handler=ANNA, confidential=False)
    waiting = (
        DeliveryEvent(at(hours=3), MessageStatus.SUBMITTED, "SUBMITTED", "Handed over", ""),
        DeliveryEvent(at(hours=3), MessageStatus.WAITING_FOR_RECEIPT, "WAITING_FOR_RECEIPT", "Waiting", ""),
    )
    rejected = (
        DeliveryEvent(at(days=2), MessageStatus.REJECTED, "REJECTED", "BV not-supported", "File type"),
    )
    for party, subject, status, events in (
        (FK, "Intyg om närvaro", MessageStatus.WAITING_FOR_RECEIPT, waiting),
        (REGION, "Underlag i fel format", MessageStatus.MESSAGE_EXCHANGE_ERROR, rejected),
    ):
        sent = message(
            one,
            SOC,
            party,
            subject,
            "Bifogat enligt överenskommelse.",
            events[0].at,
            author=ANNA,
            status=status,
            events=events,
        )
        conversation(one, "soc", sent, handler=ANNA)
    broken = message(one, SIGTUNA, SOC, "", "", at(days=4), stage=Stage.UNREADABLE)
    conversation(one, "soc", broken)
