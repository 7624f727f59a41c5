"""The documents of a stored message as JSON: the message's content, however the XML is cut or written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from samdrift.messageservice.interface_d.documents import documents
from samdrift.vault.errors import VaultUnavailable
from samdrift.wire import sdkmessage
from samdrift.wire.sdkmessage import Document, File, SdkMessage
from tests.unit.wire.sdkmessage.samples import FULL, SMALL

STRANGE = 'Hej "å" & <b>\n\t\\ \u2028 😀 ]]>'


async def shown(data: bytes, size: int) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    return json.loads("".join([piece async for piece in documents(pieces())]))


def expected(message: SdkMessage) -> list[dict[str, Any]]:
    return [
        {
            "documentId": one.id,
            **({"documentName": one.name} if one.name is not None else {}),
            **({"index": one.index} if one.index is not None else {}),
            **(
                {
                    "contentFiles": [
                        {"fileName": file.name, "contentType": file.content_type, "content": file.content}
                        for file in one.files
                    ]
                }
                if one.files
                else {}
            ),
            **({"contentTextBody": list(one.texts)} if one.texts else {}),
        }
        for one in message.documents
    ]


PDF = File("å&.pdf", "application/pdf", "AAAA" * 100)
SEVERAL = replace(
    SMALL,
    documents=(
        Document("1", "a", "1", (PDF, PDF), ("x", STRANGE)),
        Document("2", None, "2", (), (STRANGE,)),
        Document(STRANGE, STRANGE, "3", (PDF,), ()),
    ),
)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("message", [SMALL, FULL, SEVERAL], ids=["small", "full", "several"])
async def test_documents_are_as_the_message_says(message: SdkMessage, size: int) -> None:
    """Clauses: content-specification 4.3.3.3 sentence 1."""
    assert await shown(sdkmessage.build(message), size) == expected(message)


async def test_nothing_comes_before_what_the_store_has() -> None:
    """Once an answer has begun, it cannot ask the client to try again."""

    async def away() -> AsyncIterator[bytes]:
        for nothing in list[bytes]():
            yield nothing
        raise VaultUnavailable

    with pytest.raises(VaultUnavailable):
        await anext(documents(away()))


async def test_markup_of_others_is_passed_over() -> None:
    """Comments, CDATA, references, and elements of other namespaces (content-specification 4.3)."""
    data = sdkmessage.build(SMALL)
    (text,) = SMALL.documents[0].texts
    inside = b"<o:documents>no</o:documents><tns:characterSequence>no</tns:characterSequence>"
    other = b'<o:x xmlns:o="urn:other">' + inside + b"</o:x>"
    for old, new in (
        (b"<tns:characterSequence>", b"<tns:characterSequence><!-- no --><![CDATA[<&]]>&#229;<?no no?>"),
        (b"</tns:documents>", other + b"</tns:documents>" + other),
    ):
        assert old in data
        data = data.replace(old, new)
    assert sdkmessage.validate(data) == ()
    ((one,), message) = (await shown(data, 5), sdkmessage.parse(data))
    assert one["contentTextBody"] == [f"<&å{text}"] == list(message.documents[0].texts)
    assert one == expected(message)[0]
