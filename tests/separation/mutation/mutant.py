"""Mutants: each is one guard, removed from the code, with the tests that must notice."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = "src/samdrift"


@dataclass(frozen=True)
class Mutant:
    """One change to one file, which removes a guard."""

    guard: str
    """Description of the guard that is removed; unique."""
    file: str
    """Path below ``src/samdrift``."""
    text: str
    """Code that is replaced; it occurs once in the file."""
    replacement: str
    tests: tuple[str, ...]
    """Tests, as pytest selects them; an assertion of at least one of them must fail."""

    def changed(self, root: Path = ROOT) -> str:
        """Return the file without the guard; raise :class:`LookupError` unless it occurs exactly once."""
        source = (root / SOURCE / self.file).read_text()
        if source.count(self.text) != 1:
            raise LookupError(f"{self.guard}: stands {source.count(self.text)} times in {self.file}")
        changed = source.replace(self.text, self.replacement)
        if self.file.endswith(".py"):
            ast.parse(changed)
        return changed
