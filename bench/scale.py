"""The scale model on paper: the needs of all of Sweden, and ten times that (``python -m bench.scale``).

Every figure is computed from measured ones, which other benchmarks have printed (docs/performance.md), and
from assumptions, which are marked as such. It prints the tables of docs/scale.md, and a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

_HOUR = 3600.0
_GB, _TB = 1e6, 1e9
"""Kilobytes in a gigabyte and in a terabyte."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured figures from docs/performance.md."""

    exchange_cpu: float = 0.249
    """Seconds of processor time of an exchange with 300 organisations, both sides, with cold vaults."""
    idle_cpu: float = 0.0591 / 300
    """Part of a core that an idle organisation takes, new tokens included."""
    memory: float = 938 / 300
    """MB of each organisation while idle, including its share of common memory."""
    connection: float = (5.9 - 0.96) / (384 / 300)
    """MB of a connection: an organisation with its connections, less the memory of Python for it."""
    start_cpu: float = 7.0 / 300
    """Seconds of processor time of each organisation at a start."""
    disk: float = 145.0
    """kB on disk, on both sides together, of an exchange of 10 kB."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """Assumptions where no figures are published: the organisations, and the messages that they send."""

    municipalities: int = 290
    regions: int = 21
    agencies: int = 200
    of_municipality: int = 60
    """Messages that a municipality sends on a working day."""
    of_region: int = 1_500
    of_agency: int = 400
    peak: float = 0.15
    """Part of a day's messages that are sent in its busiest hour."""
    size: float = 300.0
    """kB of a message with its files, on average."""
    kept_days: int = 30
    """Days for which message services at both ends keep content until their clients have fetched it."""
    working_days: int = 250
    connections: int = 3
    """Connections of each organisation in the busiest hour: one for each vault in use (ap, mt, mk)."""
    busy: float = 0.5
    """Part of the processors that may be busy in the busiest hour."""


@dataclass(frozen=True, slots=True)
class Limits:
    """One large machine with one PostgreSQL, as the model assumes it."""

    loops: float = 1.0
    """Cores that one process can use: it has one event loop."""
    cores: int = 32
    memory: float = 256e3
    """Memory in MB."""
    connections: int = 2_000
    disk: float = 8 * _TB
    """Disk in kB."""


@dataclass(frozen=True, slots=True)
class Need:
    """Resources that a load needs."""

    organisations: int
    messages: int
    """Messages on a working day."""
    peak: float
    """Messages per second in the busiest hour."""
    cores: float
    """Busy cores in the busiest hour."""
    memory: float
    connections: int
    bodies: float
    """kB of content that is kept."""
    growth: float
    """kB that are added in a year, including logs and evidence but not content."""
    start: float
    """Seconds of processor time at a start."""


def need(assumed: Assumed, measured: Measured, times: int = 1) -> Need:
    """Compute the needs of ``times`` the assumed organisations and messages."""
    organisations = assumed.municipalities + assumed.regions + assumed.agencies
    messages = times * (
        assumed.municipalities * assumed.of_municipality
        + assumed.regions * assumed.of_region
        + assumed.agencies * assumed.of_agency
    )
    peak = messages * assumed.peak / _HOUR
    return Need(
        organisations=organisations,
        messages=messages,
        peak=peak,
        cores=peak * measured.exchange_cpu + organisations * measured.idle_cpu,
        memory=organisations * (measured.memory + assumed.connections * measured.connection),
        connections=organisations * assumed.connections,
        bodies=2 * messages * assumed.size * assumed.kept_days,
        growth=messages * assumed.working_days * measured.disk,
        start=organisations * measured.start_cpu,
    )


def breaking(one: Need, limits: Limits) -> list[tuple[str, float]]:
    """Return how many times a need fits into each limit, with the limit that breaks first at the front."""
    room = {
        "one process, whose event loop has one core": limits.loops / one.cores,
        f"{limits.cores} cores, half busy": limits.cores / 2 / one.cores,
        f"{limits.memory / 1e3:.0f} GB of memory": limits.memory / one.memory,
        f"{limits.connections} connections to PostgreSQL": limits.connections / one.connections,
        f"{limits.disk / _TB:.0f} TB of disk for a year and the content that is kept": limits.disk
        / (one.bodies + one.growth),
    }
    return sorted(room.items(), key=lambda pair: pair[1])


def tables(measured: Measured, assumed: Assumed, limits: Limits) -> str:
    """Return the tables of the document, in Markdown."""
    one, ten = need(assumed, measured), need(assumed, measured, 10)
    spread = need(replace(assumed, municipalities=2_900, regions=210, agencies=2_000), measured)
    loads = [one, ten, spread]
    rows: list[tuple[str, list[str]]] = [
        ("organisations", [f"{each.organisations:,}" for each in loads]),
        ("messages a working day", [f"{each.messages:,}" for each in loads]),
        ("messages a second, busiest hour", [f"{each.peak:.1f}" for each in loads]),
        ("cores busy in that hour", [f"{each.cores:.1f}" for each in loads]),
        ("cores to have", [f"{ceil(each.cores / assumed.busy)}" for each in loads]),
        ("processes at least, with an event loop each", [f"{ceil(each.cores)}" for each in loads]),
        ("memory, GB", [f"{each.memory / 1e3:.1f}" for each in loads]),
        ("connections to PostgreSQL", [f"{each.connections:,}" for each in loads]),
        ("content that is kept, TB", [f"{each.bodies / _TB:.1f}" for each in loads]),
        ("tables and logs, GB a year", [f"{each.growth / _GB:,.0f}" for each in loads]),
        ("start, seconds of processor time", [f"{each.start:.0f}" for each in loads]),
    ]
    rows = [(name, [value.replace(",", " ") for value in values]) for name, values in rows]
    lines = [
        "| | Sweden | ten times the messages | ten times the organisations, too |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {' | '.join(values)} |" for name, values in rows),
        "",
        "| limit | times Sweden until it is reached |",
        "| --- | --- |",
        *(f"| {name} | {times:.1f} |" for name, times in breaking(one, limits)),
    ]
    return "\n".join(lines)


MEASURED, ASSUMED, LIMITS = Measured(), Assumed(), Limits()


if __name__ == "__main__":
    print(tables(MEASURED, ASSUMED, LIMITS))
