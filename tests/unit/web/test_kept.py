"""A sign-in service's published data are fetched repeatedly while it is down, with one line about why."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.web.signin.kept import Kept, ProviderUnavailable
from samdrift.web.signin.provider import Provider, ProviderSettings, by_secret
from samdrift.web.signin.saml.provider import SamlProvider, SamlSettings, from_address
from samdrift.wire.jose.jwt import UnverifiedJwt
from tests.unit.messageservice.oauth.scene import curve_key, sign
from tests.vaults import NOW


async def test_a_service_that_is_down_is_one_line_for_each_reason_and_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now, answers = NOW, list[str]()

    def clock() -> datetime:
        return now

    async def fetch() -> str:
        answer = answers.pop(0)
        if answer:
            raise ProviderUnavailable(answer)
        return "metadata"

    kept = Kept(fetch, clock, "idp.habo.se:443")
    down, broken = "unreachable (connection refused)", "a response of unexpected form"
    answers += [down, down, down, broken, "", down]
    for _ in range(4):
        with pytest.raises(ProviderUnavailable):
            await kept.now()
        now += timedelta(minutes=1)
    for _ in range(2):
        assert await kept.now() == "metadata"
        now += timedelta(hours=2)
    assert answers == []
    told = "metadata of the sign-in service idp.habo.se:443: "
    assert caplog.messages == [told + each for each in (down, broken, down)]


async def test_what_was_published_while_the_clock_was_ahead_is_fetched_again_when_it_is_right() -> None:
    now, published = NOW + timedelta(hours=2), "former"

    async def fetch() -> str:
        if not published:
            raise ProviderUnavailable("unreachable")
        return published

    kept = Kept(fetch, lambda: now, "idp.habo.se:443")
    assert await kept.now() == "former"
    now, published = NOW, "metadata"
    assert await kept.now() == "metadata"
    now, published = NOW - timedelta(days=2), ""
    with pytest.raises(ProviderUnavailable):
        await kept.now()


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (NoAnswer(HttpFault.UNREACHABLE, "connection refused"), 0),
        (NoAnswer(HttpFault.TIMEOUT), 0),
        (Fetched(503, "text/plain", b""), 0),
        (Fetched(404, "text/plain", b""), 1),
        (Fetched(200, "application/json", b"{}"), 1),
        (NoAnswer(HttpFault.FORBIDDEN), 1),
    ],
)
async def test_an_outage_has_its_dependency_s_line_alone_and_anything_else_its_own(
    caplog: pytest.LogCaptureFixture, answer: Fetched | NoAnswer, lines: int
) -> None:
    """A minute without a sign-in service used to be four more lines, which did not name it."""

    class Client:
        metadata: Fetched | None = None

        async def fetch(self, url: str, limits: FetchLimits, **more: object) -> Fetched:
            if self.metadata is not None and url.endswith("openid-configuration"):
                return self.metadata
            if isinstance(answer, NoAnswer):
                raise answer
            return answer

    client = Client()
    settings = ProviderSettings("https://idp.habo.se/realm", "samdrift", ("loa3",))
    provider = Provider(settings, by_secret("samdrift", "secret"), client, lambda: NOW)
    read = from_address("https://idp.habo.se/metadata", client)
    saml = SamlProvider(SamlSettings("https://idp.habo.se/saml", ("loa3",)), read, lambda: NOW)
    for asked, place in (
        (provider.metadata, "idp.habo.se:443"),
        (saml.description, "https://idp.habo.se/saml"),
    ):
        caplog.clear()
        with pytest.raises(ProviderUnavailable):
            await asked()
        assert [place in line for line in caplog.messages] == [True] * lines
    caplog.clear()
    described = {"issuer": settings.issuer, "jwks_uri": "https://idp.habo.se/keys"}
    described |= dict.fromkeys(("authorization_endpoint", "token_endpoint"), "https://idp.habo.se/there")
    client.metadata = Fetched(200, "application/json", json.dumps(described).encode())
    provider = Provider(settings, by_secret("samdrift", "secret"), client, lambda: NOW)
    with pytest.raises(ProviderUnavailable):
        await provider.keys(UnverifiedJwt.read(sign({"iss": "x"}, curve_key(1))))
    assert ["idp.habo.se:443" in line for line in caplog.messages] == [True] * lines
