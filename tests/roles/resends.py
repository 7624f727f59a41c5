"""Peers that make an access point retry, each in its own way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from samdrift.wire.as4 import (
    EbmsError,
    EbmsErrorCode,
    ReceivedMessage,
    Response,
    SignedReference,
    build_error,
    new_message_id,
)
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from tests import pki
from tests.roles.peer import Once, Peer, Respond
from tests.roles.stage import Stage

Scene = Callable[[Stage], Peer]


@dataclass(frozen=True)
class Sent:
    """A message that was sent to a peer."""

    peer: Peer
    message_id: str


def answers(*each: Once) -> Scene:
    """Return a peer with these answers for the first attempt, the second, and so on."""

    def peer(stage: Stage) -> Peer:
        made = stage.peer()
        made.answers(*each)
        return made

    return peer


def always(respond: Callable[[Peer], Respond]) -> Scene:
    """Return a peer that always answers in this way."""

    def peer(stage: Stage) -> Peer:
        made = stage.peer()
        made.respond = respond(made)
        return made

    return peer


def unreachable(stage: Stage) -> Peer:
    return stage.peer(server=stage.federation.unreachable_url)


def untrusted_tls(stage: Stage) -> Peer:
    return stage.peer(server=stage.untrusted_url)


def silent(stage: Stage) -> Peer:
    made = stage.peer()
    made.silent = True
    return made


def lost_receipt(stage: Stage) -> Peer:
    """Return a peer whose first receipt gets lost, and which repeats the same one later."""
    made = stage.peer()
    kept: list[Response] = []

    def lost(peer: Peer, message: ReceivedMessage) -> int:
        kept.append(peer.receipt(message))
        return 500

    made.answers(lost, lambda peer, message: kept[0])
    return made


def error(code: EbmsErrorCode, detail: str, *, signed: bool = True) -> Callable[[Peer], Respond]:
    """Return an answer that is an error."""

    def respond_of(peer: Peer) -> Respond:
        def respond(message: ReceivedMessage) -> Response:
            told = EbmsError.of(code, detail, message.header.user_message.message_id)
            now, message_id = datetime.now(UTC), new_message_id(os.urandom, "peer.test")
            return build_error(told, message_id=message_id, now=now, signer=peer.key if signed else None)

        return respond

    return respond_of


def as_a_domibus(code: EbmsErrorCode, detail: str) -> Callable[[Peer], Respond]:
    """Return an unsigned error in the header, with a SOAP Fault in the body."""

    def respond_of(peer: Peer) -> Respond:
        unsigned_error = error(code, detail, signed=False)(peer)

        def respond(message: ReceivedMessage) -> Response | int:
            answer = unsigned_error(message)
            assert isinstance(answer, Response)
            return Response(answer.content_type, answer.body.replace(_EMPTY_BODY, _FAULT))

        return respond

    return respond_of


_EMPTY_BODY = b"></S12:Body>"
_FAULT = (
    b"><S12:Fault><S12:Code><S12:Value>S12:Receiver</S12:Value></S12:Code><S12:Reason>"
    b'<S12:Text xml:lang="en">An error occurred.</S12:Text></S12:Reason></S12:Fault></S12:Body>'
)


# --- receipts that prove nothing ----------------------------------------------------------------------------


def _signed_by_another(stage: Stage) -> Peer:
    certificate = stage.access_point_certificate("AP0666-SDK-DEMO")
    key = SoftwareSigningKey(pki.key(1), certificate)
    return answers(lambda peer, message: peer.receipt(message, signer=key), Peer.receipt)(stage)


def _signed_with_another_key(peer: Peer, message: ReceivedMessage) -> Response:
    """Sign with another key, but include the right certificate."""
    return peer.receipt(message, signer=SoftwareSigningKey(pki.key(2), peer.key.certificate))


def _over_something_else(peer: Peer, message: ReceivedMessage) -> Response:
    return peer.receipt(message, references=[_changed_digest(one) for one in message.references])


def _changed_digest(reference: SignedReference) -> SignedReference:
    xml = bytearray(reference.xml)
    place = xml.index(b"DigestValue>") + len(b"DigestValue>")
    xml[place] = ord("B") if xml[place] == ord("A") else ord("A")
    return SignedReference.from_xml(bytes(xml))


def _over_less(peer: Peer, message: ReceivedMessage) -> Response:
    return peer.receipt(message, references=message.references[:-1])


def _about_another_message(peer: Peer, message: ReceivedMessage) -> Response:
    return peer.receipt(message, about=replace(message.header.user_message, message_id="another@peer.test"))


def unsigned(peer: Peer, message: ReceivedMessage) -> Response:
    signed = peer.receipt(message)
    end = b"</wsse:Security>"
    before, _, rest = signed.body.partition(b"<wsse:Security")
    return Response(signed.content_type, before + rest.partition(end)[2])


def _changed(peer: Peer, message: ReceivedMessage) -> Response:
    signed = peer.receipt(message)
    return Response(signed.content_type, signed.body.replace(b"<eb:Timestamp>2", b"<eb:Timestamp>1", 1))


def _no_signal(peer: Peer, message: ReceivedMessage) -> Response:
    return Response("text/html", b"<html>OK</html>")


def _empty(peer: Peer, message: ReceivedMessage) -> Response:
    return Response("application/soap+xml", b"")


NO_PROOF: dict[str, Scene] = {
    "signed by another access point": _signed_by_another,
    "signed with another key": answers(_signed_with_another_key, Peer.receipt),
    "over something else": answers(_over_something_else, Peer.receipt),
    "over less": answers(_over_less, Peer.receipt),
    "about another message": answers(_about_another_message, Peer.receipt),
    "unsigned": answers(unsigned, Peer.receipt),
    "changed": answers(_changed, Peer.receipt),
    "no signal": answers(_no_signal, Peer.receipt),
    "empty": answers(_empty, Peer.receipt),
}
"""Peers whose first answer proves nothing, and whose second is a receipt."""
