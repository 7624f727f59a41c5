"""Organisations' sign-in services, of either protocol, and the pages at which people sign in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from samdrift.contracts.clock import Clock
from samdrift.web.sessions import Sessions
from samdrift.web.signin.flow import SignIn
from samdrift.web.signin.paths import ANSWER
from samdrift.web.signin.pending import OnFailure, SignInFlow
from samdrift.web.signin.provider import Provider
from samdrift.web.signin.saml.flow import SamlKeys, SamlSignIn, Site
from samdrift.web.signin.saml.provider import SamlProvider


@dataclass(frozen=True, slots=True)
class Place:
    """One organisation's pages, at which people sign in."""

    origin: str
    name: str
    sessions: Sessions
    clock: Clock
    on_failure: OnFailure


class SignInService(Protocol):
    """An organisation's sign-in service, shared by all requests, with its cached metadata."""

    def at(self, place: Place) -> SignInFlow:
        """Return sign-in at an organisation's pages."""


@dataclass(frozen=True, slots=True)
class OidcService:
    """A sign-in service that uses OpenID Connect."""

    provider: Provider

    def at(self, place: Place) -> SignIn:
        """Return sign-in at an organisation's pages."""
        answer = place.origin + ANSWER
        return SignIn(self.provider, place.sessions, answer, place.clock, place.on_failure)


@dataclass(frozen=True, slots=True)
class SamlService:
    """A sign-in service that uses SAML 2.0."""

    provider: SamlProvider
    keys: SamlKeys

    def at(self, place: Place) -> SamlSignIn:
        """Return sign-in at an organisation's pages."""
        site = Site(place.origin, place.name)
        return SamlSignIn(self.provider, self.keys, place.sessions, site, place.clock, place.on_failure)
