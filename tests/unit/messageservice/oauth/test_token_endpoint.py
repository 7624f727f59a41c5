"""Our own authorisation server: client credentials with a signed JWT (api-mt-mk 5, RFC 6749, RFC 7523)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet, OctKey

from samdrift.contracts.messageclients import AUTH_ID, Scope
from samdrift.contracts.principals import Role
from samdrift.messageservice.oauth.registrations import MessageClient, OwnIssuers
from samdrift.net.issuers import KeysAt
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.errors import VaultDenied, VaultError, VaultLocked, VaultSuspended, VaultUnavailable
from samdrift.vault.registry import Registration, RegistrationState, Registry
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey
from tests.unit.messageservice.oauth.scene import (
    ADDRESS,
    ASSERTION_TYPE,
    MINUTE,
    Scene,
    client,
    curve_key,
    jwk_set,
    rsa_key,
)
from tests.vaults import until

UNKNOWN = {"error": "invalid_client", "error_description": "the client could not be authenticated"}


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    return json.loads(header), json.loads(claims)


async def test_a_client_gets_an_access_token(scene: Scene) -> None:
    """api-mt-mk 5: "Max 30 min", no refresh token; RFC 6749 5.1, RFC 9068 2.

    Clauses: api-mt-mk 4.1 step 1, step 2, 4.2 step 1, step 2, 5 sentence 2.
    """
    answer = await scene.ask()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert set(told["scope"].split()) == set(Scope)
    header, claims = parts(told["access_token"])
    now = int(scene.now.timestamp())
    assert header["typ"] == "at+jwt"
    assert claims.pop("jti")
    assert claims == {
        "iss": scene.issuers.url(scene.habo),
        "sub": "journal",
        "client_id": "journal",
        "azp": "journal",
        "aud": ADDRESS,
        "iat": now,
        "exp": now + 900,
        "scope": told["scope"],
        AUTH_ID: ["*.skola.habo.se"],
        "urn:samdrift:organisation": scene.habo.value,
    }


async def test_the_token_is_verified_with_the_published_key(scene: Scene) -> None:
    """RFC 8414 2: from the issuer to its metadata, and to its keys."""
    issuer = scene.issuers.url(scene.habo)
    metadata = (
        await scene.http.get(issuer.replace("/v1/", "/.well-known/oauth-authorization-server/v1/"))
    ).json()
    assert metadata["issuer"] == issuer
    assert metadata["token_endpoint"] == scene.issuers.token_endpoint(scene.habo)
    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    keys = (await scene.http.get(metadata["jwks_uri"])).json()
    assert all("d" not in key for key in keys["keys"])
    token = await scene.token()
    jws.deserialize_compact(token, KeySet.import_key_set(keys), algorithms=["ES256"])


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
async def test_clients_may_sign_with_rsa(scene: Scene, algorithm: str) -> None:
    scene.register(scene.habo, client("journal", "*", keys=(rsa_key(1),)))
    assert await scene.token(scene.assertion(key=rsa_key(1), header={"alg": algorithm, "typ": "JWT"}))


async def test_a_client_that_changes_keys_may_use_both(scene: Scene) -> None:
    scene.register(scene.habo, client("journal", "*", keys=(curve_key(1), curve_key(4))))
    assert await scene.token(scene.assertion(key=curve_key(4), header={"kid": "my-own-name"}))
    assert await scene.token(scene.assertion(key=curve_key(1)))


async def test_the_keys_of_a_client_may_lie_at_an_address_of_its_own(scene: Scene) -> None:
    where = "https://journal.test/keys"
    scene.register(scene.habo, MessageClient("journal", (), frozenset(Scope), KeysAt(where)))
    assert (await scene.ask()).json() == UNKNOWN
    scene.web.pages[where] = jwk_set(curve_key(1))
    scene.now += MINUTE
    assert await scene.token()


async def test_the_audience_may_be_the_issuer(scene: Scene) -> None:
    issuer, endpoint = scene.issuers.url(scene.habo), scene.issuers.token_endpoint(scene.habo)
    assert await scene.token(scene.assertion(aud=issuer))
    assert await scene.token(scene.assertion(aud=[endpoint, issuer]))


async def test_a_client_may_ask_for_less(scene: Scene) -> None:
    answer = (await scene.ask(scope="urn:sdk.api:sendMessage urn:sdk.api:getMessage")).json()
    assert answer["scope"] == "urn:sdk.api:getMessage urn:sdk.api:sendMessages"
    assert (await scene.access(answer["access_token"])).scopes == {Scope.SEND, Scope.READ}


@pytest.mark.parametrize("scope", ["urn:sdk.api:deleteMessage", "offline_access"])
async def test_a_client_gets_no_more_than_it_is_registered_for(scene: Scene, scope: str) -> None:
    reader = client("journal", "*", keys=(curve_key(1),), scopes=frozenset({Scope.READ}))
    scene.register(scene.habo, reader)
    answer = await scene.ask(scope=f"urn:sdk.api:getMessage {scope}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert (await scene.ask()).json()["scope"] == "urn:sdk.api:getMessage"


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"client_assertion_type": None}, "invalid_request"),
        (
            {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
            "invalid_request",
        ),
        ({"client_assertion": ""}, "invalid_request"),
        ({"client_secret": "secret"}, "invalid_request"),
    ],
)
async def test_another_kind_of_request(scene: Scene, fields: dict[str, str], error: str) -> None:
    answer = await scene.post(
        "&".join(
            f"{name}={value}"
            for name, value in {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": scene.assertion(),
                **fields,
            }.items()
            if value is not None
        )
    )
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_what_is_no_form(scene: Scene) -> None:
    form = f"grant_type=client_credentials&client_assertion_type={ASSERTION_TYPE}&client_assertion="
    good = form + scene.assertion()
    for answer in (
        await scene.post(good, headers={"content-type": "application/json"}),
        await scene.post(good + "&grant_type=client_credentials"),
        await scene.post(good + "&x=\N{LATIN SMALL LETTER A WITH RING ABOVE}"),
        await scene.post(good + "&x" * 60),
        await scene.post(good + "&x=" + "x" * 70_000),
        await scene.post(good, headers={"authorization": "Basic am91cm5hbDpzZWNyZXQ="}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_token_endpoint_takes_nothing_but_post(scene: Scene) -> None:
    assert (await scene.http.get(scene.issuers.token_endpoint(scene.habo))).status_code == 405


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "https://elsewhere.test/token"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": []}, "aud"),
        ({"sub": "rest"}, "two clients"),
        ({"exp": None}, "exp"),
        ({"exp": 0}, "expired"),
        ({"exp": "1900000000"}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"jti": None}, "jti"),
        ({"jti": "x" * 300}, "jti"),
        ({"nbf": 1900000000}, "not valid yet"),
        ({"iat": 1900000000}, "not valid yet"),
    ],
)
async def test_an_assertion_that_does_not_fit(scene: Scene, changes: dict[str, Any], said: str) -> None:
    """RFC 7523 3; a client with a valid signature learns what to change."""
    answer = await scene.ask(scene.assertion(**changes))
    assert (answer.status_code, answer.json().get("error")) == (401, "invalid_client")
    assert said in answer.json()["error_description"]


async def test_an_assertion_for_others_too_could_be_used_by_them(scene: Scene) -> None:
    both = [scene.issuers.url(scene.habo), "https://elsewhere.test"]
    assert "aud" in (await scene.ask(scene.assertion(aud=both))).json()["error_description"]


async def test_an_assertion_is_short_lived(scene: Scene) -> None:
    now = int(scene.now.timestamp())
    assert (await scene.ask(scene.assertion(exp=now + 299))).status_code == 200
    assert (await scene.ask(scene.assertion(exp=now + 400))).status_code == 401
    assert (await scene.ask(scene.assertion(iat=now - 600, exp=now + 60))).status_code == 401


async def test_an_assertion_is_good_once(scene: Scene) -> None:
    """RFC 7523 3, item 7; the vault remembers it, so that another process knows too."""
    assertion = scene.assertion(jti="once")
    answers = await asyncio.gather(*(scene.ask(assertion) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    again = Scene(scene.installation, scene.habo, scene.mullsjo)
    answer = await again.ask(assertion)
    assert "used before" in answer.json()["error_description"]
    assert (await again.ask(again.assertion(jti="twice"))).status_code == 200


async def test_a_token_takes_one_round_trip_to_its_vault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.token()
    trips: list[list[str]] = []
    run = Session.run

    async def noted(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        if scene.installation.is_logged_in(session, scene.habo):
            trips.append([sql for sql, _ in statements])
        return await run(session, statements)

    monkeypatch.setattr(Session, "run", noted)
    await scene.token()
    (only,) = [trip for trip in trips if any("use_assertion" in sql or "append_log" in sql for sql in trip)]
    assert (only[0], only[-1]) == ("BEGIN", "COMMIT")


async def test_the_id_of_an_assertion_is_any_text(scene: Scene) -> None:
    """A lone surrogate is a character in JSON and not in UTF-8."""
    assertion = scene.assertion(jti="\ud800")
    assert await scene.token(assertion)
    assert (await scene.ask(assertion)).status_code == 401


async def test_ids_of_assertions_are_each_clients_own(scene: Scene) -> None:
    assert await scene.token(scene.assertion(jti="1"))
    assert await scene.token(scene.assertion("rest", key=curve_key(3), jti="1"))


async def test_the_client_id_beside_the_assertion_must_agree(scene: Scene) -> None:
    assert await scene.token(client_id="journal")
    assert (await scene.ask(client_id="rest")).status_code == 401


def forged(scene: Scene) -> dict[str, str]:
    """Return assertions that were not made by a permitted client."""
    good = scene.assertion()
    head, body, signature = good.split(".")
    pem = rsa_key(1).as_pem(private=False)
    bare = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    shared = scene.assertion(key=OctKey.import_key(b"x" * 32), header={"alg": "HS256"})
    hs = shared.rpartition(".")[0]
    confused = (
        base64.urlsafe_b64encode(hmac.new(pem, hs.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    )
    return {
        "another's key": scene.assertion(key=curve_key(9)),
        "another client's key": scene.assertion(key=curve_key(3)),
        "no signature": f"{bare}.{body}.",
        "alg none": f"{bare}.{body}.{signature}",
        "public key as secret": f"{hs}.{confused}",
        "changed": f"{head}.{body[:-2]}.{signature}",
        "unknown client": scene.assertion("nobody"),
        "unknown client, a key that is known": scene.assertion("nobody", key=curve_key(1)),
        "vouched for elsewhere": scene.assertion("theirs", key=curve_key(7)),
        "vouched for elsewhere, a key that is known": scene.assertion("theirs", key=curve_key(1)),
        "own key in the header": scene.assertion(
            key=curve_key(9), header={"jwk": curve_key(9).as_dict(private=False)}
        ),
        "critical": scene.assertion(header={"crit": ["b64"], "b64": True}),
        "an access token": scene.assertion(header={"typ": "at+jwt"}),
        "junk": "x.y.z",
    }


async def test_nobody_learns_which_clients_there_are(scene: Scene) -> None:
    """Unknown clients, wrong keys and forgeries get the same answer; only the log distinguishes them."""
    scene.register(
        scene.habo,
        client("journal", "*", keys=(curve_key(1), rsa_key(1))),
        client("rest", default=True),
        client("theirs", external=True),
    )
    attempts = forged(scene)
    for name, assertion in attempts.items():
        answer = await scene.ask(assertion)
        assert (answer.status_code, answer.json()) == (401, UNKNOWN), name
    refused = await scene.log("mt:token:refused")
    assert len(refused) == len(attempts)
    assert {entry["client"] for entry in refused} == {"journal", "theirs", "not registered"}
    assert not await scene.log("mt:token:issued")
    assert not [entry for entry in refused if any(each in str(entry) for each in attempts.values())]


async def test_who_is_no_client_takes_as_much_work(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not exist costs as many signature checks as one with another key."""
    verified: list[str] = []
    signed_by = UnverifiedJwt._signed_by

    def counted(self: UnverifiedJwt, key: PublicKey) -> bool:
        verified.append(self.issuer)
        return signed_by(self, key)

    monkeypatch.setattr(UnverifiedJwt, "_signed_by", counted)
    for name in ("journal", "nobody"):
        assert (await scene.ask(scene.assertion(name, key=curve_key(9)))).json() == UNKNOWN
    assert verified == ["journal", "nobody"]


