"""A configuration that is not understood completely is not used at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samdrift.config.addressbook import AddressBookConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import DomibusConfig, Environment, FederationConfig, MetricsConfig, SocketAddress
from samdrift.config.organisations import DEMONSTRATION_LEVEL
from samdrift.config.reader import examine, load
from samdrift.config.roles import AccessPointConfig, MessageServiceConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.installation.rolesettings import access_point_settings
from samdrift.net.clamd import ClamdAddress
from samdrift.net.directories import LdapSecurity
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import AS4_1_0, AS4_1_2
from tests.unit.cli.commandline import in_process

GOOD = """
environment = "test"
inner_issuers = "inner.pem"

[federation]
identifier = "urn:fdc:digg.se:edelivery:federation:test"
sml_zone = "sml.example"
trust = "trust"

[vaults]
database = "postgresql://db.example/samdrift"
objects = "objects"
secrets = "secrets"
passphrase_file = "passphrase"

[access_point]
party = "AP0001-SDK-TEST"
message_id_domain = "ap.example"
listen = "127.0.0.1:8443"
listen_c = "[::1]:8444"
lease_seconds = 20

[message_service]
retry_seconds = 7

[malware]
scanner = "clamd"
socket = "clamd.sock"

[[organisations]]
identifier = "0203:habo.se"
name = "Håbo kommun"
roles = ["ap", "mt"]
functional_addresses = ["sdk.soc.0203:habo.se"]
access_point = "https://localhost:8444"
[organisations.clients]
mt = "00ff"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "samdrift.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_configuration_is_read_with_paths_from_its_folder(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert config.environment is Environment.TEST
    assert config.federation.trust == tmp_path / "trust"
    assert config.vaults.database == "postgresql://db.example/samdrift"
    assert config.vaults.seals == tmp_path / "seals"
    assert config.access_point is not None
    assert (config.access_point.listen_c.host, config.access_point.listen_c.port) == ("::1", 8444)
    assert config.access_point.lease_seconds == 20
    assert config.message_service == MessageServiceConfig(retry_seconds=7)
    assert config.organisations[0].clients == {"mt": "00ff"}


def test_settings_that_are_left_out_are_the_defaults_of_their_type(tmp_path: Path) -> None:
    text = GOOD.replace("lease_seconds = 20", "").replace("retry_seconds = 7", "")
    config = load(write(tmp_path, text))
    own = config.access_point
    assert own is not None
    assert own == AccessPointConfig(own.party, own.message_id_domain, own.listen, own.listen_c)
    assert config.message_service == MessageServiceConfig()
    federation = config.federation
    assert federation == FederationConfig(federation.identifier, federation.sml_zone, federation.trust)


def test_the_values_of_a_transport_profile_can_be_set(tmp_path: Path) -> None:
    """The text of 1.2 was not available, and third parties' accounts of it may be wrong."""
    told = GOOD.replace(
        "[message_service]",
        f"""[access_point.transport_profiles.{AS4_1_2.identifier}]
initiator_role = "urn:initiator"
responder_role = "urn:responder"
party_type = "urn:party"
property_type = "urn:property"
security_timestamp = true

[message_service]""",
    )
    own = load(write(tmp_path, told)).access_point
    assert own is not None
    changed = replace(
        AS4_1_2,
        initiator_role="urn:initiator",
        responder_role="urn:responder",
        party_type="urn:party",
        property_type="urn:property",
        security_timestamp=True,
    )
    assert own.profiles == (AS4_1_0, changed)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("digg-transport-as4-v9_9", "access_point.transport_profiles.digg-transport-as4-v9_9"),
        (AS4_1_0.identifier, f"access_point.transport_profiles.{AS4_1_0.identifier}.role"),
    ],
)
def test_what_is_set_of_a_transport_profile_is_one_that_is_used_and_known(
    tmp_path: Path, name: str, where: str
) -> None:
    told = GOOD.replace(
        "[message_service]", f'[access_point.transport_profiles.{name}]\nrole = "x"\n[message_service]'
    )
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, told))
    assert caught.value.where == where


def test_transport_profiles_are_those_of_1_0_and_1_2_in_this_order_unless_told(tmp_path: Path) -> None:
    told = GOOD.replace("lease_seconds = 20", f'profiles = ["{AS4_1_0.identifier}"]')
    for text, profiles in ((GOOD, (AS4_1_0, AS4_1_2)), (told, (AS4_1_0,))):
        own = load(write(tmp_path, text)).access_point
        assert own is not None
        assert own.profiles == profiles


