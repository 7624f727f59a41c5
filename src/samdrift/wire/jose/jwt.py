"""JSON Web Tokens; before verification, only the values that select the key are used.

Tokens are read strictly, as RFC 8725 recommends. The signature itself is verified by joserfc, with one
algorithm and one key at a time.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from samdrift.wire.crypto.keys import TokenKey
from samdrift.wire.jose.keys import Algorithm, PublicKey

LONGEST = 16 * 1024
"""Maximum number of characters of a token or assertion."""

_FORM = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)
_SKEW = timedelta(seconds=30)
"""Maximum difference between another party's clock and ours."""
_ASSERTION_LASTS = timedelta(minutes=1)
"""Lifetime of a client's assertion: enough to reach the token endpoint, too short for a thief to use."""
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class JwtInvalid(Exception):
    """A token is rejected; ``text`` gives the reason, and repeats nothing from the token."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Claims:
    """The claims of a token whose signature has been verified."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Return a required claim as text."""
        value = self._values.get(name)
        if not isinstance(value, str) or not value:
            raise JwtInvalid(f"the claim {name} is missing or is not a text")
        return value

    def optional_text(self, name: str) -> str:
        """Return a claim as text; empty if it is absent."""
        return self.text(name) if name in self._values else ""

    def actor(self) -> str | None:
        """Return the subject of the claim ``act``, the acting party (RFC 8693 4.1), if there is one."""
        if "act" not in self._values:
            return None
        acting = self._values["act"]
        subject = acting.get("sub") if isinstance(acting, dict) else None
        if not isinstance(subject, str) or not subject:
            raise JwtInvalid("the claim act has no subject")
        return subject

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a required claim as one or more texts."""
        value = self._values.get(name)
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) and each for each in values):
            raise JwtInvalid(f"the claim {name} is missing or is not a list of texts")
        return tuple(values)

    def instant(self, name: str) -> datetime:
        """Return a required claim as a time (RFC 7519 2, NumericDate)."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
            raise JwtInvalid(f"the claim {name} is missing or is not a time")
        return datetime.fromtimestamp(value, UTC)

    def has_object(self, name: str, member: str) -> bool:
        """Return whether a claim is an object that has the object ``member``, like the claim ``events``."""
        value = self._values.get(name)
        return isinstance(value, Mapping) and isinstance(value.get(member), Mapping)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def check_times(self, now: datetime, longest: timedelta, *, issued: bool) -> datetime:
        """Reject a token that is not valid now or lasts longer than ``longest``; return its expiry.

        ``issued`` requires the time of issue (RFC 9068 2.2). The result allows for clock skew.
        """
        ends = self.instant("exp")
        if ends + _SKEW <= now:
            raise JwtInvalid("it has expired")
        begins = self.instant("iat") if issued or "iat" in self else now
        if max(begins, self.instant("nbf") if "nbf" in self else begins) > now + _SKEW:
            raise JwtInvalid("it is not valid yet")
        if ends - begins > longest + _SKEW:
            raise JwtInvalid(f"it is valid for more than {int(longest.total_seconds())} seconds")
        return ends + _SKEW


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A token whose signature has not been verified: anyone may have written it."""

    algorithm: Algorithm
    kid: str | None
    type: str
    issuer: str
    """The claimed issuer, which only selects the keys to try."""
    _text: str
    _claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> UnverifiedJwt:
        """Parse a token; raise :class:`JwtInvalid` if it is not one that we could verify."""
        parts = _FORM.fullmatch(text) if len(text) <= LONGEST else None
        if parts is None:
            raise JwtInvalid("it is not a signed JSON Web Token")
        header, claims = _object(parts[1]), _object(parts[2])
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in set(Algorithm):
            raise JwtInvalid("its signature algorithm is not accepted")
        if "crit" in header or not isinstance(kid, str | None):
            raise JwtInvalid("its header is not understood")
        issuer = claims.get("iss")
        if not isinstance(issuer, str):
            raise JwtInvalid("it does not name its issuer")
        return cls(Algorithm(algorithm), kid, _type(header.get("typ", "")), issuer, text, claims)

    def verified(self, keys: Iterable[PublicKey], *, types: Collection[str]) -> Claims:
        """Return the claims, if one of ``keys`` signed it and its type is in ``types`` (RFC 8725 3.11).

        Raises :class:`JwtInvalid` otherwise.
        """
        if not any(self._signed_by(key) for key in keys if self.algorithm in key.algorithms):
            raise JwtInvalid("its signature is invalid")
        if self.type not in types:
            raise JwtInvalid("it is a token of another type")
        return Claims(self._claims)

    def _signed_by(self, key: PublicKey) -> bool:
        registry = jws.JWSRegistry(algorithms=[self.algorithm.value], strict_check_header=False)
        registry.max_header_length = LONGEST
        try:
            jws.deserialize_compact(self._text, key.key, registry=registry)
        except (JoseError, ValueError, TypeError):
            return False
        return True


def signed(header: Mapping[str, str], claims: Mapping[str, object], key: TokenKey) -> str:
    """Sign a token with ES256 (RFC 7515 7.1); the key may be one that joserfc cannot access."""
    parts = ({"alg": Algorithm.ES256.value, **header}, claims)
    text = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{text}.{_encoded(key.sign(text.encode()))}"


def client_assertion(client: str, audience: str, identifier: str, now: datetime, key: TokenKey) -> str:
    """Create an assertion that authenticates us as a client, valid once, for a minute (RFC 7523 3)."""
    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "jti": identifier,
        "iat": int(now.timestamp()),
        "exp": int((now + _ASSERTION_LASTS).timestamp()),
    }
    return signed({"typ": "JWT", "kid": str(PublicKey.named(key.public).kid)}, claims, key)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise JwtInvalid("it is not a signed JSON Web Token")
    return value


def _type(value: object) -> str:
    """Return the media type in lower case, without the optional prefix (RFC 7515 4.1.9)."""
    return value.lower().removeprefix("application/") if isinstance(value, str) else "?"
