"""The launcher on a machine where nothing, or only half, has been set up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.sizes import sampled, whole
from tests.unit.bootstrap.checkout import INTERPRETER, PROJECT, Checkout, make_checkout


@pytest.fixture(autouse=True)
def no_other_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some run single tests with the checkout in this variable, which the launcher passes on."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout that has been used once; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("used")
    checkout = make_checkout(folder / "checkout", folder / "wheels")
    status, output, complaints = checkout.run("first", "use")
    assert (status, output) == (0, "['first', 'use'] 1.0\n")
    assert complaints.splitlines() == [
        "samdrift: first use: making .venv",
        "samdrift: installing 1 packages into .venv",
    ]
    return checkout


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path / "checkout", tmp_path / "wheels")


@pytest.fixture
def copy(used: Checkout, tmp_path: Path) -> Checkout:
    shutil.copytree(used.root, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy", used.wheels)


def packages(checkout: Checkout) -> Path:
    return next(checkout.environment.glob("lib/python3.*/site-packages"))


def test_later_uses_install_nothing_and_say_nothing(copy: Checkout) -> None:
    shutil.rmtree(packages(copy) / "pip")
    assert copy.run("--json", "a b") == (0, "['--json', 'a b'] 1.0\n", "")


def test_the_callers_folder_is_not_imported_from(copy: Checkout, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text("VERSION = 'the wrong one'")
    started = subprocess.run([copy.root / "samdrift"], cwd=tmp_path, capture_output=True, text=True)
    assert started.stdout == "[] 1.0\n"


def test_a_changed_lock_is_installed_into_the_same_environment(copy: Checkout) -> None:
    kept = copy.environment / "kept"
    kept.touch()
    copy.lock("2.0")
    assert copy.run()[1] == "[] 2.0\n"
    assert kept.exists()


def test_a_package_that_is_not_the_locked_one_is_refused(copy: Checkout) -> None:
    copy.lock("3.0")
    lock = copy.root / "requirements.lock"
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0000").replace("0000", "", 1)[:-30] + "\n")
    lock.write_text(f"tiny==3.0 --hash=sha256:{'0' * 64}\n")
    status, output, complaints = copy.run()
    assert (status, output) == (2, "")
    assert (
        complaints.splitlines()[-1] == "samdrift: the locked dependencies could not be installed, see above"
    )


def test_a_failed_installation_leaves_what_was_installed_before(copy: Checkout) -> None:
    (copy.root / "requirements-test.lock").write_text(f"missing==1 --hash=sha256:{'0' * 64}\n")
    assert copy.run("test")[0] == 2
    assert copy.run("still") == (0, "['still'] 1.0\n", "")


def test_tests_get_what_only_they_need_and_start_pytest(copy: Checkout) -> None:
    (copy.root / "requirements-test.lock").write_text((copy.root / "requirements.lock").read_text())
    (packages(copy) / "pytest.py").write_text("import os, sys; print(sys.argv[1:], os.getcwd())")
    assert copy.run("test", "-k", "name")[1] == f"['-k', 'name'] {copy.root}\n"


def test_the_tests_keep_bytecode_for_the_processes_that_they_start(copy: Checkout) -> None:
    (copy.root / "requirements-test.lock").write_text((copy.root / "requirements.lock").read_text())
    (packages(copy) / "pytest.py").write_text("import sys; print(sys.dont_write_bytecode)\n")
    assert copy.run("test", PYTHONDONTWRITEBYTECODE="1")[1] == "False\n"


@whole
def test_peers_of_the_tests_get_environments_of_their_own(copy: Checkout) -> None:
    (copy.root / "requirements-test.lock").write_text((copy.root / "requirements.lock").read_text())
    (packages(copy) / "pytest.py").touch()
    peer = copy.root / "tests" / "interop" / "peer"
    peer.mkdir(parents=True)
    copy.lock("2.0", "tests/interop/peer/requirements.lock")
    (copy.root / "release").mkdir()
    copy.lock("2.0", "release/requirements.lock")
    assert copy.run("test")[0] == 0
    assert not (copy.root / ".venv-peer").exists(), "environments of peers must be made only with --peers"
    assert copy.run("test", "--peers")[0] == 0
    ask = "import tiny, importlib.util as find; print(tiny.VERSION, find.find_spec('samdrift'))"
    tell = [copy.root / ".venv-peer" / "bin" / "python", "-c", ask]
    assert subprocess.check_output(tell, text=True) == "2.0 None\n"
    assert copy.run()[1] == "[] 1.0\n"


@whole
def test_what_builds_a_release_has_an_environment_of_its_own_and_needs_ours_for_nothing(
    fresh: Checkout,
) -> None:
    (fresh.root / "release").mkdir()
    fresh.lock("2.0", "release/requirements.lock")
    (fresh.root / "release" / "build.py").write_text("import sys, tiny; print(sys.argv[1:], tiny.VERSION)")
    status, output, complaints = fresh.run("build", "wheel", "here")
    assert (status, output) == (0, "['wheel', 'here'] 2.0\n")
    assert complaints.splitlines()[0] == "samdrift: first use: making .venv-build"
    assert not fresh.environment.exists()


@pytest.mark.parametrize("moment", sampled(["made-by-samdrift", "unfinished-install"]))
def test_an_installation_that_was_killed_is_made_anew(fresh: Checkout, moment: str) -> None:
    process = fresh.start()
    wait_for(fresh, moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert fresh.run()[:2] == (0, "[] 1.0\n")


def wait_for(checkout: Checkout, moment: str) -> None:
    """Wait until the first run has reached a moment: the folder exists, or pip is at work."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if moment == "unfinished-install":
            made = any(checkout.environment.glob("lib/python3.*/site-packages/pip-*/RECORD"))
            if made and (checkout.environment / "unfinished").exists():
                return
        elif (checkout.environment / moment).exists():
            return
        time.sleep(0.005)
    pytest.fail(f"{moment} was not reached")


