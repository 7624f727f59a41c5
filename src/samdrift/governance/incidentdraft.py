"""Drafts of an organisation's reports about an incident, filled in from what the platform knows. Pure.

Anything unknown is left blank, never guessed. Judgements that the law requires of people are left to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from samdrift.governance.incidents import CLOCKS
from samdrift.governance.whouses import DENIED, Uses
from samdrift.rights.incidentfold import Incident
from samdrift.rights.incidents import Clock

_SWEDEN = ZoneInfo("Europe/Stockholm")
_BLANK = "____"
_WIDTH = 100

ADDRESSEES: Mapping[Clock, str] = {
    Clock.CONCERNED: "Berörda organisationer",
    Clock.EARLY_WARNING: "MCF: tidig varning enligt cybersäkerhetslagen (2025:1506)",
    Clock.NOTIFICATION: "MCF: incidentanmälan enligt cybersäkerhetslagen (2025:1506)",
    Clock.FINAL_REPORT: "MCF: slutrapport enligt cybersäkerhetslagen (2025:1506)",
    Clock.PERSONAL_DATA: "IMY: anmälan av personuppgiftsincident enligt artikel 33 i (EU) 2016/679",
    Clock.FEDERATION: "DIGG: rapport om incident i federationen",
}
_ASKED: Mapping[Clock, Sequence[str]] = {
    Clock.CONCERNED: ("Vad ni behöver göra", "När vi hör av oss igen"),
    Clock.EARLY_WARNING: (
        "Misstänks incidenten bero på en olaglig eller avsiktlig handling",
        "Kan den ha gränsöverskridande verkan",
    ),
    Clock.NOTIFICATION: (
        "Inledande bedömning av allvarlighet och konsekvenser",
        "Angreppsindikatorer, om det finns sådana",
    ),
    Clock.FINAL_REPORT: (
        "Utförlig beskrivning, allvarlighet och konsekvenser",
        "Typ av hot eller grundorsak som troligen utlöste incidenten",
        "Åtgärder som har vidtagits och som pågår",
        "Gränsöverskridande konsekvenser",
    ),
    Clock.PERSONAL_DATA: (
        "Kategorier av och ungefärligt antal registrerade",
        "Kategorier av och ungefärligt antal personuppgiftsposter",
        "Dataskyddsombud eller annan kontaktpunkt",
        "Sannolika konsekvenser",
        "Åtgärder som har vidtagits eller föreslås",
    ),
    Clock.FEDERATION: ("Vilka delar av federationen som berörs", "Åtgärder som har vidtagits och som pågår"),
}
_ALWAYS = ("Kontaktperson", "Telefon")


def draft(organisation: str, incident: Incident, clock: Clock, uses: Uses | None, moment: datetime) -> str:
    """Return the text of the draft for a clock's addressee; ``uses`` is what was done during the incident."""
    lines = [
        f"UTKAST {ADDRESSEES[clock]}",
        "",
        "Ifyllt av Samdrift; det som saknas fylls i av en människa.",
        "",
    ]
    lines += [
        f"Organisation: {organisation}",
        f"Incidentens beteckning: {incident.id[:16]}",
        f"Rubrik: {incident.title}",
        f"Började: {_time(incident.began)}",
        f"Blev känd: {_time(incident.aware)}",
        f"Avslutad: {_BLANK if incident.closed is None else _time(incident.closed)}",
        f"Utkastet gjordes: {_time(moment)}",
        "",
    ]
    lines += [f"{each}: {_BLANK}" for each in (*_ASKED[clock], *_ALWAYS)]
    lines += ["", "Vad som är sagt till vilka:", *_told(incident, moment)]
    lines += ["", "Vad som gjordes under tiden, ur organisationens loggar:", *_reached(uses)]
    lines += ["", "Händelser:", *(f"- {_time(at)}: {text}" for at, _, text, _ in incident.notes)]
    files = [file for *_, file in incident.notes if file]
    lines += ["", "Bilagor (SHA-256):", *([f"- {each}" for each in files] or [f"- {_BLANK}"])]
    return "\n".join(lines) + "\n"


def _told(incident: Incident, moment: datetime) -> list[str]:
    found = []
    for each in incident.running(moment):
        due = "" if each.due is None else f", senast {_time(each.due)}"
        told = _BLANK if each.told is None else _time(each.told)
        late = " (för sent)" if each.late else ""
        found.append(f"- {CLOCKS[each.clock].sv}{due}: {told}{late}")
    return found or [f"- {_BLANK}"]


def _reached(uses: Uses | None) -> list[str]:
    """Return counts of what was done, without naming the people, whose names stay in the organisation."""
    if uses is None:
        return [f"- {_BLANK}"]
    counts: Counter[tuple[str, str]] = Counter()
    actors: dict[tuple[str, str], set[str]] = {}
    for deed, count in uses.deeds.items():
        kind = deed.actor.partition(":")[0]
        counts[kind, deed.event] += count.times
        actors.setdefault((kind, deed.event), set()).add(deed.actor)
    lines = [
        f"- {key[1]}{', nekades' if key[1] in DENIED else ''}: {times} gånger, av {len(actors[key])} {key[0]}"
        for key, times in sorted(counts.items())
    ]
    return [*lines[:_WIDTH], f"- loggar som är lästa: {', '.join(sorted(uses.roles)) or _BLANK}"]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(_SWEDEN):%Y-%m-%d %H:%M}"
