"""Message clients in the configuration: read strictly, watched, and no one's mail forgotten."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from samdrift.config.model import MessageClientConfig
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.contracts.messageclients import Scope, patterns
from samdrift.installation import messageclients
from samdrift.installation.messageclients import check_routing, registered, registrations
from samdrift.net.issuers import KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import Algorithm
from tests.unit.config.test_reader import GOOD, write
from tests.unit.messageservice.oauth.scene import curve_key, jwk_set

HABO = ParticipantIdentifier.parse("0203:habo.se")
FIRST = "organisations[0].message_clients[0]"
ISSUER = "organisations[0].external_issuer"
SERVICE = 'retry_seconds = 7\naddress_d = "https://sdk.example/"'
CLIENT = """
[[organisations.message_clients]]
id = "journal"
keys = "journal.json"
addresses = ["*.0203:habo.se"]
scopes = ["urn:sdk.api:sendMessage", "urn:sdk.api:getMessage"]
"""
DESK = """
[[organisations.message_clients]]
id = "desk"
keys = "https://desk.example/keys"
tls_issuers = "inner.pem"
scopes = ["urn:sdk.api:getMessage"]
default = true
"""
EXTERNAL = """
[organisations.external_issuer]
issuer = "https://idp.example/sdk"
algorithms = ["PS256"]
token_type = "JWT"
"""
OTHER = """
[[organisations]]
identifier = "0203:mullsjo.se"
name = "Mullsjö"
roles = ["mt"]
access_point = "https://localhost:8444"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal.json").write_bytes(jwk_set(curve_key(1)))
    (tmp_path / "inner.pem").touch()
    return tmp_path


def text(*more: str) -> str:
    return GOOD.replace("retry_seconds = 7", SERVICE) + "".join(more)


def test_clients_and_their_issuer_are_read(folder: Path) -> None:
    config = load(write(folder, text(CLIENT, DESK, EXTERNAL)))
    (one,) = config.organisations
    assert one.message_clients == (
        MessageClientConfig(
            "journal",
            patterns(["*.0203:habo.se"]),
            frozenset({Scope.SEND, Scope.READ}),
            folder / "journal.json",
        ),
        MessageClientConfig(
            "desk",
            (),
            frozenset({Scope.READ}),
            KeysAt("https://desk.example/keys", folder / "inner.pem"),
            default=True,
        ),
    )
    read = registrations(config).of(HABO)
    assert read.external is not None
    assert read.external.audience == "https://sdk.example"
    assert (read.external.algorithms, read.external.token_type) == (frozenset({Algorithm.PS256}), "jwt")
    assert read.routing.others("desk") == patterns(["*.0203:habo.se"])


