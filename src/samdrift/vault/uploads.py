"""Unfinished uploads in parts at an S3 store: listing and aborting them.

A process that is killed while it writes a large body leaves the parts that the store already has. No listing
of objects shows them, and a store keeps them until the upload is aborted; obstore aborts only its own
uploads. The two requests for that have no body, and are signed by Amazon's Signature Version 4.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import quote, urlsplit

from samdrift.vault import remoteobjects
from samdrift.vault.settings import AMAZON, S3Settings
from samdrift.wire.errors import WireError
from samdrift.wire.xml.reader import Element, XmlLimits, children, local_name, parse, text

_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_LISTED: Final = XmlLimits(max_bytes=4 << 20, max_markup=100_000)
"""Limits of one answer, which lists at most a thousand uploads."""
_NOT_FOUND = 404
_GOOD = 200, 204
_MOST_PAGES = 1000
"""Maximum number of answers that are read for one listing; the next sweep continues with the rest."""


class NotAnswered(OSError):
    """A failed request to the store; the text has its status and words, as errors of obstore have."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished upload in parts."""

    key: str
    id: str
    begun: datetime
    """Time at which the upload was begun, by the store's clock."""


class Uploads:
    """Unfinished uploads in a bucket, below the prefix of its URL; each call blocks on the store."""

    def __init__(self, place: S3Settings) -> None:
        bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
        address = urlsplit(place.endpoint or AMAZON.format(region=place.region))
        self._place = place
        self._tls: ssl.SSLContext | None = None
        if address.scheme == "https":
            self._tls = ssl.create_default_context()
            if place.issuers is not None:
                self._tls.load_verify_locations(cadata=place.issuers.decode("ascii", "ignore"))
        self._host = address.netloc
        self._bucket = address.path.rstrip("/")
        if not place.bucket_in_host:
            self._bucket += f"/{bucket}"
        elif place.endpoint is None:
            self._host = f"{bucket}.{self._host}"
        self._above = f"{prefix.strip('/')}/".lstrip("/")

    def under(self, prefix: str) -> list[Upload]:
        """Return each unfinished upload of an object whose name begins with ``prefix/``."""
        below, found = f"{self._above}{prefix}/", list[Upload]()
        after = dict[str, str]()
        for _ in range(_MOST_PAGES):
            answer = self._ask("GET", "", {"uploads": "", "prefix": below} | after)
            listed, following = _read(answer)
            found += [each for each in listed if each.key.startswith(below)]
            if following is None or following == after:
                break
            after = following
        return found

    def abort(self, upload: Upload) -> None:
        """Abort an upload, so that the store drops its parts; do nothing if it is already over."""
        with contextlib.suppress(_NotThere):
            self._ask("DELETE", f"/{upload.key}", {"uploadId": upload.id})

    def _ask(self, method: str, path: str, query: dict[str, str]) -> bytes:
        path = quote(f"{self._bucket}{path}") or "/"
        asked = "&".join(sorted(f"{quote(name, '')}={quote(value, '')}" for name, value in query.items()))
        headers = signed(self._place, method, self._host, path, asked, datetime.now(UTC))
        try:
            return self._answer(method, f"{path}?{asked}", headers)
        except (NotAnswered, ConnectionRefusedError):
            raise
        except TimeoutError:
            raise NotAnswered("timed out") from None
        except (OSError, HTTPException):
            raise NotAnswered("HTTP error") from None

    def _answer(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        seconds = remoteobjects.ANSWER.total_seconds()
        connection = (
            HTTPConnection(self._host, timeout=seconds)
            if self._tls is None
            else HTTPSConnection(self._host, timeout=seconds, context=self._tls)
        )
        try:
            connection.request(method, target, headers=headers)
            answer = connection.getresponse()
            content = answer.read(_LISTED.max_bytes + 1)
        finally:
            connection.close()
        if answer.status not in _GOOD:
            kind = _NotThere if answer.status == _NOT_FOUND else NotAnswered
            raise kind(f"status code: {answer.status} {content.decode(errors='replace')}")
        return content


class _NotThere(NotAnswered):
    """A failed request for an upload or a bucket that does not exist."""


def signed(place: S3Settings, method: str, host: str, path: str, query: str, now: datetime) -> dict[str, str]:
    """Return the headers of a request without a body, including its signature; path and query are encoded."""
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = [method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, _EMPTY]
    scope = [stamp[:8], place.region, "s3", "aws4_request"]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = f"AWS4{place.secret}".encode()
    for part in (*scope, "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{place.access_key}/{'/'.join(scope)}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={key.hex()}"
    return headers | {"authorization": authorization}


def _read(answer: bytes) -> tuple[list[Upload], dict[str, str] | None]:
    """Return the uploads in a listing, and the query for the next page, ``None`` after the last one."""
    try:
        root = parse(answer, _LISTED)
        values = _values(root)
        uploads = [_upload(_values(each)) for each in children(root) if local_name(each) == "Upload"]
        more = values.get("IsTruncated") == "true"
        following = {"key-marker": values["NextKeyMarker"]} if more else None
    except (WireError, KeyError, ValueError):
        raise NotAnswered("HTTP error") from None
    if following is not None and values.get("NextUploadIdMarker"):
        following["upload-id-marker"] = values["NextUploadIdMarker"]
    return uploads, following


def _upload(values: dict[str, str]) -> Upload:
    begun = datetime.fromisoformat(values["Initiated"])
    return Upload(values["Key"], values["UploadId"], begun if begun.tzinfo else begun.replace(tzinfo=UTC))


def _values(element: Element) -> dict[str, str]:
    return {local_name(each): text(each) for each in children(element)}
