"""Unfinished uploads at an S3 store: signed requests, all pages of a listing, nothing of another vault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from samdrift.vault import uploads
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.objects import Objects
from samdrift.vault.settings import S3Settings
from samdrift.vault.uploads import signed
from tests.storeways import Answer, Way

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=2), NOW - timedelta(hours=1)
SETTINGS = S3Settings("s3://bodies/here", "AKSECRET1", "wJalrXUtnSECRET2")


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_requests_are_signed_as_in_amazons_own_examples(query: str, signature: str) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    place = S3Settings("s3://examplebucket", "AKIAIOSFODNN7EXAMPLE", secret)
    host = "examplebucket.s3.amazonaws.com"
    headers = signed(place, "GET", host, "/", query, datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={signature}"
    )


class Store(Answer):
    """A store that lists all uploads, two at a time, whatever was asked for; one is over already."""

    __slots__ = ("uploads",)

    def __init__(self, uploads: Sequence[tuple[str, datetime]]) -> None:
        super().__init__(404, "NoSuchUpload")
        object.__setattr__(self, "uploads", uploads)

    def response(self, head: bytes) -> bytes:
        method, target, _ = head.decode().split(" ", 2)
        query = parse_qs(urlsplit(target).query, keep_blank_values=True)
        if method == "DELETE":
            return super().response(head) if query["uploadId"] == ["id-0"] else _http(204, "")
        after = int(query.get("upload-id-marker", ["id--1"])[0].removeprefix("id-"))
        listed = [*enumerate(self.uploads)][after + 1 :][:2]  # type: ignore[attr-defined]
        more = after + 3 < len(self.uploads)  # type: ignore[attr-defined]
        found = "".join(
            f"<Upload><Key>{key}</Key><UploadId>id-{number}</UploadId><Owner><ID>o</ID></Owner>"
            f"<Initiated>{begun:%Y-%m-%dT%H:%M:%S}.000Z</Initiated></Upload>"
            for number, (key, begun) in listed
        )
        following = (
            f"<NextKeyMarker>{listed[-1][1][0]}</NextKeyMarker>"
            f"<NextUploadIdMarker>id-{listed[-1][0]}</NextUploadIdMarker>"
            if more
            else ""
        )
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        name = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        return _http(
            200,
            f"<ListMultipartUploadsResult {name}>{truncated}{following}{found}</ListMultipartUploadsResult>",
        )


class Said(Answer):
    """A store that answers every request with a text that is not a listing."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__(200, "")
        object.__setattr__(self, "text", text)

    def response(self, head: bytes) -> bytes:
        return _http(200, self.text)  # type: ignore[attr-defined]


class Endless(Answer):
    """A store that lists the same upload again and again, each time with another place to continue."""

    __slots__ = ()

    def response(self, head: bytes) -> bytes:
        target = head.decode().split(" ", 2)[1]
        after = int(parse_qs(urlsplit(target).query).get("key-marker", ["0"])[0])
        begun = f"<Initiated>{OLD.isoformat()}</Initiated>"
        upload = f"<Upload><Key>here/v1/old</Key><UploadId>1</UploadId>{begun}</Upload>"
        place = f"<IsTruncated>true</IsTruncated><NextKeyMarker>{after + 1}</NextKeyMarker>"
        return _http(200, f"<ListMultipartUploadsResult>{place}{upload}</ListMultipartUploadsResult>")


def _http(status: int, body: str) -> bytes:
    head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return f"{head}{body}".encode()


@pytest_asyncio.fixture
async def way() -> AsyncIterator[Way]:
    async with Way().open() as one:
        yield one


def aborted(way: Way) -> list[str]:
    return [each.removeprefix("DELETE ") for each in way.requests if each.startswith("DELETE ")]


async def test_old_uploads_of_one_vault_alone_are_aborted_whatever_the_store_lists(way: Way) -> None:
    way.answer = Store(
        [
            ("here/v1/over", OLD),
            ("here/v1/new", NEW),
            ("here/v1/old", OLD),
            ("here/v10/others", OLD),
            ("elsewhere/v1/others", OLD),
            ("here/v1/last of all", OLD),
        ]
    )
    objects = Objects(replace(SETTINGS, endpoint=way.address))
    await objects.drop_drafts("v1", NOW - timedelta(hours=12))
    assert aborted(way) == [
        "/bodies/here/v1/over?uploadId=id-0",
        "/bodies/here/v1/old?uploadId=id-2",
        "/bodies/here/v1/last%20of%20all?uploadId=id-5",
    ]


async def test_a_bucket_that_the_endpoint_names_is_in_no_path(way: Way) -> None:
    way.answer = Store([("v1/old", OLD), ("v1/older", OLD)])
    place = replace(SETTINGS, url="s3://bodies", endpoint=way.address, bucket_in_host=True)
    await Objects(place).drop_drafts("v1", NOW)
    assert aborted(way) == ["/v1/old?uploadId=id-0", "/v1/older?uploadId=id-1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no XML",
        "<!DOCTYPE a><a/>",
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><Upload><Key>here/v1/a</Key></Upload></ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><Upload><Key>here/v1/a</Key><UploadId>1</UploadId>"
        "<Initiated>yesterday</Initiated></Upload></ListMultipartUploadsResult>",
    ],
)
async def test_an_answer_that_is_no_listing_is_a_typed_error_and_nothing_is_aborted(
    way: Way, text: str
) -> None:
    way.answer = Said(text)
    with pytest.raises(VaultUnavailable) as caught:
        await Objects(replace(SETTINGS, endpoint=way.address)).drop_drafts("v1", NOW)
    assert caught.value.cause == "object store: it cannot be reached, or the connection breaks"
    assert aborted(way) == []


async def test_an_endless_listing_is_left_at_some_page(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_MOST_PAGES", 5)
    way.answer = Endless(200, "")
    async with asyncio.timeout(60):
        await Objects(replace(SETTINGS, endpoint=way.address)).drop_drafts("v1", NOW)
    assert len(aborted(way)) == 5
