"""Attempts over interface D and at the token endpoint, with another organisation's tokens or forged ones.

Each is also made without a token.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from samdrift.client.keys import ClientKey
from samdrift.contracts import workers
from samdrift.contracts.messageclients import AUTH_ID, Scope
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.isolationcheck.calls import Call, Calls, Request, ask, attempt
from samdrift.isolationcheck.canary import Planted, nonexistent
from samdrift.isolationcheck.ledger import Ledger
from samdrift.messageservice.interface_d.writing import MESSAGES
from samdrift.messageservice.oauth.issuing import ORGANISATION, TOKEN_TYPE
from samdrift.messageservice.oauth.registrations import METADATA, PATH, OwnIssuers
from samdrift.net.client import HttpClient, NoAnswer
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT, ParticipantIdentifier
from samdrift.wire.jose.jwt import signed
from samdrift.wire.jose.keys import PublicKey

INTERFACE, TOKENS = "interface D", "token endpoint"
OTHER = "another organisation's message client"
FORGER = "another organisation's key in this one's name"
CLAIMER = "another organisation's token that claims this one"
ANONYMOUS = "anonymous"
ACTORS = (OTHER, CLAIMER, FORGER, ANONYMOUS)
_SECONDS = 300
_LABEL = "Isolation check"
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def send(planted: Planted) -> Request:
    """Send a message in the other's name, with the id of one of its own and a reference to it."""
    extension = {"root": FUNCTIONAL_ADDRESS_ROOT, "extension": planted.address, "label": _LABEL}
    text = {"documentId": _LABEL, "documentName": _LABEL, "index": "1", "contentTextBody": [_LABEL]}
    attributes = {
        "confidentiality": True,
        "label": _LABEL,
        "sender": planted.organisation.value,
        "recipient": planted.organisation.value,
        "refToMessageId": planted.message_id,
        "senderAttention": {"subOrganization": extension},
        "recipientAttention": {"subOrganization": extension},
        "digitalDocument": [text],
    }
    document = {"data": {"type": "messages", "id": planted.message_id, "attributes": attributes}}
    return Request("POST", MESSAGES, json.dumps(document).encode(), {"content-type": "application/json"})


def list_all(planted: Planted) -> Request:
    return Request("GET", MESSAGES)


def list_from(planted: Planted) -> Request:
    address = {"filter[senderAttention.subOrganization.extension]": planted.address}
    return Request("GET", f"{MESSAGES}?{urlencode(address)}")


def list_after(planted: Planted) -> Request:
    """List the page that starts after one of the other's messages."""
    place = f"{planted.created_at.isoformat()} {planted.message_id} {Direction.OUT.value}"
    mark = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    return Request("GET", f"{MESSAGES}?{urlencode({'page[size]': '1000', 'page[after]': mark})}")


def read(planted: Planted) -> Request:
    return Request("GET", f"{MESSAGES}/{planted.message_id}")


def evidence(planted: Planted) -> Request:
    return Request("GET", f"{MESSAGES}/{planted.message_id}/evidence?original=true")


def delete(planted: Planted) -> Request:
    return Request("DELETE", f"{MESSAGES}/{planted.message_id}")


def follow(planted: Planted) -> Request:
    """Read all events since the beginning."""
    return Request("GET", "/v1/sdk/events", headers={"last-event-id": "0"}, silence=0.5)


def read_log(planted: Planted) -> Request:
    """Read a part of a log that only the other's could have; the path cannot name the organisation."""
    return Request("GET", "/v1/logs/mt/tile/entries/x999/999")


def describe(planted: Planted) -> Request:
    return Request("GET", "/v1/openapi.json")


CALLS: Calls = {
    ("POST", MESSAGES): (Call("send in the other's name", send),),
    ("GET", MESSAGES): (
        Call("list", list_all, same=False),
        Call("list what the other's address sent", list_from, same=False),
        Call("list from the place of the other's message", list_after, same=False),
    ),
    ("GET", f"{MESSAGES}/{{messageId}}"): (Call("read the other's message", read),),
    ("GET", f"{MESSAGES}/{{messageId}}/evidence"): (Call("fetch evidence of the other's message", evidence),),
    ("DELETE", f"{MESSAGES}/{{messageId}}"): (Call("delete the other's message", delete),),
    ("GET", "/v1/sdk/events"): (Call("follow events from the beginning", follow, same=False),),
    ("GET", "/v1/logs/{role}/{resource:path}"): (Call("read the other's log", read_log),),
    ("GET", "/v1/openapi.json"): (Call("read the description", describe),),
}
"""Every route; a new one must have its calls here (tests/separation/test_interfaces.py)."""


def ask_for_token(planted: Planted) -> Request:
    """Request a token as the other organisation's client, without its key, at a guessed issuer."""
    return Request("POST", _issuer(planted) + "/token", _assertion(planted.client, ""), _FORM)


def keys(planted: Planted) -> Request:
    return Request("GET", _issuer(planted) + "/jwks")


def metadata(planted: Planted) -> Request:
    return Request("GET", METADATA.format(name=_guess(planted)))


