"""Invented content for the gallery: a believable morning at a municipality's social services."""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.web.views import (
    Answer,
    Attached,
    Delivery,
    Document,
    Kind,
    Link,
    Message,
    Note,
    Row,
    Section,
    Step,
    StepState,
    Tag,
)

SECTIONS = (
    Section(
        "",
        (
            Link("Socialtjänst", "/conversation", 4, unread=True, current=True),
            Link("Registrator", "/list", 1, unread=True),
            Link("Elevhälsa", "/list"),
        ),
    ),
    Section("Mitt", (Link("Hos mig", "/list", 3), Link("Utkast", "/compose", 1), Link("Skickat", "/way"))),
    Section("Organisationen", (Link("Adressbok", "/list"), Link("Vem gjorde vad", "/who-can-read"))),
)
TABS = (
    Link("Olästa", "/list", 4, current=True),
    Link("Mina", "/list", 3),
    Link("Utan handläggare", "/list", 2),
    Link("Klara", "/list"),
)
TEXT = """Hej,

Vi kallar till ett **samordnat möte** kring insatserna före jul. Underlag från skolan finns i bilagan, och \
vårdnadshavaren har samtyckt till att vi delar det med er.

* Torsdag 3 december kl. 9.00
* Elevhälsans lokaler, plan 2

Återkom gärna senast fredag om tiden fungerar."""


def rows(now: datetime) -> tuple[Row, ...]:
    def at(**ago: float) -> datetime:
        return now - timedelta(**ago)

    return (
        Row(
            "/conversation",
            "Mullsjö kommun, Elevhälsan",
            "Kallelse till SIP-möte 3 december",
            at(minutes=10),
            unread=True,
            confidential=True,
            current=True,
            beside=("SN 2026-00012", "utan handläggare"),
        ),
        Row(
            "/conversation",
            "Region Jönköpings län, Barnhälsan",
            "Remissvar angående utredning",
            at(minutes=34),
            unread=True,
            confidential=True,
            beside=("BUP 7781", "Bo skriver svar"),
        ),
        Row(
            "/conversation",
            "Arbetsförmedlingen, Enköping",
            "Komplettering av aktivitetsrapport",
            at(minutes=55),
            unread=True,
            beside=("AF-2026/88213",),
        ),
        Row(
            "/conversation",
            "Försäkringskassan, Assistansersättning",
            "Begäran om uppgifter, 3 bilagor",
            at(hours=2),
            unread=True,
            confidential=True,
            beside=("dnr 004512-2026",),
        ),
        Row(
            "/conversation",
            "Uppsala kommun, Familjerätten",
            "Sv: Överflyttning av ärende",
            at(days=1),
            confidential=True,
            beside=("hos Eva Ek",),
        ),
        Row(
            "/conversation",
            "Polismyndigheten, Region Mitt",
            "Kopia av orosanmälan",
            at(days=1, hours=1),
            confidential=True,
            tags=(Tag("Klar", Kind.GOOD),),
            beside=("SN 2026-00009",),
        ),
        Row(
            "/conversation",
            "Sigtuna kommun, Socialjouren",
            "Adress till vårdnadshavare",
            at(days=3),
            tags=(Tag("Registrerad", Kind.GOOD),),
        ),
        Row(
            "/conversation",
            "Skatteverket, Folkbokföringen " * 4,
            "En mycket lång ämnesrad som någon har klistrat in ur ett annat system " * 3,
            at(days=400),
            beside=("X" * 90,),
        ),
        Row(
            "/conversation",
            "Okänd <script>alert(1)</script>",
            "faktura\u202efdp.exe \u200b\x07 och مرحبا",
            at(days=401),
        ),
    )


TAGS = (
    Tag("Dnr SN 2026-00012"),
    Tag("Personnr 20121212-1212"),
    Tag("Mullsjö: EH 2026/44", Kind.ACCENT),
)


def messages(now: datetime) -> tuple[Message, ...]:
    return (
        Message(
            "m1",
            "Mullsjö kommun, Elevhälsan",
            "Karin Sund, kurator",
            now - timedelta(minutes=10),
            (
                Document(
                    TEXT,
                    (
                        Attached("/file", "Underlag SIP.pdf", "PDF", 212_000),
                        Attached("/file", "Samtycke.pdf", "PDF", 48_000),
                    ),
                ),
            ),
            read_by=2,
            readers="/who",
            way="/way",
            received="Mottaget 10:42:07, undertecknat av Mullsjö kommun",
        ),
        Message(
            "m2",
            "Håbo kommun, Socialtjänst",
            "Bo Berg",
            now - timedelta(hours=19, minutes=42),
            (Document("Tack för samtalet. Vi deltar gärna, helst på förmiddagen."),),
            delivery=Delivery(
                Tag("Mottaget av organisationen 15:10", Kind.GOOD),
                "Det säger inte att någon har läst det.",
                "/proof",
            ),
        ),
    )


