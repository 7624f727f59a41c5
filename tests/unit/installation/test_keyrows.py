"""The state of an organisation's keys, warnings about them, and the keys to be published."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.administration.publication import Publication, document, documents, swedish, to_publish
from samdrift.contracts.principals import Role
from samdrift.installation.expiry import Expiries, expiry_gauge
from samdrift.installation.keyrows import KeyRow, Standing, key_rows, not_used
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.states import UNDECIDED, KeyState
from samdrift.trust.keycertificate import Owner
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.pki import DAY, NOW, key, root

ISSUER = root("Function CA", 1)
SIGNING, ENCRYPTION = KeyName.SIGNING, KeyName.ENCRYPTION
HABO = ParticipantIdentifier("0203:habo.se")
TOMORROW = KeyState(active_from=NOW + DAY)
REVOKED = KeyState(revoked=True)


def held(
    number: int,
    *,
    name: KeyName = SIGNING,
    days: float = 365,
    state: KeyState = UNDECIDED,
    certified: bool = True,
) -> HeldKey:
    public = key(number).public_key()
    certificate = ISSUER.certify(f"{name}{number}", public, not_after=NOW + days * DAY) if certified else None
    return HeldKey(name, number, certificate, state)


def shown(rows: list[KeyRow]) -> list[tuple[int | None, Standing]]:
    return [(row.key.number if row.key else None, row.standing) for row in rows]


def signing(*keys: HeldKey) -> list[KeyRow]:
    return key_rows(keys, NOW, [SIGNING])


def test_keys_stand_as_was_decided_about_them() -> None:
    rows = signing(
        held(6, certified=False),
        held(5, state=TOMORROW),
        held(4, state=REVOKED),
        held(3, state=KeyState(revoked=True, compromised=True)),
        held(2),
        held(1),
    )
    assert shown(rows) == [
        (6, Standing.WAITS),
        (5, Standing.PLANNED),
        (4, Standing.REVOKED),
        (3, Standing.COMPROMISED),
        (2, Standing.IN_USE),
        (1, Standing.OLD),
    ]
    assert not any(row.attention for row in rows)


@pytest.mark.parametrize(
    "keys", [(), (held(1, certified=False),), (held(1, state=TOMORROW),), (held(1, state=REVOKED),)]
)
def test_a_key_that_is_not_in_use_is_missing(keys: tuple[HeldKey, ...]) -> None:
    first = signing(*keys)[0]
    assert (first.standing, first.attention) == (Standing.MISSING, "no key of this name is in use")


@pytest.mark.parametrize(
    ("keys", "attention"),
    [
        ((held(1, days=31),), False),
        ((held(1, days=29),), True),
        ((held(1, days=-0.5),), True),
        ((held(2), held(1, days=-0.5)), False),
        ((held(2, state=TOMORROW), held(1, days=29)), False),
        ((held(2, state=KeyState(active_from=NOW + 30 * DAY)), held(1, days=29)), True),
        ((held(2, certified=False), held(1, days=29)), True),
    ],
)
def test_who_must_see_to_something_is_told_thirty_days_before(
    keys: tuple[HeldKey, ...], attention: bool
) -> None:
    assert any(row.attention for row in signing(*keys)) is attention


@pytest.mark.parametrize(
    ("key", "others", "hindrance"),
    [
        (held(1, certified=False), (), "no certificate yet"),
        (held(1, state=REVOKED), (), "was revoked"),
        (held(1, days=-1), (), "not valid then"),
        (held(1), (held(2),), "key 2 is newer"),
        (held(1), (held(3, state=REVOKED), held(2), held(1)), "key 2 is newer"),
        (held(2), (held(1),), ""),
        (held(1), (held(4, certified=False), held(3, state=REVOKED), held(2, state=TOMORROW)), ""),
        (held(1), (held(2, name=ENCRYPTION),), ""),
    ],
)
def test_a_decision_that_would_change_nothing_is_not_taken_for_one(
    key: HeldKey, others: tuple[HeldKey, ...], hindrance: str
) -> None:
    said = not_used(key, others, NOW)
    assert hindrance in said
    assert bool(said) is bool(hindrance)


# --- while it runs ------------------------------------------------------------------------------------------


class Store:
    """A key store with one organisation's keys, and those of the operator."""

    def __init__(self, *keys: HeldKey) -> None:
        self.held = {"v1": keys, "operator": (held(9, name=KeyName.ACCESS_POINT, days=100),)}

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        return self.held[vault]


