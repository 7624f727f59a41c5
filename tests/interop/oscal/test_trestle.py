"""The compliance report in OSCAL, validated by IBM's compliance-trestle in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samdrift.bootstrap.environment import Environment
from samdrift.governance.report import Collected
from samdrift.governance.reportoscal import assessment_results, catalog, component_definition
from tests.unit.governance.test_report import CATALOGUE, MOMENT, WELL, everything, made

_HERE = Path(__file__).parent
_FOLDER = _HERE.parents[2] / ".venv-oscal"

REPORTS = {
    "held": made(everything()),
    "gaps": made({"isolation.check": Collected(MOMENT, False, WELL)}),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    Environment(_FOLDER, _HERE / "requirements.lock").ensure()
    folder = tmp_path_factory.mktemp("oscal")
    assert _trestle(folder, "init", "--local").returncode == 0
    return folder


def _trestle(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(_FOLDER / "bin" / "trestle"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def _accepted(folder: Path, document: dict[str, Any], name: str) -> bool:
    """Return whether trestle imports a document and finds it valid."""
    (kind,) = document
    file = folder.parent / f"{name}.json"
    file.write_text(json.dumps(document))
    imported = _trestle(folder, "import", "-f", str(file), "-o", name)
    if imported.returncode:
        return False
    plural = kind if kind.endswith("s") else f"{kind}s"
    return _trestle(folder, "validate", "-f", f"{plural}/{name}/{kind}.json").returncode == 0


@pytest.mark.parametrize("name", REPORTS)
def test_trestle_accepts_each_document(workspace: Path, name: str) -> None:
    found = REPORTS[name]
    for kind, document in (
        ("catalog", catalog(CATALOGUE)),
        ("component", component_definition(CATALOGUE, found)),
        ("results", assessment_results(CATALOGUE, found)),
    ):
        assert _accepted(workspace, document, f"{kind}-{name}"), kind


def _without_title(document: dict[str, Any]) -> None:
    del document["catalog"]["groups"][0]["controls"][0]["title"]


def _unknown_field(document: dict[str, Any]) -> None:
    document["catalog"]["groups"][0]["controls"][0]["duty"] = "x"


def _no_identifier(document: dict[str, Any]) -> None:
    document["catalog"]["uuid"] = "catalogue-1"


def _bad_name(document: dict[str, Any]) -> None:
    part = document["catalog"]["groups"][0]["controls"][0]["parts"][0]
    part["id"] = document["catalog"]["groups"][0]["controls"][0]["id"] + " x"


@pytest.mark.parametrize("fault", [_without_title, _unknown_field, _no_identifier, _bad_name])
def test_trestle_refuses_what_is_wrong(workspace: Path, fault: Callable[[dict[str, Any]], None]) -> None:
    """A validator that accepts everything would prove nothing."""
    document = json.loads(json.dumps(catalog(CATALOGUE)))
    fault(document)
    assert not _accepted(workspace, document, fault.__name__.strip("_").replace("_", "-"))
