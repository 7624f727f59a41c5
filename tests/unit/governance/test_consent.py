"""Sessions within a consent, over vaults: refused without one, logged first, ended within a second."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pytest

from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.governance import consent as consenting
from samdrift.governance.consent import (
    Caller,
    ConsentEvent,
    ConsentOver,
    ConsentWanted,
    Session,
    Wanted,
    Way,
    session,
)
from samdrift.governance.emergency import NOTICE, EmergencyEvent
from samdrift.governance.events import GovEvent
from samdrift.governance.records import Records, StatementRefused
from samdrift.rights import Approved, Ended, Statement, Subject
from samdrift.rights.consentfold import Stage
from samdrift.rights.consents import AccessAsked, AccountGiven, Extent, Level
from samdrift.rights.signing import Signed
from samdrift.rights.statements import Act
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import count, seed
from tests.unit.governance.test_records import logged, roots
from tests.unit.rights import test_consents as forging
from tests.unit.rights import test_record
from tests.unit.rights.building import ANNA, BO, DAG
from tests.unit.rights.signers import House
from tests.unit.rights.test_consents import GONE, MESSAGE, OLA, OTHER, PIA, asking, emergency, staffed
from tests.vaults import NOW, Installation

TRACE = Wanted("trace", Level.METADATA, MESSAGE)
EXPORT = Wanted("org export", Level.CONTENT, MESSAGE)
CALLER = Caller("ola", "INC-4711")
GOV = Role.GOVERNANCE


class Served:
    """An organisation with officers and staff, as its operator serves it."""

    def __init__(self, installation: Installation, organisation: ParticipantIdentifier, house: House) -> None:
        self.installation = installation
        self.organisation = organisation
        self.house = house
        self.records = Records(installation.gate, self.clock)
        self.moment: datetime | None = None
        """The time, if it differs from that of the statements."""
        self._stored = 0
        self.ticked = 0.0

    def clock(self) -> datetime:
        return self.moment or self.house.now

    async def store(self) -> None:
        """Append everything stated since the last call."""
        entries = self.house.record.entries[self._stored :]
        for _, day in groupby(entries, lambda entry: entry.statement.at.date()):
            of_a_day = list(day)
            self.moment = of_a_day[-1].statement.at
            await self.records.append(self.organisation, [each.signed for each in of_a_day], roots)
        self.moment = None
        self._stored += len(entries)

    async def state(self, by: Subject, act: Act) -> Statement:
        stated = self.house.state(by, act)
        await self.store()
        return stated

    def session(
        self, wanted: Wanted = TRACE, caller: Caller = CALLER, *, demonstration: bool = False
    ) -> consenting.AbstractAsyncContextManager[Session]:
        gate, organisation = self.installation.gate, self.organisation
        return session(
            gate,
            organisation,
            wanted,
            caller,
            self.clock,
            demonstration=demonstration,
            ticks=lambda: self.ticked,
        )

    async def logged(self, event: ConsentEvent) -> list[dict[str, str]]:
        return await logged(self.installation, self.organisation, event)


async def served(installation: Installation) -> Served:
    organisation = await installation.organisation()
    found = Served(installation, organisation, staffed(organisation.value, NOW))
    await found.store()
    return found


async def test_nothing_is_opened_without_a_consent_and_the_log_has_that(installation: Installation) -> None:
    town = await served(installation)
    with pytest.raises(ConsentWanted) as refused:
        async with town.session():
            raise AssertionError("it was opened")
    assert [name.partition(" ")[0] for name in refused.value.approvers] == [
        "person:anna",
        "person:bo",
        "person:dag",
    ]
    ((entry,), none) = await town.logged(ConsentEvent.REFUSED), await town.logged(ConsentEvent.OPENED)
    assert (entry["command"], entry["by"], entry["extent"]) == ("trace", "ola", str(MESSAGE))
    assert none == []


async def test_a_consent_that_is_used_from_another_account_says_so_in_the_log(
    installation: Installation,
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    for account in ("ola", "mallory"):
        async with town.session(caller=Caller("operator:ola", "INC-4711", account=account)):
            pass
    own, others = await town.logged(ConsentEvent.OPENED)
    assert "account" not in own
    assert others["account"] == "mallory"


async def test_within_a_consent_what_is_opened_is_logged_first_and_summed_up_last(
    installation: Installation,
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    async with town.session() as running:
        (opened,) = await town.logged(ConsentEvent.OPENED)
        await running.check()
        await running.check()
        assert await town.logged(ConsentEvent.CLOSED) == []
    number = next(each.number for each in town.house.record.entries if each.statement.digest == asked.digest)
    assert opened == {
        "command": "trace",
        "level": "metadata",
        "extent": str(MESSAGE),
        "by": "ola",
        "reason": "INC-4711",
        "proof": "none",
        "way": "consent",
        "consent": asked.digest,
        "statement": str(number),
        "person": "operator:ola",
    }
    (closed,) = await town.logged(ConsentEvent.CLOSED)
    assert closed == opened | {"parts": "2", "outcome": "finished"}


@pytest.mark.parametrize(
    ("wanted", "caller", "why"),
    [
        (EXPORT, CALLER, "no consent covers"),
        (Wanted("trace", Level.METADATA, OTHER), CALLER, "no consent covers"),
        (TRACE, Caller("pia", "INC-4711"), "another person's"),
        (TRACE, Caller("person:ola", "INC-4711"), "another person's"),
        (TRACE, Caller("ola", "INC-4711", "1"), "no consent covers"),
    ],
)
async def test_a_consent_covers_its_person_level_and_extent_alone(
    installation: Installation, wanted: Wanted, caller: Caller, why: str
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    with pytest.raises(ConsentWanted, match=why):
        async with town.session(wanted, caller):
            raise AssertionError("it was opened")
    async with town.session(caller=Caller("operator:ola", "x", asked.digest)):
        pass


async def test_content_is_opened_when_two_of_the_organisation_have_approved(
    installation: Installation,
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking(level=Level.CONTENT))
    for approver, opens in ((None, False), (BO, False), (ANNA, True)):
        if approver is not None:
            await town.state(approver, Approved(asked.digest))
        if opens:
            async with town.session(EXPORT) as running:
                assert running.permit.way is Way.CONSENT
        else:
            with pytest.raises(ConsentWanted, match="is waiting"):
                async with town.session(EXPORT):
                    raise AssertionError("it was opened")


@pytest.mark.parametrize("how", ["by itself", "revoked"])
async def test_the_end_of_a_consent_stops_what_is_read_within_a_second(
    installation: Installation, how: str
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    ended = 0.0

    async def download() -> None:
        nonlocal ended
        async with town.session() as running:
            for frame in range(40):
                await running.check()
                if frame == 2:
                    ended = town.ticked
                    if how == "revoked":
                        await town.state(DAG, Ended(of=asked.digest))
                    else:
                        town.house.now += timedelta(minutes=60)
                town.ticked += 0.1  # A frame takes a tenth of a second.

    with pytest.raises(ConsentOver) as over:
        await download()
    assert town.ticked - ended < 1
    assert over.value.stage is (Stage.REVOKED if how == "revoked" else Stage.OVER)
    (closed,) = await town.logged(ConsentEvent.CLOSED)
    assert closed["outcome"] == over.value.stage.value


async def test_a_clock_that_is_set_back_prolongs_nothing(installation: Installation) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking(minutes=1))
    await town.state(BO, Approved(asked.digest))
    await town.state(PIA, asking(to=PIA, extent=OTHER))
    approved = town.house.now
    await town.state(BO, Ended(of=town.house.record.entries[-1].statement.digest))
    town.house.now = approved - timedelta(minutes=5)
    with pytest.raises(ConsentWanted, match="is over"):
        async with town.session():
            raise AssertionError("it was opened")


async def test_what_a_witness_has_put_under_the_log_counts_for_the_end_of_a_consent(
    installation: Installation,
) -> None:
    """Without later statements and with the clock set back, the record alone would let the consent go on."""
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    async with town.session() as running:
        await installation.witness(town.organisation, GOV, town.house.now + timedelta(minutes=60))
        town.ticked += 1
        with pytest.raises(ConsentOver):
            await running.check()
    with pytest.raises(ConsentWanted, match="is over"):
        async with town.session():
            raise AssertionError("it was opened")


async def test_a_clock_that_is_set_back_while_something_is_read_prolongs_nothing(
    installation: Installation,
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking(minutes=1))
    await town.state(BO, Approved(asked.digest))
    # The clock stays at this moment, as if it were set back again and again.
    town.moment = town.house.now + timedelta(seconds=1)
    async with town.session() as running:
        for passed in (0.5, 30, 58):
            town.ticked = passed
            await running.check()
        town.ticked = 61
        with pytest.raises(ConsentOver):
            await running.check()


async def test_an_organisation_with_no_officer_is_served_as_before_and_its_log_says_so(
    installation: Installation,
) -> None:
    organisation = await installation.organisation()
    town = Served(installation, organisation, House(organisation.value, NOW))
    async with town.session(EXPORT) as running:
        assert running.permit.way is Way.NOBODY
    (entry,) = await town.logged(ConsentEvent.OPENED)
    assert entry["way"] == "nobody-can-consent"


async def test_a_demonstration_is_read_and_its_log_says_so(installation: Installation) -> None:
    town = await served(installation)
    async with town.session(demonstration=True):
        pass
    (entry,) = await town.logged(ConsentEvent.OPENED)
    assert entry["way"] == "demonstration"


async def test_the_record_counts_where_governance_is_no_longer_hosted(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking role gov from an organisation does not bypass its officers: other roles have copies."""
    town = await served(installation)
    find = installation.gate.registry.find
    monkeypatch.setattr(
        type(installation.gate.registry),
        "find",
        lambda _, whose, role: None if role is GOV else find(whose, role),
    )
    with pytest.raises(ConsentWanted):
        async with town.session():
            raise AssertionError("it was opened")


