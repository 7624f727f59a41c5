"""Published keys of other parties: their time of use, and the frequency of requests for them."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from samdrift.messageservice.oauth.keyring import fetched_keys, issuer_keys
from samdrift.net.keysource import KeptKeys, KeysUnavailable
from samdrift.wire.jose.jwt import UnverifiedJwt
from samdrift.wire.jose.keys import PublicKeys
from tests.unit.messageservice.oauth.scene import (
    EXTERNAL,
    MINUTE,
    THEIR_ISSUER,
    THEIR_KEYS,
    Web,
    curve_key,
    jwk_set,
    public,
    sign,
)
from tests.vaults import NOW

HOUR = 60 * MINUTE


def token(kid: str | None = "ec-1") -> UnverifiedJwt:
    return UnverifiedJwt.read(sign({"iss": "x"}, curve_key(1), {"kid": kid} if kid else None))


@dataclass
class Source:
    """A party that publishes keys."""

    names: list[str] = field(default_factory=lambda: ["ec-1"])
    fetches: int = 0
    down: bool = False
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.kept = KeptKeys(self.fetch, lambda: self.now)

    async def fetch(self) -> PublicKeys:
        await asyncio.sleep(0)
        self.fetches += 1
        if self.down:
            raise KeysUnavailable("down")
        return PublicKeys(public(curve_key(1), name) for name in self.names)

    async def found(self, kid: str | None = "ec-1") -> int:
        return len(await self.kept.fitting(token(kid)))


async def test_everybody_who_waits_is_served_by_one_fetch() -> None:
    source = Source()
    assert await asyncio.gather(*(source.found() for _ in range(5))) == [1] * 5
    assert source.fetches == 1


async def test_names_that_do_not_exist_make_no_traffic() -> None:
    source = Source()
    assert await asyncio.gather(*(source.found(f"no-{number}") for number in range(5))) == [0] * 5
    assert source.fetches == 1
    source.now += MINUTE
    assert await asyncio.gather(*(source.found("none") for _ in range(5))) == [0] * 5
    assert source.fetches == 2


async def test_a_new_name_is_asked_for() -> None:
    source = Source()
    await source.found()
    source.names.append("ec-2")
    source.now += MINUTE
    assert await source.found("ec-2") == 1


async def test_older_keys_are_used_while_newer_ones_are_fetched() -> None:
    source = Source()
    await source.found()
    source.now += timedelta(minutes=11)
    source.names = ["ec-2"]
    assert await source.found() == 1, "a usable older key must be found without waiting"
    while source.fetches < 2 or await source.found():
        await asyncio.sleep(0)
    assert await source.found("ec-2") == 1


async def test_an_issuer_that_is_down_is_bridged_for_so_long() -> None:
    source = Source()
    await source.found()
    source.down = True
    source.now += 3 * HOUR
    assert await source.found() == 1
    while source.fetches < 2:
        await asyncio.sleep(0)
    source.now += 2 * HOUR
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await source.found()
    assert source.fetches == 3, "an issuer that is down must not be asked again immediately"
    source.down = False
    source.now += MINUTE
    assert await source.found() == 1


async def test_an_issuer_asked_while_the_clock_was_ahead_is_asked_again_when_it_is_right() -> None:
    source = Source(now=NOW + 24 * HOUR)
    await source.found()
    source.now = NOW
    source.names = ["ec-2"]
    assert await source.found("ec-2") == 1
    assert await source.found() == 0, "a key that the issuer has withdrawn must not be used any longer"


async def test_an_issuer_that_is_down_is_one_line_for_each_outage(caplog: pytest.LogCaptureFixture) -> None:
    """There used to be one every quarter of a minute, as long as tokens came."""
    source = Source()
    for source.down in (True, True, True, False, True):
        source.now += 5 * HOUR
        with suppress(KeysUnavailable):
            await source.found()
    assert caplog.messages == ["keys of an issuer: down"] * 2


async def test_who_stops_waiting_does_not_stop_the_fetch() -> None:
    source = Source()
    impatient = asyncio.create_task(source.found())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await source.found() == 1
    assert source.fetches == 1


# --- over HTTPS -----------------------------------------------------------------------------------------

DISCOVERED = replace(EXTERNAL, keys=None)
RFC8414 = "https://idp.habo.test/.well-known/oauth-authorization-server/realms/sdk"
OPENID = f"{THEIR_ISSUER}/.well-known/openid-configuration"


@pytest.mark.parametrize("address", [RFC8414, OPENID])
async def test_an_issuers_metadata_tell_where_its_keys_are(address: str) -> None:
    """The addresses are those of RFC 8414 3.1 and OpenID Connect Discovery."""
    metadata = json.dumps({"issuer": THEIR_ISSUER, "jwks_uri": THEIR_KEYS}).encode()
    web = Web({address: metadata, THEIR_KEYS: jwk_set(curve_key(1))})
    assert [key.kid for key in await issuer_keys(web.client, DISCOVERED)] == ["ec-1"]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"issuer": THEIR_ISSUER}, "not usable"),
        ({"issuer": f"{THEIR_ISSUER}/x", "jwks_uri": THEIR_KEYS}, "another issuer"),
        ({"issuer": THEIR_ISSUER, "jwks_uri": "https://elsewhere.test/keys"}, "at another address"),
        ({"issuer": THEIR_ISSUER, "jwks_uri": "http://idp.habo.test/keys"}, "at another address"),
        ({"issuer": THEIR_ISSUER, "jwks_uri": "https://idp.habo.test:444/keys"}, "at another address"),
        ({"issuer": THEIR_ISSUER, "jwks_uri": "file:///etc/passwd"}, "not usable"),
        ({"issuer": THEIR_ISSUER, "jwks_uri": 7}, "not usable"),
        ([], "not usable"),
        ("[" * 10_000, "not usable"),
    ],
)
async def test_metadata_that_do_not_fit_lead_nowhere(metadata: object, said: str) -> None:
    web = Web({OPENID: json.dumps(metadata).encode(), THEIR_KEYS: jwk_set(curve_key(1))})
    with pytest.raises(KeysUnavailable, match=said):
        await issuer_keys(web.client, DISCOVERED)
    assert set(web.asked) <= {RFC8414, OPENID}


async def test_what_is_not_there_or_no_set() -> None:
    assert EXTERNAL.keys is not None
    for web, said in (
        (Web(), "no document at"),
        (Web({THEIR_KEYS: b"<html>"}), "neither"),
        (Web(down=True), "no answer"),
    ):
        with pytest.raises(KeysUnavailable, match=said):
            await fetched_keys(web.client, EXTERNAL.keys)
    with pytest.raises(KeysUnavailable, match="no metadata"):
        await issuer_keys(Web().client, DISCOVERED)