def test_a_half_installed_package_is_repaired(copy: Checkout) -> None:
    (copy.environment / "unfinished").touch()
    (packages(copy) / "tiny" / "__init__.py").unlink()
    assert copy.run()[:2] == (0, "[] 1.0\n")


@whole
def test_first_runs_at_the_same_time_wait_for_each_other(fresh: Checkout) -> None:
    runs = [fresh.start(str(number)) for number in range(3)]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    assert [output for output, _ in outputs] == [f"['{number}'] 1.0\n" for number in range(3)]
    assert sum("first use" in complaints for _, complaints in outputs) == 1


@whole
def test_an_environment_whose_python_is_gone_is_made_anew(copy: Checkout) -> None:
    for link in (copy.environment / "bin").glob("python*"):
        link.unlink()
    (copy.environment / "bin" / "python").symlink_to("/nowhere/python3")
    assert copy.run()[:2] == (0, "[] 1.0\n")


@whole
def test_an_environment_made_by_hand_is_filled_and_kept(fresh: Checkout) -> None:
    subprocess.run([INTERPRETER, "-m", "venv", "--without-pip", fresh.environment], check=True)
    (fresh.environment / "kept").touch()
    assert fresh.run()[:2] == (0, "[] 1.0\n")
    (fresh.environment / "unfinished").touch()
    (packages(fresh) / "tiny" / "__init__.py").unlink()
    assert fresh.run()[:2] == (0, "[] 1.0\n")
    assert (fresh.environment / "kept").exists()


def test_a_broken_environment_made_by_hand_is_not_removed(fresh: Checkout) -> None:
    (fresh.environment / "bin").mkdir(parents=True)
    status, output, complaints = fresh.run()
    assert (status, output, complaints.count("\n")) == (2, "", 1)
    assert "made by hand" in complaints
    assert (fresh.environment / "bin").exists()


def test_a_checkout_that_was_moved_works(copy: Checkout, tmp_path: Path) -> None:
    moved = copy.root.rename(tmp_path / "moved")
    assert Checkout(moved, copy.wheels).run() == (0, "[] 1.0\n", "")


def test_a_link_to_the_launcher_works(copy: Checkout, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy.root / "samdrift")
    assert subprocess.check_output([tmp_path / "link"], text=True) == "[] 1.0\n"


@pytest.mark.parametrize("version", ["(3, 10, 14)", "(2, 7, 18)"])
def test_an_old_python_is_told_so_in_one_line(version: str) -> None:
    pretend = f"import sys; sys.version_info = {version}; exec(open('samdrift').read())"
    started = subprocess.run([INTERPRETER, "-c", pretend], cwd=PROJECT, capture_output=True, text=True)
    assert (started.returncode, started.stdout) == (2, "")
    assert started.stderr.startswith("samdrift: needs Python 3.11 or newer")
    assert started.stderr.count("\n") == 1
