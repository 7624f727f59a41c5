"""Mutants: each is one guard that is taken out of the code, with the tests that must notice.

They are in [guards](../guards), one file for each subject, in three lines or more::

    a draft has one writer
      messageclient.require_writer, Compare 1/1 -> False
      tests/unit/messageclient/test_desk.py::test_a_draft_has_one_writer_and_every_change_a_version

The second line is a function, a node of its tree and what the node becomes (``tree.py``); or
``mark NAME -> …``, a mark in source that is not Python (``marks.py``). A further node of the function has
a further line, which begins with ``and``; a replacement of several lines goes on four spaces in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.separation.mutation import marks, tree

ROOT = Path(__file__).parents[3]
SOURCE = "src/samdrift"
GUARDS = Path(__file__).parents[1] / "guards"
_MARK = "mark "


@dataclass(frozen=True)
class Mutant:
    """One guard, where it is, what takes its place, and the tests of which one must fail."""

    guard: str
    """Description of the guard that is taken away; unique."""
    place: str
    """Name of a function or constant after its package, or after its module where two share it; or a mark."""
    edits: tuple[tuple[str, str], ...]
    """Nodes of the function and what each becomes; of a mark, nothing and what it becomes."""
    tests: tuple[str, ...]
    """Tests, as pytest selects them; an assertion of at least one of them must fail."""

    @property
    def mark(self) -> str | None:
        return self.place.removeprefix(_MARK) if self.place.startswith(_MARK) else None

    def file(self, root: Path = ROOT) -> Path:
        """Return the file that has the guard now; raise :class:`LookupError` unless one has."""
        if self.mark is None:
            return root / SOURCE / tree.found(self.place, root)[0]
        try:
            return marks.marked(root / SOURCE)[self.mark]
        except KeyError:
            raise LookupError(f"{self.place}: is nowhere") from None

    @property
    def package(self) -> str:
        return self.file().relative_to(ROOT / SOURCE).parts[0].removesuffix(".py")

    def changed(self, root: Path = ROOT) -> str:
        """Return the file without the guard; raise :class:`LookupError` unless its place is there."""
        text = self.file(root).read_text()
        if self.mark is not None:
            return marks.replaced(text, self.mark, self.edits[0][1])
        return tree.changed(text, tree.found(self.place, root)[1], self.edits)

    def check(self) -> None:
        """Raise :class:`LookupError` or :class:`SyntaxError` unless the mutant can be made here."""
        if self.mark is not None:
            self.changed()
        else:
            tree.check(*tree.found(self.place), self.edits)


@dataclass
class _Block:
    lines: list[str]

    @cached_property
    def mutant(self) -> Mutant:
        guard, *rest = self.lines
        place, edits, tests = "", list[tuple[str, str]](), list[str]()
        for line in rest:
            if line.startswith("    "):
                at, to = edits[-1]
                edits[-1] = (at, f"{to}\n{line[4:]}" if to else line[4:])
            elif line.startswith("  tests/"):
                tests.append(line.strip())
            else:
                where, _, to = line.strip().partition(" ->")
                before, _, at = where.removeprefix("and ").rpartition(", ")
                place = place or before or at
                edits.append(("" if place.startswith(_MARK) else at, to.strip()))
        return Mutant(guard, place, tuple(edits), tuple(tests))


def read(text: str) -> Iterator[Mutant]:
    """Yield the mutants of a file."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line and not line.startswith(" ") and block:
            yield _Block(block).mutant
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield _Block(block).mutant


def everything(folder: Path = GUARDS) -> Sequence[Mutant]:
    """Return all mutants, subject by subject."""
    return [each for path in sorted(folder.glob("*.txt")) for each in read(path.read_text())]
