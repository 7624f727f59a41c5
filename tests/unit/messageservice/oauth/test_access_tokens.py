"""Access of tokens at interface D, whoever issued them (RFC 9068 4, RFC 8725, api-mt-mk 5.2)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from samdrift.contracts.messageclients import AUTH_ID, LONGEST_SECONDS, Scope, patterns
from samdrift.contracts.principals import PrincipalKind, Role
from samdrift.messageservice.access import AuthorizationUnavailable, Unauthorized
from samdrift.messageservice.oauth.keyring import Keyring
from samdrift.net.keysource import KeysUnavailable
from samdrift.vault.people import Identity
from samdrift.wire.crypto.keys import TokenKey
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import UnverifiedJwt, signed
from samdrift.wire.jose.keys import Algorithm, PublicKey, PublicKeys
from tests.unit.messageservice.oauth.scene import (
    ADDRESS,
    CARE,
    DESK,
    EXTERNAL,
    MINUTE,
    SCHOOL,
    THEIR_ISSUER,
    THEIR_KEYS,
    Scene,
    client,
    curve_key,
    jwk_set,
    public,
    rsa_key,
    sign,
)

WIDE: dict[str, Any] = {AUTH_ID: "*"}


async def refused(scene: Scene, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await scene.access(token)
    assert caught.value.error == "invalid_token"
    return caught.value.text


# --- our own issuers' -----------------------------------------------------------------------------------


async def test_a_client_has_the_addresses_of_its_pattern(scene: Scene) -> None:
    """Clauses: api-mt-mk 5.2 step 2."""
    access = await scene.access(await scene.token())
    assert (access.organisation, access.client) == (scene.habo, "journal")
    assert access.scopes == frozenset(Scope)
    assert [access.covers(address) for address in (SCHOOL, CARE, DESK)] == [True, False, False]


async def test_the_default_client_has_what_is_no_other_clients(scene: Scene) -> None:
    """Unforeseen addresses belong to it too; the external server's client has its own."""
    access = await scene.access(await scene.token(scene.assertion("rest", key=curve_key(3))))
    assert [access.covers(address) for address in (SCHOOL, CARE, DESK, "x.y")] == [False, False, True, True]


async def test_a_client_that_is_removed_is_refused_at_once(scene: Scene) -> None:
    token = await scene.token()
    await scene.access(token)
    scene.unregister(scene.habo, "journal")
    assert "not registered" in await refused(scene, token)


async def test_a_client_whose_registration_shrinks_loses_that_at_once(scene: Scene) -> None:
    scene.register(scene.habo, client("journal", SCHOOL, CARE, keys=(curve_key(1),)))
    token = await scene.token()
    less = client("journal", CARE, DESK, keys=(curve_key(1),), scopes=frozenset({Scope.LIST}))
    scene.register(scene.habo, less)
    access = await scene.access(token)
    assert access.scopes == {Scope.LIST}
    assert access.patterns == patterns([CARE]), "addresses that the token does not have need a new token"


async def test_a_token_ends(scene: Scene) -> None:
    token = await scene.token()
    scene.now += timedelta(minutes=15)
    await scene.access(token)
    scene.now += MINUTE
    assert "expired" in await refused(scene, token)


