"""The kind of error in an encrypted payload shows neither in the answer nor in the steps (invariant 13)."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.incoming import judging as incoming
from samdrift.messageservice.incoming.judging import Judgement, Judging, Unanswerable
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.vault.records import KeySet
from samdrift.vault.sessionkeys import Claim, Claimed
from samdrift.wire import xml
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.crypto.xmlenc import LockedPayload
from samdrift.wire.identifiers import FEDERATION_TEST
from tests.roles.forging import BLOCK, Captured, capture, forge
from tests.roles.letters import Envelope, enclose, letter
from tests.settings import message_service_settings
from tests.unit.messageservice.test_lookups import ENCRYPTION, HERE, NOW, OLD, SIGNING, THERE, Services
from tests.unit.messageservice.test_screening import Scanner


class Steps:
    """Every step with a session key and the content that it decrypts, in order."""

    def __init__(self, claim: Claim, *, doubted: bool = False) -> None:
        self.done: list[str] = []
        self.used: list[bytes] = []
        self._claimed = Claimed(claim, doubted)

    def keys(self) -> KeySet:
        own = [(each.private_key, each.certificate) for each in (ENCRYPTION, OLD)]
        return KeySet(cast(Any, None), tuple(_Key(SoftwareDecryptionKey(*each), self.done) for each in own))

    async def take_session_key(self, session_key: bytes, *others: object, **more: object) -> Claimed:
        self.done.append("mark")
        self.used.append(session_key)
        return self._claimed


class _Key:
    remote = False

    def __init__(self, key: SoftwareDecryptionKey, done: list[str]) -> None:
        self._key = key
        self._done = done
        self.certificate = key.certificate

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        self._done.append("unwrap")
        return self._key.unwrap(wrapped, oaep)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Steps]:
    """Record decryption and parsing as steps of the current attempt."""
    under_way: list[Steps] = []
    decrypt, parse = LockedPayload.decrypt, xml.parse

    def decrypting(locked: LockedPayload) -> object:
        under_way[-1].done.append(f"decrypt {len(locked.session_key)}")
        under_way[-1].used.append(locked.session_key)
        return decrypt(locked)

    def parsing(data: bytes, *limits: Any) -> object:
        under_way[-1].done.append("parse")
        return parse(data, *limits)

    monkeypatch.setattr(LockedPayload, "decrypt", decrypting)
    monkeypatch.setattr(incoming.xml, "parse", parsing)
    return under_way


def envelope(payload: bytes | None = None) -> Envelope:
    return enclose(letter(HERE, THERE), SIGNING.signing_key(), ENCRYPTION.certificate, payload=payload)


def changed(change: str) -> Envelope:
    """Return an envelope that fails in one way, of the same size as the others."""
    own = envelope()
    captured = capture(own)
    wrapped, ciphertext = captured.wrapped, captured.ciphertext
    match change:
        case "no such key":
            wrapped = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        case "padding does not fit":
            at = len(ciphertext) - BLOCK - 1
            ciphertext = ciphertext[:at] + bytes([ciphertext[at] ^ 0x80]) + ciphertext[at + 1 :]
        case "not well-formed":
            ciphertext = ciphertext[:BLOCK] + os.urandom(BLOCK) + ciphertext[2 * BLOCK :]
    return forge(own, Captured(wrapped, ciphertext), SIGNING.signing_key(), ENCRYPTION.certificate)


async def judged(steps: Steps, given: Envelope) -> object:
    services = Services()
    judging = Judging(
        message_service_settings(FEDERATION_TEST), services, services, Screening(Scanner()), os.urandom
    )
    item = InboxItem(
        "i", given.id, HERE.organisation.value, THERE.organisation.value, "d", "c", "m", "AP", NOW, 1
    )
    profile = OrganisationProfile(THERE.organisation, "B", frozenset({"sdk.b"}))
    return await judging.judge(given.data, item, profile, cast(Any, steps), NOW + timedelta(seconds=1))


FAILURES = ["no such key", "padding does not fit", "not well-formed", "another envelope's key"]


@pytest.mark.parametrize("failure", FAILURES)
async def test_every_failure_takes_the_same_steps(counted: list[Steps], failure: str) -> None:
    """envelope-profile-xhe 3.4.1: reading the envelope, unwrapping, mark, decryption, reading."""
    steps = Steps(Claim.USED if failure == "another envelope's key" else Claim.TAKEN)
    counted.append(steps)
    given = changed(failure)
    judgement = await judged(steps, given)
    assert steps.done == ["parse", "unwrap", "mark", "decrypt 32", "parse"]
    reason = "the payload cannot be decrypted, or is not well-formed"
    assert judgement == Unanswerable(given.id, reason, meaningless=True, decrypted=True)


async def test_nothing_is_decrypted_with_a_key_that_opens_another_envelope(counted: list[Steps]) -> None:
    steps = Steps(Claim.USED)
    counted.append(steps)
    await judged(steps, envelope())
    marked, used = steps.used
    assert marked != used


async def test_a_judgement_has_whether_its_payload_was_decrypted(counted: list[Steps]) -> None:
    """What is refused before that says nothing about its sender's limit."""
    counted.append(steps := Steps(Claim.TAKEN))
    own = envelope()
    unsigned = replace(own, data=own.data.replace(b"SignatureValue>", b"SignatureValue> A", 1))
    foreign = enclose(letter(HERE, THERE), ENCRYPTION.signing_key(), ENCRYPTION.certificate)
    for given, decrypted in ((own, True), (envelope(b"<a/>"), True), (unsigned, False), (foreign, False)):
        judgement = cast(Judgement, await judged(steps, given))
        assert judgement.decrypted is decrypted


async def test_without_marks_only_what_is_plainly_its_senders_is_answered(counted: list[Steps]) -> None:
    """After a restore, a payload without id and sender is treated as one that cannot be decrypted."""
    for doubted, answered in ((False, True), (True, False)):
        steps = Steps(Claim.TAKEN, doubted=doubted)
        counted.append(steps)
        judgement = await judged(steps, envelope(b"<a/>"))
        assert isinstance(judgement, Unanswerable) is not answered
    steps = Steps(Claim.TAKEN, doubted=True)
    counted.append(steps)
    assert not isinstance(await judged(steps, envelope()), Unanswerable)