def test_peers_that_get_a_security_timestamp_are_named_and_none_is_unless_told(tmp_path: Path) -> None:
    told = GOOD.replace("lease_seconds = 20", 'timestamp_peers = ["AP0040-SDK-PROD"]')
    for text, peers in ((GOOD, ()), (told, ("AP0040-SDK-PROD",))):
        config = load(write(tmp_path, text))
        assert config.access_point is not None
        settings = access_point_settings(config, config.access_point)
        assert settings.timestamp_peers == frozenset(peers)


def test_a_role_without_a_table_does_not_run(tmp_path: Path) -> None:
    text = GOOD.replace("[message_service]\nretry_seconds = 7", "")
    assert load(write(tmp_path, text)).message_service is None


def test_an_organisation_number_is_read_with_and_without_its_hyphen(tmp_path: Path) -> None:
    for number in ("212000-0241", "2120000241"):
        text = GOOD.replace("functional", f'number = "{number}"\nfunctional')
        assert load(write(tmp_path, text)).organisations[0].number == "2120000241"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (('party = "AP0001-SDK-TEST"', ""), "access_point.party"),
        (("lease_seconds = 20", "lease_seconds = 0"), "access_point.lease_seconds"),
        (("lease_seconds = 20", "clock_seconds = -1"), "access_point.clock_seconds"),
        (("retry_seconds = 7", "retry_second = 7"), "message_service.retry_second"),
        (("retry_seconds = 7", "retry_seconds = true"), "message_service.retry_seconds"),
        (("sml_zone =", "sml_zon ="), "federation.sml_zone"),
        (('objects = "objects"', 'objects = "objects"\nobject = "x"'), "vaults.object"),
        (('passphrase_file = "passphrase"', ""), "vaults.passphrase_file"),
        (("passphrase_file =", 'passphrase_credential = "key"\npassphrase_file ='), "vaults.passphrase_file"),
        (
            ('passphrase_file = "passphrase"', 'passphrase_credential = "../key"'),
            "vaults.passphrase_credential",
        ),
        (("passphrase_file =", 'seals = "secrets/seals"\npassphrase_file ='), "vaults.seals"),
        (("passphrase_file =", 'seals = "."\npassphrase_file ='), "vaults.seals"),
        (('roles = ["ap", "mt"]', 'roles = ["ap", "mk2"]'), "organisations[0].roles"),
        (('"0203:habo.se"\nname', '"habo.se"\nname'), "organisations[0].identifier"),
        (("functional", 'number = "21200002"\nfunctional'), "organisations[0].number"),
        (('listen = "127.0.0.1:8443"', 'listen = "8443"'), "access_point.listen"),
        (("lease_seconds = 20", "profiles = []"), "access_point.profiles"),
        (("lease_seconds = 20", 'profiles = ["digg-transport-as4-v9_9"]'), "access_point.profiles"),
        (
            ("lease_seconds = 20", f'profiles = ["{AS4_1_0.identifier}", "{AS4_1_0.identifier}"]'),
            "access_point.profiles",
        ),
        (('environment = "test"', 'environment = "prod"'), "environment"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(tmp_path: Path, change: tuple[str, str], where: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, GOOD.replace(*change)))
    assert caught.value.where == where


DOMIBUS = """
[organisations.domibus]
url = "https://domibus.example/domibus/services/wsplugin"
party = "AP0007-SDK-TEST"
message_id_domain = "meddelanden.habo.se"
user = "habo"
password_file = "password"
"""
AT_DOMIBUS = GOOD.replace('access_point = "https://localhost:8444"\n', "") + DOMIBUS


def test_an_access_point_may_be_a_domibus(tmp_path: Path) -> None:
    own = load(write(tmp_path, AT_DOMIBUS + 'issuers = "domibus.pem"\npoll_seconds = 2\n')).organisations[0]
    assert own.access_point == ""
    assert own.domibus == DomibusConfig(
        url="https://domibus.example/domibus/services/wsplugin",
        party="AP0007-SDK-TEST",
        message_id_domain="meddelanden.habo.se",
        issuers=tmp_path / "domibus.pem",
        user="habo",
        password_file=tmp_path / "password",
        poll_seconds=2,
    )


