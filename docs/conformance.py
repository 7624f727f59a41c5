"""Writes the conformance page: which clause of which specification is implemented and tested where.

Run ``python docs/conformance.py > docs/conformance.md``. The page is made from
markers in the source, so that it cannot say more than the code does:

* a docstring, comment or string names a clause as ``message-receipt 3.1 c``: the
  name of the specification, a section, and the rules of it, if it has any;
  several are separated by commas;
* ``Missing: transport-profile-as4 2.4 b: why`` is a clause that is knowingly not
  implemented;
* a test that names a clause in the same way, or in its name (``test_3_2_4_…`` in a module that names the
  specification), tests it; so do the tests that import the module which implements it, where none names it;
* :mod:`samdrift.wire.differences` holds where our verdict differs from the
  published schemas and Schematron files.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from samdrift.wire import differences
from samdrift.wire.differences import Difference

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "samdrift"
TESTS = ROOT / "tests"

SPECIFICATIONS = {
    "architecture-sad": "Architecture of SDK",
    "transport-profile-as4": "Transport profile AS4",
    "transport-model-base": "Transport model, base",
    "transport-model-extended": "Transport model, base with signature and encryption",
    "envelope-profile-xhe": "Envelope profile XHE",
    "content-specification": "Content specification of the SDK message",
    "message-receipt": "Message receipt",
    "api-mt-mk": "SDK API between message service and message client",
    "component-accesspoint": "Component: access point",
    "component-smp": "Component: SMP",
    "component-sml": "Component: SML",
    "component-certpub": "Component: certificate publishing",
    "component-pki": "Component: PKI",
    "component-testbed": "Component: test bed",
    "certpub-rest-binding": "Certificate publishing, REST binding to SMP",
    "accesspoint-test-cases": "Test cases for access points",
    "codes-common": "Codes, common",
    "codes-technical": "Codes, technical specifications",
    "smp-user-guide": "User guide of SMP",
}
"""By the name that markers use, which is also that of the file, without version, in DIGG's material."""

_RULE = r"(?:[a-z](?![a-z.])|R\d+(?:-[A-Z]+)?|A\d+|TF-\d+)"
_SECTION = r"(?!1\.0\b)\d+(?:\.\d+)*"  # 1.0 is a version
_REFERENCE = rf"{_SECTION}(?: {_RULE}(?:, {_RULE})*)?"
_MARKER = re.compile(
    rf"(?P<missing>Missing: )?(?P<document>{'|'.join(SPECIFICATIONS)})"
    rf" (?P<references>{_REFERENCE}(?:, {_REFERENCE})*)(?:: (?P<why>[^.]*))?"
)
_DOCUMENT = re.compile("|".join(SPECIFICATIONS))
_TEST_NAME = re.compile(r"test_(?P<section>\d+(?:_\d+)+)(?P<rules>(?:_[a-z](?=_))*)_")
_ONE_REFERENCE = re.compile(rf"(?P<section>{_SECTION})(?: (?P<rules>{_RULE}(?:, {_RULE})*))?")


@dataclass(frozen=True, slots=True)
class Marker:
    """A clause named in the source: ``rules`` may be empty, ``why`` is for missing ones."""

    document: str
    section: str
    rules: str
    file: str
    line: int
    missing: bool
    why: str

    @property
    def order(self) -> tuple[list[int], str, str, int]:
        return [int(number) for number in self.section.split(".")], self.rules, self.file, self.line


def markers(source: Path = SOURCE) -> Iterator[Marker]:
    """Every clause that the source names."""
    for file in sorted(source.rglob("*.py")):
        if file.name == Path(differences.__file__).name:
            continue  # has its own tables on the page
        for line, text in (*_strings(file), *_comments(file)):
            yield from _in_text(text, file.relative_to(source).as_posix(), line)


