"""What a client sends to the token endpoint (RFC 6749 4.4.2, RFC 7523 2.2), and the errors it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

LONGEST = 64 * 1024
"""Bytes that a request may have."""

_GRANT = "client_credentials"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MOST = 50


class OAuthError(Exception):
    """A token request is refused (RFC 6749 5.2).

    ``text`` is for the client and tells nothing that it does not know; ``reason``
    is for the organisation's log.
    """

    def __init__(self, code: str, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.reason = reason or text


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request in the right form; who it is from has not been verified."""

    assertion: str
    client_id: str | None
    scope: tuple[str, ...] | None

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the form; :class:`OAuthError` for what is none, or is another kind of request."""
        fields = _fields(body)
        grant = fields.get("grant_type")
        if grant is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        if grant != _GRANT:
            raise OAuthError("unsupported_grant_type", f"grant_type is {_GRANT} here")
        if "client_secret" in fields or fields.get("client_assertion_type") != _ASSERTION:
            raise OAuthError(
                "invalid_request", f"clients show who they are by client_assertion_type {_ASSERTION}"
            )
        if not fields.get("client_assertion"):
            raise OAuthError("invalid_request", "client_assertion is missing")
        scope = fields.get("scope")
        return cls(
            fields["client_assertion"], fields.get("client_id"), tuple(scope.split()) if scope else None
        )


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form; one that comes twice could be read either way (RFC 6749 3.2)."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "the body is not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "a field stands there more than once")
    return fields
