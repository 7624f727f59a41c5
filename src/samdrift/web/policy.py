"""Header fields of every answer to a browser, and of files that a person downloads.

All pages have the same policy, so that a page can only load, run, embed or be embedded by our own content.
With ``no-referrer``, browsers report the origin of a posted form as ``null``, which
:mod:`samdrift.web.guards` takes into account.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samdrift.web.hostile import safe_name

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }
)

FOR_EVER = "public, max-age=31536000, immutable"
"""``Cache-Control`` for files addressed by a hash of their content; the only exception to ``no-store``."""
CLOSED_POLICY = "sandbox; default-src 'none'"
"""Policy for everything that is not a page: it loads nothing and cannot run if opened directly."""
_MAY_DIFFER = {"cache-control": FOR_EVER, "content-security-policy": CLOSED_POLICY}


def with_policy(application: ASGIApp) -> ASGIApp:
    """Set :data:`HEADERS` on every answer of ``application``, replacing its own values for them."""

    async def policed(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if headers.get(name) != _MAY_DIFFER.get(name, value):
                        headers[name] = value
            await send(message)

        await application(scope, receive, sending)

    return policed


def file_headers(name: str) -> dict[str, str]:
    """Return the header fields for a file of a message, which is saved, never shown, and cannot run here."""
    safe = safe_name(name)
    plain = "".join(each if (each.isalnum() and each.isascii()) or each in " .-_" else "_" for each in safe)
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}",
        "content-security-policy": _MAY_DIFFER["content-security-policy"],
    }
