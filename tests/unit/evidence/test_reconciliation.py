"""Reconciliation: each planted difference is found under its name, and logs that agree have none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent, Retention
from samdrift.evidence.reconciliation import EXCHANGE, HANDOVER, Kind, reconcile
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent
from tests.unit.evidence.exchanges import HABO, MULLSJO, World, exchanged

Plant = Callable[[World], None]


def without(event: AuditEvent, about: str, organisation: str = HABO) -> Plant:
    return lambda world: world.without(organisation, event, about)


def changed(event: AuditEvent, about: str, organisation: str = HABO, **facts: str) -> Plant:
    return lambda world: world.without(organisation, event, about, facts)


def added(event: AuditEvent, organisation: str = HABO, **ids: str) -> Plant:
    return lambda world: world.add(organisation, event, **ids)


OWN: list[tuple[Kind, str, Plant]] = [
    (
        Kind.SUBMITTED_WITHOUT_TRANSFER,
        "lost",
        added(MTEvent.MT_RECEIPT_SUBMITTED, envelope="lost", message="from-1"),
    ),
    (Kind.TRANSFER_WITHOUT_MESSAGE, "to-1", without(MTEvent.MT_MESSAGE_SCHEDULED, "to-1")),
    (Kind.TRANSFER_WITHOUT_END, "to-1", without(APEvent.AP_TRANSFER_DELIVERED, "to-1")),
    (Kind.DELIVERY_NOT_KNOWN, "from-1-receipt", without(MTEvent.MT_RECEIPT_ACKNOWLEDGED, "from-1-receipt")),
    (
        Kind.FAILURE_NOT_KNOWN,
        "to-1",
        added(VaultEvent.AP_TRANSFER_FAILED, envelope="to-1", reason="given-up"),
    ),
    (Kind.ACKNOWLEDGED_WITHOUT_DELIVERY, "to-1", without(APEvent.AP_TRANSFER_DELIVERED, "to-1")),
    (Kind.ARRIVED_NOT_FETCHED, "from-1", without(MTEvent.MT_MESSAGE_RETRIEVED, "from-1")),
    (Kind.ARRIVED_NOT_FETCHED, "to-1-receipt", without(MTEvent.MT_RECEIPT_RECEIVED, "to-1-receipt")),
    (Kind.FETCHED_NOT_ARRIVED, "from-1", without(APEvent.AP_ENVELOPE_RECEIVED, "from-1")),
    (Kind.NOT_REMOVED, "from-1", without(APEvent.AP_ENVELOPE_ACKNOWLEDGED, "from-1")),
    (Kind.MESSAGE_WITHOUT_ANSWER, "from-1", without(MTEvent.MT_RECEIPT_QUEUED, "from-1")),
    (Kind.ANSWER_NOT_SENT, "r-9", added(MTEvent.MT_RECEIPT_QUEUED, envelope="r-9", message="from-9")),
    (Kind.MESSAGE_WITHOUT_END, "to-1", without(MTEvent.MT_MESSAGE_ACCEPTED, "to-1")),
    (Kind.VERDICT_WITHOUT_RECEIPT, "to-1", without(MTEvent.MT_RECEIPT_RECEIVED, "to-1-receipt")),
    (Kind.RECEIPT_WITHOUT_MESSAGE, "to-1", without(MTEvent.MT_MESSAGE_SCHEDULED, "to-1")),
    (Kind.READING_WITHOUT_MESSAGE, "none", added(MTEvent.MT_MESSAGE_READ, message="none")),
    (Kind.READING_WITHOUT_MESSAGE, "none", added(MKEvent.MK_READING_MESSAGE, message="none")),
    (Kind.FETCHED_WITHOUT_READING, "from-1", without(MTEvent.MT_MESSAGE_READ, "from-1")),
    (Kind.HANDED_OVER_NOT_SCHEDULED, "to-1", without(MTEvent.MT_MESSAGE_SCHEDULED, "to-1")),
    (Kind.HANDED_OVER_NOT_SUBMITTED, "to-1", without(MKEvent.MK_MESSAGE_SUBMITTED, "to-1")),
    (
        Kind.TWICE,
        "to-1",
        added(APEvent.AP_TRANSFER_QUEUED, envelope="to-1", as4="again@habo", recipient=MULLSJO),
    ),
    (Kind.IDENTIFIERS_DIFFER, "to-1", changed(APEvent.AP_TRANSFER_DELIVERED, "to-1", as4="other@habo")),
    (
        Kind.IDENTIFIERS_DIFFER,
        "from-1",
        changed(MTEvent.MT_MESSAGE_RETRIEVED, "from-1", sender="0203:other.se"),
    ),
]
"""Faults in the logs of one organisation: the name of each, its subject, and the way it is planted."""

BETWEEN: list[tuple[Kind, str, Plant]] = [
    (Kind.DELIVERED_NOT_ARRIVED, "to-1", without(APEvent.AP_ENVELOPE_RECEIVED, "to-1", MULLSJO)),
    (Kind.ARRIVED_NOT_SENT, "to-1", without(APEvent.AP_TRANSFER_QUEUED, "to-1")),
    (
        Kind.IDENTIFIERS_DIFFER,
        "to-1",
        changed(APEvent.AP_ENVELOPE_RECEIVED, "to-1", MULLSJO, conversation="other"),
    ),
    (Kind.VERDICT_DIFFERS, "to-1", without(MTEvent.MT_MESSAGE_RETRIEVED, "to-1", MULLSJO)),
    (Kind.VERDICT_DIFFERS, "refused", without(MTEvent.MT_MESSAGE_REFUSED, "refused", MULLSJO)),
    (Kind.RECEIPT_NOT_GIVEN, "to-1-receipt", without(MTEvent.MT_RECEIPT_QUEUED, "to-1-receipt", MULLSJO)),
]
"""Faults that only the other side's logs show."""


