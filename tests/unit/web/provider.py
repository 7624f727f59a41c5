"""A sign-in service for tests, which is correct until it is set to do one thing wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc.jwk import ECKey, OctKey, RSAKey

from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.web.signin.idtoken import LOGOUT_EVENT
from samdrift.web.signin.provider import WELL_KNOWN
from tests.unit.messageservice.oauth.scene import curve_key, jwk_set, sign
from tests.unit.web.scene import ISSUER, LEVEL

Change = Callable[[dict[str, Any]], None]


@dataclass
class SignInService:
    """An OpenID Connect service as in RFCs and specifications, over function calls."""

    clock: Callable[[], datetime]
    issuer: str = ISSUER
    key: ECKey | RSAKey | OctKey = field(default_factory=lambda: curve_key(1))
    published: list[ECKey | RSAKey] = field(default_factory=lambda: [curve_key(1)])
    header: dict[str, Any] = field(default_factory=lambda: {"typ": "JWT", "kid": "ec-1"})
    down: set[str] = field(default_factory=set)
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """Claims that replace those of the next ID token; ``None`` removes one."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Parameters that replace those of the next answer."""
    id_token: str | None = None
    called: list[str] = field(default_factory=list)
    slow: float = 0.0
    """Seconds before each answer."""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Answer a call of ours."""
        self.called.append(url)
        await asyncio.sleep(self.slow)
        path = url.removeprefix(self.issuer)
        if path in self.down:
            raise NoAnswer(HttpFault.UNREACHABLE)
        match path:
            case str() if path == WELL_KNOWN:
                return _json(self._metadata())
            case "/keys":
                return Fetched(200, "application/json", jwk_set(*self.published))
            case "/token":
                assert content is not None
                return self._redeem(dict(parse_qsl(content.decode())), headers or {})
        return Fetched(404, "text/plain", b"")

    def visit(self, url: str) -> dict[str, list[str]]:
        """Sign in the person who came by ``url``; return the parameters of the answer."""
        assert url.startswith(f"{self.issuer}/authorize?"), url
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer, **self.answer}
        return {
            name: value if isinstance(value, list) else [value]
            for name, value in answer.items()
            if value is not None
        }

    def logout_token(self, **changed: Any) -> str:
        """Return a notice of logout (Back-Channel Logout 2.4)."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": "samdrift",
            "iat": now,
            "exp": now + 120,
            "jti": "1",
            "sub": "anna",
            "events": {LOGOUT_EVENT: {}},
        }
        return self.signed({**claims, **changed}, {"typ": "logout+jwt"})

    def signed(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        return sign(claims, self.key, {**self.header, **(header or {})})

    def _metadata(self) -> dict[str, Any]:
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return {name: value for name, value in {**right, **self.metadata}.items() if value is not None}

    def _redeem(self, form: dict[str, str], headers: Mapping[str, str]) -> Fetched:
        asked = self._codes.pop(form["code"], None)
        pair = base64.b64encode(b"samdrift:secret").decode()
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        proper = (
            asked is not None
            and asked["redirect_uri"] == form["redirect_uri"]
            and asked["code_challenge_method"] == "S256"
            and asked["code_challenge"] == base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
            and headers.get("authorization") == f"Basic {pair}"
        )
        if asked is None or not proper:
            return _json({"error": "invalid_grant"}, 400)
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": asked["client_id"],
            "sub": "anna",
            "name": "Anna Andersson",
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": asked["nonce"],
            "acr": LEVEL,
            "sid": "session-1",
        }
        token = self.id_token or self.signed({**claims, **self.claims})
        return _json({"access_token": "x", "token_type": "Bearer", "id_token": token})


def _json(document: object, status: int = 200) -> Fetched:
    return Fetched(status, "application/json", json.dumps(document).encode())
