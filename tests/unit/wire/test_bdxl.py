"""BDXL: the name to look up, and the meaning of the answer (component-sml 2.8)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.bdxl import Naptr, host, record, smp_address
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

PUBLISHED = [
    # Names that other BDXL implementations look up, as published with their own tests (peppol-commons).
    ("9999:elonia", "hsh3fmc5cyerdv5j6ln6mmqcn2pp2ucyvczrwueahosobvikb6kq"),
    ("0010:5798000000001", "xukhfqabqziki3ykvr2fhr4snfa3pf5vpq6k4tonv3lmvsy5arvq"),
    ("0088:123abc", "y7dzfxaf3d4cjz4kcgrxtec6twvcga4ky7zwa5boif6mswd4tdrq"),
    ("0088:123ABC", "y7dzfxaf3d4cjz4kcgrxtec6twvcga4ky7zwa5boif6mswd4tdrq"),
]


@pytest.mark.parametrize(("value", "label"), PUBLISHED)
def test_name_is_the_one_that_others_ask_for(value: str, label: str) -> None:
    asked = host(ParticipantIdentifier(value), "toop.acc.edelivery.tech.ec.europa.eu.")
    assert asked.lower() == f"{label}.iso6523-actorid-upis.toop.acc.edelivery.tech.ec.europa.eu"


@given(st.from_regex(r"[a-z0-9]{1,20}\.[a-z]{2,5}", fullmatch=True))
@settings(max_examples=50)
def test_name_fits_into_dns_and_does_not_depend_on_case(domain: str) -> None:
    asked = host(ParticipantIdentifier.parse(f"0203:{domain}"), "sml.example")
    assert asked == host(ParticipantIdentifier.parse(f"0203:{domain.upper()}"), "sml.example")
    assert all(0 < len(label) <= 63 for label in asked.split("."))
    assert "=" not in asked


@pytest.mark.parametrize(
    "regexp",
    [
        "!.*!https://smp.example/!",
        "!^.*$!https://smp.example!",
        "!^.*$!https://smp.example/!i",
    ],
)
def test_address_stands_in_the_substitution(regexp: str) -> None:
    records = [Naptr(100, 10, "U", "Meta:SMP", regexp, ".")]
    assert smp_address(records) == "https://smp.example"


def test_lowest_order_then_preference_is_taken_and_other_services_are_passed_over() -> None:
    records = [
        Naptr(10, 20, "U", "meta:smp", "!.*!http://second.example!", "."),
        Naptr(10, 10, "u", "Meta:SMP", "!.*!http://first.example!", "."),
        Naptr(1, 1, "U", "Other:SMP", "!.*!http://other.example!", "."),
        Naptr(1, 1, "S", "Meta:SMP", "!.*!http://other.example!", "."),
    ]
    assert smp_address(records) == "http://first.example"


@pytest.mark.parametrize(
    "regexp",
    [
        "",
        "!",
        "!.*!https://smp.example/",
        "!.*!https://smp.example/!x",
        "!(.*)!https://smp.example/\\1!",
        "!0203:.*!https://smp.example/!",
        "!.*!file:///etc/passwd!",
        "!.*!https://user@smp.example/!",
        "!.*!https://smp.example/?to=elsewhere!",
        "!.*!https://smp.example/#part!",
        "!.*!https://smp.example\\@elsewhere.example/!",
        "!.*!https://smp example/!",
        "!.*!//smp.example/!",
    ],
)
def test_what_is_no_plain_address_is_refused(regexp: str) -> None:
    with pytest.raises(WireError):
        smp_address([Naptr(100, 10, "U", "Meta:SMP", regexp, ".")])


def test_no_record_for_smp_is_refused() -> None:
    with pytest.raises(WireError):
        smp_address([])


def test_our_own_record_is_read_back() -> None:
    assert smp_address([record("http://127.0.0.1:8080/smp/")]) == "http://127.0.0.1:8080/smp"


@given(st.text(max_size=60), st.text(max_size=8), st.text(max_size=2))
@settings(max_examples=100)
def test_any_record_gives_an_address_or_a_typed_error(regexp: str, service: str, flags: str) -> None:
    for candidate in (Naptr(1, 1, flags, service, regexp, ""), Naptr(1, 1, "U", "Meta:SMP", regexp, "")):
        try:
            assert smp_address([candidate]).startswith(("http://", "https://", "HTTP"))
        except WireError:
            continue