def _strings(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _comments(file: Path) -> Iterator[tuple[int, str]]:
    with file.open("rb") as lines:
        for token in tokenize.tokenize(lines.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def _in_text(text: str, file: str, line: int) -> Iterator[Marker]:
    for match in _MARKER.finditer(" ".join(text.split())):
        missing = match["missing"] is not None
        for reference in _ONE_REFERENCE.finditer(match["references"]):
            yield Marker(
                match["document"],
                reference["section"],
                reference["rules"] or "",
                file,
                line,
                missing,
                (match["why"] or "").strip() if missing else "",
            )


@dataclass(frozen=True, slots=True)
class Coverage:
    """Files with tests, by the clause that they name and by the module that they import."""

    naming: Mapping[tuple[str, str], frozenset[str]]
    """By specification and section."""
    importing: Mapping[str, frozenset[str]]

    def of(self, marker: Marker) -> frozenset[str]:
        named = self.naming.get((marker.document, marker.section))
        return named or self._beside(marker.file)

    def _beside(self, file: str) -> frozenset[str]:
        """Tests that import a module: those in its own place among the unit tests, if there are any."""
        place = file.rpartition("/")[0]
        found = self.importing.get(file) or self.importing.get(f"{place}/__init__.py", frozenset())
        own = {test for test in found if test.rpartition("/")[0] == f"tests/unit/{place}"}
        return frozenset(own) or found


def coverage(folder: Path) -> Coverage:
    """What the tests say that they test."""
    naming: dict[tuple[str, str], set[str]] = {}
    importing: dict[str, set[str]] = {}
    for file in sorted(folder.rglob("test_*.py")):
        name = file.relative_to(folder.parent).as_posix()
        for line, text in _strings(file):
            for marker in _in_text(text, name, line):
                naming.setdefault((marker.document, marker.section), set()).add(name)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for clause in _in_names(tree, ast.get_docstring(tree) or ""):
            naming.setdefault(clause, set()).add(name)
        for module in _imported(tree):
            importing.setdefault(module, set()).add(name)
    return Coverage(
        {clause: frozenset(files) for clause, files in naming.items()},
        {module: frozenset(files) for module, files in importing.items()},
    )


def _in_names(tree: ast.Module, about: str) -> Iterator[tuple[str, str]]:
    """Clauses in the names of tests, of every specification that the module says it is about."""
    documents = set(_DOCUMENT.findall(about))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            found := _TEST_NAME.match(node.name)
        ):
            yield from ((document, found["section"].replace("_", ".")) for document in documents)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The files of ours that a module imports, below the source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("samdrift."):
            path = node.module.removeprefix("samdrift.").replace(".", "/")
            yield from (f"{path}.py", f"{path}/__init__.py")
            yield from (f"{path}/{alias.name}.py" for alias in node.names)


def page(found: Iterable[Marker], tested: Coverage) -> str:
    """The page in Markdown."""
    by_document: dict[str, list[Marker]] = {}
    for marker in found:
        by_document.setdefault(marker.document, []).append(marker)
    parts = ["# Conformance\n", "Made by `docs/conformance.py` from the source; do not edit.\n"]
    parts += [
        _specification(title, sorted(by_document[name], key=lambda marker: marker.order), tested)
        for name, title in SPECIFICATIONS.items()
        if name in by_document
    ]
    parts += [
        "## Differences from the published schemas and Schematron files\n",
        _differences("SDK message", differences.MESSAGE),
        _differences("Message receipt", differences.RECEIPT),
        _differences("Envelope", differences.ENVELOPE),
        _differences("Every document", differences.EVERY_DOCUMENT),
    ]
    return "\n".join(parts)


def _specification(title: str, found: list[Marker], tested: Coverage) -> str:
    rows: dict[tuple[str, str], tuple[list[str], set[str]]] = {}
    for marker in found:
        places, files = rows.setdefault((marker.section, marker.rules), ([], set()))
        where = f"missing: {marker.why}" if marker.missing else f"`{marker.file}`"
        if where not in places:
            places.append(where)
        if not marker.missing:
            files |= tested.of(marker)
    lines = [
        f"| {section} | {rules} | {', '.join(places)} | {_links(files)} |"
        for (section, rules), (places, files) in rows.items()
    ]
    head = [f"## {title}\n", "| section | rules | implemented | tested |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines, ""])


def _links(files: Iterable[str]) -> str:
    """The names of test files, short, each a link to the file."""
    return ", ".join(f"[{file.removeprefix('tests/')}](../{file})" for file in sorted(files))


def _differences(title: str, entries: tuple[Difference, ...]) -> str:
    columns = ("clause", "what", "the schema", "the Schematron", "Samdrift")
    lines = [
        f"| {each.clause} | {each.what} | {each.schema_says} | {each.schematron_says} | {each.we_do} |"
        for each in entries
    ]
    head = [f"### {title}\n", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    return "\n".join([*head, *lines, ""])


if __name__ == "__main__":
    print(page(markers(), coverage(TESTS)), end="")