def test_at_a_domibus_the_client_certificate_may_be_the_login(tmp_path: Path) -> None:
    text = AT_DOMIBUS.replace('user = "habo"\npassword_file = "password"\n', "")
    own = load(write(tmp_path, text)).organisations[0].domibus
    assert own is not None
    assert (own.user, own.password_file, own.issuers, own.poll_seconds) == ("", None, None, 5)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("https://domibus", "http://domibus"), "url"),
        (("https://domibus.example/", "https://habo:secret@domibus.example/"), "url"),
        (('party = "AP0007-SDK-TEST"', ""), "party"),
        (("meddelanden.habo.se", "@habo.se"), "message_id_domain"),
        (('user = "habo"\n', 'user = "ha:bo"\n'), "user"),
        (('user = "habo"\n', ""), "user"),
        (('password_file = "password"', ""), "password_file"),
        (('password_file = "password"', 'password = "secret"'), "password"),
        (('password_file = "password"', 'password_file = "password"\npoll_seconds = 0'), "poll_seconds"),
    ],
)
def test_what_is_wrong_with_a_domibus_is_named(tmp_path: Path, change: tuple[str, str], where: str) -> None:
    assert AT_DOMIBUS.count(change[0]) == 1
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, AT_DOMIBUS.replace(*change)))
    assert caught.value.where == f"organisations[0].domibus.{where}"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (GOOD + DOMIBUS, "organisations[0].domibus", "one of them"),
        (AT_DOMIBUS.replace(DOMIBUS, ""), "organisations[0].access_point", "is missing"),
        (AT_DOMIBUS.replace('roles = ["ap", "mt"]', 'roles = ["ap"]'), "organisations[0].domibus", "role mt"),
    ],
)
def test_a_message_service_has_one_access_point(tmp_path: Path, text: str, where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load(write(tmp_path, text))
    assert caught.value.where == where


def test_metrics_are_off_unless_they_are_asked_for(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD)).metrics is None
    asked = load(write(tmp_path, GOOD + '[metrics]\nlisten = "127.0.0.1:9100"\n')).metrics
    assert asked == MetricsConfig(SocketAddress("127.0.0.1", 9100))
    assert not asked.per_organisation, "invariant 9: metrics do not name organisations by default"


@pytest.mark.parametrize("address", ["127.0.0.2:9100", "[::1]:9100"])
def test_metrics_are_told_on_loopback(tmp_path: Path, address: str) -> None:
    assert load(write(tmp_path, f'{GOOD}[metrics]\nlisten = "{address}"\n')).metrics is not None


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9100", "[::]:9100", "192.0.2.1:9100", "localhost:9100", ":9100"]
)
def test_metrics_are_told_nowhere_else(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="loopback") as caught:
        load(write(tmp_path, f'{GOOD}[metrics]\nlisten = "{address}"\n'))
    assert caught.value.where == "metrics.listen"


def test_interface_d_is_nowhere_unless_it_is_asked_for(tmp_path: Path) -> None:
    own = load(write(tmp_path, GOOD)).message_service
    assert own is not None
    assert own.listen_d is None
    told = GOOD.replace("retry_seconds = 7", 'listen_d = "[::1]:8445"\naddress_d = "https://d.example"')
    own = load(write(tmp_path, told)).message_service
    assert own is not None
    assert own.listen_d == SocketAddress("::1", 8445)


def test_interface_d_has_an_address_that_clients_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, GOOD.replace("retry_seconds = 7", 'listen_d = "[::1]:8445"')))
    assert caught.value.where == "message_service.address_d"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")


REAL = GOOD.replace('environment = "test"', 'environment = "production"').replace(
    "federation:test", "federation:sdk"
)
CLAMD = 'scanner = "clamd"\nsocket = "clamd.sock"'


def test_a_production_configuration_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path, REAL)).environment is Environment.PRODUCTION


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("[vaults]", 'name_servers = ["127.0.0.1:5353"]\n[vaults]'), "federation.name_servers"),
        (("[vaults]", "private_addresses = true\n[vaults]"), "federation.private_addresses"),
        (("federation:sdk", "federation:test"), "federation.identifier"),
        (("urn:fdc:digg.se:edelivery:federation:sdk", "urn:own"), "federation.identifier"),
        ((CLAMD, 'scanner = "none"'), "malware.scanner"),
        (("[malware]", '[address_book]\nurl = "http://b"\nfile = "c"\n[malware]'), "address_book.url"),
    ],
)
def test_invariant_12_production_refuses_what_is_for_demonstration(
    tmp_path: Path, change: tuple[str, str], where: str
) -> None:
    assert change[0] in REAL
    with pytest.raises(ConfigError, match=r"production|federation") as caught:
        load(write(tmp_path, REAL.replace(*change)))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("clamd.sock", ClamdAddress(Path("clamd.sock"))),
        ("/run/clamav/clamd:1.ctl", ClamdAddress(Path("/run/clamav/clamd:1.ctl"))),
        ("127.0.0.1:3310", ClamdAddress(host="127.0.0.1", port=3310)),
        ("[::1]:3310", ClamdAddress(host="::1", port=3310)),
    ],
)
def test_the_scanner_is_on_this_host(tmp_path: Path, text: str, address: ClamdAddress) -> None:
    malware = load(write(tmp_path, GOOD.replace("clamd.sock", text))).malware
    if address.socket is not None:
        address = ClamdAddress(tmp_path / address.socket)
    assert malware == MalwareConfig(address)


