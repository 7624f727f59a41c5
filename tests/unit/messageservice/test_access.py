"""api-mt-mk 5.1 and 5.2: scopes, and the addresses that the claim ``auth_id`` opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from samdrift.contracts.messageclients import AddressPattern, Scope, patterns
from samdrift.messageservice.access import Access
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.frozen import changeable


@pytest.mark.parametrize("name", ["urn:sdk.api:sendMessages", "urn:sdk.api:sendMessage"])
def test_both_spellings_of_the_scope_for_sending(name: str) -> None:
    assert Scope.named(name) is Scope.SEND


@pytest.mark.parametrize("name", ["", "offline_access", "urn:sdk.api:sendmessages"])
def test_other_scopes_open_nothing(name: str) -> None:
    assert Scope.named(name) is None


@pytest.mark.parametrize(
    ("pattern", "address", "covered"),
    [
        ("funktion01.blue.sdk.inera.se", "funktion01.blue.sdk.inera.se", True),
        ("funktion01.blue.sdk.inera.se", "funktion01.blue.sdk.inera.sex", False),
        ("*.blue.sdk.inera.se", "funktion01.blue.sdk.inera.se", True),
        ("*.blue.sdk.inera.se", "funktion01.red.sdk.inera.se", False),
        ("sdk:*:0203:inera.se", "sdk:inkorg:0203:inera.se", True),
        ("sdk:a*a:x", "sdk:a:x", False),
        ("*", "sdk:inkorg:0203:inera.se", True),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, address: str, covered: bool) -> None:
    assert AddressPattern.parse(pattern).covers(address) is covered


@pytest.mark.parametrize("text", ["", "**", "a*b*"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="at most one"):
        AddressPattern.parse(text)


def test_a_client_without_addresses_has_no_mailbox() -> None:
    habo = ParticipantIdentifier.parse("0203:habo.se")
    assert not Access(habo, "journal", frozenset(Scope), ()).covers("sdk:inkorg:0203:habo.se")
    assert Access(habo, "journal", frozenset(), patterns(["a", "sdk:*"])).covers("sdk:inkorg:0203:habo.se")


def test_a_renewed_token_opens_the_same() -> None:
    """The end of a token is not part of what it opens."""
    habo = ParticipantIdentifier.parse("0203:habo.se")
    old, new = (
        Access(habo, "journal", frozenset(Scope), patterns(["*"]), until=datetime(2026, 11, day, tzinfo=UTC))
        for day in (26, 27)
    )
    assert old == new != replace(new, scopes=frozenset())


def test_what_a_token_opens_and_who_is_registered_cannot_be_changed() -> None:
    """Only notes of work under way can change: a reading, a check, the time to wait, and the person."""
    notes = {"_Reading", "_Check", "_State", "Patience", "Limits", "_Limit"}
    assert changeable("samdrift.messageservice") == notes