async def test_the_record_counts_where_the_vault_of_governance_is_a_new_one(
    installation: Installation,
) -> None:
    """Replacing the vault of role gov with an empty one does not bypass the officers."""
    organisation = await installation.organisation()
    town = Served(installation, organisation, staffed(organisation.value, NOW))
    kept = [NumberedStatement(each.number, each.signed.content) for each in town.house.record.entries]
    async with installation.open(organisation, Role.MESSAGE_CLIENT, Purpose.ADMINISTER) as vault:
        await vault.append_signed_statements(kept)
    with pytest.raises(ConsentWanted):
        async with town.session():
            raise AssertionError("it was opened")


async def test_a_consent_that_ends_while_its_first_entry_is_written_shows_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = await served(installation)
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    written = installation.gate.record_for_organisation

    async def slowly(*given: Any) -> bool:
        town.ticked += 3
        if given[2] is ConsentEvent.OPENED:
            await town.state(DAG, Ended(of=asked.digest))
        return await written(*given)

    monkeypatch.setattr(installation.gate, "record_for_organisation", slowly)
    with pytest.raises(ConsentOver):
        async with town.session() as running:
            await running.check()


async def test_an_emergency_opens_metadata_and_every_role_hears_of_it_at_once(
    installation: Installation,
) -> None:
    town = await served(installation)
    async with installation.open(town.organisation, Role.MESSAGE_CLIENT) as client:
        client.keep_notice_choice(ANNA.id, {"address": "anna@habo.se", "hour": 8, "mailboxes": {}})
    stated = await town.state(OLA, emergency())
    assert await logged(installation, town.organisation, EmergencyEvent.BEGUN) == []
    await town.state(PIA, Approved(stated.digest))
    for role in Role:
        entries = await logged(installation, town.organisation, EmergencyEvent.BEGUN, role)
        told = [(each["consent"], each["person"], each["second"]) for each in entries]
        assert told == [(stated.digest, "operator:ola", "operator:pia")]
    async with installation.open(town.organisation, Role.MESSAGE_CLIENT) as client:
        claimed = await client.claim_notices(now=town.house.now, lease=timedelta(minutes=1))
        (notice,) = await client.notices(claimed)
    assert (notice.kind, notice.content["to"]) == (NOTICE, "anna@habo.se")
    async with town.session() as running:
        assert running.permit.way is Way.EMERGENCY
    with pytest.raises(ConsentWanted):
        async with town.session(EXPORT):
            raise AssertionError("it was opened")
    await town.state(PIA, AccountGiven(stated.digest, "the queue was restarted"))


