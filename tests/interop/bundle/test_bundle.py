"""A bundle of wheels, made with a network, installed without one, and the files made from it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from samdrift import __version__

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
SCHEMA = Path(__file__).with_name("schema.lock")
REGISTRIES = {
    "PIP_NO_INDEX": "1",
    "PIP_INDEX_URL": "https://registry.invalid",
    "no_proxy": "",
    "NO_PROXY": "",
}
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
"""Proxy settings without a way out, so that any request to a registry fails."""


def run(*command: Any, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, **how)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bundle")
    own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    before = _built()
    made = run(DEPLOY / "bundle", folder / "bundle", env=os.environ | {"PATH": own})
    assert made.returncode == 0, made.stderr
    assert _built() == before, "building leaves nothing in the checkout"
    yield folder / "bundle"
    shutil.rmtree(folder)


def _built() -> set[Path]:
    return {*ROOT.glob("build"), *ROOT.glob("dist"), *ROOT.glob("src/*"), *ROOT.glob("*.egg-info")}


@pytest.fixture(scope="module")
def installed(bundle: Path) -> Path:
    """Install the program where no registry can be reached, and return its path."""
    done = install(bundle, bundle.parent / "installed")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"samdrift {__version__}\n"
    return bundle.parent / "installed" / "bin" / "samdrift"


def install(bundle: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return run(DEPLOY / "install", bundle, folder, env=os.environ | REGISTRIES | NOWHERE)


def alone(program: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run the program as on a machine without the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return run(program, *arguments, cwd="/", env=environment | NOWHERE)


def test_it_has_one_wheel_for_each_line_of_the_lock_and_our_own(bundle: Path) -> None:
    locked = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    wheels = [re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower() for each in bundle.glob("*.whl")]
    needed = [re.sub(r"[-_.]+", "-", each).lower() for each in locked]
    assert set(wheels) <= {*needed, "samdrift"}
    assert len(wheels) == len(set(wheels))
    assert "samdrift" in wheels
    sums = (bundle / "SHA256SUMS").read_text().splitlines()
    assert {line.split()[1] for line in sums} == {each.name for each in bundle.iterdir()} - {"SHA256SUMS"}


def test_its_bill_of_materials_has_each_wheel_with_its_hash_and_a_licence(bundle: Path) -> None:
    bill = json.loads((bundle / "samdrift.cdx.json").read_text())
    components = [bill["metadata"]["component"], *bill["components"]]
    digests = {each["hashes"][0]["content"] for each in components}
    assert digests == {hashlib.sha256(each.read_bytes()).hexdigest() for each in bundle.glob("*.whl")}
    assert [each["name"] for each in components if not each.get("licenses")] == []
    named = {each["ref"] for each in bill["dependencies"]}
    assert named == {each["bom-ref"] for each in components}


def test_the_wheel_has_all_of_the_source_but_python_that_is_compiled(bundle: Path) -> None:
    (wheel,) = bundle.glob("samdrift-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = (each for each in source.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    assert names == {str(each.relative_to(source)) for each in files if ".egg-info" not in str(each)}


def test_an_installation_is_set_up_and_checked_by_the_installed_program(
    installed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "samdrift"
    answers = ("--environment", "test", "--party", "AP0001-SDK-TEST", "--host", "ap.example.se")
    more = ("--sml-zone", "sml.example.se", "--user", "root", "--program", installed)
    made = alone(installed, "init", folder, *answers, *more)
    assert made.returncode == 0, made.stderr
    checked = alone(installed, "config", "check", folder / "samdrift.toml")
    assert (checked.returncode, checked.stdout.endswith("no fault\n")) == (0, True)
    assert f"ExecStart={installed} serve all" in (folder / "samdrift.service").read_text()


def test_what_is_installed_comes_from_the_bundle_and_not_from_a_checkout(installed: Path) -> None:
    python = installed.with_name("python")
    asked = alone(python, "-c", "import samdrift, sys; print(samdrift.__file__)")
    assert Path(asked.stdout.strip()).is_relative_to(installed.parents[1])


@pytest.mark.parametrize("which", ["samdrift-0", "cryptography", "samdrift.cdx.json", "requirements.lock"])
def test_a_bundle_that_was_changed_is_refused(bundle: Path, tmp_path: Path, which: str) -> None:
    changed = tmp_path / "bundle"
    shutil.copytree(bundle, changed, copy_function=os.link)
    (file,) = changed.glob(f"{which}*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    refused = install(changed, tmp_path / "installed")
    assert refused.returncode != 0
    assert file.name in refused.stdout + refused.stderr
    assert not (tmp_path / "installed").exists()


def test_a_wheel_that_was_exchanged_together_with_its_sum_is_refused(bundle: Path, tmp_path: Path) -> None:
    """The hash in the lock file detects this, provided that the lock file is the checkout's."""
    changed = tmp_path / "bundle"
    shutil.copytree(bundle, changed, copy_function=os.link)
    (file,) = changed.glob("jinja2-*")
    file.unlink()
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("jinja2/__init__.py", "")
    (changed / "SHA256SUMS").unlink()
    sums = run("sh", "-c", "sha256sum -- *.whl *.cdx.json requirements.lock", cwd=changed).stdout
    (changed / "SHA256SUMS").write_text(sums)
    refused = install(changed, tmp_path / "installed")
    assert refused.returncode != 0
    assert "HASHES" in refused.stderr or "hash" in refused.stderr


def test_nothing_that_is_there_is_replaced(bundle: Path, tmp_path: Path) -> None:
    for program, more in (("bundle", []), ("install", [bundle])):
        refused = run(DEPLOY / program, *more, tmp_path)
        assert (refused.returncode, "is there already" in refused.stderr) == (2, True)


COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_compose_file_is_valid_by_the_schema_of_its_specification(tmp_path: Path) -> None:
    """The schema comes from a package that reads such files."""
    command = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", tmp_path, "-r", SCHEMA]
    loaded = run(sys.executable, "-m", "pip", *command)
    assert loaded.returncode == 0, loaded.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        schema = json.loads(packed.read("compose/config/compose_spec.json"))
    judge = jsonschema.Draft7Validator(schema)
    assert [error.message for error in judge.iter_errors(COMPOSE)] == []
    wrong = COMPOSE | {"services": {"samdrift": {"image": "x", "read_onyl": True}}}
    assert list(judge.iter_errors(wrong))


def test_containers_run_with_as_little_as_they_need() -> None:
    own = COMPOSE["services"]["samdrift"]
    assert own["read_only"] is True
    assert own["cap_drop"] == ["ALL"]
    assert "cap_add" not in own
    assert not own["user"].startswith("0")
    for service in COMPOSE["services"].values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")
    for name in ("database", "scanner"):
        assert COMPOSE["services"][name]["network_mode"] == "service:samdrift"
        assert "ports" not in COMPOSE["services"][name]
    told = (DEPLOY / "Containerfile").read_text()
    assert f"USER {own['user']}" in told
    assert own["healthcheck"]["test"][1] == re.findall(r'ENTRYPOINT \["([^"]+)"\]', told)[0]