def test_an_address_book_is_asked_only_where_one_is_named(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD)).address_book is None
    table = '[address_book]\nurl = "https://book.example"\nfile = "copy.json"\n'
    expected = AddressBookConfig("https://book.example", tmp_path / "copy.json")
    assert load(write(tmp_path, GOOD + table)).address_book == expected
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, f"{GOOD}{table}refresh = 1\n"))
    assert caught.value.where == "address_book.refresh"


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("", "malware"),
        ("[malware]\n", "malware.scanner"),
        ('[malware]\nscanner = "clam"\n', "malware.scanner"),
        ('[malware]\nscanner = "clamd"\n', "malware.socket"),
        ('[malware]\nscanner = "none"\nsocket = "x"\n', "malware.socket"),
        ('[malware]\nscanner = "clamd"\nsocket = "192.0.2.1:3310"\n', "malware.socket"),
        ('[malware]\nscanner = "clamd"\nsocket = "clamd.example:3310"\n', "malware.socket"),
        ('[malware]\nscanner = "clamd"\nsocket = "x"\nanswer_seconds = 0\n', "malware.answer_seconds"),
    ],
)
def test_what_scans_messages_is_said_clearly(tmp_path: Path, table: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, GOOD.replace(f"[malware]\n{CLAMD}\n", table)))
    assert caught.value.where == where


def test_that_nothing_is_scanned_can_be_said_outside_production(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD.replace(CLAMD, 'scanner = "none"'))).malware == MalwareConfig(None)


def part(identifier: str, part_of: str) -> str:
    return (
        f'[[organisations]]\nidentifier = "{identifier}"\nname = "En del"\nroles = ["ap"]\n'
        f'part_of = "{part_of}"\n'
    )


def test_an_under_organisation_belongs_to_an_organisation_and_that_to_none(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD + part("0203:energi.se", "0203:habo.se")))
    assert [str(one.part_of) for one in config.organisations] == ["None", "0203:habo.se"]
    assert load(write(tmp_path, GOOD + part("0203:energi.se", "0203:annan.se"))).organisations[1].part_of
    for text, words in (
        (GOOD + part("0203:energi.se", "0203:energi.se"), "is the organisation itself"),
        (
            GOOD + part("0203:energi.se", "0203:habo.se") + part("0203:nat.se", "0203:energi.se"),
            r"organisations\[2\].part_of: is an under-organisation",
        ),
        (GOOD + part("0203:energi.se", "habo"), r"organisations\[1\].part_of"),
    ):
        with pytest.raises(ConfigError, match=words):
            load(write(tmp_path, text))


FOUR = GOOD.replace(
    'roles = ["ap", "mt"]',
    """roles = ["ap", "mt", "mk", "gov"]
message_client_host = "habo.messages.example"
governance_host = "habo.governance.example"
""",
).replace(
    "[malware]",
    """[message_client]
listen = "192.0.2.11:443"

[governance]
listen = "192.0.2.12:443"

[malware]""",
)


