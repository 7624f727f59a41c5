"""The command that measures, and counts."""

from __future__ import annotations

import json
from collections import Counter

import bench.__main__
import bench.layout
import bench.soak
import pytest

from tests.roles.soak import Report
from tests.unit.cli.commandline import in_process
from tests.vaults import server_folder


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
    [("nothing",), ("wire", "--seed", "1"), ("large", "--exchanges", "5"), ("soak", "--exchanges", "0")],
)
def test_what_cannot_be_measured_is_unusable(arguments: tuple[str, ...]) -> None:
    ended = in_process("bench", *arguments)
    assert (ended.status, ended.output) == (2, "")
    assert "Traceback" not in ended.complaints


@pytest.mark.parametrize("layout", ["schemas", "databases"])
async def test_vaults_are_made_and_opened_in_each_layout_that_is_measured(
    monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """One layout is made by the bench alone: it has to follow what vaults are made of."""
    for visits in ("_VISITS", "_COLD_VISITS"):
        monkeypatch.setattr(bench.layout, visits, 2)
    with server_folder() as folder:
        async with bench.layout._site(folder / layout, layout, 1) as site:
            rows = [*await bench.layout._made(site), *await bench.layout._visited(site)]
    assert {row.name.partition(": ")[2] for row in rows} >= {"files for one", "warm exchange's openings"}
    assert all(row.work > 0 for row in rows if "openings" in row.name)
