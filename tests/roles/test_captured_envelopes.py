"""A member with a valid key of its own, and a captured envelope from A to B (invariant 13).

The member keeps the session key as it was encrypted for B, chooses the IV, and signs a few of
A's ciphertext blocks as a message of its own. B's answers, missing answers, logs and
counts must reveal nothing that A wrote.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from samdrift.contracts.messages import Direction
from samdrift.messageservice.events import MTEvent
from samdrift.wire import sdkmessage
from samdrift.wire.codes import Detail, ReceiptStatus
from samdrift.wire.identifiers import RECEIPT_EXTENDED
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles.forging import BLOCK, Captured, capture, forge
from tests.roles.letters import DRAFT, Envelope, enclose, letter
from tests.roles.member import MT, Member
from tests.roles.peer import Peer
from tests.roles.stage import Stage
from tests.settings import message_service_settings

SECRET = "198112289874"
UNREADABLE = "the payload cannot be decrypted, or is not well-formed"
_LETTERS = bytes(0x40 for _ in SECRET)
"""Mask that turns digits into letters from p to y, which can form a name."""


def plain(message: SdkMessage) -> bytes:
    """Return the part of a message that is encrypted: its root element."""
    payload = sdkmessage.build(message)
    return payload[payload.index(b"<tns:messagePayload") :]


def with_secret(sender: Peer, recipient: Member) -> tuple[SdkMessage, int]:
    """Return a message with a personal number at the second byte of a block, and the block's number."""
    for fill in range(BLOCK):
        message = letter(sender.address, recipient.address, label=f"{'x' * fill} {SECRET}, svar")
        at = plain(message).index(SECRET.encode())
        if at % BLOCK == 1:
            return message, at // BLOCK + 1
    raise AssertionError("the label moves the number by one byte at a time")


def known_around(message: SdkMessage, number: int) -> tuple[bytes, bytes]:
    """Return the parts of that block that follow from the format: the byte before the digits, those after."""
    block = plain(message)[(number - 1) * BLOCK : number * BLOCK]
    assert block[1 : 1 + len(SECRET)] == SECRET.encode()
    return block[:1], block[1 + len(SECRET) :]


def telling(message: SdkMessage, number: int) -> bytes:
    """Return a mask that turns the block into a well-formed element named after the digits as letters."""
    before, after = known_around(message, number)
    wanted = (b"<", b"/>\x01")
    first, last = (
        bytes(a ^ b for a, b in zip(known, chosen, strict=True))
        for known, chosen in zip((before, after), wanted, strict=True)
    )
    return first + _LETTERS + last


async def sent(sender: Peer, recipient: Member, message: SdkMessage) -> Envelope:
    """Send A's envelope, which B accepts, and return it."""
    envelope = sender.seals(message, recipient)
    await sender.posts(envelope, recipient)
    (receipt,) = await sender.message_receipts(envelope.id)
    assert receipt.status is ReceiptStatus.ACCEPTED
    return envelope


def forged(forger: Peer, recipient: Member, captured: Captured, spelling: bytes = b"") -> Envelope:
    own = forger.seals(forger.letter(recipient), recipient)
    return forge(own, captured, forger.signing, recipient.encryption, spelling)


async def processed(forger: Peer, recipient: Member, envelope: Envelope) -> str:
    """Post an envelope, and return the reason for its refusal in the recipient's log."""
    await forger.posts(envelope, recipient)
    entry = await recipient.logged(MT, envelope.id, MTEvent.MT_MESSAGE_REFUSED)
    return str(entry.ids["reason"])


async def unanswered(forger: Peer, recipient: Member, envelopes: Sequence[Envelope]) -> None:
    """Check that the envelopes got no receipt, and left nothing but their refusals."""
    for envelope in envelopes:
        assert await recipient.happened(MT, envelope.id) == [MTEvent.MT_MESSAGE_REFUSED]
        assert await recipient.record(envelope.id, Direction.IN) is None
        assert forger.receipts_so_far(envelope.id) == []


async def test_a_personal_number_is_not_read_with_one_forged_envelope(stage: Stage) -> None:
    """Without protection the digits would name the root element, which the receipt would repeat."""
    agency, sender, forger = stage.agency, stage.peer(), stage.peer()
    message, number = with_secret(sender, agency)
    captured = capture(await sent(sender, agency, message))
    envelope = forged(forger, agency, captured.reading(number, telling(message, number)))
    assert await processed(forger, agency, envelope) == UNREADABLE
    await unanswered(forger, agency, [envelope])


async def test_neither_receipts_nor_their_absence_nor_logs_nor_counts_tell_anything(stage: Stage) -> None:
    """One guess is well-formed, the other is not: both look like a message that cannot be decrypted."""
    agency, sender = stage.agency, stage.peer()
    message, number = with_secret(sender, agency)
    captured = capture(await sent(sender, agency, message))
    right = telling(message, number)
    wrong = right[:-1] + bytes([right[-1] ^ 0x40])  # invalid padding
    garbage = os.urandom(BLOCK)
    tried = {
        "well-formed": captured.reading(number, right),
        "padding does not fit": captured.reading(number, wrong),
        "not well-formed": captured.reading(number, garbage[:-1] + bytes([right[-1]])),
        "all of it": captured,
        "nobody's session key": Captured(
            os.urandom(len(captured.wrapped) - 1).rjust(384, b"\0"), captured.ciphertext
        ),
    }
    seen = {}
    for case, ciphertext in tried.items():
        forger = stage.peer()
        envelope = forged(forger, agency, ciphertext)
        reason = await processed(forger, agency, envelope)
        await unanswered(forger, agency, [envelope])
        async with agency.open(MT) as vault:
            counted = [
                one.number
                for one in await vault.refusals()
                if one.sender == forger.address.organisation.value
            ]
        seen[case] = (reason, counted)
    assert set(map(str, seen.values())) == {str((UNREADABLE, [1]))}, seen