def test_two_more_roles_run_where_they_have_a_table_each_organisation_at_a_host_of_its_own(
    tmp_path: Path,
) -> None:
    config, habo = load(write(tmp_path, FOUR)), ParticipantIdentifier("0203:habo.se")
    assert config.roles == set(Role)
    assert config.hosts(Role.MESSAGE_CLIENT) == {"habo.messages.example": habo}
    assert config.hosts(Role.GOVERNANCE) == {"habo.governance.example": habo}
    assert config.hosts(Role.ACCESS_POINT) == {}
    assert load(write(tmp_path, GOOD)).roles == {Role.ACCESS_POINT, Role.MESSAGE_SERVICE}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('message_client_host = "habo.messages.example"', ""), "the role mk needs one"),
        (('governance_host = "habo.governance.example"', ""), "the role gov needs one"),
        (("habo.governance.example", "habo.messages.example"), "the host of another organisation or role"),
        (("habo.governance.example", "Habo.governance.example"), "is not the name of a host"),
        (("habo.governance.example", "habo.governance.example:443"), "is not the name of a host"),
        (("habo.governance.example", "habo..example"), "is not the name of a host"),
        (("habo.governance.example", f"{'a' * 64}.example"), "is not the name of a host"),
        ((', "gov"]', "]"), "is for organisations with the role gov"),
    ],
)
def test_an_organisation_has_a_host_for_each_role_that_persons_reach_and_for_no_other(
    tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    assert change[0] in FOUR
    with pytest.raises(ConfigError, match=fault):
        load(write(tmp_path, FOUR.replace(*change)))


PAGES = GOOD.replace(
    'roles = ["ap", "mt"]', 'roles = ["ap", "mt", "mk"]\nmessage_client_host = "habo.test"'
).replace("[malware]", '[message_client]\nlisten = "127.0.0.1:8446"\n\n[malware]') + (
    "\n[organisations.sign_in]\n"
    'issuer = "https://login.habo.test"\nclient_id = "samdrift"\nsecret_file = "secret"\nlevels = ["loa3"]\n'
)


def test_sign_in_of_persons_is_read(tmp_path: Path) -> None:
    config = load(write(tmp_path, PAGES))
    sign_in = config.organisations[0].sign_in
    assert sign_in is not None
    assert (sign_in.issuer, sign_in.levels, sign_in.claims) == ("https://login.habo.test", ("loa3",), ())
    assert (sign_in.secret_file, sign_in.idle_seconds) == (tmp_path / "secret", 1800)
    assert config.message_client is not None
    assert config.message_client.public_port == 8446


SAML = PAGES.partition("[organisations.sign_in]")[0] + (
    '[organisations.saml]\nentity_id = "https://idp.habo.test"\nmetadata = "idp.xml"\nlevels = ["loa3"]\n'
)


def test_sign_in_by_saml_is_read(tmp_path: Path) -> None:
    saml = load(write(tmp_path, SAML)).organisations[0].saml
    assert saml is not None
    assert (saml.entity_id, saml.metadata, saml.encrypted) == (
        "https://idp.habo.test",
        tmp_path / "idp.xml",
        True,
    )
    signers = 'metadata = "https://federation.test/md"\nmetadata_signers = "federation.pem"'
    saml = load(write(tmp_path, SAML.replace('metadata = "idp.xml"', signers))).organisations[0].saml
    assert saml is not None
    assert (saml.metadata, saml.metadata_signers) == (
        "https://federation.test/md",
        tmp_path / "federation.pem",
    )


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ('levels = ["loa3"]', "levels = []", "saml.levels"),
        ("loa3", DEMONSTRATION_LEVEL, "saml.levels"),
        ('"idp.xml"', '"https://federation.test/md"', "saml.metadata_signers"),
        ('"idp.xml"', '"http://federation.test/md"\nmetadata_signers = "federation.pem"', "saml.metadata"),
        ("[organisations.saml]", "[organisations.sign_in]", "sign_in"),
    ],
)
def test_sign_in_by_saml_that_is_not_safe_is_refused(
    tmp_path: Path, right: str, wrong: str, where: str
) -> None:
    with pytest.raises(ConfigError, match=where.replace(".", r"\.")):
        load(write(tmp_path, SAML.replace(right, wrong)))


def test_persons_sign_in_at_one_service(tmp_path: Path) -> None:
    both = PAGES + SAML[SAML.index("[organisations.saml]") :]
    with pytest.raises(ConfigError, match="cannot be combined with sign_in"):
        load(write(tmp_path, both))


def test_without_secrets_in_files_the_own_key_in_the_vault_is_used(tmp_path: Path) -> None:
    used = (
        '[organisations.message_service]\ninterface = "https://m.test/v1"\n'
        'token_endpoint = "https://m.test/token"\nclient_id = "mk"\n'
    )
    (own,) = load(write(tmp_path, PAGES.replace('secret_file = "secret"\n', "") + used)).organisations
    assert own.sign_in is not None
    assert own.message_service is not None
    assert (own.sign_in.secret_file, own.message_service.key_file) == (None, None)


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ('levels = ["loa3"]', "levels = []", "sign_in.levels"),
        ("https://login.habo.test", "http://localhost:1/habo", "sign_in.issuer"),
        ("loa3", DEMONSTRATION_LEVEL, "sign_in.levels"),
        ('listen = "127.0.0.1:8446"', 'listen = "127.0.0.1:8446"\nplain = true', "message_client.plain"),
    ],
)
@pytest.mark.parametrize("environment", ["test", "production"])
def test_sign_in_of_the_demonstration_is_refused_elsewhere(
    tmp_path: Path, right: str, wrong: str, where: str, environment: str
) -> None:
    text = PAGES.replace('environment = "test"', f'environment = "{environment}"').replace(right, wrong)
    if environment == "production":
        text = text.replace("federation:test", "federation:prod")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert where in str(caught.value)
    if "levels" not in wrong:
        load(write(tmp_path, text.replace(f'"{environment}"', '"demonstration"', 1)))


