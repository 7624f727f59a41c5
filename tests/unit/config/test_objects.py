"""A bucket of an S3 store in the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.installation.objectplace import database_in_words, object_place
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.settings import S3Settings
from tests.secretfiles import secret_file
from tests.unit.config.test_reader import GOOD, write

BUCKET = GOOD.replace('objects = "objects"', 'objects = "s3://bodies/production"')
STORE = '\n[vaults.s3]\naccess_key = "GK31"\nendpoint = "https://s3.example.se/"\n'
FILE = STORE + 'secret_file = "s3-secret"\n'
SECRET = "b892c0665f0ada8a4755dae98baa3b13"


@pytest.mark.parametrize(
    ("database", "place"),
    [
        (Path("/srv/database"), "/srv/database"),
        ("postgresql://samdrift@db.example.se:5433/samdrift?sslmode=verify-full", "db.example.se:5433"),
        (
            "postgresql://samdrift@a.example.se:5432,b.example.se:5432/samdrift",
            "a.example.se:5432,b.example.se:5432",
        ),
        ("postgresql:///samdrift?host=/run/postgresql&user=samdrift", "/run/postgresql"),
        ("postgresql:///samdrift?user=samdrift", "localhost"),
    ],
)
def test_a_database_is_named_by_its_place_and_nothing_else(database: Path | str, place: str) -> None:
    assert database_in_words(database) == place


def test_a_bucket_has_its_key_beside_it_and_the_secret_in_a_file(tmp_path: Path) -> None:
    secret_file(tmp_path / "passphrase", "open sesame")
    secret_file(tmp_path / "s3-secret", f"{SECRET}\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f'{BUCKET}{FILE}region = "se-1"\ntls_issuers = "ca.pem"\nbucket_in_host = true\n'
    settings = vault_settings(load(write(tmp_path, text)))
    assert settings.objects == S3Settings(
        "s3://bodies/production",
        "GK31",
        SECRET,
        "https://s3.example.se",
        "se-1",
        b"-----BEGIN CERTIFICATE-----\n",
        bucket_in_host=True,
    )
    assert SECRET not in repr(settings)


def test_the_secret_comes_from_a_credential_of_systemd(tmp_path: Path) -> None:
    config = load(write(tmp_path, f'{BUCKET}{STORE}secret_credential = "s3"\n'))
    (tmp_path / "s3").write_text(SECRET)
    place = object_place(config.vaults, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert isinstance(place, S3Settings)
    assert place.secret == SECRET
    with pytest.raises(ConfigError, match="start it by systemd"):
        object_place(config.vaults, {})


def test_a_secret_that_is_missing_empty_or_for_all_to_read_is_said_so(tmp_path: Path) -> None:
    config = load(write(tmp_path, BUCKET + FILE))

    def fault() -> str:
        with pytest.raises(ConfigError) as caught:
            object_place(config.vaults, {})
        assert SECRET not in str(caught.value)
        return str(caught.value)

    assert fault() == "vaults.s3.secret_file: cannot be read: no such file or directory"
    secret_file(tmp_path / "s3-secret", " \n")
    assert fault() == "vaults.s3.secret_file: the secret is empty"
    (tmp_path / "s3-secret").write_text(SECRET)
    (tmp_path / "s3-secret").chmod(0o644)
    assert fault() == "vaults.s3.secret_file: users other than its owner can read or write it: chmod 600"
    (tmp_path / "s3-secret").chmod(0o600)
    (tmp_path / "s3-secret").write_bytes(b"\xff")
    assert fault() == "vaults.s3.secret_file: is not text in ASCII"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (BUCKET + STORE, "vaults.s3.secret_file"),
        (BUCKET + FILE + 'secret_credential = "s3"\n', "vaults.s3.secret_file"),
        (BUCKET + FILE.replace("https://", "http://"), "vaults.s3.endpoint"),
        (BUCKET + FILE.replace("https://", "https://GK31:secret@"), "vaults.s3.endpoint"),
        (BUCKET + FILE.replace("s3.example.se/", "s3.example.se:x"), "vaults.s3.endpoint"),
        (BUCKET + FILE.replace("https://s3.example.se/", "s3.example.se"), "vaults.s3.endpoint"),
        (BUCKET + FILE + 'secret = "b892"\n', "vaults.s3.secret"),
        (BUCKET.replace("s3://", "s3://GK31:secret@") + FILE, "vaults.objects"),
        (BUCKET.replace("s3://bodies", "gs://bodies") + FILE, "vaults.objects"),
        (BUCKET.replace("s3://bodies/production", "s3:///production") + FILE, "vaults.objects"),
        (GOOD + FILE, "vaults.s3"),
        (BUCKET + FILE + '\n[isolation]\nlevel = "process"\n', "vaults.objects"),
    ],
)
def test_what_is_wrong_about_a_bucket_is_found_where_it_stands(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert caught.value.where == where
    assert "secret@" not in str(caught.value)


def test_a_store_without_tls_is_on_this_machine(tmp_path: Path) -> None:
    text = BUCKET + FILE.replace("https://s3.example.se/", "http://127.0.0.1:3900")
    store = load(write(tmp_path, text)).vaults.s3
    assert store is not None
    assert store.endpoint == "http://127.0.0.1:3900"
