"""The three sizes of the suite, and its distribution over worker processes.

``./samdrift test`` runs the tests of our own code. Where a test repeats one behaviour over a matrix, it
runs samples: the other cases belong to the size ``--peers`` (:data:`whole`, :func:`sampled`). With
``--peers`` it runs those, and the tests that compile or install third-party programs; with ``--soak``
the tests that try many inputs or moments, with the full counts and another seed each time.
Files or tests that are named on the command line are run completely, in one process.
"""

from __future__ import annotations

import gc
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import bytecode, checks
from tests.leftovers import Cleaner

TESTS = Path(__file__).parent
PEERS = (TESTS / "fuzz", TESTS / "interop")
"""Folders of the tests that compile or install third-party programs."""
_OF_PEERS = tuple(f"{folder}{os.sep}" for folder in PEERS)
WORKERS = 5
"""More than twice the cores of the machine that the suite is measured on, since workers often wait."""
TOGETHER = (
    ("tests/interop/phase4/",),
    ("tests/roles/isolation/",),
    ("tests/roles/test_command_line_separation.py", "tests/roles/test_isolation_check.py"),
)
"""Folders and files whose tests share a fixture that is slow to create: one worker runs them all."""
SEED = "SAMDRIFT_TESTS_SEED"
"""Environment variable with the seed of a soak, through which the workers get it."""
FIRST = (
    "tests/separation/test_every_operation.py",
    "tests/browser/",
    "tests/upgrade/",
    "tests/roles/isolation/",
    "tests/roles/test_command_line_separation.py",
    "tests/roles/test_runbooks_lost.py",
    "tests/roles/test_restarts.py",
    "tests/roles/test_own_restarts.py",
    "tests/roles/test_key_rotation.py",
    "tests/roles/test_workers.py",
    "tests/roles/test_every_message_ends.py",
)
"""Slowest tests, which start first so that no worker has to wait for another at the end.

Those of the roles are next to the rest of their package, since their operators stop when it ends.
"""
_WHOLE = re.compile(r"^from tests\.sizes import .*\b(?:whole|sampled)\b", re.MULTILINE)
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")
EXAMPLES = 20
"""Factor by which a soak increases the number of examples for a property."""

soak = pytest.mark.soak
"""Marks a test, other than a property, that does more in a soak."""
whole = pytest.mark.whole
"""Marks a test of the size ``--peers``.

It is a case of a matrix of which the default size runs samples, or a slow test of a behaviour that also
has a shorter one.
"""


def sampled(cases: Iterable[Any], *always: Any, every: int = 4) -> list[Any]:
    """Return the cases of a matrix for ``pytest.mark.parametrize``, with all but one in ``every`` marked.

    Marked cases are :data:`whole`. Every run has those in ``always``. The choice is random but the same each
    time, and picks one from each stretch of the matrix, so that similar neighbours are not all left out.
    """
    ordered = list(cases)
    lot = random.Random(len(ordered))
    kept = {at + lot.randrange(min(every, len(ordered) - at)) for at in range(0, len(ordered), every)}
    kept |= {ordered.index(one) for one in always}
    return [one if at in kept else _of_peers(one) for at, one in enumerate(ordered)]


def _of_peers(case: Any) -> Any:
    if isinstance(case, type(pytest.param())):
        return case._replace(marks=(*case.marks, whole))
    return pytest.param(*case, marks=whole) if isinstance(case, tuple) else pytest.param(case, marks=whole)


def count(sample: int, full: int) -> int:
    """Return the number of inputs that a test tries: ``full`` in a soak, else ``sample``."""
    return full if SEED in os.environ else sample


def seed(fixed: int | str) -> int | str:
    """Return the seed of a test's inputs: the run's own in a soak, else ``fixed``."""
    return int(os.environ[SEED]) if SEED in os.environ else fixed


def pytest_addoption(parser: pytest.Parser) -> None:
    sizes = parser.getgroup("samdrift", "sizes of the suite").addoption
    sizes("--peers", action="store_true", help="run the tests that compile or install programs of others")
    sizes("--soak", action="store_true", help="run the tests with many inputs, with their full counts")
    sizes("--seed", type=int, help="seed of a soak, as an earlier one printed it")


