"""Organisations' tokens in the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.config.hsm import HsmConfig, HsmTokenConfig, hsm_settings
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.secretfiles import secret_file
from tests.unit.config.test_reader import GOOD, write

HABO = ParticipantIdentifier("0203:habo.se")
MULLSJO = ParticipantIdentifier("0203:mullsjo.se")
LIBRARY = '\n[vaults.hsm]\nmodule = "/usr/lib/softhsm/libsofthsm2.so"\n'
TOKEN = '\n[organisations.hsm]\nlabel = "habo"\n'
OTHER = '\n[[organisations]]\nidentifier = "0203:mullsjo.se"\nname = "Mullsjö"\nroles = ["ap"]\n'


def test_one_organisation_has_a_token_and_another_has_none(tmp_path: Path) -> None:
    secret_file(tmp_path / "passphrase", "open sesame")
    text = f'{GOOD}{TOKEN}pin_file = "habo.pin"\n{OTHER}{LIBRARY}'
    settings = vault_settings(load(write(tmp_path, text))).tokens
    access = HsmAccess("habo", tmp_path / "habo.pin")
    assert settings == HsmSettings(Path("/usr/lib/softhsm/libsofthsm2.so"), {HABO: access})


def test_a_pin_comes_from_a_credential_of_systemd(tmp_path: Path) -> None:
    settings = hsm_settings(
        HsmConfig(Path("/lib.so")),
        {HABO: HsmTokenConfig("habo", pin_credential="habo-pin")},
        {"CREDENTIALS_DIRECTORY": str(tmp_path)},
    )
    assert settings is not None
    assert settings.tokens[HABO].pin_file == tmp_path / "habo-pin"


def test_a_pin_may_be_told_by_an_officer_alone() -> None:
    settings = hsm_settings(HsmConfig(Path("/lib.so")), {HABO: HsmTokenConfig("habo"), MULLSJO: None})
    assert settings == HsmSettings(Path("/lib.so"), {HABO: HsmAccess("habo", None)})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (GOOD + TOKEN, "vaults.hsm"),
        (GOOD + TOKEN + OTHER + TOKEN + LIBRARY, "organisations[1].hsm.label"),
        (GOOD + TOKEN + 'pin = "1234"\n' + LIBRARY, "organisations[0].hsm.pin"),
        (GOOD + TOKEN.replace("habo", "h" * 33) + LIBRARY, "organisations[0].hsm.label"),
        (GOOD + TOKEN.replace("habo", " ") + LIBRARY, "organisations[0].hsm.label"),
        (GOOD + TOKEN + 'pin_credential = "../pin"\n' + LIBRARY, "organisations[0].hsm.pin_credential"),
        (
            GOOD + TOKEN + 'pin_credential = "pin"\npin_file = "pin"\n' + LIBRARY,
            "organisations[0].hsm.pin_credential",
        ),
        (GOOD + "\n[vaults.hsm]\n", "vaults.hsm.module"),
        (GOOD + LIBRARY + "slot = 1\n", "vaults.hsm.slot"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(write(tmp_path, text))
    assert raised.value.where == where
