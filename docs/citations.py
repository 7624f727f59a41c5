"""Finds the clauses that source and tests cite: in docstrings, comments, strings and names of tests.

A clause is cited as ``message-receipt 3.1 c``: the name of a specification, a section, and the labels of
rules in it, as :mod:`docs.rules` finds them; several are separated by commas, and ``a-q`` or ``steps 3-7``
stands for each of them. A section without a label says where to read, and cites no rule. Text after
``Missing:`` is a gap that the source admits: it is not a citation, and the page shows it unchanged.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SPECIFICATIONS = {
    "accesspoint-test-cases": "Test cases for access points, QA",
    "accesspoint-test-cases-open-test": "Test cases for access points, open test",
    "api-mt-mk": "SDK API between message service and message client",
    "architecture-sad": "Architecture of SDK",
    "certpub-rest-binding": "Certificate publishing, REST binding to SMP",
    "codes-common": "Codes, common",
    "codes-technical": "Codes, technical specifications",
    "component-accesspoint": "Component: access point",
    "component-certpub": "Component: certificate publishing",
    "component-pki": "Component: PKI",
    "component-sml": "Component: SML",
    "component-smp": "Component: SMP",
    "component-testbed": "Component: test bed",
    "content-specification": "Content specification of the SDK message",
    "envelope-profile-xhe": "Envelope profile XHE",
    "message-receipt": "Message receipt",
    "smp-user-guide": "User guide of SMP",
    "transport-model-base": "Transport model, base",
    "transport-model-extended": "Transport model, base with signature and encryption",
    "transport-profile-as4": "Transport profile AS4",
}
"""Specifications by the name used in citations, which is that of DIGG's file without its version."""

DEMONSTRATION = frozenset({"federation", "demo", "testbed"})
"""Packages and modules that stand in for other parties in demonstrations and tests, outside the product."""

_KIND = r"(?:step|row|answer|sentence)"
_LETTER = r"(?:[a-z]-[a-z]\b|[a-z]\b(?!\.\w|['’]))"
_LABEL = rf"(?:R\d+(?:-[A-Z]+)?|A\d+|TF-\d+|{_KIND}s \d+-\d+|{_KIND} \d+[b-h]?\b|{_LETTER})"
_SECTION = r"(?!1\.0\b)\d+(?:\.\d+)*(?![\d-])"  # 1.0 is a version
_NAMED = r"(?:message|event|status|type)(?= (?:step|row|answer|sentence)s? \d)"
_REFERENCE = rf"(?:{_SECTION}|{_NAMED})(?: {_LABEL}(?:, {_LABEL})*)?"
_CITATION = re.compile(
    rf"\b(?P<document>{'|'.join(sorted(SPECIFICATIONS, key=len, reverse=True))})"
    rf" (?P<references>{_REFERENCE}(?:, {_REFERENCE})*)"
)
_ONE = re.compile(rf"(?P<section>{_SECTION}|{_NAMED})(?: (?P<labels>{_LABEL}(?:, {_LABEL})*))?")
_DOCUMENT = re.compile("|".join(sorted(SPECIFICATIONS, key=len, reverse=True)))
_TEST_NAME = re.compile(r"test_(?P<section>\d+(?:_\d+)+)(?P<letters>(?:_[a-z](?=_))+)_")

_GAP = re.compile(r"Missing: (?P<what>.+?)(?=\.\s|\.?$)")

Clause = tuple[str, str, str]
"""Specification, section and label; the label is empty where a section alone is cited."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A citation of a clause: the file, the line, and the function, class or constant."""

    clause: Clause
    file: str
    line: int
    symbol: str
    """Empty if the citation is in the module itself."""


def clauses(text: str) -> Iterator[Clause]:
    """Yield every clause that a text cites, with ranges and lists expanded."""
    for match in _CITATION.finditer(_GAP.sub("", " ".join(text.split()))):
        for one in _ONE.finditer(match["references"]):
            for label in _labels(one["labels"]):
                yield match["document"], one["section"], label


def _labels(listed: str | None) -> Iterator[str]:
    if not listed:
        yield ""
        return
    for label in listed.split(", "):
        if letters := re.fullmatch(r"([a-z])-([a-z])", label):
            yield from (chr(code) for code in range(ord(letters[1]), ord(letters[2]) + 1))
        elif numbers := re.fullmatch(r"(\w+)s (\d+)-(\d+)", label):
            yield from (f"{numbers[1]} {number}" for number in range(int(numbers[2]), int(numbers[3]) + 1))
        else:
            yield label


