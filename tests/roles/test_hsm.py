"""Every step of an exchange between an organisation with keys in an HSM and one with keys in files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from samdrift.audit.notes import SignedCheckpoint, VerifierKey
from samdrift.audit.promises import Promise
from samdrift.config.hsm import HsmConfig, HsmTokenConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.installation.operator import running
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.hsm.logkeys import HsmLogKey
from samdrift.keystore.hsm.store import HsmDecryptionKey, HsmSigningKey
from samdrift.keystore.keyfiles import HsmUnavailable
from samdrift.keystore.settings import HsmAccess, HsmSettings
from samdrift.messageservice.events import MTEvent
from samdrift.vault.opening import promised
from samdrift.wire.crypto import xmlenc
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.crypto.xmldsig import SHA256
from samdrift.wire.crypto.xmlenc import RSA_OAEP_MGF1P
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.letters import WITH_PDF
from tests.roles.member import MT, Member, until
from tests.roles.stage import Stage, hasty, member_of
from tests.softhsm import SoftHsm, requires_softhsm
from tests.vaults import server_folder

pytestmark = requires_softhsm


def organisation(name: str, domain: str) -> DemoOrganisation:
    identifier = ParticipantIdentifier(f"0203:{domain}")
    address = FunctionalAddress(f"sdk.registrator.{identifier}", "Registrator")
    return DemoOrganisation(identifier, name, "2120000000", address)


VETLANDA, SAVSJO = organisation("Vetlanda kommun", "vetlanda.se"), organisation("Sävsjö kommun", "savsjo.se")
OPERATOR = DemoOperator("operator-h", "AP0008-SDK-DEMO", (VETLANDA, SAVSJO))


@dataclass
class Place:
    """An operator of two organisations, one with a token and one without."""

    hsm: SoftHsm
    label: str
    vetlanda: Member
    savsjo: Member

    def take_token_away(self) -> None:
        self.hsm.folder_of(self.label).rename(self.hsm.folder / "away")
        self.hsm.begin_anew()

    def bring_token_back(self) -> None:
        (self.hsm.folder / "away").rename(self.hsm.folder / "tokens" / "back")
        self.hsm.begin_anew()


def with_token(config: Config, library: Path, token: HsmTokenConfig) -> Config:
    organisations = tuple(
        replace(one, hsm=token if one.identifier == VETLANDA.identifier else None)
        for one in config.organisations
    )
    return replace(
        config,
        vaults=replace(config.vaults, hsm=HsmConfig(library)),
        organisations=organisations,
    )


@pytest_asyncio.fixture(scope="module")
async def place(stage: Stage, hsm: SoftHsm) -> AsyncIterator[Place]:
    label = hsm.unused()
    token = HsmTokenConfig(label, hsm.pin_file())
    with server_folder() as folder:
        tokens = HsmSettings(hsm.library, {VETLANDA.identifier: HsmAccess(label, token.pin_file)})
        enrolled = await enrol(stage.federation, OPERATOR, folder, tokens)
        config = with_token(enrolled.config, hsm.library, token)
        assert vault_settings(config).tokens == tokens
        async with running(hasty(config, MalwareConfig(None))) as run:
            vetlanda, savsjo = (member_of(stage.federation, run, one) for one in (VETLANDA, SAVSJO))
            yield Place(hsm, label, vetlanda, savsjo)


async def exchanged(sender: Member, recipient: Member, message_id: str) -> None:
    """Check that the message has arrived, and that its receipt came back."""
    assert await sender.ends(message_id) is MessageStatus.ACCEPTED
    assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW
    message = await recipient.reads(message_id)
    assert message.documents[0].texts == (WITH_PDF.text,)


async def test_softhsm_runs_the_whole_exchange(stage: Stage, place: Place) -> None:
    """Outgoing: signed in the token, receipt read. Incoming: decrypted in it, receipt signed."""
    async with place.vetlanda.open(MT) as vault:
        keys = vault.keys()
    assert isinstance(keys.signing, HsmSigningKey)
    assert [type(key) for key in keys.decryption] == [HsmDecryptionKey]
    await exchanged(place.vetlanda, stage.agency, await place.vetlanda.send(stage.agency.address, WITH_PDF))
    await exchanged(stage.habo, place.vetlanda, await stage.habo.send(place.vetlanda.address, WITH_PDF))


async def test_an_organisation_with_a_token_and_one_without_are_served_side_by_side(place: Place) -> None:
    assert isinstance(await place.savsjo.signing(), SoftwareSigningKey)
    await exchanged(place.vetlanda, place.savsjo, await place.vetlanda.send(place.savsjo.address, WITH_PDF))
    await exchanged(place.savsjo, place.vetlanda, await place.savsjo.send(place.vetlanda.address, WITH_PDF))


async def test_many_messages_at_once_pass_through_a_token(stage: Stage, place: Place) -> None:
    sent = [
        (sender, recipient, await sender.send(recipient.address, WITH_PDF))
        for _ in range(5)
        for sender, recipient in ((place.vetlanda, stage.habo), (stage.habo, place.vetlanda))
    ]
    await asyncio.gather(*(exchanged(*one) for one in sent))


async def test_the_log_of_an_organisation_with_a_token_is_signed_and_promised_there(place: Place) -> None:
    with promised() as given:
        await place.vetlanda.send(place.savsjo.address, WITH_PDF)
    async with place.vetlanda.open(MT) as vault:
        state = await vault.tree.sign(datetime.now(UTC))
        held = vault._room.keys.log_keys(vault._room.vault)
    assert state.note is not None
    assert state.key is not None
    key = VerifierKey.parse(state.key)
    assert ([type(each) for each in held], held[0].public) == ([HsmLogKey], key.public)
    signed = SignedCheckpoint.parse(state.note, [key])
    assert signed.checkpoint.origin == state.origin == Promise.open(given[0], [key]).origin


async def test_while_the_token_is_away_its_log_waits_and_nothing_is_promised(place: Place) -> None:
    async with place.vetlanda.open(MT) as vault:
        before = await vault.tree.sign(datetime.now(UTC))
    place.take_token_away()
    try:
        with promised() as given:
            async with place.vetlanda.open(MT) as vault:
                vault.record(MTEvent.MT_CLIENT_DENIED)
        assert given == []
        with pytest.raises(HsmUnavailable):
            async with place.vetlanda.open(MT) as vault:
                await vault.tree.sign(datetime.now(UTC))
    finally:
        place.bring_token_back()
    async with place.vetlanda.open(MT) as vault:
        after = await vault.tree.sign(datetime.now(UTC))
    assert after.key == before.key
    assert (after.signed or 0) > before.size, "entries recorded meanwhile must be signed"


async def test_while_the_token_is_away_messages_wait_and_none_is_lost(stage: Stage, place: Place) -> None:
    place.take_token_away()
    try:
        out = await place.vetlanda.send(stage.habo.address, WITH_PDF)
        held = await place.vetlanda.logged(MT, out, MTEvent.MT_MESSAGE_HELD)
        assert held.ids["reason"] == "there is no token with the organisation's label"
        incoming = await stage.habo.send(place.vetlanda.address, WITH_PDF)
        await place.vetlanda.logged(MT, incoming, MTEvent.MT_MESSAGE_HELD)
        beside = await place.savsjo.send(stage.habo.address, WITH_PDF)
        await exchanged(place.savsjo, stage.habo, beside)
    finally:
        place.bring_token_back()
    await exchanged(place.vetlanda, stage.habo, out)
    await exchanged(stage.habo, place.vetlanda, incoming)


async def test_a_session_key_that_the_token_cannot_unwrap_ends_the_message_with_a_reason(
    stage: Stage, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token lacks RSA-OAEP with SHA-256, which envelope-profile-xhe 3.4.4.2 does not require either."""
    peer = stage.peer()
    with monkeypatch.context() as sealing:
        around = xmlenc._around_ciphertext
        sealing.setattr(xmlenc, "Oaep", SimpleNamespace(SHA1=Oaep.SHA256_MGF1_SHA1))
        sealing.setattr(xmlenc, "_around_ciphertext", lambda *parts: with_sha256(*around(*parts)))
        letters = [peer.encloses(member) for member in (place.vetlanda, place.savsjo)]
    for envelope, member in zip(letters, (place.vetlanda, place.savsjo), strict=True):
        assert (await peer.posts(envelope, member)).is_receipt_of(member.certificate)
    refused = await place.vetlanda.logged(MT, letters[0].id, MTEvent.MT_MESSAGE_REFUSED)
    assert refused.ids["reason"] == (
        "the payload cannot be decrypted, or is not well-formed: "
        "the key does not do RSA-OAEP with this digest"
    )
    assert await place.savsjo.ends(letters[1].id, Direction.IN) is MessageStatus.NEW

    async def gone() -> bool | None:
        return True if not await place.vetlanda.waiting() else None

    await until(gone, "nothing waits at the access point")


def with_sha256(before: str, after: str) -> tuple[str, str]:
    method = f'Algorithm="{RSA_OAEP_MGF1P}">'
    assert method in before
    return before.replace(method, f'{method}<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'), after
