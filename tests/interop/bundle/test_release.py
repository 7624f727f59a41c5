"""The parts of a release: a reproducible wheel, its bill of materials, and a signature."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.programs import requires

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".venv-build" / "bin" / "python"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WHEEL = f"samdrift-{PROJECT['version']}-py3-none-any.whl"


def run(*command: Any, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, **how)


def builds(checkout: Path, what: str, folder: Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return run(TOOLS, checkout / "release" / "build.py", what, folder, **how)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a checkout, as one machine would."""
    folder = tmp_path_factory.mktemp("release")
    assert run(ROOT / "samdrift", "build", "--help").returncode == 0, (
        "creating the checkout's environment failed"
    )
    assert run("git", "clone", "--quiet", ROOT, folder / "checkout").returncode == 0
    made = builds(folder / "checkout", "wheel", folder / "one")
    assert made.returncode == 0, made.stderr
    return folder


def test_two_builds_in_two_folders_at_two_times_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """The second build has another day, path, umask, language, file order and hash seed, as elsewhere."""
    other = tmp_path / "another" / "checkout"
    assert run("git", "clone", "--quiet", built / "checkout", other).returncode == 0
    for number, file in enumerate(sorted(other.rglob("src/**/*"), reverse=True)):
        os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
        file.chmod(0o700 if file.is_dir() else 0o640)
    (other / "src" / "samdrift" / "__pycache__").mkdir(mode=0o700)
    (other / "src" / "samdrift" / "__pycache__" / "left.cpython-311.pyc").write_bytes(b"left")
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "4711", "HOME": str(tmp_path)}
    made = builds(other, "wheel", tmp_path / "two", env=os.environ | elsewhere, umask=0o077)
    assert made.returncode == 0, made.stderr
    one, two = (each.read_bytes() for each in (built / "one" / WHEEL, tmp_path / "two" / WHEEL))
    assert hashlib.sha256(one).hexdigest() == hashlib.sha256(two).hexdigest()


