"""The command that measures and counts."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.util import find_spec
from inspect import CORO_CREATED, getcoroutinestate
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import bench.__main__
import bench.backlog
import bench.exchange_pair
import bench.organisations
import bench.soak
import psutil
import pytest
from bench.exchange_pair import Processes
from bench.idle_counts import KINDS
from bench.idle_parts import Part, accounted
from bench.measure import Row, against_floor, reported
from bench.plot import drawn
from bench.workers import idlest, knee

import samdrift.cli.bench
from tests.roles.soak import Report
from tests.unit.cli.commandline import in_process


@pytest.mark.parametrize(("faults", "status"), [([], 0), (["lost: a message", "lost: another"], 1)])
def test_a_soak_fails_when_anything_was_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], faults: list[str], status: int
) -> None:
    async def soaked(*given: object) -> Report:
        return Report(3, Counter({"postmaster killed": 2}), faults)

    monkeypatch.setattr(bench.soak, "_soaked", soaked)
    assert bench.__main__.main(["soak", "--json", "--exchanges", "3", "--seed", "7"]) == status
    printed = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(printed.out)["rows"]}
    assert (rows["exchanges"]["work"], rows["postmaster killed"]["work"]) == (3, 2)
    assert (rows["faults: lost"]["work"], rows["faults: lost"]["reached"]) == (len(faults), not faults)
    assert printed.err.splitlines() == ["seed 7", *faults]


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("wire", "--seed", "1"),
        ("large", "--exchanges", "5"),
        ("soak", "--exchanges", "0"),
        ("soak", "--organisations", "3"),
        ("restarts", "--bucket"),
        ("faults", "--bucket", "--layout", "process"),
        ("organisations", "--organisations", "1"),
        ("wire", "--rounds", "2"),
        ("neighbour", "--waiting", "2000"),
        ("backlog", "--waiting", "10"),
        ("restarts", "--only", "scanner"),
        ("soak", "--layout", "process"),
        ("wire", "--seconds", "5"),
    ],
)
def test_what_cannot_be_measured_is_unusable(arguments: tuple[str, ...]) -> None:
    ended = in_process("bench", *arguments)
    assert (ended.status, ended.output) == (2, "")
    assert "Traceback" not in ended.complaints


def test_faults_and_restarts_are_named_and_are_run_as_they_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        runs.append(command[3:])
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    named = in_process("bench", "--help").output
    assert {"faults", "restarts"} < {*re.findall(r"[a-z_]+", named)}
    faults = ("faults", "--only", "scanner", "--only", "key store", "--seconds", "5", "--layout", "process")
    assert in_process("bench", *faults).status == 1
    assert in_process("bench", "restarts", "--rounds", "3", "--seed", "7").status == 1
    assert runs == [
        ["faults", "--seconds", "5.0", "--layout", "process", "--only", "scanner", "key store"],
        ["restarts", "--seed", "7", "--rounds", "3"],
    ]


def test_the_size_of_a_run_is_handed_to_the_bench_of_organisations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, dict[str, Any]]] = []

    class Answering(bench.organisations._Installation):
        """An installation with known figures."""

        async def ask(self, **command: Any) -> dict[str, float]:
            number = self.found.number
            asked.append((number, command))
            of_all = {"server": 1.0, "logins": 1.5, "connections": 2.0, "tokens": 3.0, "memory": number * 1e6}
            if command["do"] == "count":
                return dict.fromkeys(KINDS, 4.0)
            parts = dict.fromkeys(Part, 0.5)
            return {**of_all, **parts, "cpu": 9.0, "wall": 11.0, "total": 10.0 if number == 3 else 12.5}

    @asynccontextmanager
    async def started(number: int) -> AsyncIterator[bench.organisations._Installation]:
        yield Answering(cast(Any, None), bench.organisations.Found(number))

    monkeypatch.setattr(bench.organisations, "_started", started)
    arguments = [
        "organisations",
        "--json",
        "--organisations",
        "300",
        "3",
        "--exchanges",
        "7",
        "--rounds",
        "2",
    ]
    assert bench.__main__.main([*arguments, "--idle-seconds", "5"]) == 0
    start, settle, idle = {"do": "start"}, {"do": "settle"}, {"do": "idle", "seconds": 5}
    count, traffic = {"do": "count", "seconds": 5}, {"do": "traffic", "exchanges": 7}
    rounds = [traffic] * 3  # The first is the cold one.
    assert asked == [
        (number, command) for command in (start, settle, idle, count, *rounds) for number in (3, 300)
    ]
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    warm = rows["300 organisations: traffic, warm"]
    assert (warm["floor"], warm["ratio"], warm["bar"], warm["reached"]) == (10.0, 1.25, 1.2, False)
    assert rows["300 organisations: start, logins per vault"]["reached"] is True
    assert rows["300 organisations: idle"]["reached"] is False
    assert rows["300 organisations: idle, new access tokens"]["work"] == 3.0
    assert {rows[f"300 organisations: idle minute, {kind}"]["work"] for kind in KINDS} == {4.0}
    parts = {part: rows[f"300 organisations: idle, {part}"] for part in Part}
    assert {part: row["bar"] for part, row in parts.items()} == {
        Part.LOGS: 0.7,
        Part.CLIENT: 0.4,
        Part.GOVERNANCE: 0.1,
        Part.REST: 0.8,
    }
    assert [part for part, row in parts.items() if not row["reached"]] == [Part.CLIENT, Part.GOVERNANCE]
    assert rows["300 organisations: idle, PSS per further one"]["work"] == pytest.approx(1.0)
    assert rows["3 organisations: traffic, warm"]["ratio"] == 1.0


async def test_what_is_timed_looks_as_it_does_without() -> None:
    """A streamed answer whose client hangs up before it begins inspects its coroutine, and cancels it."""
    with accounted() as seconds:
        task = asyncio.create_task(asyncio.sleep(0.01))
        assert getcoroutinestate(cast(Any, task.get_coro())) == CORO_CREATED
        await task
        assert seconds[Part.REST] > 0


def test_a_backlog_is_judged_by_rates_and_by_how_long_another_organisation_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measured(_: object, options: bench.backlog.Options) -> list[Row]:
        assert options == bench.backlog.Options(waiting=100_000, rounds=2)
        return bench.backlog.judged(
            floors=[100.0, 200.0],
            disturbed={1_000: [140.0, 280.0], options.waiting: [160.0, 320.0]},
            rates={1_000: [10.0, 20.0], options.waiting: [8.0, 16.0]},
        )

    monkeypatch.setattr(bench.backlog, "_measured", measured)
    assert bench.__main__.main(["backlog", "--json", "--waiting", "100000", "--rounds", "2"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    latencies = [rows[f"another's exchange, {number} waiting"] for number in (1_000, 100_000)]
    assert [(row["ratio"], row["bar"], row["reached"]) for row in latencies] == [
        (pytest.approx(1.4), 1.5, True),
        (pytest.approx(1.6), 1.5, False),
    ]
    draining = rows["draining, 100000 against 1000 waiting"]
    assert (draining["ratio"], draining["reached"]) == (pytest.approx(1 / 0.8), False)
    assert rows["draining, 100000 waiting"]["work"] == 12.0


def test_a_bench_that_plays_operators_says_what_it_needs_where_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(name: str) -> object | None:
        return None if name == "pytest" else find_spec(name)

    monkeypatch.setattr(samdrift.cli.bench, "find_spec", found)
    ended = in_process("bench", "isolation")
    assert (ended.status, ended.output) == (2, "")
    assert "./samdrift test --collect-only" in ended.complaints


def test_a_backend_that_ends_while_its_time_is_read_ends_no_bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    backend = psutil.Process(ended.pid)
    ended.wait()
    (tmp_path / "postmaster.pid").write_text(f"{psutil.Process().pid}\n")
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [backend])
    assert Processes(tmp_path).cpu() > 0


def test_what_looking_at_all_processes_takes_is_no_part_of_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Counted, it would add a twentieth to an exchange on a machine with four hundred processes."""
    clock = [10.0]

    def look(*_: object, **__: object) -> list[psutil.Process]:
        clock[0] += 0.5
        return []

    monkeypatch.setattr(bench.exchange_pair, "seconds", lambda *_, **__: 0.0)
    monkeypatch.setattr(bench.exchange_pair.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(psutil.Process, "children", look)
    (tmp_path / "postmaster.pid").write_text(f"{psutil.Process().pid}\n")
    processes = Processes(tmp_path)
    before = processes.cpu()
    clock[0] += 2.0
    assert processes.cpu() - before == 2.0
    assert processes.cpu() - before == 2.0


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ({8: [10.0], 16: [20.0], 32: [21.0], 64: [20.5]}, 16),
        ({8: [10.0], 16: [14.0], 32: [20.0]}, 32),
        ({8: [20.0, 1.0, 20.0], 16: [19.0], 32: [19.5]}, 8),
    ],
)
def test_the_knee_is_the_smallest_number_beyond_which_the_rate_hardly_grows(
    rates: dict[int, list[float]], found: int
) -> None:
    assert knee(rates) == found