async def test_a_signature_is_verified_once_and_all_that_can_change_with_each_use(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of events checks its token again and again, and the issuer's keys may change."""
    verified, counted = UnverifiedJwt.verified, list[str]()

    def verifying(token: UnverifiedJwt, *given: Any, **named: Any) -> Any:
        counted.append(token.issuer)
        return verified(token, *given, **named)

    monkeypatch.setattr(UnverifiedJwt, "verified", verifying)
    token, ours = scene.theirs(), await scene.token()
    counted.clear()  # Forget the verification of the client's assertion.
    first = await scene.access(token)
    for _ in range(3):
        assert await scene.access(token) == first
        await scene.access(ours)
    assert sorted(counted) == sorted([THEIR_ISSUER, scene.issuers.url(scene.habo)])
    head, claims, signature = token.split(".")
    assert "signature" in await refused(scene, f"{head}.{claims}.{signature[::-1]}")
    scene.tokens._keyring._kept[EXTERNAL].take(PublicKeys([public(curve_key(8))]))
    assert "signature" in await refused(scene, token), "the issuer's keys have been replaced"
    scene.unregister(scene.habo, "journal")
    assert "not registered" in await refused(scene, ours)


async def own(scene: Scene, header: dict[str, str] | None = None, **changes: Any) -> str:
    """Return a token signed with the key of Habo's own issuer, with claims that it would not write."""
    header_part, claims_part, _ = (await scene.token()).split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims_part + "=="))
    head = json.loads(base64.urlsafe_b64decode(header_part + "=="))
    async with scene.installation.open(scene.habo, Role.MESSAGE_SERVICE) as vault:
        key: TokenKey = vault.token_keys(now=scene.now)[0]
    given = {**claims, **changes}
    return signed(
        {**head, **(header or {})}, {name: each for name, each in given.items() if each is not None}, key
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "https://elsewhere.test"}, "audience"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": 1900000000}, "more than 1800 seconds"),
        ({"iat": None}, "iat"),
        ({"iat": 1900000000, "exp": 1900000900}, "not valid yet"),
        ({"nbf": 1900000000}, "not valid yet"),
        ({"client_id": None}, "client_id"),
        ({"client_id": "nobody"}, "not registered"),
        ({"client_id": "theirs"}, "another authorisation server"),
        ({"scope": None}, "scope"),
        ({AUTH_ID: None}, AUTH_ID),
        ({AUTH_ID: [1]}, AUTH_ID),
        ({"header": {"typ": "JWT"}}, "another type"),
        ({"header": {"kid": "nobody's"}}, "signature"),
    ],
)
async def test_a_token_that_does_not_fit(scene: Scene, changes: dict[str, Any], said: str) -> None:
    await scene.access(await own(scene))
    assert said in await refused(scene, await own(scene, **changes))


async def test_a_token_of_one_organisation_opens_nothing_of_another(scene: Scene) -> None:
    """The issuer decides, whatever the claims are; both organisations have a client of that name."""
    there = scene.issuers.url(scene.mullsjo)
    both = [scene.issuers.vouched_for_by(scene.issuers.url(one)) for one in (scene.habo, scene.mullsjo)]
    assert both == [scene.habo, scene.mullsjo]
    await scene.access(await own(scene))  # caches its issuer's keys
    assert "signature" in await refused(scene, await own(scene, iss=there))
    claimed = await own(scene, **{"urn:samdrift:organisation": scene.mullsjo.value})
    assert (await scene.access(claimed)).organisation == scene.habo


async def test_a_forged_token(scene: Scene) -> None:
    token = await scene.token()
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    (published,) = (await scene.http.get(f"{scene.issuers.url(scene.habo)}/jwks")).json()["keys"]
    secret = ECKey.import_key(published).as_pem(private=False)
    confused = unsigned("HS256", claims)
    mac = base64.urlsafe_b64encode(hmac.new(secret, confused.encode(), hashlib.sha256).digest()).rstrip(b"=")
    for forged in (
        sign(claims, curve_key(9), {"typ": "at+jwt"}),
        sign(claims, curve_key(9), {"typ": "at+jwt", "kid": published["kid"]}),
        sign(claims, curve_key(9), {"typ": "at+jwt", "jwk": curve_key(9).as_dict(private=False)}),
        sign(claims, rsa_key(1), {"typ": "at+jwt", "alg": "RS256"}),
        f"{confused}.{mac.decode()}",
        f"{unsigned('none', claims)}.",
        f"{unsigned('none', claims)}.AA",
        f"{head}.{body}.{'A' * 86}",
        token[:-2],
        token + "." + head,
        " " + token,
    ):
        await refused(scene, forged)


def unsigned(algorithm: str, claims: dict[str, Any]) -> str:
    parts = ({"alg": algorithm, "typ": "at+jwt"}, claims)
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )


async def test_an_assertion_is_no_access_token(scene: Scene) -> None:
    """RFC 8725 2.8: an assertion that a client signs opens nothing, even if it names our issuer."""
    now = int(scene.now.timestamp())
    claims = {"iss": scene.issuers.url(scene.habo), "client_id": "journal", "aud": ADDRESS, "iat": now}
    await refused(scene, scene.assertion(**claims, scope="urn:sdk.api:getMessage"))
    await refused(scene, scene.assertion())


async def test_a_key_that_another_process_made_is_fetched(scene: Scene) -> None:
    await scene.access(await scene.token())
    elsewhere = Scene(scene.installation, scene.habo, scene.mullsjo)
    scene.now += timedelta(days=90)
    elsewhere.now = scene.now
    token = await elsewhere.token()
    await scene.access(token)


async def test_a_token_that_is_issued_here_is_verified_without_opening_the_vault_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(*_: object) -> PublicKeys:
        raise KeysUnavailable("nobody opens it")

    monkeypatch.setattr(Keyring, "_made_in_place", closed)
    token = await scene.token()
    for _ in range(3):
        scene.now += timedelta(minutes=4)
        await scene.access(token)