def test_another_source_makes_another_wheel(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "checkout"
    shutil.copytree(built / "checkout", other, ignore=shutil.ignore_patterns(".git", "tests", "docs"))
    with (other / "src" / "samdrift" / "__init__.py").open("a") as file:
        file.write("\n# another\n")
    when = run("git", "-C", built / "checkout", "log", "-1", "--format=%ct").stdout.strip()
    made = builds(other, "wheel", tmp_path / "two", env=os.environ | {"SOURCE_DATE_EPOCH": when})
    assert made.returncode == 0, made.stderr
    assert (built / "one" / WHEEL).read_bytes() != (tmp_path / "two" / WHEEL).read_bytes()


@pytest.fixture(scope="module")
def bill(built: Path) -> Any:
    """Return the bill of materials of our wheel and of two wheels in the lock file."""
    folder = built / "one"
    lock = built / "some.lock"
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    some = re.compile("(?:starlette|anyio|idna|pyrage)==")
    lock.write_text("\n".join(filter(some.match, entries)))
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", folder]
    fetched = run(sys.executable, "-m", "pip", "download", *options, "--requirement", lock)
    assert fetched.returncode == 0, fetched.stderr
    made = builds(ROOT, "bom", folder, env=os.environ | {"SOURCE_DATE_EPOCH": "1800000000"})
    assert made.returncode == 0, made.stderr
    return json.loads((folder / "samdrift.cdx.json").read_text())


def test_the_bill_names_ourselves_and_each_wheel_with_hash_and_licence(bill: Any, built: Path) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    own = bill["metadata"]["component"]
    assert (own["name"], own["version"], own["type"]) == ("samdrift", PROJECT["version"], "application")
    assert own["licenses"][0]["license"]["id"] == PROJECT["license"]
    components = {each["name"]: each for each in bill["components"]}
    assert set(components) == {"starlette", "anyio", "idna", "pyrage"}
    for component in (own, *components.values()):
        (wheel,) = (built / "one").glob(f"{component['name']}-*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        (licence,) = component["licenses"]
        assert licence.get("expression") or licence["license"].get("id") or licence["license"].get("name")
    assert components["starlette"]["licenses"][0]["license"]["id"] == "BSD-3-Clause"
    (in_words,) = components["pyrage"]["licenses"]
    assert "Permission is hereby granted" in in_words["license"]["text"]["content"]


def test_the_bill_says_what_asks_for_what(bill: Any) -> None:
    asked = {each["ref"].partition("@")[0]: each.get("dependsOn", []) for each in bill["dependencies"]}
    named = {ref: {each.partition("@")[0] for each in below} for ref, below in asked.items()}
    assert "pkg:pypi/starlette" in named["pkg:pypi/samdrift"]
    assert named["pkg:pypi/starlette"] == {"pkg:pypi/anyio"}
    assert named["pkg:pypi/anyio"] == {"pkg:pypi/idna"}


def test_the_bill_is_the_same_again_and_has_nothing_of_the_machine(bill: Any, built: Path) -> None:
    first = (built / "one" / "samdrift.cdx.json").read_text()
    builds(
        ROOT, "bom", built / "one", env=os.environ | {"SOURCE_DATE_EPOCH": "1800000000", "TZ": "Asia/Tokyo"}
    )
    assert (built / "one" / "samdrift.cdx.json").read_text() == first
    assert str(built) not in first
    assert bill["metadata"]["timestamp"].startswith("2027-01-15T08:00:00")


def test_the_schema_of_cyclonedx_refuses_a_bill_that_is_wrong(bill: Any, tmp_path: Path) -> None:
    ask = "import sys; from materials import fault_of; print(fault_of(open(sys.argv[1]).read()))"

    def fault(document: Any) -> str:
        (tmp_path / "bill.json").write_text(json.dumps(document))
        folder = {"PYTHONPATH": str(ROOT / "release")}
        asked = run(TOOLS, "-c", ask, tmp_path / "bill.json", env=os.environ | folder)
        assert asked.returncode == 0, asked.stderr
        return asked.stdout.strip()

    assert fault(bill) == "None"
    assert fault({**bill, "components": [{"type": "library"}]}) != "None"
    assert fault({**bill, "serialNumber": "4711"}) != "None"
    assert fault({**bill, "made": "up"}) != "None"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("changed", "is no wheel of the lock"),
        ("strange", "is not in the lock file"),
        ("own", "has no wheel of samdrift"),
    ],
)
def test_a_folder_with_something_else_gets_no_bill(
    bill: Any, built: Path, tmp_path: Path, wrong: str, why: str
) -> None:
    folder = tmp_path / "one"
    shutil.copytree(built / "one", folder)
    (folder / "samdrift.cdx.json").unlink()
    (idna,) = folder.glob("idna-*.whl")
    if wrong == "changed":
        with idna.open("ab") as file:
            file.write(b"\0")
    elif wrong == "strange":
        metadata = "Metadata-Version: 2.4\nName: stranger\nVersion: 1.0\nLicense: MIT\n"
        with zipfile.ZipFile(folder / "stranger-1.0-py3-none-any.whl", "w") as packed:
            packed.writestr("stranger-1.0.dist-info/METADATA", metadata)
    else:
        (folder / WHEEL).unlink()
    made = builds(ROOT, "bom", folder)
    assert (made.returncode, made.stderr.count("\n")) == (2, 1)
    assert why in made.stderr
    assert not (folder / "samdrift.cdx.json").exists()


