"""Every guard between organisations has a mutant that removes it; the cheapest few are run here.

All of them: ``.venv/bin/python -m tests.separation.mutation.run``.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from samdrift.vault.database import migrations
from tests.separation.mutation import run
from tests.separation.mutation.mutant import ROOT, SOURCE, Mutant
from tests.separation.mutation.run import MUTANTS, Fate, copy, fate
from tests.sizes import sampled

OF_PACKAGE: dict[str, list[Mutant]] = {}
for _one in MUTANTS:
    OF_PACKAGE.setdefault(_one.package, []).append(_one)
PACKAGES = sorted(OF_PACKAGE)
"""Packages with mutants; one test for each takes a fraction of the time of one for each mutant."""
CHEAP = (
    "a sealed value is bound to its vault",
    "an address without a star is that address",
    "a leak is never called denied",
)


def guard(mutant: Mutant) -> str:
    return mutant.guard


def test_no_two_guards_have_one_name() -> None:
    assert len({mutant.guard for mutant in MUTANTS}) == len(MUTANTS)


def misplaced(mutant: Mutant) -> str:
    """Return the reason why a mutant cannot be made, or an empty string if it can."""
    try:
        mutant.check()
        return ""
    except (LookupError, SyntaxError) as fault:
        return f"{mutant.guard}: {fault}"


def lacking(mutant: Mutant) -> list[str]:
    """Return the tests of a mutant that do not exist."""
    found = []
    for test in mutant.tests:
        file, *names = test.split("::")
        text = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
        functions = [name.partition("[")[0] for name in names]
        if not text or not all(re.search(rf"(def|class) {name}\b", text) for name in functions):
            found.append(f"{mutant.guard}: {test}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_each_guard_is_where_its_mutant_takes_it_away(package: str) -> None:
    """After a guard was moved or rewritten, this fails until its mutant is updated."""
    assert [each for mutant in OF_PACKAGE[package] if (each := misplaced(mutant))] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tests_that_must_notice_exist(package: str) -> None:
    assert [each for mutant in OF_PACKAGE[package] for each in lacking(mutant)] == []


_DEFINED = re.compile(r"^CREATE (?:OR REPLACE )?(?:FUNCTION|VIEW) ([a-z_]+)", re.MULTILINE)
_SCHEMAS = (migrations.REGISTRY, migrations.WORKERS, *migrations.VAULT.values())


def defined(script: str) -> list[str]:
    return _DEFINED.findall(migrations.script(script))


def in_force(mutant: Mutant) -> list[bool]:
    """Return for each schema with the mutant's file whether no later file defines the same again."""
    script = mutant.file().stem
    before = _DEFINED.findall(migrations.script(script).partition(f"/*[{mutant.mark}*/")[0])
    found = []
    for parts in _SCHEMAS:
        scripts = [f"{part}-{number + 1}" for part in parts for number in range(migrations.versions(part))]
        if script in scripts:
            later = scripts[scripts.index(script) + 1 :]
            found.append(not any(name in before[-1:] for each in later for name in defined(each)))
    return found


@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each.file().suffix == ".sql"], ids=guard)
def test_a_guard_is_taken_from_what_the_database_runs(mutant: Mutant) -> None:
    """A mutant of a function that a later file replaces removes nothing, and its tests pass."""
    assert any(in_force(mutant) or [True])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with copy() as folder:
        yield folder


@pytest.mark.parametrize("mutant", sampled(one for one in MUTANTS if one.guard in CHEAP), ids=guard)
def test_a_mutant_is_killed(folder: Path, mutant: Mutant) -> None:
    assert fate(mutant, folder) is Fate.KILLED


_DOES_NOT_END = """
import subprocess, sys, time

def test() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", __file__]):
        open(__file__ + ".started", "w").close()
        time.sleep(600)
"""


def test_tests_that_do_not_end_are_broken_and_killed_with_what_they_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutated program may loop for ever, and the other mutants must be run nevertheless."""
    mutant = Mutant("any", "guarded.SAFE", (("Constant 1/1", "False"),), ("test_any.py",))
    guarded = tmp_path / SOURCE / "guarded.py"
    guarded.parent.mkdir(parents=True)
    guarded.write_text("SAFE = True")
    test = tmp_path / "test_any.py"
    test.write_text(_DOES_NOT_END)

    def left() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [each for each in found if str(test) in (each.info["cmdline"] or ())]

    started = test.with_name(f"{test.name}.started")
    wait = subprocess.Popen.wait

    def patient(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        """Wait as long as the test needs to begin before the time is over."""
        end = time.monotonic() + 60
        while timeout is not None and not started.exists() and time.monotonic() < end:
            time.sleep(0.02)
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", patient)
    monkeypatch.setattr(run, "_WITHIN", 0.1)
    assert fate(mutant, tmp_path) is Fate.BROKEN
    assert started.exists()
    psutil.wait_procs(left(), 60)
    assert left() == []
    assert guarded.read_text() == "SAFE = True"
