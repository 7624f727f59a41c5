"""One session key opens one envelope: marks, their durability, and marks known to be lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509

from samdrift.contracts.principals import Role
from samdrift.keystore.witness import Witness
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.openkeys import open_keys
from samdrift.vault.portability.departure import MessageServiceDeparture
from samdrift.vault.sessionkeys import Claim, Claimed, MarksMissing, RefusalLimit
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.test_every_operation import give_keys
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.vault.portability.test_moving import everything, take_in
from tests.vaults import MINUTE, NOW, Installation

MT = Role.MESSAGE_SERVICE
ROLES = (MT,)
KEY, OTHER = b"k" * 32, b"o" * 32
LIMIT = RefusalLimit(3, timedelta(hours=1))
SENDER = "0203:avsandare.se"


async def take(
    vault: MessageServiceVault,
    key: bytes = KEY,
    envelope: bytes = b"one",
    recipient: x509.Certificate | None = None,
    **changes: object,
) -> Claimed:
    usual: dict[str, object] = {"created": NOW, "sender": SENDER, "limit": LIMIT, "now": NOW}
    return await vault.take_session_key(key, recipient, envelope=envelope, **(usual | changes))  # type: ignore[arg-type]


async def taken(installation: Installation, whose: ParticipantIdentifier, *given: bytes) -> Claim:
    """Return the claim of a session key and an envelope in an opening of their own."""
    async with installation.open(whose, MT) as vault:
        try:
            return (await take(vault, *given)).claim
        except MarksMissing:
            pytest.fail("a mark that was made is missing")


async def test_a_session_key_opens_its_own_envelope_as_often_as_it_comes_and_no_other(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    assert await taken(installation, organisation, KEY, b"one") is Claim.TAKEN
    assert await taken(installation, organisation, KEY, b"one") is Claim.TAKEN
    assert await taken(installation, organisation, KEY, b"two") is Claim.USED
    assert await taken(installation, organisation, OTHER, b"two") is Claim.TAKEN


async def test_a_mark_stays_whatever_becomes_of_the_opening(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """An envelope that makes the processing fail cannot undo its mark."""

    async def crash() -> None:
        async with installation.open(organisation, MT) as vault:
            await take(vault)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert await taken(installation, organisation, KEY, b"two") is Claim.USED


async def test_of_two_envelopes_at_the_same_moment_one_is_opened(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        await vault.look_after_marks(now=NOW)
    envelopes = [str(number).encode() for number in range(8)]
    claims = await asyncio.gather(*(taken(installation, organisation, KEY, one) for one in envelopes))
    assert sorted(claims) == [Claim.TAKEN, *[Claim.USED] * 7]


async def test_a_mark_is_made_before_anything_else_of_the_opening(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Otherwise a database session would be held while waiting for another."""
    async with installation.open(organisation, MT) as vault:
        await vault.log()
        with pytest.raises(RuntimeError):
            await take(vault)