def _all_of_a_size(config: pytest.Config) -> bool:
    """Return whether the command line names no file or test."""
    return config.args_source is not pytest.Config.ArgsSource.ARGS


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.option.soak:
        os.environ.setdefault(SEED, str(config.option.seed or random.randrange(1, 1 << 31)))
        config.option.hypothesis_seed = os.environ[SEED]
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if _all_of_a_size(config) and config.option.numprocesses is None and not config.option.collectonly:
        config.option.numprocesses = 0 if config.option.usepdb else WORKERS
    config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.add_cleanup(Cleaner().close)
        if config.option.numprocesses:
            bytecode.prepare(config)
        less = config.option.keyword or config.option.peers or config.option.soak
        if config.option.numprocesses and _all_of_a_size(config) and not less:
            checks.begin(Path(tempfile.mkdtemp(prefix="checks-")))
    config.addinivalue_line("markers", "soak: does more in a soak")
    config.addinivalue_line("markers", "whole: a case of a matrix of which the default size has samples")
    settings.register_profile("sample", derandomize=True, database=None, deadline=None)
    settings.register_profile("soak", derandomize=False, database=None, deadline=None, print_blob=True)
    settings.load_profile("soak" if config.option.soak else "sample")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the folders of another size, unless the command line names files or tests."""
    if not _all_of_a_size(config) or config.option.soak:
        return None
    if config.option.peers:
        wanted = any(peer in (collection_path, *collection_path.parents) for peer in PEERS)
        return None if wanted or collection_path.is_dir() or _has_whole(collection_path) else True
    return True if collection_path in PEERS else None


def _has_whole(file: Path) -> bool:
    """Return whether a file may have cases that are :data:`whole`, without importing it."""
    return file.suffix == ".py" and bool(_WHOLE.search(file.read_text()))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Exempt the collected tests from garbage collection, which would search them in vain each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        # Collect after 20 000 new objects instead of 700, which most tests create and drop many times over.
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if unsteady := [item.nodeid for item in items if _ADDRESS.search(item.nodeid)]:
        raise pytest.UsageError(f"each worker calls it something else, give it ids: {unsteady[0]}")
    items.sort(key=lambda item: next((at for at, one in enumerate(FIRST) if one in item.nodeid), len(FIRST)))
    if not config.option.soak:
        _divide(config, items)
        return
    more = [item for item in items if _examples(item) or item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=[item for item in items if item not in more])
    items[:] = more


def _divide(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases of the other size, unless files or tests are named."""
    if not _all_of_a_size(config):
        return
    here: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (here if of_peers(item) == config.option.peers else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = here


def of_peers(item: pytest.Item) -> bool:
    """Return whether a test is of the size ``--peers``."""
    return str(item.path).startswith(_OF_PEERS) or item.get_closest_marker("whole") is not None


def _examples(item: pytest.Item) -> bool:
    """Give a property as many examples as a soak needs; return whether the test is a property."""
    test = getattr(item, "obj", None)
    if not getattr(test, "is_hypothesis_test", False):
        return False
    own = getattr(test, "_hypothesis_internal_use_settings", settings.default)
    if own.max_examples < 5000:
        test._hypothesis_internal_use_settings = settings(own, max_examples=own.max_examples * EXAMPLES)
    return True


class _ByStage(LoadScopeScheduling):
    """Scheduler that assigns files to workers, keeping together those that share a slow fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((those[0] for those in TOGETHER if file.startswith(those)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByStage(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print a line for each reason why tests were not run."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} not run: {reason.removeprefix('Skipped: ')}")
    if _all_of_a_size(config) and not (config.option.peers or config.option.soak):
        folders = ", ".join(f"tests/{folder.name}" for folder in PEERS)
        terminalreporter.write_line(f"of another size: {folders}, and the rest of samples (--peers)")
    if config.option.soak:
        numbers = ", ".join(
            f"{len(terminalreporter.stats.get(one, ()))} {one}" for one in ("passed", "failed", "error")
        )
        terminalreporter.write_line(f"soak: seed {os.environ[SEED]}, {numbers}")