# --- an organisation's own server -----------------------------------------------------------------------


async def test_an_organisations_own_server_vouches_for_its_clients(scene: Scene) -> None:
    access = await scene.access(scene.theirs())
    assert (access.organisation, access.client) == (scene.habo, "theirs")
    assert access.scopes == {Scope.READ}
    assert [access.covers(address) for address in (SCHOOL, CARE, DESK)] == [False, True, False]


@pytest.mark.parametrize("claimed", ["*", ["*"], [f"{CARE[:8]}*", SCHOOL, "sdk.x.mullsjo.se"]])
async def test_it_gives_nothing_that_the_client_is_not_registered_for(scene: Scene, claimed: Any) -> None:
    """An address of another organisation is not opened either."""
    access = await scene.access(scene.theirs(scope=" ".join(Scope), **{AUTH_ID: claimed}))
    assert access.patterns == patterns([CARE])
    scene.register(
        scene.habo,
        client("theirs", "*", external=True, scopes=frozenset({Scope.LIST})),
        external=EXTERNAL,
    )
    wide = await scene.access(scene.theirs(scope=" ".join(Scope), **WIDE))
    assert {str(pattern) for pattern in wide.patterns} == {SCHOOL, CARE, DESK}
    assert wide.scopes == {Scope.LIST}


async def test_their_token_narrows_what_its_client_is_registered_for(scene: Scene) -> None:
    """api-mt-mk 5.2: a client that may have all mailboxes asks for one, and gets that one."""
    scene.register(scene.habo, client("theirs", "*", external=True), external=EXTERNAL)
    narrow = await scene.access(scene.theirs(**{AUTH_ID: [CARE, "*.skola.habo.se"]}))
    assert {str(pattern) for pattern in narrow.patterns} == {CARE, SCHOOL}
    assert not narrow.covers(DESK)
    nothing = await scene.access(scene.theirs(**{AUTH_ID: ["sdk.elsewhere.habo.se"]}))
    assert nothing.patterns == ()


async def test_its_default_client_has_what_is_no_other_clients(scene: Scene) -> None:
    scene.register(
        scene.habo,
        client("journal", "*.skola.habo.se", keys=(curve_key(1),)),
        client("theirs", default=True, external=True),
        external=EXTERNAL,
    )
    access = await scene.access(scene.theirs(**WIDE))
    assert {str(pattern) for pattern in access.patterns} == {CARE, DESK}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "https://elsewhere.test"}, "audience"),
        ({"iat": None}, "iat"),
        ({"exp": 1900000000}, "more than 1800 seconds"),
        ({"exp": 1700000000, "iat": 1700000000}, "expired"),
        ({"nbf": 1900000000}, "not valid yet"),
        ({"client_id": "nobody"}, "not registered"),
        ({"client_id": "journal"}, "another authorisation server"),
        ({"client_id": ["theirs"]}, "client_id"),
        ({AUTH_ID: None}, AUTH_ID),
        ({AUTH_ID: ["a*b*"]}, AUTH_ID),
        ({"iss": "https://idp.mullsjo.test"}, "its issuer is unknown"),
        ({"iss": None}, "does not name its issuer"),
        ({"iss": f"{THEIR_ISSUER}/"}, "its issuer is unknown"),
        ({"header": {"typ": "JWT"}}, "another type"),
        ({"header": {"typ": ""}}, "another type"),
        ({"key": curve_key(9)}, "signature"),
        ({"key": curve_key(9), "header": {"jku": "https://evil.test/keys"}}, "signature"),
        ({"key": OctKey.import_key(b"x" * 32), "header": {"alg": "HS256"}}, "algorithm"),
    ],
)
async def test_their_token_that_does_not_fit(scene: Scene, changes: dict[str, Any], said: str) -> None:
    assert said in await refused(scene, scene.theirs(**changes))
    assert set(scene.web.asked) <= {THEIR_KEYS}, "a token must not determine where keys are fetched"


async def test_their_server_says_nothing_of_another_organisation(scene: Scene) -> None:
    """A server belongs to one organisation; a client of that name elsewhere is another one."""
    scene.register(scene.mullsjo, client("theirs", "*", external=True), external=None)
    assert (await scene.access(scene.theirs())).organisation == scene.habo
    scene.register(scene.habo)
    assert "issuer" in await refused(scene, scene.theirs())


