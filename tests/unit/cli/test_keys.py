"""`samdrift keys`: the operator's certificates, from the request to the end of the old key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from samdrift.cli.keys import app
from samdrift.config.errors import Unusable
from samdrift.keystore.durablefiles import private_folder
from tests import pki
from tests.cluster import cluster
from tests.secretfiles import secret_file
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import server_folder, settings_in

ISSUER = pki.root("CA", 1)
PARTY = "AP0001-SDK-TEST"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    secret_file(tmp_path / "passphrase", "open sesame")
    settings_in(tmp_path)
    return write(tmp_path, GOOD.replace('"postgresql://db.example/samdrift"', '"database"'))


def certified(request: str, config: Path, subject: str = PARTY) -> Path:
    """Write the certificate for a request, followed by its issuer's, to a file."""
    public = x509.load_pem_x509_csr(request.encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    chain = ISSUER.certify(subject, public), ISSUER.certificate
    file = config.with_name("certificate.pem")
    file.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    return file


def keys(config: Path, *arguments: str | Path) -> str:
    """Run the command; return its output."""
    ended = CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])
    if ended.exception is not None:
        raise ended.exception
    return ended.stdout


def refusal(config: Path, *arguments: str | Path) -> str:
    """Run the command; return the reason that it is refused."""
    with pytest.raises(Unusable) as caught:
        keys(config, *arguments)
    return str(caught.value)


def listed(config: Path) -> list[tuple[Any, ...]]:
    document = json.loads(keys(config, "list", "--json"))
    return [(row["key"], row["number"], row["state"]) for row in document["keys"]]


def test_a_certificate_is_requested_installed_and_the_old_one_retired(config: Path) -> None:
    for number in (1, 2):
        request = keys(config, "request", "access-point")
        assert x509.load_pem_x509_csr(request.encode()).subject == pki.name(PARTY)
        assert listed(config)[0] == ("access-point", number, "waits for its certificate")
        keys(config, "install", "access-point", certified(request, config))
    assert listed(config) == [("access-point", 2, "in use"), ("access-point", 1, "old")]
    in_use = refusal(config, "retire", "access-point", "2", "--anyway")
    assert in_use == "the active key cannot be retired: replace it"
    unknown = refusal(config, "retire", "access-point", "1")
    assert unknown.startswith("it is unknown whether SMP names its certificate for 0203:habo.se: ")
    assert unknown.endswith(": replace it there first, or destroy the key anyway with --anyway")
    assert len(listed(config)) == 2
    keys(config, "retire", "access-point", "1", "--anyway")
    assert listed(config) == [("access-point", 2, "in use")]
    headers, row = keys(config, "list").splitlines()
    assert headers.split() == ["KEY", "NUMBER", "STATE", "UNTIL", "SHA256"]
    assert " ".join(row.split()).startswith("access-point 2 in use 2027-")


def test_a_certificate_of_another_party_or_of_no_key_here_is_refused(config: Path) -> None:
    wrong = certified(keys(config, "request", "access-point"), config, "AP0002-SDK-TEST")
    text = f"{wrong}: the common name is not the party of this access point"
    assert refusal(config, "install", "access-point", wrong) == text
    text = "no waiting key matches the certificate"
    assert refusal(config, "install", "tls-server", wrong) == text


def test_what_is_missing_is_told(config: Path) -> None:
    text = "--name is needed: the common name of the certificate"
    assert refusal(config, "request", "tls-server") == text
    assert refusal(config, "install", "tls-server", config) == f"{config}: no certificate can be read"
    (config.parent / "secrets").rename(config.parent / "elsewhere")
    assert refusal(config, "list") == f"{config.parent / 'secrets'}: there is no key store"


def test_a_request_for_a_server_names_its_hosts(config: Path) -> None:
    asked = keys(config, "request", "tls-server", "--host", "ap.example.se", "--host", "*.sdk.example.se")
    request = x509.load_pem_x509_csr(asked.encode())
    assert request.subject == pki.name("ap.example.se")
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ap.example.se", "*.sdk.example.se"]
    for bad in ("ap.example.se/as4", "ä.se", "", "a,b"):
        assert "--host is a name" in refusal(config, "request", "tls-server", "--host", bad)
    assert refusal(config, "request", "access-point", "--host", "x.se") == "--host is for tls-server"


def test_the_first_key_of_an_installation_in_a_cluster_of_ones_own_makes_the_key_store(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before the first organisation is added the key store holds no log, and there is nothing to warn of."""
    secret_file(tmp_path / "passphrase", "open sesame")
    with server_folder() as folder, cluster(folder / "server") as own:
        config = write(tmp_path, GOOD.replace("postgresql://db.example/samdrift", own.url))
        (private_folder(tmp_path / "secrets") / "administrator").write_text(own.password)
        assert "BEGIN CERTIFICATE REQUEST" in keys(config, "request", "tls-server", "--name", "ap.example.se")
        assert listed(config) == [("tls-server", 1, "waits for its certificate")]
    assert "warning" not in capfd.readouterr().err


def test_the_last_valid_certificate_of_a_host_is_not_destroyed(config: Path) -> None:
    """It would leave that host without one, while the key in use names another."""
    for host in ("d.example.se", "ap.example.se"):
        asked = keys(config, "request", "tls-server", "--host", host)
        own = (
            x509.CertificateBuilder()
            .subject_name(pki.name(host))
            .issuer_name(ISSUER.certificate.subject)
            .public_key(x509.load_pem_x509_csr(asked.encode()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - pki.DAY)
            .not_valid_after(datetime.now(UTC) + pki.DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .sign(ISSUER.own.private_key, hashes.SHA256())
        )
        chain = b"".join(one.public_bytes(Encoding.PEM) for one in (own, ISSUER.certificate))
        (file := config.with_name("server.pem")).write_bytes(chain)
        keys(config, "install", "tls-server", file)
    refused = refusal(config, "retire", "tls-server", "1")
    assert refused.startswith("it has the last valid certificate for d.example.se: install another one first")
    document = json.loads(keys(config, "list", "--json"))["keys"]
    told = [(each["number"], each["state"], each["hosts"]) for each in document]
    assert told == [(2, "in use", ["ap.example.se"]), (1, "in use", ["d.example.se"])]
    assert "in use  d.example.se" in keys(config, "list")
    keys(config, "retire", "tls-server", "1", "--anyway")