def test_a_client_without_keys_is_vouched_for_by_the_organisations_server(folder: Path) -> None:
    keyless = CLIENT.replace('keys = "journal.json"\n', "")
    config = load(write(folder, text(keyless, EXTERNAL)))
    assert registrations(config).of(HABO).clients["journal"].keys is None
    with pytest.raises(ConfigError, match="external_issuer") as caught:
        load(write(folder, text(keyless)))
    assert caught.value.where == f"{FIRST}.keys"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("scopes =", "scope ="), f"{FIRST}.scopes"),
        (("urn:sdk.api:getMessage", "urn:sdk.api:everything"), f"{FIRST}.scopes"),
        (('["urn:sdk.api:sendMessage", "urn:sdk.api:getMessage"]', "[]"), f"{FIRST}.scopes"),
        (('addresses = ["*.0203:habo.se"]', ""), f"{FIRST}.addresses"),
        (('["*.0203:habo.se"]', '["a*b*"]'), f"{FIRST}.addresses"),
        (('["*.0203:habo.se"]', "[]"), f"{FIRST}.addresses"),
        (('id = "journal"', 'id = "jour nal"'), f"{FIRST}.id"),
        (('id = "journal"', 'id = "desk"'), "organisations[0].message_clients"),
        (('id = "journal"', 'id = "journal"\ndefault = true'), "organisations[0].message_clients"),
        (('keys = "journal.json"', 'keys = "http://journal.example/keys"'), f"{FIRST}.keys"),
        (
            ('keys = "journal.json"', 'keys = "journal.json"\ntls_issuers = "inner.pem"'),
            f"{FIRST}.tls_issuers",
        ),
        (('roles = ["ap", "mt"]', 'roles = ["ap"]'), "organisations[0].message_clients"),
        (('address_d = "https://sdk.example/"', ""), "message_service.address_d"),
        (('"https://sdk.example/"', '"http://sdk.example"'), "message_service.address_d"),
        (('"https://sdk.example/"', '"https://sdk.example/api"'), "message_service.address_d"),
        (
            ('"https://sdk.example/"', '"https://sdk.example"\ntoken_seconds = 1801'),
            "message_service.token_seconds",
        ),
        (('"https://idp.example/sdk"', '"http://idp.example/sdk"'), f"{ISSUER}.issuer"),
        (('"https://idp.example/sdk"', '"https://sdk.example/v1/oauth2/x"'), f"{ISSUER}.issuer"),
        (('["PS256"]', '["HS256"]'), f"{ISSUER}.algorithms"),
        (('["PS256"]', '["none"]'), f"{ISSUER}.algorithms"),
        (('["PS256"]', "[]"), f"{ISSUER}.algorithms"),
        (('token_type = "JWT"', 'keys = "keys.json"'), f"{ISSUER}.keys"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(folder: Path, change: tuple[str, str], where: str) -> None:
    good = text(CLIENT, DESK, EXTERNAL)
    load(write(folder, good))
    assert change[0] in good
    with pytest.raises(ConfigError) as caught:
        load(write(folder, good.replace(*change)))
    assert caught.value.where == where


def test_one_authorisation_server_is_for_one_organisation(folder: Path) -> None:
    with pytest.raises(ConfigError, match="another organisation"):
        load(write(folder, text(EXTERNAL, OTHER, EXTERNAL)))


@pytest.mark.parametrize("content", [b"", b"{}", curve_key(1).as_pem(private=True)])
def test_a_key_file_that_cannot_be_used_is_named(folder: Path, content: bytes) -> None:
    config = load(write(folder, text(CLIENT)))
    (folder / "journal.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"journal\.json"):
        registrations(config)
    (folder / "journal.json").unlink()
    with pytest.raises(ConfigError, match=r"journal\.json"):
        registrations(config)


def test_a_bundle_that_is_not_there_is_named(folder: Path) -> None:
    config = load(write(folder, text(DESK)))
    (folder / "inner.pem").unlink()
    with pytest.raises(ConfigError, match=r"inner\.pem"):
        registrations(config)


# --- no message lies where nobody looks -----------------------------------------------------------------

ELSEWHERE = CLIENT.replace("*.0203:habo.se", "*.skola")


def test_production_refuses_to_leave_an_address_to_nobody(folder: Path) -> None:
    def check(*clients: str) -> None:
        production = text(*clients).replace('environment = "test"', 'environment = "production"')
        check_routing(load(write(folder, production.replace("federation:test", "federation:sdk"))))

    with pytest.raises(ConfigError, match=r"sdk\.soc\.0203:habo\.se") as caught:
        check(ELSEWHERE)
    assert caught.value.where == "organisations[0].message_clients"
    check(ELSEWHERE, DESK)
    check(CLIENT)
    check()


def test_elsewhere_it_is_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_routing(load(write(folder, text(ELSEWHERE))))
    assert "no client receives" in caplog.text


# --- without a restart ----------------------------------------------------------------------------------


class Watched:
    """Registrations over a file."""

    def __init__(self, folder: Path, content: str) -> None:
        self.folder = folder
        self.registrations = registered(load(write(folder, content)))

    def change(self, content: str) -> None:
        self._touched(write(self.folder, content))

    def change_keys(self, content: bytes) -> None:
        (self.folder / "journal.json").write_bytes(content)
        self._touched(self.folder / "journal.json")

    def names(self) -> set[str]:
        return set(self.registrations().of(HABO).clients)

    def kids(self) -> list[str | None]:
        keys = self.registrations().of(HABO).clients["journal"].keys
        return [key.kid for key in keys]  # type: ignore[union-attr]

    def _touched(self, file: Path) -> None:
        """Change the file so that the change is seen, however coarse the file system's clock is."""
        later = file.stat().st_mtime_ns + 1_000_000
        os.utime(file, ns=(later, later))


@pytest.fixture
def watched(folder: Path) -> Callable[..., Watched]:
    return lambda *more: Watched(folder, text(*more))


def test_clients_come_and_go_without_a_restart(watched: Callable[..., Watched]) -> None:
    watch = watched(CLIENT)
    assert watch.names() == {"journal"}
    watch.change(text(CLIENT, DESK))
    assert watch.names() == {"journal", "desk"}
    watch.change(text(DESK))
    assert watch.names() == {"desk"}
    watch.change(text())
    assert watch.names() == set()


def test_a_clients_keys_are_replaced_without_a_restart(watched: Callable[..., Watched]) -> None:
    watch = watched(CLIENT)
    assert watch.kids() == ["ec-1"]
    watch.change_keys(jwk_set(curve_key(2)))
    assert watch.kids() == ["ec-2"]


def test_who_asks_for_one_organisation_has_no_other_ones_files_looked_at(
    watched: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [OTHER.replace("mullsjo", f"kommun{each}") + CLIENT for each in range(20)]
    watch = watched(CLIENT, *others)
    looked: list[Path] = []
    state = messageclients.file_state

    def noted(file: Path) -> tuple[int, int, int] | None:
        looked.append(file)
        return state(file)

    monkeypatch.setattr(messageclients, "file_state", noted)
    assert watch.names() == {"journal"}
    assert [file.name for file in looked] == ["samdrift.toml", "journal.json"]


def test_a_key_file_that_cannot_be_read_holds_up_no_other_organisations(
    watched: Callable[..., Watched], folder: Path
) -> None:
    (folder / "other.json").write_bytes(jwk_set(curve_key(2)))
    watch = watched(CLIENT, OTHER, CLIENT.replace("journal.json", "other.json"))
    (folder / "other.json").write_bytes(b"no key")
    watch.change_keys(jwk_set(curve_key(3)))
    assert watch.kids() == ["ec-3"]


def test_what_cannot_be_used_changes_nothing_and_is_told(
    watched: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watch = watched(CLIENT)
    for broken in (
        text(CLIENT.replace("scopes", "scope")),
        "not TOML",
        text(CLIENT.replace("journal.json", "new.json")),
    ):
        caplog.clear()
        watch.change(broken)
        assert watch.names() == {"journal"}
        assert "stays in use" in caplog.text
        watch.names()  # The new file may name other key files, which are watched from the next look on.
        caplog.clear()
        assert watch.names() == {"journal"}
        assert not caplog.text, "each change must be logged only once"
    (watch.folder / "new.json").write_bytes(jwk_set(curve_key(3)))
    assert watch.kids() == ["ec-3"]


def test_a_client_is_removed_also_when_its_addresses_are_then_nobodys(
    watched: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    watch = watched(CLIENT, DESK.replace("default = true", 'addresses = ["x"]'))
    watch.change(text(DESK.replace("default = true", 'addresses = ["x"]')))
    assert watch.names() == {"desk"}
    assert "no client receives" in caplog.text