@pytest.mark.parametrize("later", ["https://a.habo.test", "https://z.habo.test"])
async def test_a_server_that_is_replaced_while_its_token_is_read_vouches_for_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """A command re-reads the registrations meanwhile, and the token then belongs to another server."""
    token, before = scene.theirs(), scene.known()
    scene.register(
        scene.habo, client("theirs", CARE, external=True), external=replace(EXTERNAL, issuer=later)
    )
    answers = iter((before, scene.known()))
    monkeypatch.setattr(scene.tokens, "_registered", lambda: next(answers))
    assert await refused(scene, token) == "the access token is refused: its issuer is unknown"


async def test_two_organisations_cannot_have_one_server(scene: Scene) -> None:
    scene.register(scene.mullsjo, external=EXTERNAL)
    with pytest.raises(ValueError, match="one organisation"):
        scene.known()


async def test_algorithms_claims_and_types_are_for_the_operator_to_say(scene: Scene) -> None:
    scene.web.pages[THEIR_KEYS] = jwk_set(curve_key(7), rsa_key(2))
    chosen = replace(
        EXTERNAL,
        algorithms=frozenset({Algorithm.PS256}),
        client_claim="azp",
        auth_id_claim="mailboxes",
        token_type="jwt",
        audience="sdk",
    )
    scene.register(scene.habo, client("theirs", CARE, external=True), external=chosen)
    claims = {"azp": "theirs", "client_id": None, "mailboxes": CARE, AUTH_ID: None, "aud": ["x", "sdk"]}
    token = scene.theirs(key=rsa_key(2), header={"alg": "PS256", "typ": "JWT"}, **claims)
    assert (await scene.access(token)).patterns == patterns([CARE])
    others: list[tuple[str, RSAKey | ECKey]] = [("RS256", rsa_key(2)), ("ES256", curve_key(7))]
    for algorithm, key in others:
        token = scene.theirs(key=key, header={"alg": algorithm, "typ": "JWT"}, **claims)
        assert "algorithm" in await refused(scene, token)


async def test_keys_are_fetched_once_and_again_when_a_new_one_is_named(scene: Scene) -> None:
    await scene.access(scene.theirs())
    await scene.access(scene.theirs())
    assert scene.web.asked == [THEIR_KEYS]
    scene.web.pages[THEIR_KEYS] = jwk_set(curve_key(8))
    scene.now += MINUTE
    renewed = scene.theirs(key=curve_key(8), header={"kid": "ec-8"})
    await scene.access(renewed)
    assert len(scene.web.asked) == 2


async def test_a_server_that_is_down_is_not_the_clients_fault(scene: Scene) -> None:
    scene.web.down = True
    with pytest.raises(AuthorizationUnavailable):
        await scene.access(scene.theirs())


# --- whatever comes -------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: _JSON | st.just(good) for name, good in (("alg", "ES256"), ("kid", "ec-7"), ("typ", "at+jwt"))
    },
)
_CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        name: _JSON | st.just(good)
        for name, good in (("iss", THEIR_ISSUER), ("aud", ADDRESS), ("exp", 1), ("client_id", "theirs"))
    },
)
_JUNK = (
    st.text()
    | st.builds(".".join, st.lists(st.from_regex(r"[A-Za-z0-9_-]*", fullmatch=True), max_size=5))
    | st.builds(lambda *parts: ".".join(map(_part, parts)), _HEADERS | _JSON, _CLAIMS | _JSON, _JSON)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JUNK)
async def test_junk_is_unauthorized_and_nothing_else(scene: Scene, junk: str) -> None:
    await refused(scene, junk)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CLAIMS | st.dictionaries(st.text(), _JSON), _HEADERS)