class _Database(BaseHTTPRequestHandler):
    """A vulnerability database with the interface of OSV, which knows one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        known = {
            "id": "GHSA-made-up",
            "modified": "2026-11-01T00:00:00Z",
            "summary": "made up",
            "affected": [],
        }
        known["affected"] = [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
                "versions": [asked["version"]],
            }
        ]
        answer = json.dumps({"vulns": [known]} if name == self.server.vulnerable else {}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def database(vulnerable: str) -> Iterator[dict[str, str]]:
    """Serve such a database, and yield the environment that makes pip-audit use it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Database) as server:
        server.vulnerable = vulnerable  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        yield {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": address}
        server.shutdown()


@pytest.mark.parametrize("vulnerable", ["nothing", "jinja2"])
def test_a_known_vulnerability_of_what_is_locked_is_named(
    built: Path, tmp_path: Path, vulnerable: str
) -> None:
    with database(vulnerable) as asked:
        made = builds(ROOT, "audit", tmp_path, env=os.environ | asked | {"NO_PROXY": "127.0.0.1"})
    answers = json.loads((tmp_path / "audit.json").read_text())["dependencies"]
    assert {each["name"] for each in answers} >= {"cryptography", "jinja2", "lxml"}
    if vulnerable == "nothing":
        assert (made.returncode, made.stdout) == (0, f"{tmp_path / 'audit.json'}\n")
    else:
        assert made.returncode == 2
        assert re.search(r"^jinja2 [\d.]+: GHSA-made-up, mended in 99\.1$", made.stderr, re.MULTILINE)


def test_a_service_that_cannot_be_asked_is_no_good_news(built: Path, tmp_path: Path) -> None:
    nowhere = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": "http://127.0.0.1:9/"}
    made = builds(ROOT, "audit", tmp_path, env=os.environ | nowhere | {"NO_PROXY": "127.0.0.1"})
    assert (made.returncode, made.stderr.count("\n")) == (2, 1)
    assert "the service for vulnerabilities cannot be asked" in made.stderr


def test_a_service_that_knows_nothing_of_a_package_is_no_good_news(built: Path, tmp_path: Path) -> None:
    """The mirror of an index may have packages but no data about vulnerabilities."""
    (tmp_path / "pip_audit.py").write_text(
        "import json, sys\n"
        "answer = sys.argv[sys.argv.index('--output') + 1]\n"
        "packages = [{'name': 'lxml', 'skip_reason': '?'}, {'name': 'idna', 'vulns': []}]\n"
        "json.dump({'dependencies': packages}, open(answer, 'w'))\n"
    )
    made = builds(ROOT, "audit", tmp_path / "answer", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert made.returncode == 2
    assert "knows nothing of 1 of 2 packages, lxml among them" in made.stderr


def section() -> list[str]:
    """Return the commands of a release from CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## A release\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^ *```\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@requires("ssh-keygen", "openssh-client")
def test_the_signature_of_a_release_is_made_and_verified_by_the_commands_of_the_page(tmp_path: Path) -> None:
    """A signature over other files or by another key is refused."""
    checkout = tmp_path / "checkout"
    who = {"HOME": str(tmp_path)}
    for name, value in (("NAME", "Anna"), ("EMAIL", "release@example.se")):
        who |= {f"GIT_COMMITTER_{name}": value, f"GIT_AUTHOR_{name}": value}
    assert run("git", "init", "--quiet", checkout).returncode == 0
    commit = ("git", "commit", "--quiet", "--allow-empty", "--message", "Release")
    assert run(*commit, cwd=checkout, env=os.environ | who).returncode == 0
    for name in ("release-key", "other-key"):
        assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name).returncode == 0
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"release@example.se {(tmp_path / 'release-key.pub').read_text()}")
    bundle = tmp_path / "samdrift-bundle"
    bundle.mkdir()
    (bundle / "SHA256SUMS").write_text("as deploy/bundle has written it\n")
    names = {
        "/tmp/samdrift-bundle": str(bundle),
        "~/.ssh/release-key": str(tmp_path / "release-key"),
        "allowed_signers": str(allowed),
        "0.2.0": "9.9.9",
    }

    def typed(line: str) -> subprocess.CompletedProcess[str]:
        for name, value in names.items():
            line = line.replace(name, value)
        return run("sh", "-c", line, cwd=checkout, env=os.environ | who)

    signing = [line for line in section() if re.match(r"git |ssh-keygen ", line)]
    assert [line.split()[:3] for line in signing] == [
        ["git", "-c", "gpg.format=ssh"],
        ["ssh-keygen", "-Y", "sign"],
        ["git", "-c", "gpg.ssh.allowedSignersFile=allowed_signers"],
        ["ssh-keygen", "-Y", "verify"],
    ]
    for line in signing:
        ended = typed(line)
        assert ended.returncode == 0, (line, ended.stderr)
    (bundle / "SHA256SUMS").write_text("something else\n")
    assert typed(signing[-1]).returncode != 0
    (bundle / "SHA256SUMS").write_text("as deploy/bundle has written it\n")
    assert typed(signing[-1]).returncode == 0
    allowed.write_text(f"release@example.se {(tmp_path / 'other-key.pub').read_text()}")
    assert typed(signing[-1]).returncode != 0
    assert typed(signing[-2]).returncode != 0
