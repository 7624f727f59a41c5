"""`samdrift init`: from a few answers to an installation whose files work unchanged."""

from __future__ import annotations

import itertools
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.config.errors import Unusable
from samdrift.config.isolation import Isolation
from samdrift.config.reader import load
from samdrift.config.reference import sections
from samdrift.operations.setup import (
    FIRST_USER,
    Answers,
    configuration,
    console_unit,
    database_script,
    remaining,
    unit,
    watch_unit,
)
from tests.programs import requires
from tests.unit.cli.commandline import in_process

GIVEN = {
    "environment": "test",
    "party": "AP0001-SDK-TEST",
    "host": "ap.example.se",
    "sml_zone": "sml.example.se",
    "user": "root",
}
ROOT = Path(__file__).parents[3]
CLUSTER = "postgresql://samdrift_admin@db.example.se/samdrift?sslmode=verify-full"
requires_systemd = requires("systemd-analyze", "systemd")


def answers(**changed: str) -> Answers:
    return Answers.read(GIVEN | changed)


def initialised(folder: Path, *arguments: str | Path) -> Any:
    return in_process(
        *("init", folder, "--environment", "test", "--party", "AP0001-SDK-TEST", "--host", "ap.example.se"),
        *("--sml-zone", "sml.example.se", "--user", "root"),
        *arguments,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_can_be_used_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "samdrift"
    ended = initialised(folder)
    assert (ended.status, ended.complaints) == (0, "")
    assert in_process("config", "check", folder / "samdrift.toml").output.endswith("no fault\n")
    config = load(folder / "samdrift.toml")
    assert {role.value for role in config.roles} == {"ap", "mt"}
    for name in ("secrets", "seals", "objects", "database"):
        assert mode(folder / name) == 0o700
    assert mode(folder / "passphrase") == 0o600
    assert len((folder / "passphrase").read_bytes()) > 40
    assert {path.name for path in (folder / "trust").iterdir()} == {"access-point", "smp", "organisation"}
    numbered = [line for line in ended.output.splitlines() if line[:2].strip().isdecimal()]
    assert [line[:2].strip() for line in numbered] == [str(number) for number in range(1, len(numbered) + 1)]
    assert f"{folder}/tls-server.csr" in numbered[0]
    assert "doctor" in numbered[-1]


def test_requests_name_the_party_and_the_host(tmp_path: Path) -> None:
    initialised(tmp_path / "samdrift")
    server, party = (
        x509.load_pem_x509_csr((tmp_path / "samdrift" / f"{name}.csr").read_bytes())
        for name in ("tls-server", "access-point")
    )
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ap.example.se"]
    (common_name,) = party.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == "AP0001-SDK-TEST"
    assert server.is_signature_valid
    assert party.is_signature_valid


def test_answers_come_from_a_file_too_and_options_go_before_them(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in GIVEN.items()))
    ended = in_process("init", tmp_path / "one", "--answers", file, "--party", "AP0002-SDK-TEST", "--json")
    assert ended.document["folder"] == str(tmp_path / "one")
    assert len(ended.document["requests"]) == 2
    assert load(tmp_path / "one" / "samdrift.toml").access_point.party == "AP0002-SDK-TEST"  # type: ignore[union-attr]
    for text, fault in (
        ("party = 7", "is not a text"),
        ("party", "is not TOML"),
        ('paty = "x"', "is not a known answer"),
    ):
        file.write_text(text)
        refused = in_process("init", tmp_path / "two", "--answers", file)
        assert refused.status == 2
        assert fault in refused.complaints
    assert not (tmp_path / "two").exists()


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ended = initialised(tmp_path)
    assert (ended.status, [each.name for each in tmp_path.iterdir()]) == (2, ["mine"])


def test_the_doctor_finds_what_is_left_and_makes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "samdrift"
    initialised(folder, "--scanner", "none")
    before = sorted(folder.rglob("*"))
    ended = in_process("doctor", "--offline", "--json", "--config", folder / "samdrift.toml")
    states = {one["id"]: one["state"] for one in ended.document["checks"]}
    assert ended.status == 2
    assert {name for name, state in states.items() if state == "fail"} == {
        *("trust", "certificate.tls-server", "certificate.access-point", "process"),
    }
    assert states["database"] == "skipped"
    assert states["objects"] == states["key-store"] == "ok"
    assert sorted(folder.rglob("*")) == before


def test_each_key_has_its_declared_meaning_before_it() -> None:
    text = configuration(answers(address_book="https://book.example.se", database=CLUSTER))
    tables = {section.header: section for section in sections()}
    header = ""
    lines = text.splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("["):
            header = line
        elif line and not line.startswith("#"):
            key, _ = tables[header].keys[line.partition(" = ")[0]]
            assert before == f"# {key.text}"
    assert tomllib.loads(text)["vaults"]["database"] == CLUSTER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("environment", "demonstration"),
        ("environment", "live"),
        ("party", "AP 0001"),
        ("host", "ap.example.se/as4"),
        ("host", 'ap.example.se"'),
        ("sml_zone", "zone"),
        ("user", "root; rm"),
        ("address_book", "http://book.example.se"),
        ("database", "mysql://db/samdrift"),
        ("database", "postgresql://db.example.se/samdrift"),
        ("database", 'postgresql://a@b/c"; DROP'),
        ("scanner", "/run/clam av"),
        ("roles", "ap,gov"),
        ("roles", "everything"),
        ("program", "/opt/%n"),
        ("isolation", "users"),
        ("isolation", "process"),
        ("colour", "blue"),
    ],
)
def test_an_answer_that_cannot_be_used(name: str, value: str) -> None:
    with pytest.raises(Unusable):
        answers(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "such_as"),
    [
        ("party", "AP 0001", "AP0001-SDK-TEST"),
        ("host", "localhost", "ap.example.se"),
        ("sml_zone", "zone", "sml.example.se"),
        ("user", "root; rm", "samdrift"),
    ],
)
def test_a_name_that_cannot_be_used_is_shown_with_one_that_can(name: str, value: str, such_as: str) -> None:
    with pytest.raises(Unusable, match=f"^{name}: {value} cannot be used: .*such as {such_as}$"):
        answers(**{name: value})