async def test_junk_that_is_signed_is_unauthorized_too(
    scene: Scene, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    head, body = _part({"alg": "ES256", **header}), _part({"iss": THEIR_ISSUER, **claims})
    signature = sign({}, curve_key(7)).rpartition(".")[2]
    await refused(scene, f"{head}.{body}.{signature}")
    whole = {"iss": THEIR_ISSUER, **claims}
    await refused(scene, sign(whole, curve_key(7), {"typ": "at+jwt"}))


@pytest.mark.parametrize(
    "token",
    ["", "." * 3, "a" * 100_000, f"{_part({'alg': 'ES256'})}.{'W1tb' * 3000}.AA", f"{'W1tb' * 3000}.e30.AA"],
)
async def test_tokens_that_are_too_much(scene: Scene, token: str) -> None:
    await refused(scene, token)


def test_our_own_key_is_named_by_its_thumbprint() -> None:
    native = curve_key(1).public_key
    named = PublicKey.named(native)
    assert named.kid == ECKey.import_key(native).thumbprint()
    assert named.published() == {
        **ECKey.import_key(native).as_dict(private=False),
        "kid": named.kid,
        "use": "sig",
        "alg": "ES256",
    }


# --- persons for whom systems act -----------------------------------------------------------------------

KIM = {"sub": "kim", "name": "Kim Åberg", "act": {"sub": "theirs"}}


async def test_a_token_that_names_who_acts_for_whom_names_a_person_by_a_random_id(scene: Scene) -> None:
    """RFC 8693 4.1. A person always has the same id, whatever else the token has, and no one else has it."""
    access = await scene.access(scene.theirs(**KIM))
    assert (access.principal.kind, access.principal.through) == (PrincipalKind.USER, "theirs")
    assert re.fullmatch("[0-9a-f]{32}", access.person)
    again = await scene.access(scene.theirs(**{**KIM, "name": "Kim Öberg", "scope": "log"}))
    other = await scene.access(scene.theirs(**{**KIM, "sub": "alex", "name": None}))
    assert access.person == again.person != other.person
    async with scene.installation.open(scene.habo, Role.MESSAGE_SERVICE) as vault:
        known = {one.id: one.identity for one in await vault.persons()}
    assert (known[access.person].name, known[access.person].subject) == ("Kim Öberg", "kim")
    assert (known[other.person].name, known[other.person].subject) == ("", "alex")


async def test_a_system_that_acts_for_itself_says_so(scene: Scene) -> None:
    """A subject alone is not a person: servers also put the client's name there."""
    for token in (scene.theirs(), scene.theirs(sub="5f0c", name="journal"), await scene.token()):
        access = await scene.access(token)
        assert (access.person, access.principal.kind) == ("", PrincipalKind.SYSTEM)
        assert access.principal.through == ""


async def test_a_token_of_our_own_issuer_names_no_person(scene: Scene) -> None:
    """A client asks there for itself, and nothing shows which person is behind it."""
    access = await scene.access(await own(scene, act={"sub": "journal"}, name="Kim"))
    assert (access.person, access.client) == ("", "journal")


@pytest.mark.parametrize(
    "changes",
    [
        {"act": "theirs"},
        {"act": {}},
        {"act": {"sub": 7}},
        {"act": {"sub": ""}},
        {"act": ["theirs"]},
        {"act": {"sub": "theirs"}, "sub": None},
        {"act": {"sub": "theirs"}, "sub": ["kim"]},
        {"act": {"sub": "theirs"}, "sub": "k" * 257},
        {"act": {"sub": "theirs"}, "sub": "kim", "name": "k" * 257},
        {"act": {"sub": "theirs"}, "sub": "kim", "name": {"a": "b"}},
    ],
)
async def test_a_person_that_cannot_be_named_opens_nothing(scene: Scene, changes: dict[str, Any]) -> None:
    """The alternative would be a reading in the name of the system alone."""
    await refused(scene, scene.theirs(**changes))


async def test_keys_of_an_own_issuer_are_not_read_again_while_its_last_token_may_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent client's token is verified now and then, without opening a vault."""
    token = UnverifiedJwt.read(await scene.token())
    async with scene.installation.open(scene.habo, Role.MESSAGE_SERVICE) as vault:
        keys = vault.token_keys(now=scene.now)
    keyring = Keyring(scene.installation.gate, scene.web.client, scene.clock)
    keyring.seen(scene.habo, keys)
    read: list[ParticipantIdentifier] = []

    async def noted(_: Keyring, organisation: ParticipantIdentifier) -> PublicKeys:
        read.append(organisation)
        return PublicKeys(())

    monkeypatch.setattr(Keyring, "_made_in_place", noted)
    for minutes in (5, LONGEST_SECONDS // 60 - 5):
        scene.now += minutes * MINUTE
        assert await keyring.own(scene.habo, token)
        await asyncio.sleep(0.01)
    assert read == []


async def test_the_same_person_at_another_organisation_has_another_id(scene: Scene) -> None:
    first = await scene.access(scene.theirs(**KIM))
    async with scene.installation.open(scene.mullsjo, Role.MESSAGE_SERVICE) as vault:
        assert await vault.persons() == ()
        identity = Identity(THEIR_ISSUER, "kim", "Kim Åberg")
        assert await vault.know_person(identity, now=scene.now) != first.person


async def test_two_requests_of_a_new_person_at_the_same_time_know_one_person(scene: Scene) -> None:
    named = KIM | {"sub": "eva"}
    both = await asyncio.gather(*(scene.access(scene.theirs(**named)) for _ in range(5)))
    assert len({one.person for one in both}) == 1
