"""People, sessions and statements in the vault of a message client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.vault.errors import SealBroken
from samdrift.vault.events import VaultEvent
from samdrift.vault.officers import OfferedKey
from samdrift.vault.people import Identity, SessionRecord
from samdrift.vault.registry import RegistrationState
from samdrift.vault.signedstatements import StatementTaken
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import MINUTE, NOW, Installation, until

ROLES = MK, GOV = Role.MESSAGE_CLIENT, Role.GOVERNANCE
ISSUER = "https://login.habo.test"
ANNA = Identity(ISSUER, "anna", "Anna Andersson", {"groups": ("soc", "ekonomi")})
BO = Identity(ISSUER, "bo", "Bo Berg")


def session(number: int, identity: Identity = ANNA, provider_session: str | None = None) -> SessionRecord:
    mark = number.to_bytes(32)
    return SessionRecord(mark, mark, identity, "loa3", NOW - MINUTE, provider_session, NOW, NOW)


async def begun(installation: Installation, whose: ParticipantIdentifier, *sessions: SessionRecord) -> None:
    async with installation.open(whose, MK) as vault:
        for each in sessions:
            assert await vault.begin_session(each)


async def marks(installation: Installation, whose: ParticipantIdentifier, *numbers: int) -> list[int]:
    """Return the sessions among these that have not ended."""
    async with installation.open(whose, MK) as vault:
        return [number for number in numbers if await vault.session(number.to_bytes(32)) is not None]


async def events(installation: Installation, whose: ParticipantIdentifier) -> list[tuple[str, str]]:
    async with installation.open(whose, MK) as vault:
        found = [entry for entry in await vault.log() if entry.event.startswith("mk:session")]
    return [(entry.event, entry.ids.get("reason", "")) for entry in found]


async def test_a_session_is_found_whole_and_names_its_person(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    one = session(1, provider_session="sid")
    await begun(installation, organisation, one)
    async with installation.open(organisation, MK) as vault:
        found = await vault.session(one.mark)
        assert found is not None
        assert found == replace(one, person=found.person)
        assert await vault.person(ISSUER, "anna") == found.person
        assert await vault.person(ISSUER, "bo") is None
        assert await vault.person("https://elsewhere.test", "anna") is None
    assert await events(installation, organisation) == [(VaultEvent.MK_SESSION_BEGUN, "")]


async def test_one_sign_in_begins_one_session_also_after_that_one_ended(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await begun(installation, organisation, session(1))
    again = replace(session(2), sign_in=session(1).sign_in)
    async with installation.open(organisation, MK) as vault:
        assert await vault.end_session(session(1).mark)
        assert not await vault.end_session(session(1).mark)
    async with installation.open(organisation, MK) as vault:
        assert not await vault.begin_session(again)
    assert await marks(installation, organisation, 1, 2) == []
    async with installation.open(organisation, MK) as vault:
        late = replace(again, began=NOW + timedelta(hours=3))
        assert await vault.begin_session(late), "the mark of a sign-in must be removed after an hour"
        assert await vault.begin_session(replace(late, mark=b"x", sign_in=b"x"))


async def test_a_person_keeps_the_id_when_the_name_changes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MK) as vault:
        anna = await vault.know_person(ANNA)
        bo = await vault.know_person(BO)
        assert {each.seen_at for each in await vault.persons()} == {None}
    married = replace(ANNA, name="Anna Ek", claims={})
    await begun(installation, organisation, replace(session(1), identity=married))
    async with installation.open(organisation, MK) as vault:
        vault.touch_session(session(1).mark, NOW + MINUTE)
    async with installation.open(organisation, MK) as vault:
        vault.touch_session(session(1).mark, NOW)
        found = {each.id: each for each in await vault.persons()}
        used = await vault.session(session(1).mark)
    assert found.keys() == {anna, bo}
    assert (found[anna].identity, found[anna].seen_at) == (married, NOW + MINUTE)
    assert (found[bo].identity, found[bo].seen_at) == (BO, None)
    assert used is not None
    assert used.used == NOW + MINUTE, "an earlier use must not replace a later one"


@pytest.mark.parametrize(
    ("subject", "provider_session", "left"),
    [
        ("anna", None, [3]),
        (None, "one", [2, 3]),
        ("anna", "two", [1, 3]),
        ("bo", "one", [1, 2, 3]),
        (None, None, [1, 2, 3]),
        ("anna", "three", [1, 2, 3]),
    ],
)
async def test_a_sign_in_service_ends_sessions(
    installation: Installation,
    organisation: ParticipantIdentifier,
    subject: str | None,
    provider_session: str | None,
    left: list[int],
) -> None:
    await begun(installation, organisation, session(1, ANNA, "one"), session(2, ANNA, "two"), session(3, BO))
    async with installation.open(organisation, MK) as vault:
        early = NOW - MINUTE
        assert await vault.end_sessions_from_outside(ISSUER, subject, provider_session, early) == 0
        other = "https://elsewhere.test"
        assert await vault.end_sessions_from_outside(other, subject, provider_session, NOW) == 0
        ended = await vault.end_sessions_from_outside(ISSUER, subject, provider_session, NOW)
    assert ended == 3 - len(left)
    assert await marks(installation, organisation, 1, 2, 3) == left
    assert (await events(installation, organisation))[3:] == [
        (VaultEvent.MK_SESSION_ENDED, "sign-in service")
    ] * ended


async def test_all_sessions_end_of_one_person_or_of_everybody(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await begun(installation, organisation, session(1), session(2), session(3, BO))
    async with installation.open(organisation, MK) as vault:
        anna = await vault.person(ISSUER, "anna")
        assert anna is not None
        assert await vault.end_sessions_of(anna, "administrator") == 2
    assert await marks(installation, organisation, 1, 2, 3) == [3]
    async with installation.open(organisation, MK) as vault:
        assert await vault.end_all_sessions("unlocked") == 1
        assert await vault.end_all_sessions("unlocked") == 0
    assert await marks(installation, organisation, 3) == []


async def test_no_session_outlives_a_suspension(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A notice of logout could not be processed during it."""
    await begun(installation, organisation, session(1))
    registry = installation.gate.registry
    for state in (RegistrationState.SUSPENDED, RegistrationState.ACTIVE):
        await installation.provisioner.set_state(organisation, MK, state)
        await until(
            lambda active=state is RegistrationState.ACTIVE: registry.serves(organisation, MK) is active
        )
    assert await marks(installation, organisation, 1) == []