async def test_another_spelling_of_the_same_session_key_opens_nothing(stage: Stage) -> None:
    """The key itself is recognised, regardless of the bytes that it is encrypted or written in."""
    agency, sender, forger = stage.agency, stage.peer(), stage.peer()
    message, number = with_secret(sender, agency)
    captured = capture(await sent(sender, agency, message)).reading(number, telling(message, number))
    envelopes = [forged(forger, agency, captured, spelling) for spelling in (b"", b"\n", b" \n ")]
    for envelope in envelopes:
        assert await processed(forger, agency, envelope) == UNREADABLE
    await unanswered(forger, agency, envelopes)


async def test_one_session_key_opens_one_envelope_also_when_the_forged_one_comes_first(stage: Stage) -> None:
    """If B has not received the captured envelope, the attacker gets one guess with one constant finding."""
    agency, sender, forger = stage.agency, stage.peer(), stage.peer()
    message, number = with_secret(sender, agency)
    envelope = sender.seals(message, agency)
    captured = capture(envelope)
    first, second = (
        forged(forger, agency, captured.reading(number, telling(message, number))) for _ in range(2)
    )
    await forger.posts(first, agency)
    (receipt,) = await forger.message_receipts(first.id)
    (finding,) = receipt.findings
    assert (finding.detail, finding.path) == (Detail.STRUCTURE, "NA")
    assert finding.text == "The payload is not a message that names its id and its sender"
    assert await processed(forger, agency, second) == UNREADABLE
    await unanswered(forger, agency, [second])
    assert await processed(sender, agency, envelope) == UNREADABLE


async def test_a_resend_of_the_same_envelope_passes(stage: Stage) -> None:
    """An access point that lost its state resends under another AS4 message id, and gets the usual answer."""
    agency, sender = stage.agency, stage.peer()
    envelope = await sent(sender, agency, sender.letter(agency))
    await sender.posts(envelope, agency)
    _, again = await sender.message_receipts(envelope.id, 2)
    assert [one.detail for one in again.findings] == [Detail.DUPLICATE]
    assert (await agency.reads(envelope.id)).label == DRAFT.label


@pytest.mark.parametrize("place", ["inside", "beside", "attribute", "extension"])
async def test_names_that_the_schema_does_not_have_are_told_nowhere(stage: Stage, place: str) -> None:
    """content-specification 4.3.2: a receipt repeats no content, and a name may be content."""
    agency, sender = stage.agency, stage.peer()
    message = sender.letter(agency)
    payload = sdkmessage.build(message)
    old, new = {
        "inside": (b"</tns:messageHeader>", b"<tns:n198112289874/></tns:messageHeader>"),
        "beside": (b"</tns:messageId>", b"</tns:messageId><n198112289874/>"),
        "attribute": (b"<tns:messageId>", b'<tns:messageId n198112289874="1">'),
        "extension": (
            b"</tns:messageBody>",
            b'<n198112289874 xmlns="urn:n"><b/></n198112289874></tns:messageBody>',
        ),
    }[place]
    assert payload.count(old) == 1
    changed = payload.replace(old, new)
    if place == "extension":
        changed = changed.replace(b"<tns:confidentiality>", b"<tns:confidentiality>x")
    envelope = enclose(message, sender.signing, agency.encryption, payload=changed)
    await sender.posts(envelope, agency)
    (receipt,) = await sender.message_receipts(envelope.id)
    assert receipt.status is ReceiptStatus.REJECTED
    told = repr(receipt) + repr(await agency.log(MT, envelope.id))
    assert SECRET not in told


async def test_refusals_after_decryption_are_limited_for_each_sender(stage: Stage) -> None:
    """Beyond the limit, that sender's messages are neither decrypted nor answered for a while.

    Other senders are not affected.
    """
    agency, forger, other = stage.agency, stage.peer(), stage.peer()
    most = message_service_settings("").meaningless_most
    own = Captured(os.urandom(384 - 1).rjust(384, b"\0"), os.urandom(4 * BLOCK))
    envelopes = [forged(forger, agency, own) for _ in range(most)]
    for each in envelopes:
        await processed(forger, agency, each)
    limited = forger.encloses(agency)
    await forger.posts(limited, agency)
    entry = await agency.logged(MT, limited.id, MTEvent.MT_MESSAGE_HELD)
    assert "waits" in entry.ids["reason"]
    fine = other.encloses(agency)
    await other.posts(fine, agency)
    (receipt,) = await other.message_receipts(fine.id)
    assert receipt.status is ReceiptStatus.ACCEPTED
    assert forger.receipts_so_far(limited.id) == []
    async with agency.open(MT) as vault:
        counted = {one.sender: one.number for one in await vault.refusals()}
        entries = await vault.log(limit=100_000)
    assert counted[forger.address.organisation.value] == most
    told = [one.ids for one in entries if one.event == MTEvent.MT_SENDER_LIMITED]
    assert {"sender": forger.address.organisation.value, "number": str(most)} in told


async def test_message_receipts_are_never_decrypted(stage: Stage) -> None:
    """transport-model-extended 2.1: signed, and not encrypted."""
    agency, forger = stage.agency, stage.peer()
    envelope = enclose(forger.letter(agency), forger.signing, agency.encryption, document=RECEIPT_EXTENDED)
    assert await processed(forger, agency, envelope) == "message receipt refused: it is encrypted"
