"""Sources of the passphrase of the key store, and the error when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.cli.persons import passphrase
from samdrift.config.errors import Unusable
from samdrift.config.model import VaultConfig
from samdrift.config.passphrase import read_passphrase, read_secret
from samdrift.config.toml import ConfigError
from tests.secretfiles import secret_file


def vaults(folder: Path, file: Path | None = None, credential: str = "") -> VaultConfig:
    return VaultConfig(folder, folder, folder, folder, file, credential)


def test_it_stands_in_a_file_or_is_handed_over_by_systemd(tmp_path: Path) -> None:
    secret_file(tmp_path / "it", " open sesame\n")
    assert read_passphrase(vaults(tmp_path, tmp_path / "it"), {}) == b"open sesame"
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_passphrase(vaults(tmp_path, credential="it"), credentials) == b"open sesame"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_read_or_write_opens_nothing(tmp_path: Path, mode: int) -> None:
    """Anyone with a login on the host would have the passphrase, or could replace it."""
    file = secret_file(tmp_path / "it", "open sesame")
    file.chmod(mode)
    with pytest.raises(Unusable, match="users other than its owner can read or write it"):
        read_passphrase(vaults(tmp_path, file), {})
    with pytest.raises(Unusable, match="users other than its owner can read or write it"):
        passphrase("Passphrase of anna", file)
    file.chmod(0o400)
    assert read_passphrase(vaults(tmp_path, file), {}) == b"open sesame"
    assert passphrase("Passphrase of anna", file) == b"open sesame"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    secret_file(tmp_path / "empty", "\n")
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for config, environment, complaint in (
        (vaults(tmp_path, tmp_path / "it"), {}, "vaults.passphrase_file: there is no passphrase"),
        (vaults(tmp_path, tmp_path / "empty"), {}, "vaults.passphrase_file: the passphrase is empty"),
        (
            vaults(tmp_path, credential="it"),
            credentials,
            "vaults.passphrase_credential: there is no passphrase",
        ),
        (vaults(tmp_path, credential="it"), {}, "vaults.passphrase_credential: no credentials were passed"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            read_passphrase(config, environment)


def test_a_secret_for_another_service_is_its_owners_alone(tmp_path: Path) -> None:
    """One example is the secret with which the installation authenticates to a sign-in service."""
    file = secret_file(tmp_path / "login.secret", " words\n")
    assert read_secret(file, "sign_in.secret_file") == "words"

    def fault() -> str:
        with pytest.raises(ConfigError) as caught:
            read_secret(file, "sign_in.secret_file")
        return str(caught.value)

    for mode in (0o640, 0o604, 0o620, 0o602):
        file.chmod(mode)
        assert fault() == "sign_in.secret_file: users other than its owner can read or write it: chmod 600"
    file.chmod(0o600)
    file.write_bytes(b"\xff")
    assert fault() == "sign_in.secret_file: is not text"
    file.write_bytes(b" \n")
    assert fault() == "sign_in.secret_file: is empty"
    file.unlink()
    assert fault() == "sign_in.secret_file: cannot be read: no such file or directory"
