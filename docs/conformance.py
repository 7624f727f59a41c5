"""Writes the conformance page: every rule of every specification, and where it is implemented and tested.

Run ``python docs/conformance.py > docs/conformance.md``; ``--uncited`` lists the rules that no source cites.

:file:`docs/rules.txt` has the rules, extracted from the texts by :mod:`docs.rules`, with a summary of each in
our words and, for rules that the product need not implement, the reason. The rest is derived from citations
in source and tests (:mod:`docs.citations`), so that the page cannot claim more than they do: a rule is
implemented where the product cites it, not where a demonstration does, and tested by tests that cite the
rule itself, not its section. :mod:`docs.differences` lists where our verdict differs from the published
schemas and Schematron files.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from docs import differences  # noqa: E402
from docs.citations import SPECIFICATIONS, Citation, Clause, gaps, of_product, of_tests  # noqa: E402
from docs.differences import Difference  # noqa: E402
from docs.rules import RULES, Entry, entries  # noqa: E402

SOURCE = ROOT / "src" / "samdrift"
TESTS = ROOT / "tests"


class Standing(StrEnum):
    """Status of a rule; the value is its name on the page."""

    TESTED = "implemented and tested"
    UNTESTED = "implemented, not tested"
    PARTLY = "implemented in part"
    MISSING = "not built"
    OTHERS = "not the product's to do"
    NO_RULE = "asks nothing"


_BY_REASON = {"in part": Standing.PARTLY, "not built": Standing.MISSING, "no rule": Standing.NO_RULE}
"""Beginnings of reasons, and the status that each means; other reasons name the party responsible."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on the page."""

    entry: Entry
    implemented: tuple[Citation, ...]
    tests: tuple[Citation, ...]

    @property
    def standing(self) -> Standing:
        """Return the status of the rule, from its citations and the reason in :file:`docs/rules.txt`."""
        if self.entry.why:
            return _BY_REASON.get(self.entry.why.partition(":")[0], Standing.OTHERS)
        if not self.implemented:
            return Standing.MISSING
        return Standing.TESTED if self.tests else Standing.UNTESTED


def rows(
    listed: Iterable[Entry], implemented: Iterable[Citation], tests: Iterable[Citation]
) -> tuple[Row, ...]:
    """Return the rules with the citations of each."""
    by_source, by_tests = _by_clause(implemented), _by_clause(tests)
    return tuple(
        Row(entry, by_source.get(entry.clause, ()), by_tests.get(entry.clause, ())) for entry in listed
    )


def _by_clause(found: Iterable[Citation]) -> Mapping[Clause, tuple[Citation, ...]]:
    grouped: dict[Clause, list[Citation]] = defaultdict(list)
    for each in found:
        grouped[each.clause].append(each)
    return {clause: tuple(each) for clause, each in grouped.items()}


def current() -> tuple[Row, ...]:
    """Return the rows for the current source and tests."""
    listed = tuple(entries(RULES))
    known = frozenset(entry.clause for entry in listed)
    return rows(listed, of_product(SOURCE), of_tests(TESTS, known))


def page(all_rows: tuple[Row, ...]) -> str:
    """Return the page in Markdown."""
    parts = [
        "# Conformance\n",
        "Made by `docs/conformance.py` from what source and tests cite and from `docs/rules.txt`; "
        "do not edit.\n",
        "One row for each rule of DIGG's texts, in their order: what is lettered or numbered, a row of a "
        "table that prescribes an answer, and each other sentence with *ska*, *måste* or *får inte*. The "
        "summaries are ours; the texts decide. A test is named only where it says that it is a test of that "
        "rule.\n",
        _counts(all_rows),
    ]
    for document, found in groupby(all_rows, key=lambda row: row.entry.document):
        parts.append(_specification(SPECIFICATIONS[document], document, tuple(found)))
    without = [name for name in SPECIFICATIONS if name not in {row.entry.document for row in all_rows}]
    parts += [
        f"No rule of that kind in: {', '.join(without)}.\n",
        _gaps(),
        "## Differences from the published schemas and Schematron files\n",
        _differences("SDK message", differences.MESSAGE),
        _differences("Message receipt", differences.RECEIPT),
        _differences("Envelope", differences.ENVELOPE),
        _differences("Envelope around an SDK message", differences.ENVELOPE_OF_MESSAGE),
        _differences("Every document", differences.EVERY_DOCUMENT),
    ]
    return "\n".join(parts)


def _counts(all_rows: tuple[Row, ...]) -> str:
    columns = tuple(Standing)
    lines = [f"| | rules | {' | '.join(columns)} |", "| --- " * (len(columns) + 2) + "|"]
    by_document = [
        (SPECIFICATIONS[name], tuple(found))
        for name, found in groupby(all_rows, key=lambda row: row.entry.document)
    ]
    for title, found in (("**All**", all_rows), *by_document):
        counted = Counter(row.standing for row in found)
        lines.append(f"| {title} | {len(found)} | {' | '.join(str(counted[each]) for each in columns)} |")
    return "\n".join([*lines, ""])


def _specification(title: str, document: str, found: tuple[Row, ...]) -> str:
    head = [
        f"## {title}\n",
        f"Cited as `{document}`.\n",
        "| rule | what it asks | implemented | tested |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *map(_line, found), ""])


def _line(row: Row) -> str:
    entry, standing = row.entry, row.standing
    places = ", ".join(dict.fromkeys(_place(each) for each in row.implemented))
    tests = ", ".join(dict.fromkeys(_link(each) for each in row.tests))
    if standing in (Standing.TESTED, Standing.UNTESTED, Standing.PARTLY):
        implemented = "; ".join(filter(None, (places, entry.why)))
        return (
            f"| {entry.section} {entry.label} | {entry.summary} | {implemented} | {tests or 'not tested'} |"
        )
    why = "; ".join(filter(None, (entry.why or "not built", places)))
    return f"| {entry.section} {entry.label} | {entry.summary} | {why} | {tests} |"


def _place(citation: Citation) -> str:
    module = _module(citation.file)
    return f"`{module}: {citation.symbol}`" if citation.symbol else f"`{module}`"


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _link(citation: Citation) -> str:
    """Return the name of a test as a link to its file."""
    return f"[{citation.symbol.rpartition('.')[2].removeprefix('test_')}](../tests/{citation.file})"


def _gaps() -> str:
    """Return the gaps that the source admits, in these texts and in others on which they build."""
    head = ["## Gaps that the source admits\n", "| module | what is missing |", "| --- | --- |"]
    return "\n".join([*head, *(f"| `{_module(file)}` | {what} |" for file, what in gaps(SOURCE)), ""])


def _differences(title: str, differing: tuple[Difference, ...]) -> str:
    columns = ("clause", "what", "the schema", "the Schematron", "Samdrift")
    lines = [
        f"| {each.clause} | {each.what} | {each.schema_says} | {each.schematron_says} | {each.we_do} |"
        for each in differing
    ]
    head = [f"### {title}\n", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    return "\n".join([*head, *lines, ""])


def uncited(all_rows: tuple[Row, ...]) -> tuple[str, ...]:
    """Return the rules that no source of the product cites, each with the reason if there is one."""
    return tuple(
        f"{' '.join(row.entry.clause)}: {row.entry.why or 'NO REASON GIVEN'}"
        for row in all_rows
        if not row.implemented
    )


if __name__ == "__main__":
    if "--uncited" in sys.argv[1:]:
        print(*uncited(current()), sep="\n")
    else:
        print(page(current()), end="")
