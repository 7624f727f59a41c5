"""Checks of a SAML answer before it is used (saml-profiles 4.1.4.3, saml-core 2.5.1).

An error names the check that failed, for the organisation's log; the person is told only what to do next.
The signatures were verified when the answer was read.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.web.sessions import Person
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.saml.provider import SamlSettings
from samdrift.wire.saml.assertion import Assertion, Authentication, Confirmation
from samdrift.wire.saml.parts import PERSISTENT
from samdrift.wire.saml.response import SUCCESS, Response

SKEW = timedelta(seconds=60)
"""Tolerated difference between the sign-in service's clock and ours."""
_MAX_SUBJECT = 255
_MAX_NAME = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that an answer must match."""

    identifier: str
    answer: str
    """The address to which the answer must be posted."""
    service: str
    """Our entity identifier."""


def person_of(response: Response, asked: Asked, settings: SamlSettings, now: datetime) -> Person:
    """Return the person that an answer identifies; raise :class:`SignInFailed` when any check fails."""
    _require(response.destination == asked.answer, Fault.DESTINATION)
    _require(_same(response.in_response_to, asked.identifier), Fault.REQUEST)
    _require(response.issuer in (None, settings.entity), Fault.ISSUER_OF_ANSWER)
    _require(response.status == SUCCESS and response.assertion is not None, Fault.REFUSED)
    assert response.assertion is not None
    _require(response.encrypted or not settings.encrypted, Fault.UNENCRYPTED)
    assertion = response.assertion
    _require(assertion.issuer == settings.entity, Fault.ASSERTED_BY)
    _require(_is_for(assertion, asked.service), Fault.ADDRESSEE)
    _require(_within(assertion.not_before, assertion.not_on_or_after, now), Fault.PERIOD)
    _require(any(_confirms(each, asked, now) for each in assertion.confirmations), Fault.BEARER)
    authentication = _authentication(assertion, settings, now)
    names = assertion.attributes.get(settings.name_attribute, ())
    _require(len(names) == 1 and bool(names[0]), Fault.SUBJECT)
    return Person(
        settings.entity,
        _subject(assertion, settings, asked.service),
        names[0][:_MAX_NAME],
        authentication.level or "",
        authentication.at,
        authentication.session,
        {name: assertion.attributes[name] for name in settings.attributes if name in assertion.attributes},
    )


def _require(holds: bool, fault: Fault) -> None:
    if not holds:
        raise SignInFailed(fault)


def _same(one: str | None, other: str) -> bool:
    return one is not None and hmac.compare_digest(one.encode(), other.encode())


def _is_for(assertion: Assertion, service: str) -> bool:
    """Return whether the assertion is for us: it has audience restrictions, and each includes us."""
    return bool(assertion.audiences) and all(service in each for each in assertion.audiences)


def _within(not_before: datetime | None, not_on_or_after: datetime | None, now: datetime) -> bool:
    if not_before is not None and now + SKEW < not_before:
        return False
    return not_on_or_after is None or now - SKEW < not_on_or_after


def _confirms(one: Confirmation, asked: Asked, now: datetime) -> bool:
    """Return whether the bearer is confirmed for this address now, as saml-profiles 4.1.4.2 demands."""
    return (
        one.recipient == asked.answer
        and _same(one.in_response_to, asked.identifier)
        and one.not_before is None
        and one.not_on_or_after is not None
        and _within(None, one.not_on_or_after, now)
    )


def _authentication(assertion: Assertion, settings: SamlSettings, now: datetime) -> Authentication:
    _require(len(assertion.authentications) == 1, Fault.STATEMENT)
    (one,) = assertion.authentications
    _require(one.level in settings.levels, Fault.LEVEL)
    longest = settings.longest_since
    _require(one.at <= now + SKEW, Fault.AUTHENTICATION_TIME)
    _require(longest is None or now - one.at <= longest + SKEW, Fault.AUTHENTICATION_TIME)
    _require(_within(None, one.session_ends, now), Fault.PERIOD)
    return one


def _subject(assertion: Assertion, settings: SamlSettings, service: str) -> str:
    """Return the person's identifier: the agreed attribute, or a persistent name.

    A persistent name is only valid within the service's realm and for us (saml-core 8.3.7).
    """
    if settings.subject_attribute:
        values = assertion.attributes.get(settings.subject_attribute, ())
        subject = values[0] if len(values) == 1 else ""
    else:
        name = assertion.name_id
        _require(name is not None and name.format == PERSISTENT, Fault.SUBJECT)
        assert name is not None
        _require(name.qualifier in (None, settings.entity), Fault.SUBJECT)
        _require(name.service_qualifier in (None, service), Fault.SUBJECT)
        subject = name.value
    _require(0 < len(subject) <= _MAX_SUBJECT, Fault.SUBJECT)
    return subject
