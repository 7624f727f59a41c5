"""Installations that would share anything do not run side by side (transport-profile-as4 2.10 e)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.cli.installations import read_installations
from samdrift.config.errors import Unusable
from samdrift.config.reader import load
from samdrift.installation.conflicts import InstallationsConflict, claims_of, require_no_conflicts
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from tests import pki
from tests.secretfiles import secret_file
from tests.vaults import key_store

ROOT = pki.root("Rot", 1)
ISSUERS = {name: ROOT.subordinate(f"Accesspunkt CA-{name}", number) for number, name in enumerate("abc", 2)}
TEXT = """
environment = "{environment}"
inner_issuers = "inner.pem"

[federation]
identifier = "urn:fdc:digg.se:edelivery:federation:test"
sml_zone = "sml.example"
trust = "{name}/trust"
tls_issuers = "public.pem"

[vaults]
database = "{name}/database"
objects = "{name}/objects"
secrets = "{name}/secrets"
passphrase_file = "{name}/passphrase"

[access_point]
party = "AP0001-SDK-TEST"
message_id_domain = "ap.example"
listen = "0.0.0.0:{port}1"
listen_c = "127.0.0.1:{port}2"

[message_service]

[malware]
scanner = "clamd"
socket = "clamd.sock"

[address_book]
url = "https://addressbook.example"
file = "{name}/addressbook.json"

[metrics]
listen = "127.0.0.1:{port}3"
"""

TOKEN = """
[vaults.hsm]
module = "/usr/lib/softhsm/libsofthsm2.so"

[[organisations]]
identifier = "0203:a.se"
name = "A"
roles = ["ap"]
hsm = {{ label = "{label}", {where} = "{pin}" }}
"""

DOMIBUS = """
[[organisations]]
identifier = "0203:a.se"
name = "A"
roles = ["mt"]

