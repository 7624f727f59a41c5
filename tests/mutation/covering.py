"""Which test comes past which line: a plugin of pytest that writes it down, and the choice for a mutant.

On a mutant run the tests that come past the statement that it changes; no other can
notice it. What runs while a module is imported (constants, decorators, defaults) is
anybody's: there every test that comes into a file of the same folder is chosen, and
every one that comes past no line, since it looks at what was imported.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SETTINGS = "SAMDRIFT_MUTATION_COVERING"
"""Environment variable, as JSON: the folder of ``coverage``, the file to write and those to watch."""
_FIRST_FILES = 3
"""How many files of tests run before all others that were chosen."""


@dataclass(frozen=True)
class Passed:
    """Tests that passed on the unchanged code, with the lines that each comes past."""

    seconds: dict[str, float]
    """Processor time of each test, by its id."""
    lines: dict[str, dict[int, list[str]]]
    """By file and line, the tests that come past it; an empty id is the import."""

    @staticmethod
    def read(path: Path) -> Passed:
        """Return what the plugin has written."""
        found = json.loads(path.read_text())
        lines = {file: {int(line): ids for line, ids in of.items()} for file, of in found["lines"].items()}
        return Passed(found["seconds"], lines)

    def stages(self, file: str, code: str, line: int, left_out: Iterable[str] = ()) -> list[list[str]]:
        """Return the tests that may notice a change at a line of a file, in two groups, the nearest first."""
        of = self.lines.get(file, {})
        ids = {one for at in statement(code, line) for one in of.get(at, ())}
        if "" in ids:
            folder = Path(file).parent
            near = (of for other, of in self.lines.items() if Path(other).parent == folder)
            ids |= {one for of in near for all_ids in of.values() for one in all_ids}
            passing = {one for of in self.lines.values() for all_ids in of.values() for one in all_ids}
            ids |= self.seconds.keys() - passing
        by_file: dict[str, list[str]] = defaultdict(list)
        for one in self.seconds:
            if one in ids and one not in left_out:
                by_file[one.partition("::")[0]].append(one)
        ordered = sorted(by_file.values(), key=self._mean)
        groups = (ordered[:_FIRST_FILES], ordered[_FIRST_FILES:])
        return [[one for tests in group for one in tests] for group in groups if group]

    def _mean(self, tests: list[str]) -> float:
        return sum(map(self.seconds.__getitem__, tests)) / len(tests)


def statement(code: str, line: int) -> range:
    """Return the lines of the statement at a line; of one with a body, the lines above that."""
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            lines = range(node.lineno, max(end, node.lineno + 1))
            if line in lines:
                found = lines
    return found


class _Plugin:
    def __init__(self, packages: str, path: str, watched: list[str]) -> None:
        sys.path.append(packages)
        from coverage import Coverage

        self._path = Path(path)
        self._watched = watched
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage = Coverage(data_file=None, include=[str(Path("src/samdrift", one)) for one in watched])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note what runs from here on under the test's id."""
        self._coverage.switch_context(item.nodeid)
        begun = time.process_time()
        done = yield
        self._seconds[item.nodeid] = round(time.process_time() - begun, 3)
        self._coverage.switch_context("")
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Leave out what fails: it would notice every mutant."""
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write down the tests that passed, and lines."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            one: data.contexts_by_lineno(str(Path("src/samdrift", one).resolve())) for one in self._watched
        }
        passed = {one: used for one, used in self._seconds.items() if one not in self._failed}
        self._path.write_text(json.dumps({"seconds": passed, "lines": lines}))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before anything of the project is imported."""
    plugin = _Plugin(**json.loads(os.environ[SETTINGS]))
    early_config.pluginmanager.register(plugin, "samdrift-mutation-covering")
