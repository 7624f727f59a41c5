"""What is mutated, and which tests of a package are to notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "samdrift"


@dataclass(frozen=True)
class Target:
    """Files that are mutated under one name, and tests that may kill their mutants."""

    files: tuple[str, ...]
    """Patterns below ``src/samdrift``."""
    tests: tuple[str, ...]
    """Every test that may notice; those run that come past what a mutant changes."""

    def modules(self) -> list[Path]:
        """Return the files, in the order of their names."""
        found = {
            file for pattern in self.files for file in SOURCE.glob(pattern) if file.name != "__init__.py"
        }
        return sorted(found)


def _unit(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/{name}" for name in names)


_KEYSTORE = (
    *("backup", "choice", "confined", "custody", "requests", "software", "states", "unlocking"),
    *("vaultfiles", "vaultfolder", "wrapping"),
)
_RULES_OF_AP = ("agreement", "refusals", "route", "settings", "verdict")
_RULES_OF_MT = (
    *("access", "attributes", "findings", "screening", "lifecycle/progress"),
    *("oauth/registrations", "oauth/verifying"),
)

TARGETS: Mapping[str, Target] = {
    "trust": Target(("trust/*.py",), _unit("trust", "net/test_certificates.py")),
    "wire": Target(("wire/**/*.py",), _unit("wire")),
    "keystore": Target(tuple(f"keystore/{name}.py" for name in _KEYSTORE), _unit("keystore")),
    "administration": Target(
        tuple(f"administration/{name}.py" for name in ("checklist", "closing", "dualcontrol")),
        _unit("administration"),
    ),
    "evidence": Target(("evidence/verifying.py", "evidence/sections.py"), _unit("evidence")),
    "accesspoint": Target(tuple(f"accesspoint/{name}.py" for name in _RULES_OF_AP), _unit("accesspoint")),
    "messageservice": Target(
        tuple(f"messageservice/{name}.py" for name in _RULES_OF_MT), _unit("messageservice")
    ),
}
"""The packages that the run is over; of the roles, the modules with their rules."""
