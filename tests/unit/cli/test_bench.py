"""The command that measures, and counts."""

from __future__ import annotations

import json
from collections import Counter

import bench.__main__
import bench.organisations
import bench.soak
import pytest

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
        ("organisations", "--organisations", "1"),
        ("wire", "--rounds", "2"),
    ],
)
def test_what_cannot_be_measured_is_unusable(arguments: tuple[str, ...]) -> None:
    ended = in_process("bench", *arguments)
    assert (ended.status, ended.output) == (2, "")
    assert "Traceback" not in ended.complaints


def test_the_size_of_a_run_is_handed_to_the_bench_of_organisations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, bench.organisations.Options]] = []

    async def measured(
        folder: object, number: int, options: bench.organisations.Options
    ) -> bench.organisations.Found:
        seen.append((number, options))
        cost = 10.0 if number == 3 else 12.5
        return bench.organisations.Found(number, logins=1.5, memory=number * 1e6, cold=20.0, warm=(cost,))

    monkeypatch.setattr(bench.organisations, "_measured", measured)
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
    assert [number for number, _ in seen] == [3, 300]
    assert seen[0][1] == bench.organisations.Options((300, 3), exchanges=7, idle_seconds=5, rounds=2)
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    warm = rows["300 organisations: traffic, warm"]
    assert (warm["floor"], warm["ratio"], warm["bar"], warm["reached"]) == (10.0, 1.25, 1.2, False)
    assert rows["300 organisations: start, logins per vault"]["reached"] is True
    assert rows["300 organisations: idle, PSS per further one"]["work"] == pytest.approx(1.0)
    assert rows["3 organisations: traffic, warm"]["ratio"] == 1.0
