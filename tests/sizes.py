"""The three sizes of the suite, and how it is spread over worker processes.

``./samdrift test`` runs every test of our own code, with samples from a fixed seed. With
``--peers`` it runs the tests that compile or install programs of others, and with ``--soak``
those that try many inputs or moments, with the full counts and another seed each time.
Files or tests that are named on the command line are run as they are, in one process.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import checks
from tests.leftovers import Cleaner

TESTS = Path(__file__).parent
PEERS = (TESTS / "fuzz", TESTS / "interop")
"""Folders of the tests that compile or install programs of others."""
WORKERS = 3
"""One more than the cores of the machine that the suite is measured on: each waits much of its time."""
TOGETHER = ("tests/interop/phase4", "tests/roles/isolation")
"""Folders whose tests share a fixture that takes long to make: one worker runs them all."""
SEED = "SAMDRIFT_TESTS_SEED"
"""Environment variable with the seed of a soak, by which the workers have it too."""
FIRST = (
    "tests/roles/isolation/",
    "tests/browser/test_demonstration.py",
    "tests/roles/test_restarts.py",
    "tests/roles/test_key_rotation.py",
    "tests/upgrade/",
    "tests/roles/test_every_message_ends.py",
)
"""What takes longest, begun before the rest so that no worker waits for another at the end."""
EXAMPLES = 20
"""How many times as many examples a soak draws for a property."""

soak = pytest.mark.soak
"""Marks a test, other than a property, that does more in a soak."""


def count(sample: int, full: int) -> int:
    """How many inputs a test tries: ``full`` in a soak."""
    return full if SEED in os.environ else sample


def seed(fixed: int | str) -> int | str:
    """The seed of a test's inputs: that of the run in a soak."""
    return int(os.environ[SEED]) if SEED in os.environ else fixed


def pytest_addoption(parser: pytest.Parser) -> None:
    sizes = parser.getgroup("samdrift", "sizes of the suite").addoption
    sizes("--peers", action="store_true", help="run the tests that compile or install programs of others")
    sizes("--soak", action="store_true", help="run the tests with many inputs, with their full counts")
    sizes("--seed", type=int, help="seed of a soak, as an earlier one printed it")


def _whole(config: pytest.Config) -> bool:
    """Whether no file or test is named on the command line."""
    return config.args_source is not pytest.Config.ArgsSource.ARGS


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.option.soak:
        os.environ.setdefault(SEED, str(config.option.seed or random.randrange(1, 1 << 31)))
        config.option.hypothesis_seed = os.environ[SEED]
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if _whole(config) and config.option.numprocesses is None and not config.option.collectonly:
        config.option.numprocesses = 0 if config.option.usepdb else WORKERS
    config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.add_cleanup(Cleaner().close)
        if config.option.numprocesses and not (
            config.option.keyword or config.option.peers or config.option.soak
        ):
            checks.begin(Path(tempfile.mkdtemp(prefix="checks-")))
    config.addinivalue_line("markers", "soak: does more in a soak")
    settings.register_profile("sample", derandomize=True, database=None, deadline=None)
    settings.register_profile("soak", derandomize=False, database=None, deadline=None, print_blob=True)
    settings.load_profile("soak" if config.option.soak else "sample")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folders of another size alone, unless the command line names what to run."""
    if not _whole(config) or config.option.soak:
        return None
    if config.option.peers:
        wanted = any(peer in (collection_path, *collection_path.parents) for peer in PEERS)
        return None if wanted or collection_path in (TESTS, *TESTS.parents) else True
    return True if collection_path in PEERS else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector from looking at the tests, which last: it would find none, at every turn."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, one in enumerate(FIRST) if one in item.nodeid), len(FIRST)))
    if not config.option.soak:
        return
    more = [item for item in items if _examples(item) or item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=[item for item in items if item not in more])
    items[:] = more


def _examples(item: pytest.Item) -> bool:
    """Have a property draw as many examples as a soak does; return whether it is a property."""
    test = getattr(item, "obj", None)
    if not getattr(test, "is_hypothesis_test", False):
        return False
    own = getattr(test, "_hypothesis_internal_use_settings", settings.default)
    if own.max_examples < 5000:
        test._hypothesis_internal_use_settings = settings(own, max_examples=own.max_examples * EXAMPLES)
    return True


class _ByStage(LoadScopeScheduling):
    """Gives a worker a file at a time, or a folder where the files share what takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByStage(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in a line each what was left out, and why."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} not run: {reason.removeprefix('Skipped: ')}")
    if _whole(config) and not (config.option.peers or config.option.soak):
        folders = ", ".join(f"tests/{folder.name}" for folder in PEERS)
        terminalreporter.write_line(f"of another size: {folders} (--peers)")
    if config.option.soak:
        numbers = ", ".join(
            f"{len(terminalreporter.stats.get(one, ()))} {one}" for one in ("passed", "failed", "error")
        )
        terminalreporter.write_line(f"soak: seed {os.environ[SEED]}, {numbers}")
