"""What a mutant is: one guard, taken out of the code, and the tests that must notice."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = "src/samdrift"


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    guard: str
    """What is taken away, in words; unique."""
    file: str
    """Below ``src/samdrift``."""
    text: str
    """What stands there, once in the file."""
    replacement: str
    tests: tuple[str, ...]
    """As pytest selects them; at least one case of them must fail by what it asserts."""

    def changed(self, root: Path = ROOT) -> str:
        """The file without the guard; :class:`LookupError` when the guard is not found, or more than once."""
        source = (root / SOURCE / self.file).read_text()
        if source.count(self.text) != 1:
            raise LookupError(f"{self.guard}: stands {source.count(self.text)} times in {self.file}")
        changed = source.replace(self.text, self.replacement)
        if self.file.endswith(".py"):
            ast.parse(changed)
        return changed