LONG = "Ö" * 256
HOSTILE = '<img src=x onerror="alert(1)"> \u202e{{ 7 * 7 }} ' + LONG
MANY_TAGS = tuple(Tag(f"Dnr SN 2026-{number:05} {'x' * (number % 60)}") for number in range(1000))


def hostile(now: datetime) -> tuple[Message, ...]:
    """Return messages with long, hostile text in every field."""
    file = Attached("/file", HOSTILE, "<B>", 1)
    delivery = Delivery(Tag(HOSTILE, Kind.BAD), HOSTILE, "/proof")
    text = f"# {HOSTILE}\n\n* {HOSTILE}\n\n{'a' * 5000}"
    document = Document(text, (file,) * 20, HOSTILE)
    one = Message(
        "m1",
        HOSTILE,
        HOSTILE,
        now,
        (document, document),
        read_by=3,
        readers="/who",
        way="/way",
        received=HOSTILE,
        delivery=delivery,
    )
    return one, Message("m2", LONG, LONG, now, (Document("* " * 3000 + "*a " * 20_000),))


def note(now: datetime) -> Note:
    return Note("Bo Berg", now - timedelta(minutes=5), "Väntar på besked från pappan, ring efter lunch.")


REVIEW = (
    Answer(
        "Till",
        "Mullsjö kommun, Elevhälsan",
        "Svarar vanligen inom 2 timmar. Senaste kvittens i går.",
        href="/compose",
        act="Ändra",
    ),
    Answer("Från", "Håbo kommun, Socialtjänst", "Anna Andersson", href="/compose", act="Ändra"),
    Answer("Sekretess", "Omfattas av sekretess", tag=Kind.CONFIDENTIAL, href="/compose", act="Ändra"),
    Answer("Referenser", "SN 2026-00012 (er)", "EH 2026/44 (deras, återges)", href="/compose", act="Ändra"),
    Answer(
        "Text",
        "Hej Karin, tiden passar oss. Vi kommer med två personer och tar med underlaget från i våras …",
        href="/compose",
        act="Ändra",
    ),
    Answer(
        "Bilagor",
        "Yttrande.pdf, 212 kB",
        "0,3 av 30 MB. Kontrollerad mot skadlig kod.",
        href="/compose",
        act="Ändra",
    ),
    Answer("Andra ögon", "Eva Ek har godkänt 10:50", tag=Kind.GOOD, href="/compose", act="Visa"),
)


def steps(now: datetime) -> tuple[Step, ...]:
    done = StepState.DONE
    return (
        Step("Skrivet", done, now),
        Step("Krypterat, undertecknat", done, now + timedelta(seconds=12)),
        Step("Mullsjös accesspunkt", done, now + timedelta(seconds=13)),
        Step("Inkommet", done, now + timedelta(seconds=13)),
        Step("Kvittens", StepState.WAITING),
    )


HOSTILE_READERS = tuple((HOSTILE, (LONG, HOSTILE), HOSTILE, ("", HOSTILE, Kind.BAD), LONG) for _ in range(3))
READERS = (
    (
        "Vem",
        "Genom",
        "Kan",
        "Gäller",
        "Senast här",
    ),
    (
        (
            ("Anna Andersson", "Handläggare"),
            ("Gruppen SOC-handläggare", "beslut 14, Eva Ek"),
            "Läsa, skriva",
            "till 31 december",
            "i dag 10:44",
        ),
        (
            ("Bo Berg", "Handläggare"),
            ("Tilldelad", "beslut 19, Eva Ek"),
            "Läsa, skriva, godkänna",
            ("till 1 december", "om 5 dagar", Kind.WARNING),
            "i dag 10:31",
        ),
        (
            ("Eva Ek", "Brevlådeansvarig"),
            ("Tilldelad", "beslut 3, säkerhetsskyddschefen"),
            "Läsa, skriva, ansvara",
            "till 31 mars",
            "i dag 10:50",
        ),
        (
            ("Verksamhetssystemet", "System"),
            ("Systemtillstånd", "beslut 7"),
            "Hämta",
            "till 31 mars",
            ("3 augusti", "oanvänd 115 dagar", Kind.WARNING),
        ),
        (("Driften", "Driftbolaget"), "Ingen väg till innehåll", "–", "–", "–"),
    ),
)