def test_production_is_set_up_with_a_scanner_and_with_every_answer() -> None:
    assert answers(environment="production").scanner
    with pytest.raises(Unusable, match="scanner"):
        answers(environment="production", scanner="none")
    for name in ("environment", "party", "host", "sml_zone"):
        with pytest.raises(Unusable, match=f"{name}: is missing"):
            Answers.read({key: value for key, value in GIVEN.items() if key != name})


def test_a_cluster_of_ones_own_gets_a_script_and_its_steps() -> None:
    own = answers(database=CLUSTER)
    script = database_script(own)
    assert "CREATE ROLE samdrift_admin LOGIN CREATEROLE CREATEDB PASSWORD :'password';" in script
    assert script.count("REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC") == 2
    assert 'TO "samdrift_admin";' in script
    steps = remaining(own, Path("/srv/samdrift"), [])
    assert "database.sql" in steps[0]
    assert "administrator" in steps[1]


def test_level_process_is_set_up_for_root_and_readable_to_processes_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "samdrift"
    ended = initialised(folder, "--isolation", "process", "--database", CLUSTER)
    assert (ended.status, ended.complaints) == (0, "")
    config = load(folder / "samdrift.toml")
    assert (config.isolation.level, config.isolation.first_user) == (Isolation.PROCESS, FIRST_USER)
    assert mode(folder) == 0o755
    assert mode(folder / "samdrift.toml") == 0o644
    for name in ("secrets", "seals", "objects"):
        assert mode(folder / name) == 0o700
    assert mode(folder / "passphrase") == 0o600
    assert not (folder / "database").exists(), "no folder is needed for a database that is elsewhere"
    assert "User=root\n" in (folder / "samdrift.service").read_text()
    assert "sudo -u root" in ended.output


def test_a_folder_at_level_shared_is_closed_to_others(tmp_path: Path) -> None:
    initialised(tmp_path / "samdrift")
    assert mode(tmp_path / "samdrift") == 0o750
    assert mode(tmp_path / "samdrift" / "samdrift.toml") == 0o640


PROCESS = {"isolation": "process", "database": CLUSTER}


@requires_systemd
@pytest.mark.parametrize(
    ("level", "made", "most"),
    [
        ({"user": "daemon"}, unit, 11),
        (PROCESS, unit, 24),
        ({"user": "daemon"}, console_unit, 11),
        (PROCESS, console_unit, 16),
        ({"user": "daemon"}, watch_unit, 11),
        (PROCESS, watch_unit, 16),
    ],
    ids=["shared", "process", "console-shared", "console-process", "watch-shared", "watch-process"],
)
def test_each_unit_is_valid_and_exposes_little(
    tmp_path: Path, level: dict[str, str], made: Callable[[Answers, Path], str], most: int
) -> None:
    """``most`` is ten times the figure in docs/deployment.md, which says what a level cannot go without."""
    file = tmp_path / "samdrift.service"
    file.write_text(made(answers(program=sys.executable, **level), tmp_path))
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager", file],
        capture_output=True,
        text=True,
    )
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]


def test_the_consoles_unit_is_written_with_the_others_and_lets_it_change_no_key(tmp_path: Path) -> None:
    folder = tmp_path / "samdrift"
    initialised(folder)
    written = (folder / "samdrift-console.service").read_text()
    assert f" console --config {folder}/samdrift.toml\n" in written
    assert re.findall(r"^ReadWritePaths=(.*)$", written, re.MULTILINE) == [f"{folder}/database"]
    own = console_unit(answers(database=CLUSTER), folder)
    assert "ReadWritePaths=" not in own
    for each in (written, own):
        assert f"ReadOnlyPaths={folder}\n" in each
        assert f"InaccessiblePaths=-{folder}/objects\n" in each


def test_the_watchs_unit_leaves_it_without_the_passphrase_and_lets_it_write_nothing(tmp_path: Path) -> None:
    written = watch_unit(answers(), tmp_path)
    assert f" watch --config {tmp_path}/samdrift.toml\n" in written
    assert f"InaccessiblePaths=-{tmp_path}/passphrase\n" in written
    assert "ReadWritePaths=" not in written


@pytest.mark.parametrize("made", [console_unit, watch_unit])
def test_units_for_installations_that_were_set_up_before_are_those_that_are_written(
    made: Callable[[Answers, Path], str],
) -> None:
    given = Answers.read({**GIVEN, "user": "samdrift", "database": CLUSTER})
    name = {console_unit: "console", watch_unit: "watch"}[made]
    written = made(given, Path("/srv/samdrift"))
    assert (ROOT / "deploy" / f"samdrift-{name}.service").read_text() == written