async def test_what_was_issued_stands_in_the_log(scene: Scene) -> None:
    answer = (await scene.ask()).json()
    (entry,) = await scene.log("mt:token:issued")
    assert entry["client"] == "journal"
    assert entry["token"] == parts(answer["access_token"])[1]["jti"]
    assert answer["access_token"] not in str(entry)


async def test_failures_neither_fill_the_log_nor_lock_a_client_out(scene: Scene) -> None:
    answers = [await scene.ask(scene.assertion(key=curve_key(9))) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "60"
    assert (await scene.ask(scene.assertion("rest", key=curve_key(9)))).status_code == 401
    assert await scene.token(), "its own assertion is good all the same"
    for _ in range(60):
        await scene.ask("x.y.z")
    assert len(await scene.log("mt:token:refused")) == 60
    scene.now += MINUTE
    assert (await scene.ask(scene.assertion(key=curve_key(9)))).status_code == 401
    assert len(await scene.log("mt:token:refused")) == 61


async def test_failures_counted_while_the_clock_was_ahead_limit_nothing_when_it_is_right(
    scene: Scene,
) -> None:
    right, scene.now = scene.now, scene.now + 24 * 60 * MINUTE
    for _ in range(61):
        answer = await scene.ask(scene.assertion(key=curve_key(9)))
    assert answer.status_code == 429
    scene.now = right
    assert (await scene.ask(scene.assertion(key=curve_key(9)))).status_code == 401
    assert len(await scene.log("mt:token:refused")) == 61


async def test_names_that_no_client_can_have_are_not_kept_whole(scene: Scene) -> None:
    """Failures are counted for thousands of names, which must be short."""
    names = [f"{'x' * 5000}{number}" for number in range(11)]
    answers = [await scene.ask(scene.assertion(name, key=curve_key(9))) for name in names]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


# --- separation -----------------------------------------------------------------------------------------


async def test_an_issuer_knows_the_clients_of_its_organisation_alone(scene: Scene) -> None:
    """Both organisations have a client of that name, each with its own key."""
    theirs = scene.assertion(key=curve_key(2), at=scene.mullsjo)
    assert (await scene.ask(theirs)).json() == UNKNOWN
    assert await scene.token(theirs, at=scene.mullsjo)
    scene.register(scene.mullsjo, client("journal", "*", keys=(curve_key(1),)))
    assert "aud" in (await scene.ask(scene.assertion(at=scene.mullsjo))).json()["error_description"]


async def test_an_assertion_for_nobody_is_not_one_for_every_organisation_of_a_supplier(scene: Scene) -> None:
    """One system, with one key, may be the client of several organisations."""
    scene.register(scene.mullsjo, client("journal", "*", keys=(curve_key(1),)))
    for organisation in (scene.habo, scene.mullsjo):
        answer = await scene.ask(scene.assertion(aud=[], jti="once"), at=organisation)
        assert "aud" in answer.json()["error_description"]


async def test_addresses_of_issuers_tell_nothing_and_cannot_be_guessed(scene: Scene) -> None:
    ours, theirs = scene.issuers.url(scene.habo), scene.issuers.url(scene.mullsjo)
    assert ours != theirs
    for part in (scene.habo.value, scene.habo.value.partition(":")[2]):
        assert part not in ours
        assert (await scene.http.post(f"/v1/oauth2/{part}/token")).status_code == 404
        assert (await scene.http.get(f"/v1/oauth2/{part}/jwks")).status_code == 404
    registration = scene.installation.gate.registry.find(scene.habo, Role.MESSAGE_SERVICE)
    assert registration is not None
    assert registration.vault not in ours
    named_by = replace(registration, organisation=scene.mullsjo).public_name
    assert ours.endswith(named_by), "nothing of the organisation is in it"
    assert replace(registration, vault="v" + "0" * 32).public_name != named_by


def test_an_issuer_is_found_without_looking_through_all_organisations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organisations = [ParticipantIdentifier(f"0203:kommun{each}.se") for each in range(20)]
    registry = Registry()
    registry.replace(map(registration, organisations))
    issuers = OwnIssuers(ADDRESS, registry, organisations)
    addresses = [issuers.url(each) for each in organisations]
    asked: list[ParticipantIdentifier] = []
    find = registry.find

    def noted(organisation: ParticipantIdentifier, role: Role) -> Registration | None:
        asked.append(organisation)
        return find(organisation, role)

    monkeypatch.setattr(registry, "find", noted)
    assert [issuers.vouched_for_by(each) for each in addresses] == organisations
    assert asked == organisations, "once for all of them"


def test_an_issuer_is_that_of_whoever_is_hosted_now() -> None:
    first, second, third = (ParticipantIdentifier(f"0203:kommun{each}.se") for each in range(3))
    served = [first, second]
    registry = Registry()
    registry.replace(map(registration, (first, second, third)))
    issuers = OwnIssuers(ADDRESS, registry, served)
    addresses = [issuers.url(each) for each in (first, second, third)]
    assert [issuers.vouched_for_by(each) for each in addresses] == [first, second, None]
    served.append(third)
    assert issuers.vouched_for_by(addresses[2]) == third
    registry.replace(map(registration, (second, third)))
    assert [issuers.vouched_for_by(each) for each in addresses] == [None, second, third]


def registration(organisation: ParticipantIdentifier) -> Registration:
    vault = organisation.value.encode().hex()
    return Registration(
        organisation, Role.MESSAGE_SERVICE, RegistrationState.ACTIVE, vault, vault, b"", vault
    )


async def test_each_issuer_signs_with_keys_of_its_own(scene: Scene) -> None:
    ours = (await scene.http.get(f"{scene.issuers.url(scene.habo)}/jwks")).json()["keys"]
    theirs = (await scene.http.get(f"{scene.issuers.url(scene.mullsjo)}/jwks")).json()["keys"]
    assert not {key["x"] for key in ours} & {key["x"] for key in theirs}


async def test_an_organisation_that_is_suspended_gets_no_tokens(scene: Scene) -> None:
    role, registry = Role.MESSAGE_SERVICE, scene.installation.gate.registry
    assertion = scene.assertion()
    set_state = scene.installation.provisioner.set_state
    await set_state(scene.habo, role, RegistrationState.SUSPENDED)
    try:
        await until(lambda: not registry.serves(scene.habo, role))
        for given in (assertion, scene.assertion(key=curve_key(9))):
            answer = await scene.ask(given)
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    finally:
        await set_state(scene.habo, role, RegistrationState.ACTIVE)
        await scene.installation.known(scene.habo, role)


@pytest.mark.parametrize(
    ("outage", "status", "error"),
    [
        (VaultLocked, 503, "temporarily_unavailable"),
        (VaultSuspended, 503, "temporarily_unavailable"),
        (VaultUnavailable, 503, "temporarily_unavailable"),
        (VaultDenied, 400, "unauthorized_client"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_without_a_vault_nobody_gets_a_token_and_everybody_is_told_why(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    outage: type[VaultError],
    status: int,
    error: str,
    known: bool,
) -> None:
    """The vault waits for its officer or its database, or is no longer here (RFC 6749 5.2)."""

    def denied(*which: object) -> None:
        raise outage

    assertion = scene.assertion() if known else scene.assertion(key=curve_key(5))
    monkeypatch.setattr(scene.installation.gate, "open", denied)
    answer = await scene.ask(assertion)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.json()