async def test_no_session_of_an_officer_outlives_a_suspension(installation: Installation) -> None:
    """Nor does one at the pages of governance."""
    whose = await installation.organisation([GOV])
    one = session(1)
    async with installation.open(whose, GOV) as vault:
        assert await vault.begin_session(one)
    registry = installation.gate.registry
    for state in (RegistrationState.SUSPENDED, RegistrationState.ACTIVE):
        await installation.provisioner.set_state(whose, GOV, state)
        await until(lambda active=state is RegistrationState.ACTIVE: registry.serves(whose, GOV) is active)
    async with installation.open(whose, GOV) as vault:
        assert await vault.session(one.mark) is None


async def test_an_officer_takes_nobodys_id(installation: Installation) -> None:
    """A person who has another id in the record gets that one, unless it is taken."""
    whose = await installation.organisation([GOV])
    async with installation.open(whose, GOV) as vault:
        anna, bo = await vault.know_person(ANNA), await vault.know_person(BO)
        (renamed,) = await asyncio.gather(vault.rename_person(anna, bo), return_exceptions=True)
        assert renamed is False
        assert await vault.begin_session(session(1))
        assert await vault.rename_person(anna, "kim")
        assert await vault.person(ISSUER, "anna") == "kim"
        assert await vault.session(session(1).mark) is None, "their session must have ended"
        assert await vault.adopt_person(BO, "another") == bo, "a known person must keep the id"
        cilla = replace(ANNA, subject="cilla")
        assert await vault.adopt_person(cilla, bo) != bo
        assert not await vault.rename_person("nobody", "free")


async def test_a_key_that_was_moved_to_another_person_is_not_read(installation: Installation) -> None:
    """Write access to the database does not suffice to give a person another's key."""
    whose = await installation.organisation([GOV])
    async with installation.open(whose, GOV) as vault:
        anna, bo = await vault.know_person(ANNA), await vault.know_person(BO)
        vault.offer_key(OfferedKey(anna, NOW, "Anna", "{}"))
        assert await vault.offered_keys() == (OfferedKey(anna, NOW, "Anna", "{}"),)
    login = await vault_login(installation, whose, GOV)
    seen_by = await superuser(installation)
    seen_by.rows(f"UPDATE {login.schema}.offered_keys SET person = %s", bo)
    async with installation.open(whose, GOV) as vault:
        with pytest.raises(SealBroken):
            await vault.offered_keys()


async def test_statements_have_numbers_without_a_gap_and_stay_as_they_are(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    one, two, three = (NumberedStatement(number, f"statement {number}".encode()) for number in (1, 2, 3))
    async with installation.open(organisation, MK) as vault:
        assert await vault.last_statement() == 0
        assert await vault.append_statements([two, one]) == 2
        assert await vault.append_statements([one, two, three]) == 3, "existing statements must be ignored"
    for wrong in (NumberedStatement(2, b"another"), NumberedStatement(5, b"a gap")):
        with pytest.raises(StatementTaken):
            async with installation.open(organisation, MK) as vault:
                await vault.append_statements([wrong])
    async with installation.open(organisation, MK) as vault:
        assert await vault.statements_after(0, 2) == [one, two]
        assert await vault.statements_after(2, 9) == [three]


async def test_of_two_who_state_something_at_the_same_time_one_is_asked_to_repeat_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def state(content: bytes) -> bool:
        try:
            async with installation.open(organisation, MK) as vault:
                await vault.append_statements([NumberedStatement(1, content)])
        except StatementTaken:
            return False
        return True

    done = await asyncio.gather(*(state(bytes([each])) for each in range(5)))
    assert sorted(done) == [False] * 4 + [True]
