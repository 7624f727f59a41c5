"""A Domibus as its plugin shows it: users, messages out and in with their statuses, marks, faults.

What it does follows the plugin's contract and what Domibus 5.1 is published to do:
message ids are unique per role, a login is bound to one organisation, retrieving
marks a message unless it is asked not to, a fault has a code or only a reason.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.domibus import soap
from tests.domibus.soap import EB, Asked


@dataclass
class Sent:
    """A message that was submitted."""

    message_id: str
    conversation_id: str
    party: str
    action: str
    sender: str
    recipient: str
    envelope: bytes
    status: str = "SEND_ENQUEUED"
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    """Code, detail and role."""


@dataclass
class Waiting:
    """A message that came in."""

    message_id: str
    conversation_id: str
    peer: str
    action: str
    sender: str
    recipient: str
    envelope: bytes


@dataclass
class Fault(Exception):
    """Something is not done."""

    reason: str
    code: str = ""
    text: str = ""


_GONE = "No message with id [{}] found"


@dataclass
class Domibus:
    """One Domibus; ``users`` have a password and the organisation that they are for."""

    party: str
    users: dict[str, tuple[str, str]]
    mtom: bool = True
    sent: dict[str, Sent] = field(default_factory=dict)
    pending: dict[str, Waiting] = field(default_factory=dict)
    downloaded: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    """What its log would say."""
    refuse: Fault | None = None
    """What every submission ends with."""
    lose_answers: int = 0
    """How many submissions get no answer, although they are stored."""
    unmarkable: set[str] = field(default_factory=set)
    """Messages that it will not mark."""
    listed: int = 1
    """How often each message stands in the list of those that wait."""
    on_submit: Callable[[Sent], Awaitable[None]] | None = None
    """What sends on what was submitted."""

    def receive(self, message: Waiting) -> None:
        """A message from another access point."""
        self.pending[message.message_id] = message

    # --- HTTP -------------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        asked = soap.read(request.headers["content-type"], await request.body())
        self.calls[asked.what] += 1
        status, payload = 200, None
        try:
            organisation = self._organisation(request.headers.get("authorization", ""))
            answer, payload = await self._does(asked, organisation)
        except Fault as fault:
            status, answer = 500, soap.fault(fault.reason, fault.code, fault.text)
        if asked.what == "submitRequest" and self.lose_answers and status == 200:
            self.lose_answers -= 1
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            return  # the server closes the connection without the body
        content_type, body = "application/soap+xml; charset=UTF-8", answer.encode()
        if self.mtom:
            content_type, body = soap.mime(answer, payload)
        await Response(body, status, {"content-type": content_type})(scope, receive, send)

    def _organisation(self, authorization: str) -> str:
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        expected, organisation = self.users.get(user, ("", ""))
        if not expected or password != expected:
            raise Fault("eu.domibus.ext.exceptions.AuthenticationExtException: Bad credentials")
        return organisation

    # --- operations -------------------------------------------------------------------------------------

    async def _does(self, asked: Asked, organisation: str) -> tuple[str, bytes | None]:
        match asked.what:
            case "submitRequest":
                return await self._submit(asked, organisation), None
            case "listPendingMessagesRequest":
                if asked.text("finalRecipient"):
                    self.warnings.append("finalRecipient is ignored for a plugin user")
                ids = [each.message_id for each in self.pending.values() if each.recipient == organisation]
                return soap.message_ids("listPendingMessagesResponse", ids[:500] * self.listed), None
            case "retrieveMessageRequest":
                return self._retrieve(asked, organisation)
            case "markMessageAsDownloadedRequest":
                message = self._own(asked.text("messageID"), organisation)
                if message.message_id in self.unmarkable:
                    raise Fault("Could not mark the message", "WS_PLUGIN:0001", "no connection")
                self._mark(message)
                return soap.message_ids("markMessageAsDownloadedResponse", [message.message_id]), None
            case "statusRequestWithAccessPointRole":
                assert asked.text("accessPointRole") == "SENDING"
                found = self.sent.get(asked.text("messageID"))
                if found is not None and found.sender != organisation:
                    raise Fault("You are not allowed to handle this message")
                return soap.status(found.status if found else "NOT_FOUND"), None
            case "getErrorsRequest" if asked.text("messageID") in self.pending:
                raise Fault("Duplicate message found", "WS_PLUGIN:00010", "Duplicate message Id")
            case "getErrorsRequest" | "getErrorsRequestWithAccessPointRole":
                return soap.errors(self._errors(asked)), None
        raise AssertionError(f"no operation for {asked.what}")

    async def _submit(self, asked: Asked, organisation: str) -> str:
        sent = submission(asked)
        if sent.sender != organisation:
            raise Fault(f"You are not allowed to handle this message [{sent.message_id}]")
        if self.refuse is not None:
            raise self.refuse
        if sent.message_id in self.sent:
            text = f"Could not persist message [{sent.message_id}]. It could be that you are submitting a "
            text += "message with an id which already exists."
            raise Fault("Message submission failed", "EBMS:0004", text)
        assert sent.party == self.party, "the initiator's party is not the access point's"
        self.sent[sent.message_id] = sent
        if self.on_submit is not None:
            await self.on_submit(sent)
        return soap.message_ids("submitResponse", [sent.message_id])

    def _retrieve(self, asked: Asked, organisation: str) -> tuple[str, bytes | None]:
        message = self._own(asked.text("messageID"), organisation)
        header = self.header(message)
        if asked.request.get("markAsDownloaded", "true") != "false":
            self._mark(message)
        if self.mtom:
            return soap.retrieved(header, "{payload}"), message.envelope
        return soap.retrieved(header, soap.inline(message.envelope)), None

    def header(self, message: Waiting) -> str:
        """What the header of a message says that is retrieved."""
        return soap.user_message(
            message.message_id,
            message.conversation_id,
            message.peer,
            self.party,
            message.action,
            {"originalSender": message.sender, "finalRecipient": message.recipient},
        )

    def _own(self, message_id: str, organisation: str) -> Waiting:
        message = self.pending.get(message_id)
        if message is None:
            text = _GONE.format(message_id)
            raise Fault(f"Message not found, id [{message_id}]", "WS_PLUGIN:0009", text)
        if message.recipient != organisation:
            raise Fault(f"You are not allowed to handle this message [{message_id}]")
        return message

    def _mark(self, message: Waiting) -> None:
        del self.pending[message.message_id]
        self.downloaded.append(message.message_id)

    def _errors(self, asked: Asked) -> list[tuple[str, str, str, str]]:
        message_id = asked.text("messageID")
        if message_id not in self.sent:
            raise Fault("Message not found", "WS_PLUGIN:0009", _GONE.format(message_id))
        errors = self.sent[message_id].errors
        role = asked.text("accessPointRole")
        return [
            (*each, f"2026-03-02T12:00:{number:02d}.000")
            for number, each in enumerate(errors)
            if role in ("", each[2])
        ]


def submission(asked: Asked) -> Sent:
    """A submitted message, held to the schema of its header."""
    assert asked.header is not None
    user = asked.header.find(f"{EB}Messaging/{EB}UserMessage")
    assert user is not None
    assert user.find(f"{EB}PartyInfo/{EB}To") is None, (
        "the recipient's party must not be stated, as it is found in SMP"
    )
    assert user.findtext(f"{EB}PartyInfo/{EB}From/{EB}Role", "").endswith("/initiator")
    (part,) = user.findall(f"{EB}PayloadInfo/{EB}PartInfo")
    assert part.findtext(f"{EB}PartProperties/{EB}Property[@name='MimeType']") == "text/xml"
    service = user.find(f"{EB}CollaborationInfo/{EB}Service")
    assert service is not None
    assert (service.text, service.get("type")) == ("bdx:noprocess", "urn:fdc:digg.se:edelivery:process")
    properties = {
        str(each.get("name")): (str(each.text), each.get("type"))
        for each in user.findall(f"{EB}MessageProperties/{EB}Property")
    }
    assert {kind for _, kind in properties.values()} == {"iso6523-actorid-upis"}
    return Sent(
        user.findtext(f"{EB}MessageInfo/{EB}MessageId", ""),
        user.findtext(f"{EB}CollaborationInfo/{EB}ConversationId", ""),
        user.findtext(f"{EB}PartyInfo/{EB}From/{EB}PartyId", ""),
        user.findtext(f"{EB}CollaborationInfo/{EB}Action", ""),
        properties["originalSender"][0],
        properties["finalRecipient"][0],
        asked.payload(str(part.get("href"))),
    )
