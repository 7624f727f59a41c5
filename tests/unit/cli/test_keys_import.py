"""`samdrift keys import`: keys and certificates that were made elsewhere, as PEM and as PKCS#12."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from samdrift.config.reader import load
from samdrift.installation.vaultsettings import key_store
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.vaultfiles import VaultFiles
from tests import pki
from tests.programs import requires
from tests.secretfiles import secret_file
from tests.throwawaykeys import rsa_key
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import settings_in

ROOT = pki.root("Rot", 1)
BETWEEN = ROOT.subordinate("Mellan", 3)
HOST, PARTY = "ap.example.se", "AP0001-SDK-TEST"
OPEN, LOCKED = NoEncryption(), BestAvailableEncryption(b"sesam")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    secret_file(tmp_path / "passphrase", "open sesame")
    secret_file(tmp_path / "word", "sesam\n")
    settings_in(tmp_path)
    return write(tmp_path, GOOD.replace('"postgresql://db.example/samdrift"', '"database"'))


def made(name: str = HOST, key: Any = None, valid: int = 3650) -> tuple[Any, x509.Certificate]:
    """Make a key elsewhere, with a certificate issued by `BETWEEN`."""
    key = key or rsa_key(key_size=2048)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(pki.name(name))
        .issuer_name(BETWEEN.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki.NOW - 3650 * pki.DAY)
        .not_valid_after(pki.NOW + valid * pki.DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(BETWEEN.own.private_key, hashes.SHA256())
    )
    return key, certificate


def pem(key: Any, *certificates: x509.Certificate, lock: KeySerializationEncryption = OPEN) -> bytes:
    own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock) if key else b""
    return b"".join([*(one.public_bytes(Encoding.PEM) for one in certificates), own])


def imported(config: Path, *arguments: str | Path) -> Ended:
    return in_process("keys", "import", *arguments, "--config", config)


def listed(config: Path) -> list[tuple[str, int, str]]:
    document = in_process("keys", "list", "--json", "--config", config).document
    return [(row["key"], row["number"], row["state"]) for row in document["keys"]]


def chain(config: Path) -> list[x509.Certificate]:
    """Return the chain that the server presents, after loading the file with a TLS library."""
    file, password = key_store(load(config)).tls_server(OPERATOR_KEYS)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, password=password)
    return x509.load_pem_x509_certificates(file.read_bytes())


def test_pem_with_a_key_of_its_own_as_certbot_writes_it(config: Path) -> None:
    key, own = made()
    full = config.with_name("fullchain.pem")
    full.write_bytes(pem(None, own, BETWEEN.certificate, ROOT.certificate))
    file = secret_file(config.with_name("privkey.pem"), pem(key))
    ended = imported(config, "tls-server", full, "--key", file)
    assert (ended.status, ended.complaints) == (0, "")
    assert ended.output == f"tls-server 1, until {own.not_valid_after_utc:%Y-%m-%d}, 1 issuers; 0 retired\n"
    assert chain(config) == [own, BETWEEN.certificate], (
        "the chain must not include the root, which clients have"
    )
    assert listed(config) == [("tls-server", 1, "in use")]


@pytest.mark.parametrize("kind", ["pem", "pkcs12"])
def test_one_file_with_everything_in_any_order_under_a_passphrase(config: Path, kind: str) -> None:
    key, own = made()
    others = [ROOT.certificate, BETWEEN.certificate]
    data = pem(key, *others, own, lock=LOCKED)
    if kind == "pkcs12":
        data = serialize_key_and_certificates(b"samdrift", key, own, others, LOCKED)
    file = config.with_name("server")
    file.write_bytes(data)
    assert "no terminal to ask on" in imported(config, "tls-server", file).complaints
    wrong = secret_file(config.with_name("wrong"), "fel")
    refused = imported(config, "tls-server", file, "--passphrase-file", wrong)
    assert refused.status == 2
    assert "with this passphrase" in refused.complaints
    assert listed(config) == []
    assert imported(config, "tls-server", file, "--passphrase-file", config.with_name("word")).status == 0
    assert chain(config) == [own, BETWEEN.certificate]


@requires("openssl", "openssl")
def test_pkcs12_as_openssl_writes_it(config: Path) -> None:
    key, own = made()
    source, file = config.with_name("source.pem"), config.with_name("server.p12")
    source.write_bytes(pem(key, own, BETWEEN.certificate))
    command = ["openssl", "pkcs12", "-export", "-in", source, "-out", file, "-passout", "pass:sesam"]
    subprocess.run(command, check=True, capture_output=True)
    assert imported(config, "tls-server", file, "--passphrase-file", config.with_name("word")).status == 0
    assert chain(config) == [own, BETWEEN.certificate]


def test_the_key_is_kept_like_those_that_are_made_here(config: Path) -> None:
    key, own = made()
    file = secret_file(config.with_name("server.pem"), pem(key, own))
    assert imported(config, "tls-server", file).status == 0
    kept = list((config.parent / "secrets").rglob("tls-server-*"))
    assert [one.stat().st_mode & 0o777 for one in kept] == [0o600]
    assert b"ENCRYPTED PRIVATE KEY" in kept[0].read_bytes()


def test_the_same_certificate_again_changes_nothing(config: Path) -> None:
    """A renewal hook may run twice."""
    key, own = made()
    file = secret_file(config.with_name("server.pem"), pem(key, own))
    for _ in range(2):
        assert imported(config, "tls-server", file).status == 0
    assert listed(config) == [("tls-server", 1, "in use")]
    renewed = secret_file(config.with_name("renewed.pem"), pem(key, made(key=key)[1]))
    assert imported(config, "tls-server", renewed).status == 0
    assert listed(config) == [("tls-server", 2, "in use"), ("tls-server", 1, "old")]


def test_a_renewal_destroys_the_older_keys_of_the_same_names_alone(config: Path) -> None:
    for name in (HOST, "*.sdk.example.se", HOST):
        file = secret_file(config.with_name("server.pem"), pem(*made(name)))
        ended = imported(config, "tls-server", file, "--replace")
        assert ended.status == 0
    assert "1 retired" in ended.output
    assert [number for _, number, _ in listed(config)] == [3, 2]


def test_a_key_that_a_kill_has_left_without_its_certificate_gets_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    file = secret_file(config.with_name("server.pem"), pem(*made()))
    with monkeypatch.context() as patch:
        patch.setattr(VaultFiles, "install", die)
        with pytest.raises(Killed):
            imported(config, "tls-server", file)
    assert listed(config) == [("tls-server", 1, "waits for its certificate")]
    assert imported(config, "tls-server", file).status == 0
    assert listed(config) == [("tls-server", 1, "in use")]


def refused(config: Path, content: bytes, text: str, *, key: str = "tls-server", more: str = "") -> None:
    file = secret_file(config.with_name("given"), content)
    ended = imported(config, key, file, *more.split())
    assert ended.status == 2
    assert text in ended.complaints
    assert str(file) in ended.complaints or more
    assert listed(config) == []


def test_what_cannot_be_used_is_refused_with_its_reason(config: Path) -> None:
    key, own = made()
    refused(config, pem(None, own), "there is no private key")
    refused(config, pem(key), "no certificate can be read")
    refused(config, pem(key, ROOT.certificate), "no certificate belongs to the private key")
    refused(config, b"rubbish", "neither PEM nor PKCS#12")
    refused(config, b"0rubbish", "no terminal to ask on")
    refused(config, pem(key, own)[:-100], "cannot be read")
    refused(config, pem(*made(key=ec.generate_private_key(ec.SECP256R1()))), "--key-type rsa")
    refused(config, pem(*made(valid=-1)), "the certificate is not valid now")
    refused(config, pem(*made("AP0002-SDK-TEST")), "not the party of this access point", key="access-point")
    refused(config, pem(key, own), "--replace is for tls-server", key="tls-client", more="--replace")
    small = rsa.generate_private_key(65537, 1024)
    file = secret_file(config.with_name("small.pem"), pem(*made(key=small)))
    assert "keys have at least 2048 bits" in imported(config, "tls-server", file).complaints
    missing = imported(config, "tls-server", config.with_name("nowhere.pem"))
    assert (missing.status, "nowhere.pem: no such file" in missing.complaints) == (2, True)


def test_a_key_without_a_passphrase_that_others_can_read_is_refused(config: Path) -> None:
    key, own = made()
    file = config.with_name("server.pem")
    file.write_bytes(pem(key, own))
    file.chmod(0o640)
    ended = imported(config, "tls-server", file)
    assert (ended.status, "chmod 600" in ended.complaints) == (2, True)
    file.chmod(0o600)
    assert imported(config, "tls-server", file).status == 0


def test_the_access_points_key_signs_from_then_on(config: Path) -> None:
    key, own = made(PARTY)
    file = secret_file(config.with_name("ap.p12"), serialize_key_and_certificates(None, key, own, [], OPEN))
    assert imported(config, "access-point", file).status == 0
    assert key_store(load(config)).signing_key(OPERATOR_KEYS, "access-point").certificate == own


def test_no_part_of_a_key_is_shown(config: Path) -> None:
    key, own = made()
    file = secret_file(config.with_name("server.pem"), pem(key, own))
    ended = imported(config, "tls-server", file)
    secret = format(key.private_numbers().d, "x")
    assert secret[:16] not in ended.output + ended.complaints + json.dumps(listed(config))
