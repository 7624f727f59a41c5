"""Requests to sign a person in: everything that the sign-in service is asked for (saml-core 3.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from samdrift.wire.saml.request import AuthnRequest, redirect
from tests.unit.web.samlprovider import LEVEL, NAMES, OURS, PERSISTENT, SIGN_IN, asked

REQUEST = AuthnRequest(
    "_1",
    datetime(2026, 11, 26, 9, 52, 7, tzinfo=UTC),
    "https://sp.test",
    SIGN_IN,
    "https://sp.test/answer",
    ("http://id.sambi.se/loa/loa4", LEVEL),
)


def test_a_request_says_who_asks_and_which_levels_of_assurance_are_enough() -> None:
    sent = asked(redirect(SIGN_IN, "SAMLRequest", str(REQUEST), OURS.signing_key()))
    assert dict(sent.attrib) == {
        "ID": "_1",
        "Version": "2.0",
        "IssueInstant": "2026-11-26T09:52:07Z",
        "Destination": SIGN_IN,
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "AssertionConsumerServiceURL": "https://sp.test/answer",
    }
    assert sent.findtext("saml:Issuer", "", NAMES) == "https://sp.test"
    levels = sent.findall("samlp:RequestedAuthnContext/saml:AuthnContextClassRef", NAMES)
    assert tuple(each.text for each in levels) == REQUEST.levels
    assert sent.find("samlp:NameIDPolicy", NAMES) is None


def test_a_person_shows_anew_who_they_are_and_keeps_a_name_only_where_that_is_asked_for() -> None:
    message = str(replace(REQUEST, again=True, persistent=True))
    sent = asked(redirect(f"{SIGN_IN}?to=1", "SAMLRequest", message, OURS.signing_key()))
    assert sent.get("ForceAuthn") == "true"
    policy = sent.find("samlp:NameIDPolicy", NAMES)
    assert policy is not None
    assert dict(policy.attrib) == {"Format": PERSISTENT, "AllowCreate": "true"}
