"""Linter, format and types of the whole project, and house rules that these tools do not check."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.checks import CHECKS, result
from tests.sources import PACKAGES, SOURCE, last_name, modules_of, nodes_of

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PRINTS = {
    "cli/output.py",  # the only way to write to a terminal
    "cli/demoview.py",  # tables of the demonstration, through the same escaping
    *("bootstrap/launcher.py", "bootstrap/environment.py"),  # before anything is installed
}
"""Modules that may write to standard output and standard error."""
WRITERS = {"print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write"}
MAKERS = {"Console"}
_LAST_NAMES = {writer.rpartition(".")[2] for writer in WRITERS}


def written_in(source: str) -> set[str]:
    """Return the functions for writing to a terminal that a module's code calls or passes on."""
    nodes = nodes_of(source, _LAST_NAMES | MAKERS)
    named = {ast.unparse(node) for node in nodes if last_name(node) in _LAST_NAMES}
    called = (node.func for node in nodes if isinstance(node, ast.Call))
    made = {ast.unparse(function) for function in called if last_name(function) in MAKERS}
    return (named & WRITERS) | (made & MAKERS)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_reaches_a_terminal_but_by_one_way(package: str) -> None:
    """Names in a peer's certificate were once able to replace "not verified" with "verified" on a screen."""
    names = {module: str(module.relative_to(SOURCE)) for module in modules_of(package)}
    written = {name: written_in(module.read_text()) for module, name in names.items() if name not in PRINTS}
    assert {name: found for name, found in written.items() if found} == {}


def test_every_way_to_a_terminal_is_seen() -> None:
    for way in WRITERS:
        assert written_in(f"def f():\n    {way}('x')") == {way}
        assert written_in(f"g(then={way})") == {way}
    assert written_in("console = Console()") == MAKERS


_BY_NAME = {
    *("read_bytes", "read_text", "write_bytes", "write_text", "open", "iterdir", "glob", "rglob", "walk"),
    *("mkdir", "touch", "rename", "replace_file", "unlink", "rmdir", "chmod", "chown", "link", "symlink"),
    *("symlink_to", "hardlink_to", "rmtree", "copytree", "scandir", "listdir", "fwalk", "copyfile"),
}
"""Calls that access a file by its name."""
_NOT_OF_A_VAULT = {
    "confined.py": "is the helper itself",
    "durablefiles.py": "writes and removes whole files in any folder; of a vault's it gets open descriptors",
    "custody.py": "reads the folder of the custodians, which is beside those of the vaults",
    "requests.py": "reads the folder of the custodians too",
    "seals.py": "reads the folder of the seals",
    "heads.py": "keeps heads in the same folder as the witness",
    "witness.py": "keeps its mark in a folder beside those of the vaults",
    "hsm/module.py": "loads the library and reads the file with a PIN that the configuration names",
}
_BESIDE_VAULTS = {("unlocking.py", "root"), ("vaultfolder.py", "os"), ("vaultfolder.py", "folder")}
"""The file of the root key, and that of a vault's lock, which are directly in the key store's folder."""
_NAMES_A_FOLDER_OF_THE_KEY_STORE = {
    *(
        "installation/conflicts.py",
        "installation/control.py",
        "installation/lives.py",
        "processes/preparation.py",
        "processes/users.py",
        "vault/database/server.py",
    ),
}


def test_only_one_helper_opens_what_is_below_a_vaults_folder() -> None:
    """A link that an attacker placed there leads root nowhere (docs/threat-model.md, a worker taken over)."""
    keys = SOURCE / "keystore"
    found = []
    for path in sorted(keys.rglob("*.py")):
        name = path.relative_to(keys).as_posix()
        for node in ast.walk(ast.parse(path.read_text())) if name not in _NOT_OF_A_VAULT else ():
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            of = node.func.value if isinstance(node.func, ast.Attribute) else None
            whose = of.id if isinstance(of, ast.Name) else "folder" if isinstance(of, ast.BinOp) else ""
            helper = whose == "confined" or (called == "open" and whose in ("self", "locked", ""))
            if called in _BY_NAME and not helper and (name, whose) not in _BESIDE_VAULTS:
                found.append(f"{name}:{node.lineno}: {called}")
    assert not found, "\n".join(found)


def test_only_named_modules_name_a_folder_of_the_key_store() -> None:
    """Outside the key store, only listed modules name such a folder; they must not read a vault's files."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "secrets" in source else ():
            joins = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
            if joins and isinstance(node.left, ast.Attribute | ast.Name):  # type: ignore[attr-defined]
                left = node.left  # type: ignore[attr-defined]
                if (left.attr if isinstance(left, ast.Attribute) else left.id) in ("secrets", "_secrets"):
                    found.add(path.relative_to(SOURCE).as_posix())
    assert found <= _NAMES_A_FOLDER_OF_THE_KEY_STORE


_CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time", "now", "utcnow"}
"""Functions that read a clock, also in their ``_ns`` form."""


def timed_in(source: str) -> list[int]:
    """Return lines that subtract two readings of a clock, and so measure a duration on this machine."""
    tree = ast.parse(source)

    def reads(node: ast.AST) -> bool:
        return any(
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr.removesuffix("_ns") in _CLOCKS
            for each in ast.walk(node)
        )

    readings = {
        each.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and reads(node.value)
        for target in node.targets
        for each in ast.walk(target)
        if isinstance(each, ast.Name)
    }

    def is_reading(node: ast.AST) -> bool:
        return reads(node) or (isinstance(node, ast.Name) and node.id in readings)

    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and reads(node.left)
        and is_reading(node.right)
    ]


def hasty_in(source: str) -> list[int]:
    """Return lines that fail unless something happens within less than a minute."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        patience = node.args[-1:] if node.func.attr in ("timeout", "wait_for") else []
        if patience and isinstance(patience[0], ast.Constant) and isinstance(patience[0].value, int | float):
            found += [node.lineno] if patience[0].value < 60 else []
    return found


def test_no_test_measures_the_machine() -> None:
    """Tests count events, or give the code a virtual clock (tests/virtualtime.py)."""
    found = []
    for module in sorted({*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")}):
        source = module.read_text()
        if re.search(rf"\.(?:{'|'.join(_CLOCKS)}|timeout|wait_for)(?:_ns)?\(", source):
            found += [f"{module.relative_to(TESTS)}:{at}" for at in timed_in(source) + hasty_in(source)]
    assert not found, "\n".join(found)


def test_every_way_to_measure_is_seen() -> None:
    for clock in ("time.monotonic", "time.perf_counter_ns", "time.process_time", "datetime.now", "loop.time"):
        assert timed_in(f"began, x = {clock}(), 1\nassert {clock}() - began < 5") == [2]
        assert timed_in(f"assert within > {clock}() - {clock}()") == [1]
        assert timed_in(f"until = {clock}() + 60\nassert {clock}() < until") == []
    assert hasty_in("asyncio.timeout(5)\nasyncio.wait_for(x, 0.5)\nasyncio.timeout(60)") == [1, 2]


@pytest.mark.parametrize("check", CHECKS)
def test_the_project_passes(check: str) -> None:
    status, output = result(check)
    assert status == 0, output
