"""The scale model is computed, and its document is the output of the computation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench.scale import ASSUMED, LIMITS, MEASURED, Assumed, breaking, need, tables

_DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_tables_of_the_document_are_those_that_the_command_prints() -> None:
    assert tables(MEASURED, ASSUMED, LIMITS) in _DOCUMENT.read_text()


def test_the_figures_that_the_document_calls_measured_are_those_of_the_model() -> None:
    text = _DOCUMENT.read_text()
    for value in (
        f"{MEASURED.exchange_cpu * 1e3:.0f} ms",
        f"{MEASURED.idle_cpu * 100:.3f} % of a core",
        f"| {MEASURED.memory:.1f} MB |",
        f"| {MEASURED.connection:.1f} MB |",
        f"{MEASURED.start_cpu * 1e3:.0f} ms of processor time",
        f"| {MEASURED.disk:.0f} kB |",
    ):
        assert value in text
    assumed = (
        f"{ASSUMED.municipalities} municipalities that send {ASSUMED.of_municipality} messages",
        f"{ASSUMED.regions} regions that send 1 500",
        f"{ASSUMED.agencies} agencies that send {ASSUMED.of_agency}",
        f"{ASSUMED.peak * 100:.0f} % of a day's messages",
        f"{ASSUMED.size:.0f} kB for a message",
        f"for {ASSUMED.kept_days} days",
        f"{ASSUMED.working_days} working days",
        "has three connections",
    )
    in_one_line = " ".join(text.split())
    assert [each for each in assumed if each not in in_one_line] == []
    assert (ASSUMED.of_region, ASSUMED.connections) == (1_500, 3)


def test_what_messages_take_grows_with_them_and_what_organisations_take_does_not() -> None:
    one, ten = need(ASSUMED, MEASURED), need(ASSUMED, MEASURED, 10)
    assert (ten.messages, ten.bodies, ten.growth) == (10 * one.messages, 10 * one.bodies, 10 * one.growth)
    assert (ten.memory, ten.connections, ten.start) == (one.memory, one.connections, one.start)
    idle = one.organisations * MEASURED.idle_cpu
    assert ten.cores - idle == pytest.approx(10 * (one.cores - idle))


def test_an_hour_of_one_message_a_second_takes_what_an_exchange_takes() -> None:
    lone = Assumed(1, 0, 0, of_municipality=3600, peak=1.0, size=100.0, kept_days=2)
    found = need(lone, replace(MEASURED, exchange_cpu=0.25, idle_cpu=0.0, disk=50.0))
    assert (found.peak, found.cores) == (1.0, 0.25)
    assert found.bodies == 2 * 3600 * 100.0 * 2
    assert found.growth == 3600 * 250 * 50.0


def test_what_breaks_first_comes_first() -> None:
    one = need(ASSUMED, MEASURED)
    first = breaking(one, LIMITS)[0]
    assert first == min(breaking(one, LIMITS), key=lambda each: each[1])
    name, times = breaking(one, replace(LIMITS, connections=1))[0]
    assert name == "1 connections to PostgreSQL"
    assert times == pytest.approx(1 / one.connections)
