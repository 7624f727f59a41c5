"""The checklist of an organisation: each wrong fact makes an item incomplete, with the next step to take."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from samdrift.administration import readiness
from samdrift.administration.checklist import NO_BOOK, REASONS, Asked, Facts, Item, State, checklist, ready
from samdrift.administration.keyholder import HeldKeys, sha256
from samdrift.config.hsm import HsmTokenConfig
from samdrift.config.model import MessageClientConfig, OrganisationConfig
from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.principals import Role
from samdrift.installation.keyrows import WARNED
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.states import KeyState
from samdrift.vault.registry import RegistrationState
from samdrift.wire.addressbook import FunctionalAddress, Organisation, OrganisationKind
from samdrift.wire.identifiers import (
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.smp import Endpoint, PublishedCertificates, ServiceMetadata
from tests import pki
from tests.unit.net.test_tls import certified

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
HABO = ParticipantIdentifier.parse("0203:habo.se")
PARENT = ParticipantIdentifier.parse("0203:region.se")
ISSUER = pki.root("CA", 1)
ACCESS_POINT, OTHER = (ISSUER.certify(name, pki.key(2).public_key()) for name in ("AP0001", "AP0002"))
SIGNING, ENCRYPTION, CLIENT = (
    HeldKey(name, 1, ISSUER.certify(name, pki.key(2).public_key()))
    for name in (KeyName.SIGNING, KeyName.ENCRYPTION, KeyName.TLS_CLIENT)
)
assert SIGNING.certificate is not None
assert ENCRYPTION.certificate is not None
NOW = ISSUER.certificate.not_valid_before_utc + timedelta(days=1)
ADDRESS = "https://ap.example/as4"
MAILBOX = "sdk.soc.0203:habo.se"
ENTRY = OrganisationConfig(
    HABO,
    "Håbo kommun",
    (AP, MT),
    functional_addresses=(MAILBOX,),
    access_point="https://ap.example:8444",
    clients={"mt": str(sha256(CLIENT))},
    message_clients=(MessageClientConfig("journal", patterns([MAILBOX]), frozenset(Scope)),),
)
LISTED = Organisation("1", HABO, "2120001611", "Håbo", "", "", "SE", OrganisationKind.ORGANISATION, None)
WHOLE = replace(LISTED, id="2", participant=PARENT, name="Regionen")
PART = replace(LISTED, kind=OrganisationKind.UNDER_ORGANISATION, parent="2")


def registered(document: DocumentIdentifier, **changes: Any) -> Asked[ServiceMetadata]:
    endpoint = Endpoint("digg-transport-as4-v1_2", ADDRESS, ACCESS_POINT)
    assert SIGNING.certificate
    assert ENCRYPTION.certificate
    certificates = PublishedCertificates((SIGNING.certificate,), (ENCRYPTION.certificate,))
    return Asked(replace(ServiceMetadata(HABO, document, NO_PROCESS, (endpoint,), certificates), **changes))


READY = Facts(
    HABO,
    (AP, MT),
    NOW,
    ENTRY,
    {AP: RegistrationState.ACTIVE, MT: RegistrationState.ACTIVE},
    HeldKeys((SIGNING, ENCRYPTION, CLIENT)),
    (),
    (ACCESS_POINT,),
    ADDRESS,
    {each: registered(each) for each in (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)},
    Asked(LISTED),
    Asked((FunctionalAddress(MAILBOX.upper(), "Soc", "", (), (), LISTED),)),
    served=Asked(frozenset(Role)),
)


def wrong(facts: Facts) -> dict[str, State]:
    """Return the items that are not in order, with their states."""
    return {item.name: item.state for item in checklist(facts) if item.state is not State.DONE}


def item(facts: Facts, name: str) -> Item:
    return next(item for item in checklist(facts) if item.name == name)


def test_everything_in_order_is_ready() -> None:
    assert wrong(READY) == {}
    assert ready(checklist(READY))
    assert len({item.name for item in checklist(READY)}) == len(checklist(READY))


def test_who_is_not_served_in_a_role_is_not_ready() -> None:
    assert wrong(replace(READY, served=Asked(frozenset({AP})))) == {"served mt": State.MISSING}
    assert wrong(replace(READY, served=Asked(frozenset()))) == dict.fromkeys(
        ("served ap", "served mt"), State.MISSING
    )
    unknown = replace(READY, served=Asked(unknown="a running process does not answer"))
    assert wrong(unknown) == dict.fromkeys(("served ap", "served mt"), State.NOT_CHECKED)
    assert not ready(checklist(unknown))


def test_a_token_that_opens_both_vaults_is_in_order() -> None:
    facts = replace(READY, entry=replace(ENTRY, hsm=HsmTokenConfig("habo")), in_token=(AP, MT))
    assert wrong(facts) == {}
    assert item(facts, "token mt").state is State.DONE


PAGES = certified(ISSUER, "pages", [x509.DNSName("*.messages.example"), x509.DNSName("habo.gov.example")])
FOUR = replace(
    READY,
    roles=tuple(Role),
    entry=replace(
        ENTRY,
        roles=tuple(Role),
        message_client_host="habo.messages.example",
        governance_host="habo.gov.example",
    ),
    vaults=dict.fromkeys(Role, RegistrationState.ACTIVE),
    server_certificates=(CLIENT.certificate, PAGES.certificate),  # type: ignore[arg-type]
)


def test_each_of_four_roles_has_a_vault_and_a_host_that_the_server_has_a_certificate_for() -> None:
    assert wrong(FOUR) == {}
    assert item(FOUR, "host mk").text.startswith("habo.messages.example is named")
    assert item(FOUR, "vault gov").state is State.DONE
    assert {one.name for one in checklist(FOUR)} - {one.name for one in checklist(READY)} == {
        *("vault mk", "vault gov", "host mk", "host gov", "served mk", "served gov")
    }


@pytest.mark.parametrize("host", ["habo.messages.other", "a.habo.messages.example", "messages.example"])
def test_a_host_that_no_certificate_of_the_server_names_is_missing(host: str) -> None:
    assert FOUR.entry is not None
    facts = replace(FOUR, entry=replace(FOUR.entry, message_client_host=host))
    assert wrong(facts) == {"host mk": State.MISSING}
    assert "keys request tls-server" in item(facts, "host mk").next


def test_pages_behind_a_proxy_have_its_certificate() -> None:
    """The demonstration serves its pages behind a proxy, and must not be reported as not ready."""
    facts = replace(FOUR, server_certificates=(), behind_proxy=(Role.MESSAGE_CLIENT,))
    assert wrong(facts) == {"host gov": State.MISSING}
    assert "a proxy, which has the certificate" in item(facts, "host mk").text


def test_a_vault_that_came_after_the_officer_is_missing_until_the_officer_opens_it_too() -> None:
    """Otherwise the operator's passphrase would open it, contrary to the organisation's decision."""
    facts = replace(FOUR, locked=(AP, MT))
    assert wrong(facts) == {"vault mk": State.MISSING, "vault gov": State.MISSING}
    assert "samdrift org lock 0203:habo.se" in item(facts, "vault mk").next
    assert wrong(replace(FOUR, locked=tuple(Role))) == {}


def with_keys(*keys: HeldKey) -> HeldKeys:
    return HeldKeys(keys)


def smp(**changes: Any) -> dict[DocumentIdentifier, Asked[ServiceMetadata]]:
    return {each: registered(each, **changes) for each in (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)}


def at(address: str = ADDRESS, certificate: Any = ACCESS_POINT) -> dict[str, Any]:
    return {"endpoints": (Endpoint("digg-transport-as4-v1_2", address, certificate),)}


MISSING, SOON, NOT_CHECKED = State.MISSING, State.SOON, State.NOT_CHECKED
UNTIL = SIGNING.certificate.not_valid_after_utc
BOTH = ("SMP message", "SMP receipt")
CASES: list[tuple[dict[str, Any], dict[str, State], str]] = [
    (
        {"entry": replace(ENTRY, hsm=HsmTokenConfig("habo")), "in_token": (AP,)},
        {"token mt": MISSING},
        "org use-hsm",
    ),
    ({"in_token": (AP,)}, {"token ap": MISSING}, "token in its entry"),
    ({"vaults": {AP: RegistrationState.ACTIVE}}, {"vault mt": MISSING}, "org add"),
    (
        {"vaults": {AP: RegistrationState.ACTIVE, MT: RegistrationState.SUSPENDED}},
        {"vault mt": MISSING},
        "with the reason by --why, once the cause is settled",
    ),
    (
        {"keys": with_keys(ENCRYPTION, CLIENT)},
        {"key signing": MISSING, "CertPub signing": MISSING},
        "org keys create",
    ),
    (
        {"keys": with_keys(HeldKey(KeyName.SIGNING, 1, None), ENCRYPTION, CLIENT)},
        {"key signing": MISSING, "CertPub signing": MISSING},
        "org keys install",
    ),
    (
        {"keys": with_keys(replace(SIGNING, state=KeyState(revoked=True)), ENCRYPTION, CLIENT)},
        {"key signing": MISSING, "CertPub signing": MISSING},
        "org keys create",
    ),
    (
        {"keys": with_keys(replace(SIGNING, state=KeyState(NOW + WARNED)), ENCRYPTION, CLIENT)},
        {"key signing": MISSING},
        "org keys activate",
    ),
    (
        {"now": UNTIL - WARNED},
        {"key signing": SOON, "key encryption": SOON, "key tls-client": SOON},
        "org keys create",
    ),
    (
        {"now": UNTIL},
        {"key signing": MISSING, "key encryption": MISSING, "key tls-client": MISSING},
        "org keys create",
    ),
    (
        {"keys": HeldKeys(problem="locked")},
        {
            "key signing": NOT_CHECKED,
            "key encryption": NOT_CHECKED,
            "key tls-client": NOT_CHECKED,
            "interface C": MISSING,
            "CertPub signing": NOT_CHECKED,
            "CertPub encryption": NOT_CHECKED,
        },
        "org unlock",
    ),
    ({"entry": replace(ENTRY, clients={"mt": "00"})}, {"interface C": MISSING}, str(sha256(CLIENT))),
    ({"entry": replace(ENTRY, message_clients=())}, {"message clients": MISSING}, "message_clients"),
    ({"unassigned": (MAILBOX,)}, {"message clients": MISSING}, "samdrift routing"),
    ({"registrations": smp(**at(certificate=OTHER))}, dict.fromkeys(BOTH, MISSING), "register it"),
    ({"registrations": smp(**at("https://old.example/as4"))}, dict.fromkeys(BOTH, MISSING), "register it"),
    ({"registrations": dict.fromkeys(smp(), Asked())}, dict.fromkeys(BOTH, MISSING), "register it"),
    (
        {"registrations": dict.fromkeys(smp(), Asked(unknown="SML is silent"))},
        dict.fromkeys(BOTH, NOT_CHECKED),
        "later",
    ),
    ({"registrations": {}}, {"SMP": NOT_CHECKED}, "--offline"),
    ({"address": ""}, {"SMP address": NOT_CHECKED}, "access_point.address"),
    ({"certificates": ()}, dict.fromkeys(BOTH, NOT_CHECKED), "samdrift keys request"),
    (
        {"registrations": smp(certificates=PublishedCertificates())},
        {"CertPub signing": MISSING, "CertPub encryption": MISSING},
        "org keys publish",
    ),
    (
        {"registrations": smp(certificates=PublishedCertificates((SIGNING.certificate, OTHER), (OTHER,)))},
        {"CertPub signing": SOON, "CertPub encryption": MISSING},
        "org keys publish",
    ),
    ({"listed": Asked()}, {"address book": MISSING}, "ask DIGG"),
    ({"listed": Asked(unknown="silent")}, {"address book": NOT_CHECKED}, "later"),
    ({"addresses": Asked(())}, {"addresses listed": MISSING}, "ask the organisation"),
    (
        {
            "addresses": Asked(
                tuple(
                    FunctionalAddress(each, "Soc", "", (), (), LISTED)
                    for each in (MAILBOX, "sdk.nobody.0203:habo.se")
                )
            )
        },
        {"addresses listed": MISSING},
        "add them to functional_addresses",
    ),
    (
        {"listed": Asked(PART), "parent": WHOLE},
        {"address book": MISSING},
        "change part_of in the configuration",
    ),
    ({"entry": replace(ENTRY, part_of=PARENT)}, {"address book": MISSING}, "ask DIGG to change"),
    ({"listed": Asked(unknown=str(NO_BOOK))}, {"address book": NOT_CHECKED}, "name it in the configuration"),
    ({"entry": None}, {"configuration": MISSING}, "samdrift org add 0203:habo.se prints its entry"),
]


@pytest.mark.parametrize(("changes", "expected", "words"), CASES, ids=range(len(CASES)))
def test_what_is_wrong_is_told_with_what_to_do(
    changes: dict[str, Any], expected: dict[str, State], words: str
) -> None:
    facts = replace(READY, **changes)
    assert wrong(facts) == expected
    todos = [item(facts, name).next for name in expected]
    assert all(todos)
    assert any(words in todo for todo in todos)
    assert ready(checklist(facts)) == all(state is State.SOON for state in expected.values())


def test_an_under_organisation_that_the_address_book_knows_as_such_is_in_order() -> None:
    part = replace(READY, entry=replace(ENTRY, part_of=PARENT), listed=Asked(PART), parent=WHOLE)
    assert wrong(part) == {}
    assert f"part of {PARENT}" in item(part, "address book").text


def test_one_without_an_entry_is_told_first_to_make_one() -> None:
    first, *_ = checklist(Facts(HABO, (AP, MT), NOW))
    assert (first.name, first.state) == ("configuration", State.MISSING)


def test_with_the_access_point_alone_only_that_is_asked_for() -> None:
    entry = replace(ENTRY, roles=(AP,), message_clients=(), access_point="", functional_addresses=())
    facts = replace(READY, roles=(AP,), entry=entry, keys=HeldKeys())
    assert wrong(facts) == {}
    assert {item.name for item in checklist(facts)} == {
        "configuration",
        "vault ap",
        "served ap",
        "interface C",
        "SMP message",
        "SMP receipt",
        "address book",
    }


def test_with_another_suppliers_access_point_what_is_there_is_not_checked() -> None:
    facts = replace(READY, roles=(MT,), entry=replace(ENTRY, roles=(MT,), clients={}), certificates=())
    assert wrong(facts) == {"interface C": NOT_CHECKED}
    assert str(sha256(CLIENT)) in item(facts, "interface C").next


def test_what_is_published_is_looked_at_where_another_type_of_message_is_not_registered() -> None:
    """Both faults are reported together, so that one call to DIGG suffices."""
    registrations = smp(certificates=PublishedCertificates()) | {SDK_MESSAGE_EXTENDED: Asked()}
    assert wrong(replace(READY, registrations=registrations)) == {
        "SMP message": MISSING,
        "CertPub signing": MISSING,
    }


def test_the_certificate_that_is_registered_has_to_be_our_access_points_newest() -> None:
    """Otherwise peers would refuse anything signed with the newest key."""
    facts = replace(READY, certificates=(ACCESS_POINT, OTHER))
    assert wrong(facts) == {}
    assert wrong(replace(facts, registrations=smp(**at(certificate=OTHER)))) == dict.fromkeys(BOTH, MISSING)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"listed": Asked(PART), "parent": WHOLE},
            f"as an under-organisation of {PARENT}, and is an organisation of its own here",
        ),
        (
            {"listed": Asked(PART)},
            "as an under-organisation of an unknown one, and is an organisation of its own here",
        ),
        (
            {"entry": replace(ENTRY, part_of=PARENT)},
            f"as an organisation of its own, and is a part of {PARENT} here",
        ),
    ],
)
def test_an_entry_in_another_place_of_the_address_book_is_told_with_both_places(
    changes: dict[str, Any], text: str
) -> None:
    assert item(replace(READY, **changes), "address book").text == f"has an entry {text}"


def test_each_role_is_looked_at_whatever_there_is_of_the_one_before_it() -> None:
    """An item that is not reported as missing would be considered ready."""
    suspended = {AP: RegistrationState.SUSPENDED, MT: RegistrationState.ACTIVE}
    facts = replace(READY, vaults=suspended, served=Asked(frozenset()))
    assert wrong(facts) == {"vault ap": MISSING, "served mt": MISSING}
    assert FOUR.entry is not None
    unnamed = replace(FOUR.entry, message_client_host="", governance_host="habo.gov.other")
    assert wrong(replace(FOUR, entry=unnamed)) == {"host gov": MISSING}


def test_every_reason_that_readiness_gives_is_one_that_pages_put_into_a_language() -> None:
    source = Path(readiness.__file__).read_text()
    given = set(re.findall(r'unknown="([^"]+)"', source)) | set(re.findall(r'nobody = "([^"]+)"', source))
    defaults = {one.default.unknown for one in fields(Facts) if isinstance(one.default, Asked)} - {""}
    assert {*given, *defaults} == {str(each) for each in REASONS}
