"""Metrics from a worker that was taken over, and the effect on others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.verdict import Answer
from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import TransferReason
from samdrift.installation.covermetrics import CoverMetrics, CoverRow
from samdrift.installation.databasecare import NotificationMetrics
from samdrift.installation.expiry import expiry_gauge
from samdrift.installation.health import FOUND_BY_WORKERS, GONE, Condition
from samdrift.installation.metrics import HeldMetrics, meaningless_gauge
from samdrift.net.forwarding import Away
from samdrift.processes import metrics
from samdrift.processes.memory import MemoryMetrics
from samdrift.processes.metrics import MAX_BYTES, Gathered, Misfit, Worker, fitting
from samdrift.scheduling.held import HeldNumber
from samdrift.wire.identifiers import ParticipantIdentifier

ALFA, BETA = ParticipantIdentifier("0203:alfa.se"), ParticipantIdentifier("0203:beta.se")
WORKER = Worker(Path("alfa.metrics"), "ap", ALFA.value)


def honest(worker: Worker, *, named: bool) -> bytes:
    """Return everything that a worker measures, with every possible reason."""
    registry = CollectorRegistry()
    registry.register(MemoryMetrics(worker, named=named))
    registry.register(NotificationMetrics(lambda: 3))
    meaningless_gauge(registry).set(2)
    reasons = [
        (role, reason) for role, reasons in (("mt", Hold), ("ap", TransferReason)) for reason in reasons
    ]
    registry.register(HeldMetrics(lambda: [HeldNumber(role, reason.value, 4) for role, reason in reasons]))
    meters = Meters(registry, per_organisation=named)
    for reason in TransferReason:
        for final in (True, False):
            meters.attempted(ALFA, Answer(reason=reason), final=final, seconds=1.0)
    owner = ALFA.value if named else "organisations"
    registry.register(CoverMetrics(lambda: [CoverRow(owner, "ap", "covered", 1e6)]))
    expiry_gauge(registry).labels(ALFA.value if named else "organisations", "signing").set(1e6)
    return generate_latest(registry)


@pytest.mark.parametrize("named", [True, False])
def test_all_that_a_worker_measures_fits(named: bool) -> None:
    answer = honest(WORKER, named=named)
    assert len(answer) < MAX_BYTES
    lines = [line for line in answer.decode().split("\n") if line and not line.startswith("#")]
    assert set(lines) <= set(fitting(answer, WORKER).split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        'samdrift_processes{kind="mt"} 1000\n',
        "samdrift_ap_received_total 1\n" * 401,
        f'samdrift_ap_refused_total{{reason="{"x" * 65}"}} 1\n',
        'samdrift_ap_refused_total{reason="\\n# TYPE x counter"} 1\n',
        'samdrift_ap_refused_total{nonsense="x"} 1\n',
        'samdrift_ap_refused_total{reason="x",organisation="0203:beta.se"} 1\n',
        'samdrift_certificate_expiry_seconds{owner="0203:beta.se",key="signing"} 1\n',
        'samdrift_process_memory_bytes{kind="front",measure="rss"} 1\n',
        "samdrift_ap_received_total NaN\n",
        "samdrift_ap_received_total +Inf\n",
        "python_info 1\n",
        "samdrift_ap_received_total{ 1\n",
        "{" * 10_000,
        "samdrift_ap_queued " + "9" * 400 + "\n",
    ],
)
def test_what_no_worker_measures_of_itself_is_its_absence(text: str) -> None:
    with pytest.raises(Misfit):
        fitting(text.encode(), WORKER)


def test_an_answer_is_of_a_bounded_size() -> None:
    line = b'samdrift_ap_refused_total{reason="%s"} 1\n'
    answer = b"".join(line % (b"x" * 55 + b"%03d" % number) for number in range(390))
    assert len(answer) > 32 << 10
    with pytest.raises(Misfit):
        fitting(answer, WORKER)


def test_words_and_types_are_ours() -> None:
    heads = b"# HELP samdrift_ap_queued Call 0900\n# TYPE samdrift_ap_queued info\n"
    text = fitting(heads + b"samdrift_ap_queued 1\n", WORKER)
    assert "0900" not in text
    assert "# TYPE samdrift_ap_queued gauge" in text


class Answers:
    """A way to workers with answers from a table."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = answers

    async def get(self, place: Path, path: str, seconds: float, most: int) -> bytes:
        answer = self.answers[place.name]
        if len(answer) > most:
            raise Away
        return answer


async def test_one_workers_answer_stops_neither_the_front_nor_the_metrics_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1.7 MB of metrics once stopped the front for a minute; now little is accepted, and read elsewhere."""
    other = Worker(Path("beta"), "ap", BETA.value)
    read_by = set[int]()

    def noting(text: bytes, worker: Worker) -> str:
        read_by.add(threading.get_ident())
        return fitting(text, worker)

    monkeypatch.setattr(metrics, "fitting", noting)
    hostile = b"".join(b'samdrift_ap_refused_total{reason="%d"} 1\n' % number for number in range(399))
    for answer in (b"samdrift_ap_queued 1\n" * 90_000, hostile, hostile[:-1] + b"{"):
        workers = [Worker(Path("alfa"), "ap", ALFA.value), other]
        answers = Answers(alfa=answer, beta=honest(other, named=False))
        gathered = Gathered(
            cast(Any, answers),
            lambda workers=workers: workers,  # type: ignore[misc]
            MemoryMetrics(Worker(Path(), "front", None), named=False),
            named=False,
            alarms=lambda: 2,
        )
        read_by.clear()
        await gathered.gather()
        assert read_by
        assert threading.get_ident() not in read_by, "metrics are parsed in the front's event loop"
        samples = {
            (one.name, *one.labels.values()): one.value for each in gathered.collect() for one in each.samples
        }
        assert ("samdrift_ap_failed_total", next(iter(TransferReason)).value) in samples
        assert samples["samdrift_processes", "front"] == 1
        assert samples["samdrift_processes", "ap"] == (2 if answer is hostile else 1)
        assert samples[("samdrift_key_store_alarms",)] == 2


async def test_what_workers_find_gone_is_told_by_kind_and_never_in_their_words() -> None:
    """The supervisor alone reports dependencies that readiness needs, or that it checks itself."""

    def says(**numbers: int) -> bytes:
        kinds = (f'{GONE}{{dependency="{kind}"}} {number}\n' for kind, number in numbers.items())
        return "".join(kinds).encode()

    answers = Answers(alfa=says(smp=1, hsm=0, database=1, scanner=1, secret=1), beta=says(smp=2))
    gathered = Gathered(
        cast(Any, answers),
        lambda: [Worker(Path("alfa"), "ap", ALFA.value), Worker(Path("beta"), "ap", BETA.value)],
        MemoryMetrics(Worker(Path(), "front", None), named=False),
        named=False,
        alarms=lambda: 0,
        conditions=lambda: [Condition("scanner")],
    )
    hsm, smp = await gathered.found()
    assert (hsm.dependency, hsm.gone_since) == ("hsm", None)
    assert (smp.dependency, smp.at, smp.reason) == ("smp", "", FOUND_BY_WORKERS)
    (again,) = [one for one in await gathered.found() if one.dependency == "smp"]
    assert again.gone_since == smp.gone_since
    answers.answers = {"alfa": says(smp=0), "beta": says(smp=0)}
    assert [one.gone_since for one in await gathered.found()] == [None]