def named(case: object) -> str | None:
    return case.value if isinstance(case, Kind) else None


def test_logs_that_agree_have_no_difference_and_every_kind_was_compared() -> None:
    world = exchanged()
    found = reconcile(world.side(HABO), world.side(MULLSJO))
    assert found.differences == ()
    assert found.holds
    assert found.under_way == 0
    never = {Kind.FAILURE_NOT_KNOWN}
    assert {kind for kind in Kind if not found.compared[kind]} == never, "no transfer failed in this world"


def test_every_kind_of_difference_is_planted_and_there_are_more_than_twelve() -> None:
    planted = {kind for kind, _, _ in (*OWN, *BETWEEN)}
    assert planted == set(Kind)
    assert len(planted) >= 12


@pytest.mark.parametrize(("kind", "about", "plant"), OWN, ids=named)
def test_a_difference_within_one_organisation_is_named(kind: Kind, about: str, plant: Plant) -> None:
    found = reconcile(exchanged(plant).side(HABO))
    assert not found.holds
    assert (kind, about) in {(each.kind, each.about) for each in found.differences}
    exchange = about.removesuffix("-receipt")
    others = [each for each in found.differences if exchange not in str(dict(each.ids))]
    assert others == [], "no other difference may be reported"


@pytest.mark.parametrize(("kind", "about", "plant"), BETWEEN, ids=named)
@pytest.mark.parametrize("turned", [False, True], ids=["sender-first", "receiver-first"])
def test_a_difference_between_two_organisations_is_named_whoever_asks(
    kind: Kind, about: str, plant: Plant, turned: bool
) -> None:
    world = exchanged(plant)
    sides = [world.side(HABO), world.side(MULLSJO)]
    found = reconcile(*reversed(sides)) if turned else reconcile(*sides)
    assert (kind, about) in {(each.kind, each.about) for each in found.differences}
    exchange = about.removesuffix("-receipt")
    assert all(exchange in str(dict(each.ids)) for each in found.differences)


@pytest.mark.parametrize(("kind", "about", "plant"), OWN, ids=named)
def test_what_happened_just_now_is_under_way_and_no_difference(kind: Kind, about: str, plant: Plant) -> None:
    """The other log ends too early for a verdict; duplicates and differing ids are wrong at any time."""
    world = World.begun()
    world.exchange(HABO, MULLSJO, "to-1")
    world.exchange(MULLSJO, HABO, "from-1")
    plant(world)
    world.go_on(timedelta(minutes=5))
    found = reconcile(world.side(HABO))
    at_once = {Kind.TWICE, Kind.IDENTIFIERS_DIFFER, Kind.READING_WITHOUT_MESSAGE}
    assert {each.kind for each in found.differences} <= at_once
    if kind not in at_once:
        assert found.under_way


