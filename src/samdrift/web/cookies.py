"""Our cookies: bound to the host, inaccessible to scripts, and not sent with other sites' forms.

A browser accepts a name that starts with ``__Host-`` only over TLS (or on this machine), and only for the
host itself, so that another organisation's host can neither read nor set one.
"""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION = "__Host-session"
SIGN_IN = "__Host-sign-in"
LANGUAGE = "__Host-language"

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
_VALUE = re.compile(r"[\w.~/=-]{1,1024}", re.ASCII)


def set_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set a cookie for the browser's session, or for ``seconds``; :class:`ValueError` for a bad value."""
    if not _VALUE.fullmatch(value):
        raise ValueError("a cookie's value has letters, digits and some signs only")
    age = "" if seconds is None else f"; Max-Age={seconds}"
    response.headers.append("set-cookie", f"{name}={value}; {_ATTRIBUTES}{age}")


def drop_cookie(response: Response, name: str) -> None:
    """Make the browser forget a cookie."""
    response.headers.append("set-cookie", f"{name}=; {_ATTRIBUTES}; Max-Age=0")


def cookie(connection: HTTPConnection, name: str) -> str | None:
    """Return a cookie's value; ``None`` if it is missing, occurs twice, or is malformed."""
    pairs = [
        pair.strip().partition("=")
        for field in connection.headers.getlist("cookie")
        for pair in field.split(";")
    ]
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None