async def test_a_consent_is_used_before_an_emergency(installation: Installation) -> None:
    town = await served(installation)
    stated = await town.state(OLA, emergency())
    await town.state(PIA, Approved(stated.digest))
    asked = await town.state(OLA, asking())
    await town.state(BO, Approved(asked.digest))
    async with town.session() as running:
        assert running.permit.way is Way.CONSENT


async def test_every_forged_consent_is_in_the_log_and_opens_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 forgeries, and 34 times as many by `--soak`: each refusal is an entry, and nothing is stored."""
    monkeypatch.setattr(test_record, "good_act", forging.good_act)
    monkeypatch.setattr(test_record, "DAG", GONE)
    town, chance = await served(installation), random.Random(seed(16))
    for _ in range(count(1, 34)):
        for number in range(60):
            _, signed, now = forging.refused(town.house, chance, number)
            await town.store()
            before = town.house.record.number
            await refused(town, signed, now)
            assert (await town.records.read(town.organisation)).number == before
        entries = await refusals(town)
        assert len(entries) == 60
        assert all(entry["reason"] and entry["digest"] for entry in entries)
        with pytest.raises(ConsentWanted):
            async with town.session(EXPORT):
                raise AssertionError("it was opened")
        town = await served(installation)


async def refusals(town: Served) -> list[dict[str, str]]:
    found, after = list[dict[str, str]](), 0
    async with town.installation.open(town.organisation, GOV) as vault:
        while page := await vault.log(after):
            after = page[-1].sequence
            found += [dict(each.ids) for each in page if each.event == GovEvent.STATEMENT_REFUSED]
    return found


async def refused(town: Served, signed: Signed, now: datetime) -> None:
    town.moment = now
    with pytest.raises(StatementRefused):
        await town.records.append(town.organisation, [signed], roots)
    town.moment = None


async def test_the_operator_that_makes_up_a_consent_breaks_the_record(installation: Installation) -> None:
    """Written directly to the database, it is found at the next reading, and nothing is opened."""
    from samdrift.contracts.statements import NumberedStatement
    from samdrift.governance.records import RecordBroken

    town = await served(installation)
    asked = await town.state(OLA, asking())
    made_up = town.house.signers[OLA].sign(town.house.stated(BO, Approved(asked.digest)))
    async with installation.open(town.organisation, GOV) as vault:
        number = await vault.last_signed_statement() + 1
        await vault.append_signed_statements([NumberedStatement(number, made_up.content)])
    with pytest.raises(RecordBroken) as broken:
        async with town.session():
            raise AssertionError("it was opened")
    assert broken.value.broken.number == number


async def test_what_an_officer_was_shown_is_what_was_approved(installation: Installation) -> None:
    """After a request is swapped, the officer's signed approval still has the digest of the original."""
    town = await served(installation)
    shown = town.house.stated(OLA, asking())
    approval = town.house.sign(BO, Approved(shown.digest))
    swapped = town.house.stated(OLA, asking(level=Level.CONTENT, minutes=480))
    town.house.now = max(town.house.now, swapped.at)
    await town.records.append(town.organisation, [town.house.signers[OLA].sign(swapped)], roots)
    with pytest.raises(StatementRefused):
        await town.records.append(town.organisation, [approval], roots)
    assert isinstance(swapped.act, AccessAsked)
    assert Extent.parse(str(swapped.act.extent)) == MESSAGE