class Looking:
    """A check of certificates at a time that a test chooses."""

    def __init__(self, *keys: HeldKey, named: bool = False) -> None:
        registration = SimpleNamespace(
            role=Role.MESSAGE_SERVICE, organisation=HABO, public_name="1a2b3c4d5e6f", vault="v1"
        )
        self.now = NOW
        self.metrics = CollectorRegistry()
        self._expiries = Expiries(
            cast(Any, Store(*keys)),
            cast(Any, SimpleNamespace(all=lambda: [registration])),
            lambda: self.now,
            named,
            expiry_gauge(self.metrics),
        )

    def look(self) -> str:
        self._expiries.look()
        return generate_latest(self.metrics).decode()


def test_a_warning_comes_once_a_day_and_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    looking = Looking(held(1, days=29))
    with caplog.at_level(logging.WARNING):
        for looking.now in (NOW, NOW + timedelta(hours=1), NOW + DAY):
            looking.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"the signing certificate of 1a2b3c4d expires in {days} days:"
        " see samdrift org keys list, or samdrift keys list"
        for days in (29, 28)
    ]


def test_nothing_is_said_of_what_is_good_for_longer(caplog: pytest.LogCaptureFixture) -> None:
    Looking(held(1, days=31)).look()
    assert caplog.records == []


@pytest.mark.parametrize(("named", "owner"), [(False, "organisations"), (True, "0203:habo.se")])
def test_the_metric_tells_the_soonest_and_names_organisations_where_that_is_asked_for(
    named: bool, owner: str
) -> None:
    text = Looking(held(2, days=40), held(1, days=2), named=named).look()
    metric = "samdrift_certificate_expiry_seconds"
    assert f'{metric}{{key="signing",owner="{owner}"}} {40 * 86400:.4g}' in text.replace(
        "3.456e+06", "3.456e+06"
    )
    assert f'{metric}{{key="access-point",owner="operator"}}' in text
    assert ("0203:habo.se" in text) is named


# --- what is handed in --------------------------------------------------------------------------------------


def test_both_signing_certificates_are_published_and_the_newest_for_encryption() -> None:
    keys = [
        held(3, state=TOMORROW),
        held(2),
        held(1),
        held(5, name=ENCRYPTION, state=REVOKED),
        held(4, name=ENCRYPTION),
        held(3, name=ENCRYPTION),
        held(1, name=KeyName.TLS_CLIENT),
    ]
    published = to_publish(keys, NOW)
    assert [(one.name, one.certificate) for one in published] == [
        (SIGNING, keys[1].certificate),
        (SIGNING, keys[0].certificate),
        (ENCRYPTION, keys[4].certificate),
    ]
    assert [one.active_from for one in published] == [None, NOW + DAY, None]


def publication() -> Publication:
    owner = Owner("Håbo kommun", "0203:habo.se", "2120000241")
    keys = to_publish([held(2, state=TOMORROW), held(1), held(4, name=ENCRYPTION)], NOW)
    return Publication("urn:fdc:digg.se:edelivery:federation:test", owner, documents(False), keys, NOW)


def test_certpub_2_2_what_is_handed_in_has_identifier_types_and_certificates() -> None:
    handed_in = json.loads(json.dumps(document(publication())))
    assert handed_in["participant"] == {"scheme": "iso6523-actorid-upis", "identifier": "0203:habo.se"}
    assert [one["type"].rpartition(":")[2] for one in handed_in["certificates"]] == [
        "signing-cert",
        "signing-cert",
        "encryption-cert",
    ]
    assert all("BEGIN CERTIFICATE" in one["pem"] for one in handed_in["certificates"])
    assert len(handed_in["services"]) == 2


def test_the_text_is_for_two_persons_at_the_telephone() -> None:
    handed_in = publication()
    text, digest = swedish(handed_in), fingerprint(handed_in.keys[0].certificate).upper()
    groups = [digest[at : at + 4] for at in range(0, 64, 4)]
    assert " ".join(groups[:8]) in text
    assert " ".join(groups[8:]) in text
    assert "iso6523-actorid-upis::0203:habo.se" in text
    assert "Används från:   2026-03-03 12:00 UTC" in text
    odd = replace(handed_in, owner=Owner("Håbo\x1b[31m kommun", "0203:habo.se"))
    assert "\x1b" not in swedish(odd)
