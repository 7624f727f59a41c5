"""Lexical forms: XML Schema part 2 (with libxml2 as second opinion), and base64 of RFC 4648."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.xml.schema import is_base64, is_blank, is_boolean, is_date, is_date_time, is_time


def _by_libxml2(type_name: str) -> Callable[[str], bool]:
    schema = etree.XMLSchema(
        etree.fromstring(
            '<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema">'
            f'<s:element name="v" type="s:{type_name}"/></s:schema>'
        )
    )

    def judge(value: str) -> bool:
        element = etree.Element("v")
        element.text = value
        return schema.validate(element)

    return judge


_JUDGES = {name: _by_libxml2(name) for name in ("date", "time", "dateTime", "boolean")}

_NEARLY_DATES = st.builds(
    "{}{}-{}-{}".format,
    st.sampled_from(("", "-", "+")),
    st.sampled_from(("2023", "2024", "1900", "2000", "0000", "0001", "12024", "02024", "24")),
    st.sampled_from(("01", "02", "04", "12", "13", "00", "1")),
    st.sampled_from(("01", "28", "29", "30", "31", "32", "00", "1")),
)
_NEARLY_ZONES = st.sampled_from(
    ("", "Z", "z", "+01:00", "-14:00", "+14:01", "-00:00", "+24:00", "+1:00", "01:00")
)
_NEARLY_TIMES = st.builds(
    "{}:{}:{}".format,
    st.sampled_from(("00", "12", "23", "24", "25", "1")),
    st.sampled_from(("00", "59", "60", "1")),
    st.sampled_from(("00", "59", "60", "00.0", "00.1", "59.", "59,1", "1", "59.123456789012")),
)


@given(_NEARLY_DATES, _NEARLY_ZONES)
def test_dates_are_those_of_xml_schema(day: str, zone: str) -> None:
    assert is_date(day + zone) is _JUDGES["date"](day + zone)


@given(_NEARLY_TIMES, _NEARLY_ZONES)
def test_times_are_those_of_xml_schema(time: str, zone: str) -> None:
    assert is_time(time + zone) is _JUDGES["time"](time + zone)


@given(_NEARLY_DATES, st.sampled_from(("T", "t", " ", "")), _NEARLY_TIMES, _NEARLY_ZONES)
def test_date_times_are_those_of_xml_schema(day: str, separator: str, time: str, zone: str) -> None:
    value = day + separator + time + zone
    assert is_date_time(value) is _JUDGES["dateTime"](value)


@given(st.dates(min_value=date(1, 1, 1)))
def test_every_day_is_a_date(day: date) -> None:
    assert is_date(day.isoformat())


@pytest.mark.parametrize(
    "value", ["true", "false", "1", "0", " true\n", "TRUE", "yes", "", "01", "\u00a0true", "t rue"]
)
def test_booleans_are_those_of_xml_schema(value: str) -> None:
    assert is_boolean(value) is _JUDGES["boolean"](value)


@pytest.mark.parametrize("value", [" 2024-02-29 ", "\t2024-02-29\n"])
def test_white_space_around_a_date_means_nothing(value: str) -> None:
    assert is_date(value)


@pytest.mark.parametrize(
    ("value", "blank"), [("", True), (" \t\r\n", True), ("\u00a0", False), ("\u2003", False), (" x ", False)]
)
def test_only_the_white_space_of_xml_is_blank(value: str, blank: bool) -> None:
    assert is_blank(value) is blank


@given(st.binary(max_size=200))
def test_what_the_standard_library_encodes_is_base64(data: bytes) -> None:
    assert is_base64(base64.b64encode(data).decode())


@given(st.text(alphabet="AQg+/=-_ \nå", max_size=12))
@example("QQ==QQ==")
@example("Q===")
@example("====")
@example("QQ=Q")
@example("AAAA=")
@example("AAAA====")
def test_base64_is_what_the_strict_decoder_takes(value: str) -> None:
    """The exception is superfluous padding, which the standard library accepts after whole groups."""
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        assert not is_base64(value)
    else:
        assert is_base64(value) is (len(base64.b64encode(decoded)) == len(value))


@pytest.mark.parametrize("at", [0, (1 << 16) - 1, 1 << 16, (1 << 17) - 1])
@pytest.mark.parametrize("character", ["!", "\n", "=", "-", "ö"])
def test_a_wrong_character_is_found_wherever_it_stands(at: int, character: str) -> None:
    value = "QUJD" * (1 << 15)
    assert is_base64(value)
    assert not is_base64(value[:at] + character + value[at + 1 :]) or (character, at) == ("=", len(value) - 1)
