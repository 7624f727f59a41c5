"""Draws mutants and runs the tests on each: ``python -m tests.mutation.run``, see README.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samdrift.bootstrap.environment import Environment
from tests.mutation.targets import ROOT, SOURCE, TARGETS

SEED = 20261126
SURVIVORS = Path(__file__).parent / "survivors.toml"
"""Mutants that change nothing that can be seen, each with the reason."""
_HERE = Path(__file__).parent
KEPT = ROOT / ".samdrift"
"""Folder of the results, and of what is known of the unchanged code and its tests."""
_COSMIC_RAY = ROOT / ".venv-mutation"
_COPIED = ("src", "tests", "docs", "bench", "pyproject.toml", "samdrift", "ARCHITECTURE.md")
Mutant = dict[str, Any]


def install() -> None:
    """See that cosmic-ray is there; ``EnvironmentFailure`` where it cannot be installed."""
    Environment(_COSMIC_RAY, _HERE / "requirements.lock").ensure()


def drawn(package: str, count: int, seed: int) -> list[Mutant]:
    """Return the mutants that ``seed`` draws; a smaller count is the beginning of a larger one."""
    return _listed(str(seed), str(count), package)


def remade(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Return mutants of earlier results with their code, as far as the lines that they change are there."""
    return _listed(given="".join(json.dumps(one) + "\n" for one in mutants))


def _listed(*arguments: str, given: str = "") -> list[Mutant]:
    (packages,) = _COSMIC_RAY.glob("lib/python*/site-packages")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutation.drawing", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(packages)},
        input=given,
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def key(mutant: Mutant) -> str:
    """What a mutant is known by while the line that it changes stays as it is."""
    return f"{mutant['file']}: {mutant['before']} -> {mutant['after']}"


@contextmanager
def executor() -> Iterator[subprocess.Popen[str]]:
    """A process that runs tests in a copy of the checkout."""
    with tempfile.TemporaryDirectory(prefix="samdrift-mutation-") as name:
        folder = Path(name) / "checkout"
        folder.mkdir()
        for each in _COPIED:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / each, folder / each)
        if (ROOT.parent / "shared").is_dir():
            (folder.parent / "shared").symlink_to((ROOT.parent / "shared").resolve())
        quiet = {"cwd": folder, "stdout": subprocess.DEVNULL}
        compiled = ("-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "src")
        subprocess.run([sys.executable, *compiled], check=True, **quiet)  # type: ignore[call-overload]
        with subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.executing"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder / "src"), "TMPDIR": name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield process
            assert process.stdin is not None
            process.stdin.close()


def ask(process: subprocess.Popen[str], mutant: Mutant) -> Mutant:
    """Have the tests run on a mutant; returns it with its fate."""
    (packages,) = _COSMIC_RAY.glob("lib/python*/site-packages")
    target = TARGETS[mutant["package"]]
    asked = {
        "file": mutant["file"],
        "line": mutant["line"],
        "code": mutant["code"],
        "tests": target.tests,
        "watched": [one.relative_to(SOURCE).as_posix() for one in target.modules()],
        "coverage": str(packages),
        "kept": str(KEPT),
    }
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the process that runs the tests has ended")
    plain = {name: value for name, value in mutant.items() if name != "code"}
    return plain | json.loads(answer)


def run(mutants: Iterable[Mutant], results: Path, at_once: int, *, again: bool = False) -> None:
    """Run the tests on each mutant without a result, or ``again`` on survivors; append what came of it."""
    known = {key(one) for one in read(results) if not (again and one["fate"] == "survived")}
    waiting = iter([one for one in mutants if key(one) not in known])

    def work() -> None:
        with executor() as process:
            for mutant in waiting:
                done = ask(process, mutant)
                with results.open("a") as file:
                    file.write(json.dumps(done) + "\n")
                print(f"{done['fate']:10} {done['seconds']:7} s  {key(done)}", flush=True)

    with ThreadPoolExecutor(at_once) as pool:
        for job in [pool.submit(work) for _ in range(at_once)]:
            job.result()


def read(results: Path) -> list[Mutant]:
    """Return the last result of each mutant whose line is there."""
    lines = results.read_text().splitlines() if results.exists() else []
    latest = {key(one): one for one in map(json.loads, lines)}.values()
    there = {
        name: {line.strip() for line in (SOURCE / name).read_text().splitlines()}
        for name in {one["file"] for one in latest}
        if (SOURCE / name).exists()
    }
    return [one for one in latest if one["before"] in there.get(one["file"], ())]


def report(results: Path, seed: int) -> str:
    """Return the table of docs/mutation.md, from the results that there are."""
    known = tomllib.loads(SURVIVORS.read_text())
    rows, lines = [], []
    for package in TARGETS:
        found = [one for one in read(results) if one["package"] == package]
        left = [one for one in found if one["fate"] == "survived"]
        same = [one for one in left if key(one) in known]
        killed = len(found) - len(left)
        share = f"{100 * killed / (len(found) - len(same)):.1f} %" if len(found) > len(same) else ""
        rows.append(
            f"| `{package}` | {len(found)} | {killed} | {len(same)} | {len(left) - len(same)} | {share} |"
        )
        lines += [f"| `{one['file']}` | `{_cell(one)}` | {known.get(key(one), '')} |" for one in left]
    heads = "| package | mutants | killed | equivalent | survived | killed of those that differ |"
    table = "\n".join([heads, "| --- | --- | --- | --- | --- | --- |", *rows])
    left_over = "\n".join(["| file | change | why it survives |", "| --- | --- | --- |", *lines])
    return f"Seed {seed}.\n\n{table}\n\n## Survivors\n\n{left_over}\n"


def _cell(mutant: Mutant) -> str:
    return f"{mutant['before']} → {mutant['after']}".replace("|", "\\|").replace("`", "'")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run")
    parser.add_argument("package", nargs="*", help=f"of {', '.join(TARGETS)}; all of them by default")
    parser.add_argument("--mutants", type=int, default=90, help="for each package")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--results", type=Path, default=KEPT / "mutation.jsonl")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="print the table of docs/mutation.md and end")
    parser.add_argument(
        "--again", action="store_true", help="run again what survived, against the current tests"
    )
    asked = parser.parse_args()
    if unknown := set(asked.package) - set(TARGETS):
        parser.error(f"not a package: {', '.join(sorted(unknown))}")
    if asked.report:
        print(report(asked.results, asked.seed), end="")
        return 0
    install()
    KEPT.mkdir(exist_ok=True)
    print(f"seed {asked.seed}, {asked.mutants} mutants of each package", flush=True)
    for package in asked.package or TARGETS:
        if asked.again:
            known = [one for one in read(asked.results) if one["package"] == package]
            mutants = remade(one for one in known if one["fate"] == "survived")
        else:
            mutants = drawn(package, asked.mutants, asked.seed)
        run(mutants, asked.results, asked.at_once, again=asked.again)
    return 0


if __name__ == "__main__":
    sys.exit(main())