DIRECTORY = """
[[organisations.directories]]
name = "ad"
host = "dc1.habo.test"
user = "cn=samdrift,dc=habo,dc=se"
password_file = "ad.password"
key_file = "ad.key"
people = "ou=Personer,dc=habo,dc=se"
subject = "employeeNumber"
"""
DIRECTORIES = (
    FOUR
    + DIRECTORY
    + """
[organisations.sign_in]
issuer = "https://login.habo.test"
client_id = "samdrift"
levels = ["loa3"]
"""
)


def test_a_directory_is_read_by_tls_unless_told(tmp_path: Path) -> None:
    (own,) = load(write(tmp_path, DIRECTORIES)).organisations[0].directories
    assert (own.security, own.port, own.member, own.uid) == (LdapSecurity.TLS, 636, "member", "")
    assert (own.password_file, own.key_file) == (tmp_path / "ad.password", tmp_path / "ad.key")
    assert load(write(tmp_path, FOUR)).organisations[0].directories == ()


def test_a_check_of_the_file_notes_that_serve_reads_no_directory_at_level_process(tmp_path: Path) -> None:
    process = '\n[isolation]\nlevel = "process"\n'
    for text, noted in (
        (DIRECTORIES + process, ["organisations[0].directories"]),
        (DIRECTORIES, []),
        (FOUR + process, []),
    ):
        _, found = examine(write(tmp_path, text))
        assert found.faults == ()
        assert [each.where for each in found.notes] == noted
    file = write(tmp_path, DIRECTORIES + process)
    ended = in_process("config", "check", file)
    assert ended.status == 0
    assert "note: organisations[0].directories: are not read by serve at level process" in ended.output
    assert "samdrift gov group synchronise" in ended.output


@pytest.mark.parametrize("environment", ["test", "production"])
def test_a_directory_without_tls_is_for_the_demonstration_alone(tmp_path: Path, environment: str) -> None:
    text = DIRECTORIES.replace('environment = "test"', f'environment = "{environment}"')
    if environment == "production":
        text = text.replace("federation:test", "federation:prod")
    plain = text.replace('name = "ad"', 'name = "ad"\nsecurity = "none"')
    with pytest.raises(ConfigError, match=r"directories\[0\].security"):
        load(write(tmp_path, plain))
    load(write(tmp_path, text.replace('name = "ad"', 'name = "ad"\nsecurity = "starttls"\nport = 389')))
    load(write(tmp_path, plain.replace(f'"{environment}"', '"demonstration"', 1)))


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ('"ad"', '"AD"', "lower-case letters"),
        ('"ad"', '"ad#x"', "lower-case letters"),
        ("dc1.habo.test", "ldaps://dc1", "name of a host"),
        ('"employeeNumber"', '"employeeNumber)(uid=*"', "name of an attribute"),
        ('subject = "employeeNumber"', 'subject = "uid"\npeople_filter = "uid=*"', "filter of LDAP"),
        ("[organisations.sign_in]", DIRECTORY + "[organisations.sign_in]", "two have the same name"),
        ('issuer = "https://login.habo.test"', "", "issuer"),
    ],
)
def test_what_is_wrong_with_a_directory_is_named(tmp_path: Path, right: str, wrong: str, fault: str) -> None:
    assert right in DIRECTORIES
    with pytest.raises(ConfigError, match=fault):
        load(write(tmp_path, DIRECTORIES.replace(right, wrong)))


def test_a_directory_has_people_who_sign_in_and_a_record_to_be_in(tmp_path: Path) -> None:
    for text, fault in (
        (FOUR + DIRECTORY, "the organisation has none"),
        (PAGES + DIRECTORY, "roles mk and gov"),
    ):
        with pytest.raises(ConfigError, match=fault):
            load(write(tmp_path, text))
