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
    near: Mapping[str, tuple[str, ...]]
    """Tests that run first, by the beginning of a file's path; they are a part of ``tests``."""
    tests: tuple[str, ...]
    """Every test that may notice; they run when the near ones have not."""

    def modules(self) -> list[Path]:
        """Return the files, in the order of their names."""
        found = {
            file for pattern in self.files for file in SOURCE.glob(pattern) if file.name != "__init__.py"
        }
        return sorted(found)

    def stages(self, module: Path) -> tuple[tuple[str, ...], ...]:
        """Return the tests for a file: those near it, then the rest of what may notice."""
        where = module.relative_to(SOURCE).as_posix()
        fitting = [begin for begin in self.near if where.startswith(begin)]
        if not fitting:
            return (self.tests,)
        return (self.near[max(fitting, key=len)], self.tests)


def _unit(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/{name}" for name in names)


def _near(*names: str) -> tuple[str, ...]:
    return _unit(*(f"accesspoint/test_{name}.py" for name in names))


_KEYSTORE = (
    *("backup", "choice", "confined", "custody", "requests", "software", "states", "unlocking"),
    *("vaultfiles", "vaultfolder", "wrapping"),
)
_AS4 = _unit("wire/as4", "wire/wssec")

TARGETS: Mapping[str, Target] = {
    "trust": Target(("trust/*.py",), {}, _unit("trust", "net/test_certificates.py")),
    "wire": Target(
        ("wire/**/*.py",),
        {
            "wire/as4/": _AS4,
            "wire/wssec/": _AS4,
            "wire/envelope/": _unit("wire/envelope"),
            "wire/sdkmessage/": _unit("wire/sdkmessage"),
            "wire/receipt.py": _unit("wire/receipt"),
            "wire/smp.py": _unit("wire/test_smp.py"),
            "wire/addressbook.py": _unit("wire/test_addressbook.py", "wire/test_addressbook_copy.py"),
            "wire/bdxl.py": _unit("wire/test_bdxl.py"),
            "wire/gzip.py": _unit("wire/test_gzip.py"),
            "wire/inspect.py": _unit("wire/test_inspect.py"),
            "wire/ebms.py": _unit("wire/ebms", "wire/as4"),
            "wire/mime.py": _unit("wire/mime"),
            "wire/filetypes.py": _unit("wire/filetypes"),
            "wire/xml/": _unit("wire/xml"),
            "wire/crypto/": _unit("wire/crypto"),
            "wire/jose/": _unit("wire/jose", "messageservice/oauth"),
        },
        _unit("wire"),
    ),
    "keystore": Target(
        tuple(f"keystore/{name}.py" for name in _KEYSTORE),
        {
            "keystore/custody.py": _unit("keystore/test_custody.py"),
            "keystore/requests.py": _unit("keystore/test_custody.py"),
            "keystore/backup.py": _unit("keystore/test_backup.py"),
            "keystore/wrapping.py": _unit("keystore/test_backup.py", "keystore/test_unlocking.py"),
            "keystore/states.py": _unit("keystore/test_states.py", "keystore/test_activation.py"),
            "keystore/choice.py": _unit("keystore/test_states.py", "keystore/test_activation.py"),
            "keystore/confined.py": _unit("keystore/test_confined.py"),
            "keystore/unlocking.py": _unit("keystore/test_unlocking.py"),
            "keystore/vaultfiles.py": _unit("keystore/test_vaultfiles.py"),
            "keystore/vaultfolder.py": _unit("keystore/test_vaultfolder.py"),
        },
        _unit("keystore"),
    ),
    "administration": Target(
        ("administration/checklist.py", "administration/closing.py", "administration/dualcontrol.py"),
        {
            "administration/checklist.py": _unit("administration/test_checklist.py"),
            "administration/closing.py": _unit("administration/test_closing.py"),
            "administration/dualcontrol.py": _unit("administration/test_dualcontrol.py"),
        },
        _unit("administration"),
    ),
    "evidence": Target(
        ("evidence/verifying.py",),
        {"evidence/": _unit("evidence")},
        ("tests/unit/evidence", "tests/roles/test_evidence.py"),
    ),
    "accesspoint": Target(
        tuple(f"accesspoint/{name}.py" for name in ("agreement", "refusals", "route", "settings", "verdict")),
        {
            "accesspoint/agreement.py": _unit(
                "accesspoint/test_agreement.py", "accesspoint/test_freshness.py"
            ),
            "accesspoint/refusals.py": _unit(
                "accesspoint/test_refusals.py", "accesspoint/test_conformity.py"
            ),
            "accesspoint/route.py": _near("route"),
            "accesspoint/settings.py": _near("settings"),
            "accesspoint/verdict.py": _near("verdict"),
        },
        _unit("accesspoint"),
    ),
    "messageservice": Target(
        (
            *(f"messageservice/{name}.py" for name in ("access", "attributes", "findings", "screening")),
            "messageservice/lifecycle/progress.py",
            "messageservice/oauth/registrations.py",
            "messageservice/oauth/verifying.py",
        ),
        {
            "messageservice/": _unit(
                *(f"messageservice/test_{name}.py" for name in ("access", "findings", "routing", "screening"))
            ),
            "messageservice/oauth/": _unit("messageservice/oauth", "messageservice/test_routing.py"),
            "messageservice/lifecycle/": _unit("messageservice/lifecycle"),
        },
        _unit("messageservice"),
    ),
}
"""The packages that the run is over; of the roles, the modules with their rules."""
