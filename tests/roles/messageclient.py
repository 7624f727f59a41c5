"""A message client for interface D, and a token service in place of an OAuth2 server."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from samdrift.messageservice.access import Access, Unauthorized
from samdrift.messageservice.outgoing.compose import Address
from tests.roles import web
from tests.roles.web import Answer

MESSAGES = "/v1/sdk/messages"


class MessageClients:
    """Authorisation that knows the tokens that tests were given."""

    def __init__(self) -> None:
        self._known: dict[str, Access] = {}

    def admit(self, access: Access) -> str:
        """Return a new token with that access."""
        token = str(uuid4())
        self._known[token] = access
        return token

    def expire(self, token: str) -> None:
        del self._known[token]

    async def access(self, token: str) -> Access:
        try:
            return self._known[token]
        except KeyError:
            raise Unauthorized("the token is not known") from None


@dataclass(frozen=True)
class MessageClient:
    """A message client with one token."""

    base: str
    tls: ssl.SSLContext
    token: str

    async def call(
        self, method: str, path: str, body: web.Body = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
        return await web.call(self.tls, method, self.base + path, body, sent)

    async def post(self, body: web.Body, content_type: str = "application/json") -> Answer:
        return await self.call("POST", MESSAGES, body, {"content-type": content_type})

    async def send(self, document: object) -> Answer:
        return await self.post(json.dumps(document).encode())

    async def sends(self, document: object) -> str:
        """Send a message that must be accepted; return its id."""
        answer = await self.send(document)
        assert answer.status == 201, answer.body
        location = answer.headers["location"]
        assert location.startswith(f"{MESSAGES}/")
        return location.removeprefix(f"{MESSAGES}/")

    async def list(self, query: Mapping[str, str] | str = "") -> Answer:
        text = query if isinstance(query, str) else urlencode(query)
        return await self.call("GET", f"{MESSAGES}?{text}" if text else MESSAGES)

    async def listed(self, **filters: str) -> dict[str, dict[str, Any]]:
        """Return the attributes of the matching messages by id, in the order of the list."""
        answer = await self.list({f"filter[{name}]": value for name, value in filters.items()})
        assert answer.status == 200, answer.body
        return {one["id"]: one["attributes"] for one in answer.document()["data"]}

    async def get(self, message_id: str, query: str = "") -> Answer:
        return await self.call("GET", f"{MESSAGES}/{message_id}{query}")

    async def reads(self, message_id: str) -> dict[str, Any]:
        """Return the attributes of one message."""
        answer = await self.get(message_id)
        assert answer.status == 200, answer.body
        attributes: dict[str, Any] = answer.document()["data"]["attributes"]
        return attributes

    async def delete(self, message_id: str) -> Answer:
        return await self.call("DELETE", f"{MESSAGES}/{message_id}")


def attention(address: Address) -> dict[str, Any]:
    return {
        "subOrganization": {
            "root": "urn:riv:infrastructure:messaging:functionalAddress",
            "extension": address.functional_address,
            "label": address.functional_address_name,
        }
    }


def document(sender: Address, recipient: Address, /, **changes: Any) -> dict[str, Any]:
    """Return a message as a client sends it, with ``changes`` to the attributes; ``None`` leaves one out."""
    attributes = {
        "confidentiality": True,
        "label": "Fråga om avtal",
        "sender": sender.organisation.value,
        "recipient": recipient.organisation.value,
        "senderAttention": attention(sender),
        "recipientAttention": attention(recipient),
        "digitalDocument": [text_document()],
        **changes,
    }
    attributes = {name: value for name, value in attributes.items() if value is not None}
    return {"data": {"type": "messages", "attributes": attributes}}


def text_document(text: str = "Hej, *gäller* avtalet än?", *files: tuple[str, bytes]) -> dict[str, Any]:
    """Return a document with a text, and with PDF files if any are given."""
    return {
        "documentId": "SDK-Meddelande",
        "documentName": "SDK-Meddelande",
        "index": "1",
        "contentTextBody": [text],
        "contentFiles": [
            {"fileName": name, "contentType": "application/pdf", "content": base64.b64encode(data).decode()}
            for name, data in files
        ],
    }


def issues(answer: Answer) -> list[tuple[str, str, str]]:
    """Return the codes and places of the problems with a request, without the leading summary."""
    assert answer.status == 400, (answer.status, answer.body)
    problem = answer.document()
    assert (problem["type"], problem["status"]) == ("urn:problem-type:sdk:badRequest", 400)
    assert problem["detail"] == problem["eventIssues"][0]["typeCode"] == "MESSAGE_EXCHANGE_ERROR"
    return [(one["typeCode"], one["title"], one["in"]) for one in problem["eventIssues"][1:]]