def test_the_least_busy_processor_counts_between_the_first_look_and_the_last() -> None:
    looks = [(10.0, (100.0, 50.0)), (11.0, (100.0, 50.5)), (14.0, (100.1, 51.0))]
    assert idlest(looks) == pytest.approx(25.0)


def test_the_picture_of_a_bench_has_each_ratio_as_long_as_it_is_and_its_bar() -> None:
    near = asdict(against_floor("near & far", [1.0, 1.0], [1.2, 1.4], bar=1.5, unit="ms"))
    slow = asdict(against_floor("slow", [1.0], [3.0], bar=1.5, unit="ms"))
    picture = drawn("Neighbours", [near, asdict(reported("load", [9.0], "")), slow])
    read = ElementTree.fromstring(picture)
    svg = "{http://www.w3.org/2000/svg}"
    bars = {bar.get("class"): float(bar.get("width", "")) for bar in read.findall(f"{svg}rect[@class]")}
    assert bars["missed"] / bars["reached"] == pytest.approx(3.0 / 1.3, abs=0.01)
    assert [line.get("x1") for line in read.findall(f"{svg}line[@class='bar']")] == ["665.0", "665.0"]
    assert read.findtext(f"{svg}desc") == "near & far: 1.30, to reach 1.50; slow: 3.00, to reach 1.50"