def gaps(source: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and text of each gap that the product admits."""
    for file in sorted(source.rglob("*.py")):
        name, module = file.relative_to(source).as_posix(), file.read_text(encoding="utf-8")
        wanted = is_product(name) and "Missing:" in module
        for _, text in _strings(ast.parse(module)) if wanted else ():
            yield from ((name, match["what"]) for match in _GAP.finditer(" ".join(text.split())))


def citations(file: Path, below: Path) -> Iterator[Citation]:
    """Yield every citation in a Python module."""
    text = file.read_text(encoding="utf-8")
    if not _DOCUMENT.search(text):  # Most modules cite nothing, and need not be parsed.
        return
    name = file.relative_to(below).as_posix()
    tree = ast.parse(text)
    symbols = tuple(_symbols(tree))
    for line, text in (*_strings(tree), *_comments(file)):
        for clause in clauses(text):
            yield Citation(clause, name, line, _innermost(symbols, line))


def citations_below(folder: Path, pattern: str = "*.py") -> Iterator[Citation]:
    """Yield every citation in the modules below a folder."""
    for file in sorted(folder.rglob(pattern)):
        yield from _kept(file, folder)


@cache
def _kept(file: Path, below: Path) -> tuple[Citation, ...]:
    return tuple(citations(file, below))


def named(file: Path, below: Path, known: frozenset[Clause]) -> Iterator[Citation]:
    """Yield the rules after which tests are named: ``test_3_1_6_d_…`` in a module that names its text.

    Letters must ascend, because the next one may be an article, and count if exactly one of the module's
    texts has such a rule.
    """
    text = file.read_text(encoding="utf-8")
    if not _DOCUMENT.search(text):
        return
    tree = ast.parse(text)
    documents = set(_DOCUMENT.findall(ast.get_docstring(tree) or ""))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            found := _TEST_NAME.match(node.name)
        ):
            section = found["section"].replace("_", ".")
            for letter in _rising(found["letters"].split("_")[1:]):
                fitting = [(each, section, letter) for each in documents if (each, section, letter) in known]
                if len(fitting) == 1:
                    yield Citation(fitting[0], file.relative_to(below).as_posix(), node.lineno, node.name)


def _rising(letters: Iterable[str]) -> Iterator[str]:
    last = ""
    for letter in letters:
        if letter <= last:
            return
        yield letter
        last = letter


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _comments(file: Path) -> Iterator[tuple[int, str]]:
    with file.open("rb") as lines:
        for token in tokenize.tokenize(lines.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    first: int
    last: int


def _symbols(tree: ast.Module) -> Iterator[_Symbol]:
    """Yield functions, classes and constants with their lines; a constant's include its docstring."""
    yield from _within(tree.body, "")


def _within(body: list[ast.stmt], outside: str) -> Iterator[_Symbol]:
    previous = ""
    for node in body:
        last = node.end_lineno or node.lineno
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                name = f"{outside}{node.name}"
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                yield _Symbol(name, first, last)
                yield from _within(node.body, f"{name}.")
                previous = ""
            case ast.Assign(targets=[ast.Name(id=target), *_]) | ast.AnnAssign(target=ast.Name(id=target)):
                previous = f"{outside}{target}"
                yield _Symbol(previous, node.lineno, last)
            case ast.Expr(value=ast.Constant(value=str())) if previous:
                yield _Symbol(previous, node.lineno, last)
            case _:
                previous = ""


def _innermost(symbols: tuple[_Symbol, ...], line: int) -> str:
    around = [each for each in symbols if each.first <= line <= each.last]
    return min(around, key=lambda each: each.last - each.first).name if around else ""


def is_product(file: str) -> bool:
    """Return whether a module below the source belongs to the product, rather than to a demonstration."""
    parts = Path(file).with_suffix("").parts
    return DEMONSTRATION.isdisjoint(parts)


def is_proof(citation: Citation) -> bool:
    """Return whether a citation is by a test of the product, not by a generator or a demonstration."""
    folders = Path(citation.file).parts[:-1]
    return (
        citation.symbol.rpartition(".")[2].startswith("test_")
        and folders != ("unit",)
        and DEMONSTRATION.isdisjoint(folders)
    )


@cache
def of_product(source: Path) -> tuple[Citation, ...]:
    """Return the citations in the product."""
    return tuple(each for each in citations_below(source) if is_product(each.file))


@cache
def of_tests(tests: Path, known: frozenset[Clause]) -> tuple[Citation, ...]:
    """Return the citations by tests that prove something, from their text and from their names."""
    files = sorted(tests.rglob("test_*.py"))
    found = [each for file in files for each in (*_kept(file, tests), *named(file, tests, known))]
    return tuple(filter(is_proof, found))
