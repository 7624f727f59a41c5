"""Requests that one custodian makes and another approves, when they are not at the same terminal.

A request is a file that the custodian who asks has signed. An approval is a file beside it that
another custodian has signed, over the same words. A request is used by writing a third file, which
only one process can do, so it serves once. None of these files ever changes, and all are removed when
the request has expired. ::

    3f2a91c0.request    3f2a91c0.approved    3f2a91c0.used
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from samdrift.keystore.custody import (
    FOLDER,
    LASTS,
    Custodian,
    Custodians,
    CustodyError,
    CustodyFault,
    TwoPersons,
    read_small,
)
from samdrift.keystore.durablefiles import private_folder, remove, write_new

_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Matter:
    """An action, in the words that both people see and sign."""

    action: str
    """The command, like ``org close``."""
    organisation: str
    """Participant identifier of the organisation concerned; empty if there is none."""
    text: str
    """The exact effect, in one line."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and the custodian who has approved it, if any."""

    id: str
    matter: Matter
    by: str
    at: datetime
    approved_by: str | None = None

    @property
    def expires(self) -> datetime:
        return self.at + LASTS

    def content(self) -> bytes:
        """Return the content that both custodians sign."""
        matter = self.matter
        words = [self.id, matter.action, matter.organisation, matter.text, self.by, self.at.isoformat()]
        return json.dumps(words).encode()


class Requests:
    """The requests of one installation; ``now`` is the time of each operation."""

    def __init__(self, store: Path, custodians: Custodians) -> None:
        """Open the requests in the key store's folder ``store``."""
        self._folder = store / FOLDER / "requests"
        self._custodians = custodians

    def ask(self, matter: Matter, by: Custodian, now: datetime) -> Request:
        """Return the request of ``by`` for ``matter`` that waits for approval, made if there is none."""
        for request in self.open(now):
            if (request.matter, request.by, request.approved_by) == (matter, by.name, None):
                return request
        private_folder(self._folder)
        request = Request(secrets.token_hex(4), matter, by.name, now)
        signature = by.key.sign(request.content()).hex()
        document = [
            *(request.id, matter.action, matter.organisation, matter.text),
            *(request.by, now.isoformat(), signature),
        ]
        if not write_new(self._path(request.id, "request"), json.dumps(document).encode()):
            return self.ask(matter, by, now)
        return request

    def open(self, now: datetime) -> tuple[Request, ...]:
        """Return requests that are neither used nor expired, the oldest first; remove expired ones.

        A request dated in the future is left out, since it would last longer than a day.
        """
        found = []
        for path in self._paths():
            request = self._read(path)
            if request is None or request.at > now:
                continue
            if now >= request.expires:
                self._forget(request.id)
            elif not self._path(request.id, "used").exists():
                found.append(request)
        return tuple(sorted(found, key=lambda request: request.at))

    def unusable(self, now: datetime) -> tuple[str, ...]:
        """Return files that are not requests: damaged, not signed by a custodian, or dated in the future."""
        read = ((path.name, self._read(path)) for path in self._paths())
        return tuple(sorted(name for name, request in read if request is None or request.at > now))

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("*.request")) if self._folder.is_dir() else []

    def find(self, identifier: str, now: datetime) -> Request:
        """Return the open request with that id; ``NO_REQUEST`` if there is none."""
        found = [request for request in self.open(now) if request.id == identifier]
        if not found:
            text = "no request with that id is waiting: it was used, has expired or never existed"
            raise CustodyError(CustodyFault.NO_REQUEST, text)
        return found[0]

    def approve(self, identifier: str, by: Custodian, now: datetime) -> Request:
        """Approve another custodian's open request."""
        request = self.find(identifier, now)
        if request.by == by.name:
            text = f"{by.name} made this request and cannot also approve it"
            raise CustodyError(CustodyFault.SAME_PERSON, text)
        document = [by.name, by.key.sign(_approval(request)).hex()]
        write_new(self._path(request.id, "approved"), json.dumps(document).encode())
        return self.find(identifier, now)

    def take(self, matter: Matter, by: Custodian, now: datetime) -> TwoPersons | None:
        """Use an approved request of ``by`` for exactly this, once; return ``None`` if there is none."""
        for request in self.open(now):
            approver = request.approved_by
            if (
                request.matter == matter
                and request.by == by.name
                and approver not in (None, by.name)
                and write_new(self._path(request.id, "used"), b"")
            ):
                return TwoPersons(by.name, str(approver))
        return None

    def _read(self, path: Path) -> Request | None:
        """Return the request in a file, with its approval; ``None`` if it is not signed by a custodian."""
        try:
            words = json.loads(read_small(path))
            identifier, action, organisation, text, by, at, signature = words
            request = Request(identifier, Matter(action, organisation, text), by, datetime.fromisoformat(at))
            if request.at.utcoffset() is None or not all(isinstance(each, str) for each in words):
                return None
            genuine = self._custodians.signed(by, request.content(), bytes.fromhex(signature))
        except (OSError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        if not genuine or path.name != f"{request.id}.request" or not _ID.fullmatch(request.id):
            return None
        return Request(request.id, request.matter, by, request.at, self._approver(request))

    def _approver(self, request: Request) -> str | None:
        try:
            name, signature = json.loads(read_small(self._path(request.id, "approved")))
            approved = self._custodians.signed(name, _approval(request), bytes.fromhex(signature))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return str(name) if approved else None

    def _forget(self, identifier: str) -> None:
        """Remove a request's files, the request itself first: without it, the others mean nothing."""
        for kind in ("request", "approved", "used"):
            remove(self._path(identifier, kind))

    def _path(self, identifier: str, kind: str) -> Path:
        return self._folder / f"{identifier}.{kind}"


def _approval(request: Request) -> bytes:
    return b"approved " + request.content()
