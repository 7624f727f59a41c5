"""A failing object store over the network: one clear cause, without keys and names."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import obstore
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from obstore.exceptions import BaseError
from obstore.store import S3Store

from samdrift.contracts.errors import Temporary
from samdrift.vault import remoteobjects
from samdrift.vault.errors import SealBroken, VaultUnavailable
from samdrift.vault.objects import Objects, try_out
from samdrift.vault.settings import S3Settings
from tests.storeways import Answer, Way
from tests.unit.net.test_tls import SECOND

NAME, PEM = "v1/one", Encoding.PEM
SETTINGS = S3Settings("s3://bodies/here", "AKSECRET1", "wJalrXUtnSECRET2")
CAUSES = {
    Answer(503, "SlowDown"): "it answers 503 SlowDown",
    Answer(500, "InternalError"): "it answers 500 InternalError",
    Answer(403, "AccessDenied"): "it answers 403 AccessDenied",
    Answer(403, "SignatureDoesNotMatch"): "it answers 403 SignatureDoesNotMatch",
    Answer(403, "RequestTimeTooSkewed"): "it answers 403 RequestTimeTooSkewed",
    Answer(404, "NoSuchBucket"): "it answers 404 NoSuchBucket",
}
Attempt = Callable[[Objects], Awaitable[object]]


async def written(objects: Objects) -> None:
    writer = objects.writer(NAME)
    await writer.write(b"content")
    await writer.close()


async def written_in_parts(objects: Objects) -> None:
    writer = objects.writer(NAME)
    for _ in range(3):
        await writer.write(bytes(5 << 20))
    await writer.close()


async def read(objects: Objects) -> None:
    async for _ in objects.pieces(NAME):
        pass


ATTEMPTS: dict[str, Attempt] = {
    "written": written,
    "written in parts": written_in_parts,
    "read": read,
    "deleted": lambda objects: objects.delete(NAME),
    "listed": lambda objects: objects.under("v1"),
    "reached": lambda objects: objects.reach(),
    "cleared": lambda objects: objects.clear("v1"),
    "swept": lambda objects: objects.drop_drafts("v1", datetime.now(UTC)),
}


@pytest.fixture(autouse=True)
def given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(remoteobjects._RETRIES, "max_retries", 0)
    monkeypatch.setattr(remoteobjects, "ANSWER", timedelta(seconds=1))


@pytest_asyncio.fixture
async def way() -> AsyncIterator[Way]:
    async with Way().open() as one:
        yield one


def objects_by(way: Way) -> Objects:
    return Objects(replace(SETTINGS, endpoint=way.address))


async def failed(attempt: Attempt, objects: Objects) -> str:
    """Return the cause of the error, which is temporary and reveals nothing else."""
    with pytest.raises(VaultUnavailable) as caught:
        await attempt(objects)
    told = "".join(traceback.format_exception(caught.value))
    assert isinstance(caught.value, Temporary)
    assert not [each for each in ("SECRET", NAME, "127.0.0.1", "s3://") if each in told]
    assert caught.value.cause.startswith("object store: ")
    return caught.value.cause.removeprefix("object store: ")


@pytest.mark.parametrize("answer", list(CAUSES), ids=lambda one: f"{one.status} {one.code}")
async def test_what_a_store_answers_instead_is_said_in_its_own_word(way: Way, answer: Answer) -> None:
    """A missing bucket says nothing about its objects, which do not count as altered or lost."""
    way.answer = answer
    objects = objects_by(way)
    found = {name: await failed(attempt, objects) for name, attempt in ATTEMPTS.items()}
    without_word = {"read": CAUSES[answer].rpartition(" ")[0]}  # Its HEAD request has no text in its answer.
    if answer.status == 404:
        without_word = {}  # After a 404 a second request is sent, whose answer has a text.
    assert found == dict.fromkeys(ATTEMPTS, CAUSES[answer]) | without_word


async def test_a_store_that_is_down_silent_or_breaks_off_is_said_so(way: Way) -> None:
    async with Way().open() as closed:
        pass
    down = objects_by(closed)
    assert await failed(lambda one: one.reach(), down) == "connection refused"
    assert await failed(written, down) in {
        "connection refused",
        "it cannot be reached, or the connection breaks",
    }
    way.refused = True
    for attempt in ATTEMPTS.values():
        assert await failed(attempt, objects_by(way)) == "it cannot be reached, or the connection breaks"
    way.refused, way.silent = False, True
    assert await failed(lambda one: one.reach(), objects_by(way)) == "no answer in time"


async def test_what_vanishes_with_its_bucket_while_it_is_read_is_not_taken_for_altered(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and content are two requests, and the bucket can disappear between them."""

    class Vanishing:
        async def read(self, _: int) -> bytes:
            raise FileNotFoundError

    async def opened(*_: object, **__: object) -> Vanishing:
        return Vanishing()

    monkeypatch.setattr(obstore, "open_reader_async", opened)
    way.answer = Answer(404, "NoSuchBucket")
    assert await failed(read, objects_by(way)) == "it answers 404 NoSuchBucket"

    async def there(*_: object) -> None:
        """Succeed, as a store that is back by the next attempt."""

    async def not_there(*_: object) -> None:
        raise FileNotFoundError

    way.answer = _Listing("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    monkeypatch.setattr(obstore, "head_async", there)
    assert await failed(read, objects_by(way)) == "an existing object was reported as missing"
    monkeypatch.setattr(obstore, "head_async", not_there)
    with pytest.raises(SealBroken):
        await read(objects_by(way))


async def test_a_store_that_is_known_to_say_nothing_keeps_no_message_waiting(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message would wait for the whole time limit, longer than its sender does."""
    monkeypatch.setattr(remoteobjects, "LOOK", timedelta(seconds=0.2))
    monkeypatch.setattr(remoteobjects, "ANSWER", timedelta(minutes=5))
    objects, way.silent = objects_by(way), True
    for attempt in (lambda one: one.reach(), written, read):
        assert await failed(attempt, objects) == "no answer in time"
    way.mended()
    way.answer = _Listing("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    with contextlib.suppress(VaultUnavailable):
        await objects.reach()
    way.answer = Answer(403, "AccessDenied")
    assert await failed(written, objects) == "it answers 403 AccessDenied", "the store must be asked again"


async def test_a_store_that_took_nothing_is_written_in_until_it_does(way: Way) -> None:
    """A store that is read-only or full still answers a listing, so that does not show its health."""
    objects = objects_by(way)
    listing = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
    way.answer = Answer(507, "QuotaExceeded")
    await failed(written, objects)
    way.requests.clear()
    way.answer = _Listing(listing)
    assert await failed(lambda one: one.reach(), objects) == "it answers 403 AccessDenied"
    assert [each.split("?")[0] for each in way.requests] == ["GET /bodies", "PUT /bodies/here/reach/written"]
    way.requests.clear()
    fresh = objects_by(way)
    await fresh.reach()
    assert [each.split("?")[0] for each in way.requests] == ["GET /bodies"]


async def test_what_a_store_lists_elsewhere_is_none_of_the_vaults(way: Way) -> None:
    """A sweep, or the end of an organisation, removes the listed objects, which could be other vaults'."""
    names = ("v2/two", "v10/ten", "v1", "v1/one")
    listed = "".join(
        f"<Contents><Key>here/{name}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>"
        '<ETag>"e"</ETag><Size>1</Size></Contents>'
        for name in names
    )
    way.answer = _Listing(f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
    assert [each.name for each in await objects_by(way).under("v1")] == ["v1/one"]


def test_what_is_not_known_of_a_failure_is_its_kind_alone() -> None:
    error = BaseError("the key AKSECRET1 may not read v1/one at https://s3.example.se")
    assert remoteobjects.remote_cause(error) == "BaseError"


def test_issuers_that_are_named_vouch_for_a_store() -> None:
    named = replace(SETTINGS, endpoint="https://s3.example.se", issuers=SECOND.certificate.public_bytes(PEM))
    for settings, known in ((named, True), (replace(named, issuers=None), False)):
        store = remoteobjects.remote_store(settings)
        assert isinstance(store, S3Store)
        assert ("root_certificate" in (store.client_options or {})) is known


def test_a_store_that_is_reached_by_tls_sends_nobody_to_where_there_is_none() -> None:
    """A redirection could otherwise do so."""
    for endpoint, allowed in ((None, False), ("https://s3.example.se", False), ("http://127.0.0.1", True)):
        store = remoteobjects.remote_store(replace(SETTINGS, endpoint=endpoint))
        assert isinstance(store, S3Store)
        assert ("allow_http" in (store.client_options or {})) is allowed


class _Listing(Answer):
    """A store that lists, but accepts nothing."""

    __slots__ = ("listing",)

    def __init__(self, listing: str) -> None:
        super().__init__(403, "AccessDenied")
        object.__setattr__(self, "listing", listing)

    def response(self, head: bytes) -> bytes:
        if not head.startswith(b"GET "):
            return super().response(head)
        body: str = self.listing
        return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()


async def test_what_reaches_a_store_is_shown_nowhere(way: Way) -> None:
    settings = replace(SETTINGS, endpoint=way.address)
    assert "SECRET2" not in f"{settings!r} {settings}"
    way.answer = Answer(403, "SignatureDoesNotMatch")
    await failed(lambda _: try_out(settings), objects_by(way))


async def test_a_store_whose_url_or_environment_lacks_something_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKSECRET1")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(VaultUnavailable) as caught:
        Objects("s3://bodies/here")
    assert caught.value.cause == "object store: MissingSecretAccessKey: see vaults.s3"
    with pytest.raises(VaultUnavailable):
        Objects("nothing://bodies")
