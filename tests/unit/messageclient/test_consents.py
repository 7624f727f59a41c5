"""Consents on the pages of a message client: a line on each page, for exactly as long as they last."""

from __future__ import annotations

from datetime import timedelta

import pytest

from samdrift.contracts.principals import Role
from samdrift.governance.records import Records
from samdrift.messageclient.entrance.access import LOCALE, bands
from samdrift.messageclient.permissions import Assignments, PersonPermissions
from samdrift.rights import Approved, Ended, Right, Subject
from samdrift.rights.consents import AccessAsked, Extent, Ground, Level
from samdrift.rights.statements import Act, Statement
from samdrift.web.texts import OWN, Language, Texts
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import sampled
from tests.unit.governance.test_records import roots
from tests.unit.messageclient.test_signed_rights import ISSUER
from tests.unit.messageclient.wholerole import SOC, whole_role
from tests.unit.rights.building import BO, DAG, DAY
from tests.unit.rights.signers import House
from tests.unit.rights.test_consents import MESSAGE, OLA, PIA, emergency, staffed
from tests.vaults import NOW, Installation

MK, GOV = Role.MESSAGE_CLIENT, Role.GOVERNANCE
FOLDERS = (OWN, LOCALE)


class Pages:
    """An organisation with a person who looks at the pages."""

    def __init__(self, installation: Installation, organisation: ParticipantIdentifier, house: House) -> None:
        self.installation = installation
        self.organisation = organisation
        self.house = house
        self.assignments = Assignments(installation.gate.worker("test", MK), lambda: house.now)

    async def state(self, by: Subject, act: Act) -> Statement:
        stated = self.house.state(by, act)
        signed = self.house.record.entries[-1].signed
        records = Records(self.installation.gate, lambda: self.house.now)
        await records.append(self.organisation, [signed], roots)
        return stated

    async def lines(self, language: Language = Language.ENGLISH) -> list[str]:
        kim = await self.assignments.of(self.organisation, ISSUER, "kim", {})
        texts = Texts(FOLDERS).of(language)
        return [f"{each.text.into(texts)} {each.more.into(texts)}" for each in bands(kim)]


async def pages(installation: Installation) -> Pages:
    organisation = await installation.organisation([MK, GOV])
    house = staffed(organisation.value, NOW)
    for entry in house.record.entries:
        records = Records(installation.gate, lambda at=entry.statement.at: at)  # type: ignore[misc]
        await records.append(organisation, [entry.signed], roots)
    return Pages(installation, organisation, house)


async def test_a_consent_is_on_the_pages_while_it_lasts(installation: Installation) -> None:
    shown = await pages(installation)
    act = AccessAsked(OLA, Ground.OUTAGE, "INC-1", MESSAGE, Level.METADATA, 60)
    asked = await shown.state(OLA, act)
    assert await shown.lines() == []
    await shown.state(BO, Approved(asked.digest))
    assert await shown.lines() == [
        "Kim Åberg sees data about one message, but not what it says. Your organisation has consented to it."
    ]
    (swedish,) = await shown.lines(Language.SWEDISH)
    assert swedish.startswith("Kim Åberg ser uppgifter om ett meddelande")
    shown.house.now += timedelta(minutes=60)
    assert await shown.lines() == []


async def test_a_clock_that_is_set_back_shows_no_consent_again_that_a_witness_saw_the_end_of(
    installation: Installation,
) -> None:
    shown = await pages(installation)
    asked = await shown.state(OLA, AccessAsked(OLA, Ground.OUTAGE, "INC-1", MESSAGE, Level.METADATA, 60))
    await shown.state(BO, Approved(asked.digest))
    assert len(await shown.lines()) == 1
    await installation.witness(shown.organisation, MK, shown.house.now + timedelta(minutes=60))
    assert await shown.lines() == []


async def test_an_end_takes_the_line_away_at_the_next_page(installation: Installation) -> None:
    shown = await pages(installation)
    act = AccessAsked(OLA, Ground.CASE, "INC-2", Extent.mailbox("6c1d"), Level.CONTENT, 480)
    asked = await shown.state(OLA, act)
    await shown.state(BO, Approved(asked.digest))
    assert await shown.lines() == []
    await shown.state(DAG, Approved(asked.digest))
    (line,) = await shown.lines()
    assert line.startswith("Kim Åberg sees the messages of one mailbox and what they say.")
    await shown.state(BO, Ended(of=asked.digest))
    assert await shown.lines() == []


async def test_an_emergency_says_that_nobody_consented(installation: Installation) -> None:
    shown = await pages(installation)
    stated = await shown.state(OLA, emergency())
    await shown.state(PIA, Approved(stated.digest))
    (line,) = await shown.lines()
    assert line.endswith("An emergency of the operator, without your organisation’s consent.")


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize(
    "extent", sampled([MESSAGE, Extent.mailbox("6c1d"), Extent.span(DAY, DAY + timedelta(1))])
)
async def test_every_level_and_extent_has_its_words(
    installation: Installation, level: Level, extent: Extent
) -> None:
    shown = await pages(installation)
    asked = await shown.state(BO, AccessAsked(OLA, Ground.CASE, "INC-3", extent, level, 5))
    if level is Level.CONTENT:
        await shown.state(DAG, Approved(asked.digest))
    (line,) = await shown.lines()
    assert ("not what" in line) == (level is Level.METADATA)


async def test_who_can_read_names_the_operator_while_content_can_be_seen(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list no longer states that the operator has no access, while it has.

    It still does for another mailbox, and if only data about messages can be seen.
    """
    shown = await pages(installation)
    content = [Extent.mailbox(SOC), Extent.mailbox("another")]
    for extent in content:
        asked = await shown.state(BO, AccessAsked(OLA, Ground.CASE, "INC-4", extent, Level.CONTENT, 60))
        await shown.state(DAG, Approved(asked.digest))
    await shown.state(BO, AccessAsked(OLA, Ground.CASE, "INC-5", content[0], Level.METADATA, 60))
    found = (await shown.assignments.of(shown.organisation, ISSUER, "kim", {})).consents
    assert len(found) == 3
    none = "Driften har ingen väg till innehåll."
    async with whole_role(installation) as whole:
        await whole.give("anna", SOC, Right.READ)
        anna = await whole.visit("anna")
        assert none in (await anna.get(f"/rights/{SOC}")).text
        monkeypatch.setattr(PersonPermissions, "consents", found)
        page = (await anna.get(f"/rights/{SOC}")).text.partition("</table>")[2]
        assert (none in page, page.count("Kim Åberg ser")) == (False, 1)
        assert "Er organisation har samtyckt" in page
        table = await anna.post(f"/rights/{SOC}/table")
        assert table.text.count("Kim Åberg ser") == 1
