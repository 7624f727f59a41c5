"""api-mt-mk 3, getMessageByFilter: filters of a list, in every spelling that the texts use."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.interface_d.filters import Filters, Page, after, read, read_filters
from samdrift.messageservice.interface_d.problems import Refused
from tests.vaults import NOW, message

ADDRESS = "sdk:inkorg001:0203:inera.se"
DAY = datetime(2024, 5, 6, tzinfo=UTC)


def filters(**given: str) -> Filters:
    return read_filters([(f"filter[{name}]", value) for name, value in given.items()])


def refused(*query: tuple[str, str]) -> list[str]:
    with pytest.raises(Refused) as caught:
        read(query)
    for finding in caught.value.findings:
        assert "Kim" not in finding.text + finding.path
    return [finding.path for finding in caught.value.findings]


def test_nothing_asked_is_everything() -> None:
    assert read([]) == (Filters(), Page())


@pytest.mark.parametrize("name", ["messagestatus", "messageStatus", "MESSAGESTATUS", "status"])
def test_status(name: str) -> None:
    assert filters(**{name: "NEW"}) == Filters((MessageStatus.NEW,))


@pytest.mark.parametrize("status", MessageStatus)
def test_every_status_can_be_asked_for(status: MessageStatus) -> None:
    """Clauses: api-mt-mk 3 sentence 7."""
    assert filters(messageStatus=status.value) == Filters((status,))


def test_one_of_several_statuses() -> None:
    query = [("filter[messagestatus]", "NEW"), ("filter[messageStatus]", "ACCEPTED")]
    assert read(query)[0] == Filters((MessageStatus.NEW, MessageStatus.ACCEPTED))


RECIPIENT = "recipientAttention.subOrganization.extension"
SENDER = "senderAttention.subOrganization.extension"


@pytest.mark.parametrize("name", [RECIPIENT, RECIPIENT.lower(), "handlingServiceId"])
@pytest.mark.parametrize("value", [ADDRESS, f"”{ADDRESS}”", f'"{ADDRESS}"'])
def test_recipients_address(name: str, value: str) -> None:
    """An example in 4.2 has quotation marks around the address."""
    assert filters(**{name: value}) == Filters(recipient_addresses=(ADDRESS,))


def test_senders_address() -> None:
    assert filters(**{"senderAttention.subOrganization.extension": ADDRESS}) == Filters(
        sender_addresses=(ADDRESS,)
    )


def test_filter_is_written_in_any_case() -> None:
    """The OpenAPI file has ``?Filter[attribute]=value`` in one place."""
    assert read([("Filter[messagestatus]", "NEW")])[0] == Filters((MessageStatus.NEW,))


@pytest.mark.parametrize(
    ("given", "start", "stop"),
    [
        ("2024-05-06T00:00:00Z", DAY, DAY),
        ("2024-05-06T07:08:09.1Z", DAY.replace(hour=7, minute=8, second=9, microsecond=100_000), None),
        ("2024-05-06T00:00:00+00:00", DAY, DAY),
        ("2024-05-06T00:00Z", DAY, DAY),
        ("2024-05-06T00:00:00+00", DAY, DAY),
        ("2024-05-06T00:00:00,5Z", DAY.replace(microsecond=500_000), None),
        ("20240506T000000Z", DAY, DAY),
        ("20240506T0000+0000", DAY, DAY),
        ("20240506", DAY, DAY + timedelta(days=1) - timedelta(microseconds=1)),
        ("2024-05-06", DAY, DAY + timedelta(days=1) - timedelta(microseconds=1)),
    ],
)
def test_times(given: str, start: datetime, stop: datetime | None) -> None:
    """Clauses: api-mt-mk 3 sentence 3, sentence 4."""
    assert filters(creationDateTimeStart=given) == Filters(start=start)
    assert filters(creationDateTimeStop=given) == Filters(stop=stop or start)
    assert filters(creationDateTime=given) == Filters(start=start, stop=start)


def test_the_last_day_of_the_calendar_is_a_date() -> None:
    """Systems that need a date where there is no end write this one.

    Clauses: api-mt-mk 3 sentence 3, sentence 4.
    """
    last = datetime(9999, 12, 31, tzinfo=UTC)
    try:
        found = [filters(creationDateTimeStop=day) for day in ("9999-12-31", "99991231")]
    except Refused as refusal:
        pytest.fail(f"refused: {refusal.findings}")
    assert found == 2 * [Filters(stop=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))]
    assert filters(creationDateTimeStart="9999-12-31") == Filters(start=last)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "2024",
        "2024-13-01",
        "2024-02-30",
        "2024050",
        "20240506T070809",
        "20240506T07:08Z",
        "2024-05-06T07:08:09,1234567Z",
        "6 May 2024",
        "2024-05-06T07:08:09",
        "2024-05-06T07:08:09+02:00",
        "2024-05-06T25:00:00Z",
        "2024-05-06 07:08:09Z",
        "2024-05-06T07:08:09 00:00",
        "0000-01-01",
        "9" * 100,
        "\x00",
        "٢٠٢٤-٠٥-٠٦",
    ],
)
@pytest.mark.parametrize("name", ["creationDateTimeStart", "creationDateTimeStop"])
def test_what_is_no_time_in_utc(name: str, value: str) -> None:
    assert refused((f"filter[{name}]", value)) == [f"filter[{name}]"]


def forged(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        (("filter", "x"), "filter"),
        (("filter[]", "x"), "filter"),
        (("filter[Kim]", "x"), "filter"),
        (("filter[label]", "Kim"), "filter"),
        (("filter[messagestatus", "NEW"), "query"),
        (("filter[messagestatus]", "Kim"), "filter[messagestatus]"),
        (("filter[messagestatus]", "new"), "filter[messagestatus]"),
        (("Kim", "x"), "query"),
        (("sort", "label"), "query"),
        (("page[size]", "0"), "page[size]"),
        (("page[size]", "1001"), "page[size]"),
        (("page[size]", "-1"), "page[size]"),
        (("page[size]", "٣"), "page[size]"),
        (("page[after]", ""), "page[after]"),
        (("page[after]", "Kim"), "page[after]"),
        (("page[after]", "å"), "page[after]"),
        (("page[after]", forged("2026-11-24T09:00:00+00:00 Kim\0 out")), "page[after]"),
        (
            ("page[after]", forged("0001-01-01T00:00:00+01:00 19c7a8f0-0000-4000-8000-000000000000 out")),
            "page[after]",
        ),
    ],
)
def test_what_is_not_understood_is_refused_and_not_repeated(query: tuple[str, str], where: str) -> None:
    assert refused(query) == [where]


@pytest.mark.parametrize("attribute", [RECIPIENT, SENDER])
@pytest.mark.parametrize("ending", ["", "[]"])
def test_3_a_filter_by_address_may_be_an_array(attribute: str, ending: str) -> None:
    """The OpenAPI file writes it as ``style: form, explode: true``; one matching address is enough.

    Clauses: api-mt-mk 3 sentence 2.
    """
    name = f"filter[{attribute}]"
    found = read([(name + ending, "a"), (name.lower() + ending, "b"), (name + ending, "a")])[0]
    member = "recipient_addresses" if attribute == RECIPIENT else "sender_addresses"
    assert found == Filters(**{member: ("a", "b")})  # type: ignore[arg-type]
    record = replace(message(at=NOW), sender_address="b", recipient_address="b")
    assert found.fit(record)
    assert not found.fit(replace(record, sender_address="c", recipient_address="c"))


def test_3_a_filter_by_status_may_be_an_array_or_a_list() -> None:
    """Clauses: api-mt-mk 3 sentence 2, sentence 7."""
    both = Filters((MessageStatus.NEW, MessageStatus.ACCEPTED))
    assert read([("filter[messagestatus][]", "NEW"), ("filter[messagestatus][]", "ACCEPTED")])[0] == both
    assert read([("filter[messagestatus]", "NEW,ACCEPTED,NEW")])[0] == both


def test_an_array_has_an_end() -> None:
    name = f"filter[{SENDER}]"
    assert refused(*[(name, str(number)) for number in range(300)]) == [name]


def test_a_time_is_given_once() -> None:
    name = "filter[creationDateTimeStart]"
    assert refused((name, "2024-05-06"), (name.lower(), "2024-05-07")) == [name]


def test_everything_wrong_is_told_at_once() -> None:
    assert refused(("filter[x]", ""), ("page[size]", "x"), ("filter[messagestatus]", "x")) == [
        "filter",
        "filter[messagestatus]",
        "page[size]",
    ]


@pytest.mark.parametrize("direction", Direction)
def test_a_page_goes_on_after_the_place_of_a_message(direction: Direction) -> None:
    last = message(direction, at=NOW + timedelta(microseconds=7))
    query = [("page[size]", "50"), ("page[after]", after(last))]
    assert read(query)[1] == Page(50, (last.created_at, last.id, direction))


def test_one_message_has_no_pages() -> None:
    with pytest.raises(Refused):
        read_filters([("page[size]", "1")])


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (Filters(), True),
        (Filters((MessageStatus.SCHEDULED, MessageStatus.NEW)), True),
        (Filters((MessageStatus.NEW,)), False),
        (Filters(sender_addresses=("a",)), True),
        (Filters(sender_addresses=("b",)), False),
        (Filters(recipient_addresses=("a",)), False),
        (Filters(start=NOW, stop=NOW), True),
        (Filters(start=NOW + timedelta(seconds=1)), False),
        (Filters(stop=NOW - timedelta(seconds=1)), False),
        (Filters((MessageStatus.SCHEDULED,), sender_addresses=("b",)), False),
    ],
)
def test_whether_a_message_fits_all_of_them(asked: Filters, fits: bool) -> None:
    """Clauses: api-mt-mk 3 sentence 2."""
    record = replace(message(at=NOW), sender_address="a", recipient_address="b")
    assert asked.fit(record) is fits