TOKEN_CALLS: Calls = {
    ("POST", f"{PATH}/token"): (
        Call("ask the other's issuer, by its guessed name, for a token", ask_for_token),
    ),
    ("GET", f"{PATH}/jwks"): (Call("find the other's issuer by its keys", keys),),
    ("GET", METADATA): (Call("find the other's issuer by its metadata", metadata),),
}
"""Every route of the authorisation server, called for issuers with guessed names."""


@dataclass(frozen=True, slots=True)
class Door:
    """Interface D, as the check reaches it."""

    gate: Gate
    http: HttpClient
    issuers: OwnIssuers
    now: datetime

    async def token(
        self,
        signer: ParticipantIdentifier,
        client: str,
        *,
        issuer: ParticipantIdentifier | None = None,
        claimed: Planted | None = None,
    ) -> str:
        """Return a token signed by the issuer of ``signer``.

        ``issuer`` is the organisation that it names as its issuer, and ``claimed`` the one whose rights it
        claims.
        """
        async with self.gate.open(
            workers.ISOLATION_CHECK, signer, Role.MESSAGE_SERVICE, Purpose.AUTHORISE
        ) as vault:
            key = vault.token_keys(now=self.now)[0]
        issued = int(self.now.timestamp())
        organisation = claimed.organisation if claimed else signer
        claims = {
            "iss": self.issuers.url(issuer or signer),
            "sub": client,
            "client_id": client,
            "azp": client,
            "aud": self.issuers.address,
            "iat": issued,
            "exp": issued + _SECONDS,
            "jti": hashlib.sha256(f"{client} {issued}".encode()).hexdigest()[:32],
            "scope": " ".join(scope.value for scope in Scope),
            AUTH_ID: ["*", *([claimed.address] if claimed else [])],
            ORGANISATION: organisation.value,
        }
        return signed({"typ": TOKEN_TYPE, "kid": PublicKey.named(key.public).kid or ""}, claims, key)


async def over_interface_d(door: Door, own: Planted, planted: Planted, ledger: Ledger) -> None:
    """Make each call as each actor.

    First, the organisation itself must be seen to reach the planted records.
    """
    try:
        known = await door.token(planted.organisation, planted.client)
        mine = await ask(door.http, door.issuers.address, list_all(planted), known)
    except NoAnswer:
        ledger.untried(INTERFACE, "all", "everybody", "interface D does not answer")
        return
    if planted.message_id.encode() not in mine.body:
        why = "the canary's own message client does not find what is planted"
        ledger.untried(INTERFACE, "all", "everybody", why)
        return
    organisation = planted.organisation
    actors = {
        OTHER: await door.token(own.organisation, own.client),
        CLAIMER: await door.token(own.organisation, planted.client, claimed=planted),
        FORGER: await door.token(own.organisation, planted.client, issuer=organisation, claimed=planted),
        ANONYMOUS: "",
    }
    for actor, token in actors.items():
        await _try_all(door, CALLS, INTERFACE, actor, token, planted, ledger)
    await _try_all(door, TOKEN_CALLS, TOKENS, ANONYMOUS, "", planted, ledger)
    await _ask_known_issuer(door, planted, ledger)


async def _try_all(
    door: Door, routes: Calls, interface: str, actor: str, token: str, planted: Planted, ledger: Ledger
) -> None:
    for calls in routes.values():
        for call in calls:
            try:
                leak = await attempt(door.http, door.issuers.address, call, planted, token)
            except NoAnswer:
                ledger.untried(interface, call.name, actor, "interface D does not answer")
                continue
            ledger.tried(interface, call.name, actor, leak)


async def _ask_known_issuer(door: Door, planted: Planted, ledger: Ledger) -> None:
    """Request tokens at the other's real issuer, for an existing and for a nonexistent client."""
    endpoint = door.issuers.token_endpoint(planted.organisation)
    path, name = endpoint.removeprefix(door.issuers.address), "ask the other's issuer for a token"
    found = []
    for client in (planted.client, nonexistent(planted.created_at).client):
        try:
            asked = Request("POST", path, _assertion(client, endpoint, door.now), _FORM)
            found.append(await ask(door.http, door.issuers.address, asked))
        except NoAnswer:
            ledger.untried(TOKENS, name, OTHER, "interface D does not answer")
            return
    leak = "" if found[0].status >= 400 else "it got one"
    if not leak and found[0] != found[1]:
        leak = "the answer reveals which clients exist"
    ledger.tried(TOKENS, name, OTHER, leak)


def _assertion(client: str, audience: str, now: datetime | None = None) -> bytes:
    made = ClientKey.new().assertion(client, audience, now) if now else "a.b.c"
    fields: Mapping[str, str] = {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION,
        "client_assertion": made,
    }
    return urlencode(fields).encode()


def _issuer(planted: Planted) -> str:
    return PATH.format(name=_guess(planted))


def _guess(planted: Planted) -> str:
    """Return the most obvious guess of an organisation's issuer name."""
    return quote(planted.organisation.value, safe="")