async def test_marks_hold_over_a_new_data_key_and_a_new_process(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    assert await taken(installation, organisation) is Claim.TAKEN
    login = await vault_login(installation, organisation, MT)
    open_keys(installation.settings).rotate_data_key(login.vault)
    assert await taken(installation, organisation, KEY, b"two") is Claim.USED


async def test_the_session_key_itself_is_nowhere(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A mark cannot confirm a guess without the vault's key, or in another vault."""
    other = await installation.organisation([MT])
    found = []
    for whose in (organisation, other):
        await taken(installation, whose)
        schema = (await vault_login(installation, whose, MT)).schema
        rows = (await superuser(installation)).rows(f"SELECT mark FROM {schema}.session_keys")
        found.append({mark for (mark,) in rows})
    assert not found[0] & found[1]
    assert KEY.hex() not in found[0]


async def test_refusals_are_counted_for_each_sender_within_a_window(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def count(at: timedelta = MINUTE * 0, sender: str = SENDER) -> int:
        async with installation.open(organisation, MT) as vault:
            return await vault.count_refusal(sender, limit=LIMIT, now=NOW + at)

    assert [await count(MINUTE * minute) for minute in range(3)] == [1, 2, 3]
    assert await count(sender="0203:b.se") == 1
    async with installation.open(organisation, MT) as vault:
        assert (await take(vault)).claim is Claim.LIMITED
        assert (await take(vault, sender="0203:b.se")).claim is Claim.TAKEN
        assert (await take(vault, OTHER, now=NOW + LIMIT.within)).claim is Claim.TAKEN
        assert [(one.sender, one.number) for one in await vault.refusals()] == [
            ("0203:avsandare.se", 3),
            ("0203:b.se", 1),
        ]
    assert await count(LIMIT.within) == 1


async def test_marks_go_along_when_the_organisation_moves(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Its private key may be in a token that moves too; a second move is tested as well."""
    assert await taken(installation, organisation, KEY, b"one") is Claim.TAKEN
    for _ in range(2):
        brought = await everything(installation, organisation, MessageServiceDeparture)
        organisation = await installation.organisation([MT])
        await take_in(installation, organisation, MessageServiceDeparture, brought)
        assert await taken(installation, organisation, KEY, b"two") is Claim.USED
        assert await taken(installation, organisation, KEY, b"one") is Claim.TAKEN
        async with installation.open(organisation, MT) as vault:
            assert await vault.look_after_marks(now=NOW) is None
            assert await vault.lost_marks() == ()


# --- a database that came back from a backup ---------------------------------------------------------------


async def key_of(installation: Installation, organisation: ParticipantIdentifier) -> x509.Certificate:
    vault = (await vault_login(installation, organisation, MT)).vault
    give_keys(installation, vault, "own")
    async with installation.open(organisation, MT) as opened:
        return opened.keys().decryption[0].certificate


async def restored(installation: Installation, organisation: ParticipantIdentifier) -> None:
    """Restore the table of marks to its state before the last one, as an older backup has it."""
    schema = (await vault_login(installation, organisation, MT)).schema
    last = f"SELECT mark FROM {schema}.session_keys ORDER BY at DESC LIMIT 1"
    (await superuser(installation)).rows(f"DELETE FROM {schema}.session_keys WHERE mark = ({last})")


async def test_a_restored_database_says_which_marks_are_lost(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    certificate = await key_of(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        assert await vault.look_after_marks(now=NOW) is None
    for minute, key in ((1, KEY), (2, OTHER)):
        async with installation.open(organisation, MT) as vault:
            await take(vault, key, key, certificate, now=NOW + MINUTE * minute)
    await restored(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        with pytest.raises(MarksMissing):
            await take(vault, OTHER, b"another", certificate)
    async with installation.open(organisation, MT) as vault:
        lost = await vault.look_after_marks(now=NOW + MINUTE * 9)
    assert lost is not None
    assert (lost.since, lost.until) == (NOW + MINUTE, NOW + MINUTE * 2)
    async with installation.open(organisation, MT) as vault:
        before = await take(vault, OTHER, b"older", certificate, created=NOW + MINUTE * 8)
        after = await take(vault, b"n" * 32, b"newer", certificate, created=NOW + MINUTE * 10)
        assert (before.claim, after) == (Claim.USED, Claimed(Claim.TAKEN, doubted=True))
        assert await vault.look_after_marks(now=NOW) is None
        assert await vault.lost_marks() == (lost,)
        assert "mt:marks:lost" in [one.event for one in await vault.log(limit=1000)]


async def test_an_old_envelope_that_is_sent_again_hides_no_lost_mark(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Attack: between a victim's envelope and a restore, a member sends one again that the backup has."""
    certificate = await key_of(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        await vault.look_after_marks(now=NOW)
    for minute, key in ((1, KEY), (2, OTHER), (3, KEY)):
        async with installation.open(organisation, MT) as vault:
            await take(vault, key, key, certificate, now=NOW + MINUTE * minute)
    await restored(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        with pytest.raises(MarksMissing):
            await take(vault, OTHER, b"forged", certificate)


async def test_envelopes_for_a_new_encryption_key_are_as_ever(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await test_a_restored_database_says_which_marks_are_lost(installation, organisation)
    new = await key_of(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        assert await take(vault, b"m" * 32, b"m", new) == Claimed(Claim.TAKEN)


async def test_two_custodians_can_accept_that_marks_are_lost(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await test_a_restored_database_says_which_marks_are_lost(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        certificate = vault.keys().decryption[0].certificate
        assert await vault.accept_lost_marks(now=NOW) == 1
    async with installation.open(organisation, MT) as vault:
        assert await take(vault, b"m" * 32, b"m", certificate) == Claimed(Claim.TAKEN)
        (lost,) = await vault.lost_marks()
        assert lost.accepted_at == NOW


@pytest.mark.parametrize("witness", [None, Witness(bytes(32), NOW)], ids=["none", "of another database"])
async def test_a_key_store_that_came_back_without_its_witness_is_no_excuse(
    installation: Installation, organisation: ParticipantIdentifier, witness: Witness | None
) -> None:
    """If database and keys are both from backups, it is unknown which messages came since."""
    await key_of(installation, organisation)
    await taken(installation, organisation)
    vault_id = (await vault_login(installation, organisation, MT)).vault
    (installation.settings.secrets / ".marks" / vault_id / "last-mark").unlink()
    if witness is not None:
        open_keys(installation.settings).keep_witness(vault_id, witness)
    async with installation.open(organisation, MT) as vault:
        assert await vault.look_after_marks(now=NOW + MINUTE) is not None


async def test_envelopes_from_before_marks_were_kept_are_lost_marks_but_nothing_under_way_is_refused(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The case is an installation that is upgraded."""
    certificate = await key_of(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        await vault.mark_processed("item", now=NOW)
    async with installation.open(organisation, MT) as vault:
        lost = await vault.look_after_marks(now=NOW + MINUTE)
    assert lost is not None
    assert lost.since is None
    async with installation.open(organisation, MT) as vault:
        assert await take(vault, recipient=certificate) == Claimed(Claim.TAKEN, doubted=True)