[organisations.domibus]
url = "{url}"
party = "AP0007-SDK-TEST"
message_id_domain = "a.example"
user = "a"
password_file = "{password}"
"""


PAGES = """
[[organisations]]
identifier = "0203:a.se"
name = "A"
roles = ["{role}"]
{key} = "{host}"
"""


@dataclass
class Place:
    """A folder with configuration files and the files that they name."""

    folder: Path

    def file(self, name: str, change: tuple[str, str] = ("", ""), issuer: str = "") -> Path:
        """Write a configuration that shares nothing with any other, except for ``change``."""
        environment = {"a": "test", "b": "demonstration"}[name]
        text = TEXT.format(name=name, environment=environment, port={"a": 900, "b": 901}[name])
        assert change[0] in text
        file = self.folder / f"{name}.toml"
        file.write_text(text.replace(*change))
        for purpose in ("access-point", "smp", "organisation"):
            self.certificate(f"{name}/trust/{purpose}/root.pem", ROOT.certificate)
        self.certificate(f"{name}/trust/access-point/ca.pem", ISSUERS[issuer or name].certificate)
        return file

    def certificate(self, path: str, certificate: x509.Certificate) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def key(self, name: str, issuer: str) -> Path:
        """Make an access point's key in one configuration's key store."""
        secrets = self.folder / name / "secrets"
        store = key_store(secrets)
        request = store.create_key(OPERATOR_KEYS, KeyName.ACCESS_POINT, x509.Name([]), bits=2048)
        public = x509.load_pem_x509_csr(request).public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        certificate = ISSUERS[issuer].certify("AP0001-SDK-TEST", public)
        store.install_certificate(OPERATOR_KEYS, KeyName.ACCESS_POINT, certificate)
        return secrets / OPERATOR_KEYS / "0001" / "access-point-0001.pem"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def shared(*files: Path) -> str:
    """Return the setting that the configurations share; empty if they share none."""
    try:
        require_no_conflicts([claims_of(load(file), file) for file in files])
    except InstallationsConflict as error:
        return error.setting
    return ""


@pytest.mark.parametrize(("other", "setting"), [(219_999, "isolation.first_user"), (220_000, "")])
def test_processes_of_different_installations_are_different_unix_users(
    place: Place, other: int, setting: str
) -> None:
    for name, first in (("a", 210_000), ("b", other)):
        with place.file(name).open("a") as file:
            file.write(f'[isolation]\nlevel = "process"\nfirst_user = {first}\n')
    assert shared(place.folder / "a.toml", place.folder / "b.toml") == setting


def test_what_is_apart_is_let_through_with_bundles_of_issuers_in_common(place: Place) -> None:
    assert shared(place.file("a"), place.file("b")) == ""
    place.key("a", "a")
    place.key("b", "b")
    assert shared(place.file("a"), place.file("b")) == ""


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        (("demonstration", "test"), "federation.identifier"),
        (('"b/database"', '"a/database"'), "vaults.database"),
        (('"b/database"', '"b/../a/./database"'), "vaults.database"),
        (('"b/database"', '"a/database/inside"'), "vaults.database"),
        (('"b/database"', '"a/secrets"'), "vaults.secrets and vaults.database"),
        (('"b/objects"', '"a/objects"'), "vaults.objects"),
        (('"b/objects"', '"a"'), "federation.trust and vaults.objects"),
        (('"b/secrets"', '"a/secrets"'), "vaults.secrets"),
        (('"b/passphrase"', '"a/passphrase"'), "vaults.passphrase_file"),
        (("passphrase_file =", 'seals = "a/seals"\npassphrase_file ='), "vaults.seals"),
        (('"b/trust"', '"a/trust"'), "federation.trust"),
        (("0.0.0.0:9011", "0.0.0.0:9001"), "access_point.listen"),
        (("0.0.0.0:9011", "[::]:9001"), "access_point.listen"),
        (("0.0.0.0:9011", "localhost:9002"), "access_point.listen_c and access_point.listen"),
        (("127.0.0.1:9012", "192.0.2.7:9001"), "access_point.listen and access_point.listen_c"),
        (("127.0.0.1:9013", "127.0.0.1:9003"), "metrics.listen"),
    ],
)
def test_what_two_would_share_is_named(place: Place, change: tuple[str, str], setting: str) -> None:
    assert shared(place.file("a"), place.file("b", change)) == setting


@pytest.mark.parametrize(
    "change", [("127.0.0.1:9013", "127.0.0.2:9003"), ("127.0.0.1:9012", "127.0.0.1:9004")]
)
def test_other_addresses_of_the_machine_are_apart(place: Place, change: tuple[str, str]) -> None:
    assert shared(place.file("a"), place.file("b", change)) == ""


CONSOLE = """
[console]
listen = "192.0.2.20:{port}"
host = "{name}.example.se"
name = "Drift"
[console.certificates]
issuers = "staff.pem"
revocation_lists = "staff.crl"
[[console.staff]]
subject = "CN=Anna"
name = "anna"
"""


def test_one_operators_consoles_may_know_its_staff_by_the_same_issuers_at_addresses_of_their_own(
    place: Place,
) -> None:
    files = place.file("a"), place.file("b")
    bare = [file.read_text() for file in files]
    for ports, expected in (((8448, 8449), ""), ((8448, 8448), "console.listen")):
        for file, text, port in zip(files, bare, ports, strict=True):
            file.write_text(text + CONSOLE.format(port=port, name=file.stem))
        assert shared(*files) == expected


def test_a_link_to_another_ones_folder_is_no_other_folder(place: Place) -> None:
    files = place.file("a"), place.file("b")
    (place.folder / "a/objects").mkdir()
    (place.folder / "b/objects").symlink_to(place.folder / "a/objects")
    assert shared(*files) == "vaults.objects"


def test_another_name_of_another_ones_file_is_no_other_file(place: Place) -> None:
    files = place.file("a"), place.file("b")
    secret_file(place.folder / "a/passphrase", "open sesame")
    (place.folder / "b/passphrase").hardlink_to(place.folder / "a/passphrase")
    assert shared(*files) == "files"


@pytest.mark.parametrize(
    ("url", "password", "setting"),
    [
        ("https://other.example/domibus/services/wsplugin", "b/password", ""),
        ("https://DOMIBUS.example:443/domibus/services/wsplugin/", "b/password", "organisations.domibus.url"),
        ("https://other.example/domibus/services/wsplugin", "a/password", "0203:a.se domibus.password_file"),
    ],
)
def test_a_domibus_is_one_party_in_one_environment(
    place: Place, url: str, password: str, setting: str
) -> None:
    files = place.file("a"), place.file("b")
    own = "https://domibus.example/domibus/services/wsplugin", "a/password"
    for file, (at, secret) in zip(files, (own, (url, password)), strict=True):
        file.write_text(file.read_text() + DOMIBUS.format(url=at, password=secret))
    assert shared(*files) == setting


@pytest.mark.parametrize(
    ("label", "where", "pin", "setting"),
    [
        ("b", "pin_file", "b/pin", ""),
        ("a", "pin_file", "b/pin", "organisations.hsm.label"),
        ("b", "pin_file", "a/pin", "0203:a.se hsm.pin_file"),
        ("b", "pin_credential", "b-pin", ""),
        ("b", "pin_credential", "a-pin", "0203:a.se hsm.pin_credential"),
    ],
)
def test_a_token_is_one_installations(place: Place, label: str, where: str, pin: str, setting: str) -> None:
    files = place.file("a"), place.file("b")
    own = {"pin_file": "a/pin", "pin_credential": "a-pin"}[where]
    for file, (token, its_pin) in zip(files, (("a", own), (label, pin)), strict=True):
        file.write_text(file.read_text() + TOKEN.format(label=token, where=where, pin=its_pin))
    assert shared(*files) == setting


@pytest.mark.parametrize(
    ("one", "other", "setting"),
    [
        ("postgresql://db/one", "postgresql://db/two", ""),
        ("postgresql://db/one", "postgresql://db:5433/one", ""),
        ("postgresql://anna@DB/one", "postgres://bo@db:5432/one?sslmode=require", "vaults.database"),
        ("postgresql://db,spare/one", "postgresql://spare/one", "vaults.database"),
        ("postgresql://db/one", "postgresql:///one?host=db", "vaults.database"),
    ],
)
def test_databases_elsewhere(place: Place, one: str, other: str, setting: str) -> None:
    first = place.file("a", ('"a/database"', f'"{one}"'))
    assert shared(first, place.file("b", ('"b/database"', f'"{other}"'))) == setting


@pytest.mark.parametrize(
    ("one", "other", "setting"),
    [
        ("s3://bucket/one", "s3://bucket/two", ""),
        ("s3://bucket/one", "s3://bucket/one2", ""),
        ("s3://bucket/one", "s3://other/one", ""),
        ("s3://bucket/one", "s3://bucket/one/", "vaults.objects"),
        ("s3://bucket/one/inside", "s3://bucket/one", "vaults.objects"),
        ("s3://bucket", "s3://bucket/one", "vaults.objects"),
    ],
)
def test_buckets(place: Place, one: str, other: str, setting: str) -> None:
    first = place.file("a", ('"a/objects"', f'"{one}"'))
    assert shared(first, place.file("b", ('"b/objects"', f'"{other}"'))) == setting


@pytest.mark.parametrize(
    ("one", "other", "setting"),
    [
        ("https://s3.example.se", "https://s3.example.org", ""),
        ("https://s3.example.se", "https://s3.example.se", "vaults.objects"),
    ],
)
def test_buckets_of_one_name_at_two_stores(place: Place, one: str, other: str, setting: str) -> None:
    def file(name: str, endpoint: str) -> Path:
        access = f'endpoint = "{endpoint}"\naccess_key = "k"\nsecret_file = "{name}/s3"\n'
        objects = f'objects = "{name}/objects"\n'
        made = place.file(name)
        whole = made.read_text().replace(objects, 'objects = "s3://bucket/one"\n')
        made.write_text(f"{whole}\n[vaults.s3]\n{access}")
        return made

    assert shared(file("a", one), file("b", other)) == setting


@pytest.mark.parametrize(
    ("key", "host", "setting"),
    [
        ("message_client_host", "a.example", "organisations.*_host"),
        ("message_client_host", "b.example", ""),
        ("governance_host", "a.example", "organisations.*_host"),
    ],
)
def test_a_host_is_one_installations_whatever_the_port(
    place: Place, key: str, host: str, setting: str
) -> None:
    files = place.file("a"), place.file("b")
    for file, (name, at) in zip(files, (("message_client_host", "a.example"), (key, host)), strict=True):
        role = "mk" if name.startswith("message") else "gov"
        file.write_text(file.read_text() + PAGES.format(role=role, key=name, host=at))
    assert shared(*files) == setting


def test_the_same_issuer_of_access_points_would_let_in_those_of_the_other(place: Place) -> None:
    assert shared(place.file("a"), place.file("b", issuer="a")) == "federation.trust"


def test_the_same_key_of_an_access_point_is_found_whoever_has_certified_it(place: Place) -> None:
    files = place.file("a"), place.file("b")
    first, second = place.key("a", "a"), place.key("b", "b")
    second.write_bytes(first.read_bytes())
    assert shared(*files) == "vaults.secrets"


def test_of_three_the_two_are_named(place: Place) -> None:
    files = [place.file("a"), place.file("b")]
    third = place.folder / "c.toml"
    third.write_text(files[1].read_text())
    claims = [claims_of(load(file), file) for file in (*files, third)]
    with pytest.raises(InstallationsConflict) as caught:
        require_no_conflicts(claims)
    text = "federation.identifier: both are in the same federation and environment"
    assert str(caught.value) == f"{files[1]} and {third}: {text}"


def test_installations_are_called_by_the_names_of_their_files(place: Place) -> None:
    assert [one.name for one in read_installations([place.file("a"), place.file("b")])] == ["a", "b"]


def test_files_of_the_same_name_are_told_by_their_folders(place: Place) -> None:
    files = [place.file("a"), place.file("b", ("b/", "../b/"))]
    (place.folder / "x").mkdir()
    moved = files[1].rename(place.folder / "x/a.toml")
    assert [one.name for one in read_installations([files[0], moved])] == [str(files[0]), str(moved)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            ("sml_zone", "zone"),
            "b.toml: federation.sml_zone: is missing"
            " (line 5; and 1 more, see samdrift config check {folder}/b.toml)",
        ),
        (('trust = "b/trust"', 'trust = "b"'), "b.toml: no certificate for access-point"),
        (('"b/database"', '"postgresql://[::1/x"'), "b.toml: the URL of the database cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(place: Place, change: tuple[str, str], text: str) -> None:
    with pytest.raises(Unusable) as caught:
        read_installations([place.file("a"), place.file("b", change)])
    assert str(caught.value) == f"{place.folder}/{text.format(folder=place.folder)}"


def test_a_file_that_is_not_there_is_named_once(place: Place) -> None:
    with pytest.raises(Unusable) as caught:
        read_installations([place.file("a"), place.folder / "none.toml"])
    assert str(caught.value) == f"{place.folder}/none.toml: there is no such file"


def test_one_credential_is_not_for_two(place: Place) -> None:
    """A supervisor passes all of its credentials on to all of its processes."""
    changes = [
        (f'passphrase_file = "{name}/passphrase"', 'passphrase_credential = "passphrase"') for name in "ab"
    ]
    files = [place.file(name, change) for name, change in zip("ab", changes, strict=True)]
    assert shared(*files) == "vaults.passphrase_credential"