def test_a_log_that_had_not_begun_is_not_asked() -> None:
    world = exchanged()
    late = World.begun()
    late.now = world.now
    late.go_on()
    pages = late.logs[HABO, "mk"]
    pages.entries = pages.entries[1:]
    found = reconcile([*world.side(HABO, ("ap", "mt")), pages.read()])
    assert found.holds


@pytest.mark.parametrize("sources", [("ap",), ("mt",), ("ap", "mt"), ("mt", "mk")])
def test_an_organisation_with_some_of_the_roles_here_is_compared_as_far_as_that_goes(
    sources: tuple[str, ...],
) -> None:
    found = reconcile(exchanged().side(HABO, sources))
    assert found.holds
    assert found.compared


def test_facts_that_were_disposed_of_are_not_missed() -> None:
    """The message service has disposed of its older facts by a decision, and the access point has not."""
    world = exchanged()
    world.exchange(HABO, MULLSJO, "late")
    world.go_on()
    mt = world.logs[HABO, "mt"]
    mt.entries = [
        each
        for each in mt.entries
        if each[1].retention is not Retention.TRANSFER or "late" in each[2].values()
    ]
    kept = [
        world.logs[HABO, "ap"].read(),
        mt.read(disposed=[Retention.TRANSFER]),
        world.logs[HABO, "mk"].read(),
    ]
    assert reconcile(kept).holds
    assert not reconcile([world.logs[HABO, "ap"].read(), mt.read()]).holds


def test_a_reading_of_an_old_message_is_not_called_wrong_in_a_part_of_a_log() -> None:
    world = exchanged(added(MTEvent.MT_MESSAGE_READ, message="years-ago"))
    parts = [world.logs[HABO, source].read(whole=False) for source in ("ap", "mt", "mk")]
    assert reconcile(parts).holds


def test_a_part_of_a_log_shows_what_is_missing_within_it() -> None:
    world = World.begun()
    world.go_on()
    world.exchange(HABO, MULLSJO, "to-1")
    world.without(HABO, APEvent.AP_TRANSFER_QUEUED, "to-1")
    world.without(HABO, APEvent.AP_TRANSFER_DELIVERED, "to-1")
    world.go_on()
    parts = [world.logs[HABO, source].read(whole=False) for source in ("ap", "mt")]
    found = reconcile(parts)
    assert {each.kind for each in found.differences} == {
        Kind.SUBMITTED_WITHOUT_TRANSFER,
        Kind.ACKNOWLEDGED_WITHOUT_DELIVERY,
    }


def test_an_exchange_with_somebody_else_is_not_looked_for_in_the_other_sides_log() -> None:
    def elsewhere(world: World) -> None:
        ids = {"envelope": "x", "as4": "x@habo", "conversation": "x"}
        world.add(HABO, MTEvent.MT_MESSAGE_SCHEDULED, message="x")
        world.add(HABO, APEvent.AP_TRANSFER_QUEUED, **ids, recipient="0203:skl.se")
        world.add(HABO, APEvent.AP_TRANSFER_DELIVERED, **ids, recipient="0203:skl.se", sender=HABO)
        for event in (
            MTEvent.MT_MESSAGE_SUBMITTED,
            MTEvent.MT_MESSAGE_ACKNOWLEDGED,
            MTEvent.MT_MESSAGE_ACCEPTED,
        ):
            world.add(HABO, event, message="x")
        world.add(
            HABO,
            APEvent.AP_ENVELOPE_RECEIVED,
            envelope="r",
            as4="r@skl",
            sender="0203:skl.se",
            recipient=HABO,
        )
        world.add(HABO, MTEvent.MT_RECEIPT_RECEIVED, message="x", envelope="r")
        world.add(HABO, APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope="r")

    world = exchanged(elsewhere)
    assert reconcile(world.side(HABO), world.side(MULLSJO)).holds


def test_a_message_to_oneself_agrees() -> None:
    world = World.begun()
    world.exchange(HABO, HABO, "to-self")
    world.go_on()
    assert reconcile(world.side(HABO)).differences == ()


def test_the_times_that_are_waited_are_those_of_an_exchange() -> None:
    assert HANDOVER < timedelta(days=1) < EXCHANGE
