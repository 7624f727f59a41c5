"""Errors at interface D, for the system that calls it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.hold import Hold


class InterfaceError(Explained):
    """Base of the client's errors; the text is one line for a person."""

    @property
    def for_logs(self) -> str:
        """Return the text without the other side's words, which may quote a message."""
        return str(self)


class Unreachable(InterfaceError, Temporary):
    """No usable answer was received; the same call can safely be repeated, and may succeed later."""

    def __init__(self, text: str, waits_for: str = "") -> None:
        """Make the error; ``waits_for`` is the :class:`Hold` that the message service reports for itself."""
        super().__init__(text)
        self.waits_for = waits_for


class NotUnderstood(Unreachable):
    """A complete, successful answer that is not what was asked for.

    Repeating the call may give another answer, for instance if a proxy had returned a page of its own. If it
    always gives the same one, that is the message service's answer.
    """


class NotOffered(InterfaceError):
    """The message service has no evidence about a message, or offers none at all."""

    def __init__(self) -> None:
        super().__init__(
            "the message service provides neither receipts nor the original of this message: they are"
            " gone, or it is another supplier's and does not offer them"
        )


class Unreadable(InterfaceError):
    """A message was received but cannot be read, now or later; only its raw form is available."""


class TooLarge(Unreadable):
    """A message is larger than allowed; it is not read to its end, and cannot be fetched in raw form."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the message service responds with more than {most >> 20} MiB")


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault as reported by the message service (api-mt-mk, "Felhantering")."""

    code: str
    title: str
    detail: str
    place: str

    def __str__(self) -> str:
        said = ": ".join(dict.fromkeys(part for part in (self.code, self.title, self.detail) if part))
        return f"{said} ({self.place})" if self.place else said


class Refused(InterfaceError):
    """The message service or the authorisation server refused a call; ``issues`` are its reasons."""

    def __init__(self, status: int, text: str, issues: tuple[Issue, ...] = (), *, bare: bool = False) -> None:
        told = "; ".join(map(str, issues)) or text
        super().__init__(f"HTTP status {status}: {told}" if told else f"HTTP status {status}")
        self.status = status
        self.issues = issues
        self.explained = bool(told)
        """True if the refusal had a document with a reason, as a message service's own refusals have."""
        self.bare = bare
        """True if the refusal had no content, as some do in the published API."""

    @property
    def for_logs(self) -> str:
        return f"HTTP status {self.status}"


def waits_for(body: bytes) -> str:
    """Return the :class:`Hold` in an answer of our own message service; only the database is recognised."""
    try:
        found = json.loads(body)["waitsFor"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return Hold.DATABASE.value if found == Hold.DATABASE else ""


def refusal(status: int, body: bytes) -> Refused:
    """Return the error for a problem document (RFC 7807) or an OAuth2 error (RFC 6749 5.2).

    Either document may be missing.
    """
    if not body.strip():
        return Refused(status, "", bare=True)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = {}
    if not isinstance(document, Mapping):
        return Refused(status, "")
    text = ": ".join(_texts(document, "title", "error", "detail", "error_description"))
    issues = document.get("eventIssues")
    return Refused(status, text, tuple(map(_issue, issues)) if isinstance(issues, list) else ())


def _issue(document: Any) -> Issue:
    told = document if isinstance(document, Mapping) else {}
    return Issue(*(str(told.get(key) or "") for key in ("typeCode", "title", "detail", "in")))


def _texts(document: Mapping[str, Any], *keys: str) -> list[str]:
    return [document[key] for key in keys if isinstance(document.get(key), str) and document[key]]
